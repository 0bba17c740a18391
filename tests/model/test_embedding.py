"""Models that read words: the lookup, every golden form, files, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import CompiledModel, infer
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.bounds import dequantize
from mubinn.golden.model.embedding import looked_up
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.model_file import load_any, save_model
from mubinn.golden.model.sample_format import SampleFormat
from mubinn.golden.quantize import quantize
from mubinn.hw.boards.device import find_device
from mubinn.hw.export.accelerator_folder import accelerator_folder
from mubinn.hw.export.device_design import DesignOptions, device_design

WORDS = 11


@pytest.fixture(scope="module")
def reader(random_float):
    """A float model of 11 words in vectors of 5 numbers."""
    table = np.random.default_rng(4).normal(0, 0.8, (WORDS, 5)).astype(np.float32)
    return replace(random_float(3), embedding=table)


@pytest.fixture(scope="module")
def sentences():
    return np.random.default_rng(5).integers(0, WORDS, (6, 9, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def quantized(reader, sentences):
    return quantize(reader, Levels.of(3, 2), sentences)


def test_words_are_their_vectors(reader, sentences):
    vectors = reader.embedding[sentences[..., 0].astype(int)]
    plain = replace(reader, embedding=None)
    assert (reader.channels, plain.channels) == (1, 5)
    assert (reference.logits(reader, sentences) == reference.logits(plain, vectors)).all()
    assert len(np.unique(reference.logits(reader, sentences)[:, 0])) == len(sentences)


def test_words_have_the_codes_of_their_vectors(reader, quantized, sentences):
    plain = replace(quantized, embedding=None)
    vectors = reader.embedded(sentences)
    codes = quantized.encode_input(sentences)
    assert (codes == plain.encode_input(vectors)).all()
    assert (bit_true.run(quantized, codes)[1] == infer(plain, vectors).scores).all()


def test_what_levels_leave_out_is_of_vectors(reader, sentences, tmp_path):
    own = replace(reader, preprocessing=Preprocessing("none", 1))
    save_model(tmp_path / "reader.safetensors", own)
    np.savez(tmp_path / "data.npz", X=sentences.astype(np.int32))
    given = "reader.safetensors", "--levels", "3,2", "--data", "data.npz", "-o", "made.mubinn"
    paths = [str(tmp_path / word) if "." in word else word for word in given]
    result = CliRunner().invoke(mubinn, ["quantize", *paths])
    assert result.exit_code == 0, result.output
    told = load_any(tmp_path / "made.mubinn").meta["input_range"]
    read = np.abs(reader.embedded(sentences)).max()
    assert told.endswith(f"the greatest is {read:.4g}")


@pytest.mark.parametrize("kernel", ["numpy", "words"])
def test_fast_inference_equals_the_bit_true_model(quantized, sentences, kernel):
    if kernel != "numpy":
        pytest.importorskip("numba")
    _, scores, _ = bit_true.run(quantized, quantized.encode_input(sentences))
    fast = CompiledModel(quantized, kernel=kernel)
    assert (fast.infer(sentences).scores == scores).all()
    assert (fast.infer(sentences.astype(np.int16)).scores == scores).all()


def test_the_reference_of_the_integers_reads_the_same_words(quantized, sentences):
    floats, quantizers = dequantize(quantized)
    exact = reference.logits(floats, sentences, quantizers)
    scores = bit_true.run(quantized, quantized.encode_input(sentences))[1]
    assert exact == pytest.approx(quantized.values(scores, 9), abs=0.2)
    x = quantized.layers[0].x
    assert (floats.embedding == np.ldexp(x.decode(quantized.embedding), -x.fraction)).all()


@pytest.mark.parametrize("which", ["float", "quantized"])
def test_files_have_the_table(reader, quantized, sentences, tmp_path, which):
    model = {"float": reader, "quantized": quantized}[which]
    save_model(tmp_path / "model", model)
    again = load_any(tmp_path / "model")
    assert (again.embedding == model.embedding).all()
    assert again.channels == 1


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([[11.0]], "11 names no word: the model knows whole numbers from 0 to 10"),
        ([[-1]], "-1 names no word"),
        ([[0.5]], "0.5 names no word"),
        ([[np.nan]], "nan names no word"),
        ([[1.0, 2.0]], r"one number a step, which names a word; data of shape \(1, 2\)"),
    ],
)
def test_numbers_that_name_no_word(numbers, message):
    with pytest.raises(MubinnError, match=message):
        looked_up(np.zeros((WORDS, 5)), numbers)


@pytest.mark.parametrize("shape", [(WORDS, 4), (0, 5), (5,)])
def test_a_table_that_does_not_fit(reader, quantized, shape):
    with pytest.raises(MubinnError, match="the embedding has shape"):
        replace(reader, embedding=np.zeros(shape))
    with pytest.raises(MubinnError, match="the embedding has shape"):
        replace(quantized, embedding=np.zeros(shape, np.int64))


def test_codes_that_are_none(quantized):
    with pytest.raises(MubinnError, match="numbers that are no codes of x"):
        replace(quantized, embedding=np.full((WORDS, 5), 8))


def test_a_folder_has_the_codes_of_words(quantized):
    options = DesignOptions(units=2)
    files = accelerator_folder(
        quantized, device_design(quantized, find_device("ice40-up5k"), options)
    )
    lines = files["words.hex"].splitlines()
    assert [list(bytes.fromhex(line)) for line in lines] == quantized.embedding.tolist()
    assert "`words.hex` has the codes of all 11" in files["README.md"]
    assert json.loads(files["parameters.json"])["words"] == WORDS


def test_hardware_does_not_encode_words(quantized):
    with pytest.raises(MubinnError, match="leave out the width of samples"):
        SampleFormat.of(quantized, 12)
