"""Whatever the user gives: one sentence, exit code 2, no traceback, nothing half written."""

import json
import os

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.golden.model.container import Container, read_container, write_container
from mubinn.golden.model.model_file import save_model

INVERTER_ONLY = """library (tiny) { time_unit : "1ns"; capacitive_load_unit (1, pf);
  cell (INV) { area : 1; pin (A) { direction : input; capacitance : 1; }
    pin (Y) { direction : output; function : "(!A)"; } }
}
"""


@pytest.fixture(autouse=True)
def no_shared_data(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("MUBINN_SHARED", str(tmp_path_factory.mktemp("shared")))


@pytest.fixture
def folder(tmp_path, random_float, random_model):
    """Return a folder with good models, bad ones, and bad data."""
    good, quantized = tmp_path / "good.safetensors", tmp_path / "good.mubinn"
    save_model(good, random_float(features=5, hidden=4, classes=2))
    save_model(quantized, random_model(levels=(2, 2), features=5, hidden=4))
    whole = quantized.read_bytes()
    (tmp_path / "truncated.mubinn").write_bytes(whole[:-20])
    (tmp_path / "altered.mubinn").write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    (tmp_path / "noise.mubinn").write_bytes(b"no model at all" * 9)
    with_nan(good, tmp_path / "nan.safetensors")
    with_shape(good, tmp_path / "shape.safetensors")
    x = np.random.default_rng(0).normal(0, 1, (20, 16, 5)).astype(np.float32)
    y = np.arange(20) % 2
    np.savez(tmp_path / "eeg.npz", X=x, y=y)
    np.savez(tmp_path / "channels.npz", X=x[..., :3], y=y)
    np.savez(tmp_path / "short.npz", X=x, y=y[:5])
    np.savez(tmp_path / "flat.npz", X=0 * x, y=y)
    np.savez(tmp_path / "one.npz", X=x, y=0 * y)
    x[3, 2, 1] = np.nan
    np.savez(tmp_path / "nan.npz", X=x, y=y)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "eeg.npz").read_bytes()[:300])
    (tmp_path / "noise.lib").write_bytes(b"\x00\x01\x02")
    (tmp_path / "cut.lib").write_text(INVERTER_ONLY[:60])
    (tmp_path / "tiny.lib").write_text(INVERTER_ONLY)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.txt").write_text("keep")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "m.mubinn").write_bytes(whole)
    mark = {"files": ["m.mubinn", "parameters.json"]}
    (tmp_path / "inner" / "parameters.json").write_text(json.dumps(mark))
    (tmp_path / "link").symlink_to("good.safetensors")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def with_nan(source, target):
    content = read_container(source)
    tensors = {name: array.copy() for name, array in content.tensors.items()}
    tensors["0.wh"][1, 2] = np.nan
    write_container(target, Container(content.format, content.structure, tensors))


def with_shape(source, target):
    content = read_container(source)
    tensors = {**content.tensors, "0.wh": content.tensors["0.wh"][:, :-1]}
    write_container(target, Container(content.format, content.structure, tensors))


def fault(folder, *args):
    """Run a command that has to fail, and return its one sentence."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    words = [str(arg).replace("@", f"{folder}/") for arg in args]
    result = CliRunner().invoke(mubinn, words)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("mubinn: ")
    assert lines[0].endswith(".")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    return lines[0]


QUANTIZE = ("--levels", "2,2", "--data", "@eeg.npz", "-o", "@out.mubinn")
BINARIZED = ("--method", "mubinn2", "--levels", "2,2", "--batch", "4")
BINARIZED += ("--float-model", "@good.safetensors")
FAULTS = [
    (("quantize", "@nan.safetensors", *QUANTIZE), "wh holds NaN"),
    (("quantize", "@shape.safetensors", *QUANTIZE), "wh has shape"),
    (("quantize", "@missing.safetensors", *QUANTIZE), "does not exist"),
    (("quantize", "@good.mubinn", *QUANTIZE), "float one is needed"),
    (("quantize", "@noise.mubinn", *QUANTIZE), "nor of PyTorch, Keras or ONNX"),
    (("quantize", "@good.safetensors", "--levels", "0,3", "-o", "@o"), "unknown level '0'"),
    (("quantize", "@good.safetensors", "--levels", "9,3", "-o", "@o"), "unknown level '9'"),
    (("quantize", "@good.safetensors", "--levels", "many", "-o", "@o"), "unknown levels 'many'"),
    (("quantize", "@good.safetensors", "--levels", "x,y", "-o", "@o"), "unknown level"),
    (("quantize", "@good.safetensors", "--levels", "FP,3", "-o", "@o"), "full precision"),
    (("quantize", "@good.safetensors", *QUANTIZE, "--c-levels", "12"), "unknown level count 12"),
    (("quantize", "@good.safetensors", *QUANTIZE, "--measure"), "no held-out fold"),
    (("quantize", "@good.safetensors", *QUANTIZE, "--gate-offset", "nan"), "gate offset nan"),
    (("quantize", "@good.safetensors", *QUANTIZE, "--encoder", "ttq"), "unknown encoder 'ttq'"),
    (("quantize", "@good.safetensors", *QUANTIZE, "--encoder", "b=tc"), "unknown tensor 'b'"),
    (("quantize", "@good.safetensors", *QUANTIZE, "--encoder", "bc"), "bc has 1 level, but x"),
    (("quantize", "@good.safetensors", "--levels", "2,2", "-o", "@no/o"), "does not exist"),
    (("quantize", "@good.safetensors", "--levels", "2,2", "-o", "@full"), "is a folder"),
    (("info", "@truncated.mubinn"), "no usable model file"),
    (("info", "@altered.mubinn"), "damaged or was altered"),
    (("info", "@full"), "not a regular file"),
    (("generate", "@truncated.mubinn", "-o", "@out"), "no usable model file"),
    (("generate", "@altered.mubinn", "-o", "@out"), "altered"),
    (("generate", "@good.safetensors", "-o", "@out"), "run `mubinn quantize`"),
    (("generate", "@good.mubinn", "-o", "@full"), "holds precious.txt, which was not written"),
    (("generate", "@good.mubinn", "-o", "@eeg.npz"), "is not a folder"),
    (("generate", "@good.mubinn", "-o", "@no/out"), "does not exist"),
    (("simulate", "@missing.mubinn"), "does not exist"),
    (("simulate", "@good.mubinn", "--data", "@missing.npz"), "does not exist"),
    (("simulate", "@good.mubinn", "--data", "@nan.npz"), "NaN"),
    (("simulate", "@good.mubinn", "--data", "@cut.npz"), "truncated or damaged"),
    (("simulate", "@good.mubinn", "--data", "@short.npz"), "20 windows but 5 labels"),
    (("simulate", "@good.mubinn", "--data", "@flat.npz"), "flat"),
    (("simulate", "@good.mubinn", "--data", "@channels.npz"), "3 channels, the model reads 5"),
    (("simulate", "@good.mubinn", "--data", "@good.mubinn"), "neither .npz nor .npy"),
    (("simulate", "@good.mubinn", "--labels", "@y.npy"), "name it as well"),
    (("simulate", "@good.mubinn", "--waves", "@no/x.fst"), "does not exist"),
    (("synth", "@good.mubinn", "--unit", "nothing"), "no unit nothing"),
    (("synth", "@good.mubinn", "--liberty", "@missing.lib"), "cannot be read"),
    (("synth", "@good.mubinn", "--liberty", "@noise.lib"), "not Liberty text"),
    (("synth", "@good.mubinn", "--liberty", "@cut.lib"), "it is truncated"),
    (("synth", "@good.mubinn", "--liberty", "@tiny.lib"), "no usable buffer"),
    (("synth", "@good.mubinn", "--liberty", "@tiny.lib", "--fo4", "30"), "leave out one"),
    (("synth", "@good.mubinn", "--fo4", "-3"), "out of range"),
    (("bench", "nothing"), "no benchmark nothing"),
    (("bench", "simulate", "--data", "@eeg.npz"), "leave out --model and --data"),
    (("bench", "quantization", "--data", "@eeg.npz"), "give both"),
    (("bench", "simulate", "--instruction-set", "avx2"), "leave out --instruction-set"),
    (("bench", "simulate", "@good.mubinn"), "is not of models of yours"),
    (("bench", "energy", "--device", "xc7"), "has no --device"),
    (("bench", "layers", "--data", "@eeg.npz"), "Give the files of the models"),
    (("bench", "layers", "@good.mubinn"), "1 models and 0 files of data"),
    (("bench", "layers", "@good.mubinn", "--data", "@eeg.npz", "--device", "z"), "no device z"),
    (("bench", "layers", "@good.mubinn", "--data", "@eeg.npz"), "needs 64 windows of two steps"),
    (("train", "@missing.npz", "-o", "@out"), "does not exist"),
    (("train", "@nan.npz", "-o", "@out"), "NaN"),
    (("train", "@eeg.npz", "--fold", "7", "-o", "@out"), "Fold 7 has no windows"),
    (("train", "@eeg.npz", "--epochs", "0", "-o", "@out"), "epochs is 0"),
    (("train", "@eeg.npz", "--c-clip", "-1", "-o", "@out"), "c_clip is -1"),
    (("train", "@eeg.npz", "-o", "@no/out"), "does not exist"),
    (("train", "@eeg.npz", "-o", "@out"), "16 training windows do not fill a batch of 64"),
    (("train", "@one.npz", "-o", "@out"), "belong to class"),
    (("train", "@flat.npz", "--batch", "4", "-o", "@out"), "flat"),
    (("train", "@channels.npz", *BINARIZED, "-o", "@out"), "3 channels, the model reads 5"),
    (("train", "@eeg.npz", *BINARIZED, "--from-scratch", "-o", "@out"), "exclude each other"),
    (("train", "@eeg.npz", *BINARIZED, "--damp-c", "2", "-o", "@out"), "damp_c is 2"),
    (("train", "@eeg.npz", "--method", "mubinn2", "-o", "@out"), "needs levels"),
    (("train", "@eeg.npz", "--levels", "2,2", "-o", "@out"), "takes no levels"),
    (("train", "@eeg.npz", "--granularity", "row", "-o", "@out"), "is of binarized training"),
    (("train", "@eeg.npz", "--h-levels", "2", "-o", "@out"), "is of binarized training"),
    (("train", "@eeg.npz", "--scale-rate", "0.1", "-o", "@out"), "is of binarized training"),
    (("train", "@eeg.npz", "--patience", "2", "-o", "@out"), "patience needs validation"),
    (("train", "@eeg.npz"), "Give -o FILE for one run"),
    (("train", "@eeg.npz", "--runs", "@runs", "--folds", "some"), "no list of numbers"),
    (("train", "@eeg.npz", "--runs", "@runs", "--folds", "7"), "There is no 7 among 0, 1, 2"),
    (("train", "@eeg.npz", "--runs", "@runs", "--log", "@log"), "belongs to one run"),
    (("train", "@eeg.npz", *BINARIZED, "--integers", "@log", "-o", "@out"), "or train with xnor"),
    (("train", "@eeg.npz", *BINARIZED, "--runs", "@runs", "--from-scratch"), "belongs to one run"),
    (("train", "@eeg.npz", "--float-epochs", "2", "-o", "@out"), "give --epochs"),
    (("train", "@eeg.npz", *BINARIZED, "--float-epochs", "2", "-o", "@out"), "leave it out"),
    (("quantize", "@good.safetensors", *QUANTIZE[:-1], "@good.safetensors"), "is what MODEL names"),
    (("quantize", "@good.safetensors", *QUANTIZE[:-1], "@link"), "is what MODEL names"),
    (("quantize", "@good.safetensors", *QUANTIZE[:-1], "@eeg.npz"), "is what --data names"),
    (("quantize", "@good.safetensors", *QUANTIZE[:-1], "@pipe"), "is a device, a pipe"),
    (("quantize", "@good.safetensors", *QUANTIZE[:-1], "-"), "not to -"),
    (("calibrate", "@good.mubinn", "@eeg.npz", "-o", "@./good.mubinn"), "is what MODEL names"),
    (("calibrate", "@good.mubinn", "@eeg.npz", "-o", "@eeg.npz"), "is what RECORDING names"),
    (("generate", "@inner/m.mubinn", "-o", "@inner"), "replace the folder of"),
    (("generate", "@inner/m.mubinn", "-o", "@inner/m.mubinn"), "is what MODEL names"),
    (("generate", "@good.mubinn", "-o", "@."), "replace the folder of"),
    (("simulate", "@good.mubinn", "--waves", "@good.mubinn"), "is what MODEL names"),
    (("train", "@eeg.npz", "-o", "@eeg.npz"), "is what DATA names"),
    (("train", "@eeg.npz", "-o", "@new", "--log", "@new"), "is what --output names"),
    (("report", "--accuracy", "--logs", "@inner", "-o", "@inner"), "is what --logs names"),
    (("report", "--model", "@nan.safetensors", "-o", "@out"), "wh holds NaN"),
    (("report", "--liberty", "@tiny.lib", "-o", "@out"), "no usable buffer"),
]


@pytest.mark.parametrize(("args", "words"), FAULTS, ids=[" ".join(args) for args, _ in FAULTS])
def test_a_fault_is_one_sentence(folder, args, words):
    if args[0] == "train":
        pytest.importorskip("jax")
    assert words in fault(folder, *args)


def test_an_absent_compiler_is_named(folder, monkeypatch):
    monkeypatch.setenv("PATH", str(folder / "nowhere"))
    sentence = fault(folder, "simulate", "@good.mubinn", "--data", "@eeg.npz")
    assert "g++ and make and perl" in sentence
    assert "apt-get install" in sentence
    sentence = fault(
        folder, "simulate", "@good.mubinn", "--data", "@eeg.npz", "--simulator", "icarus"
    )
    assert "iverilog" in sentence


def test_absent_jax_is_named(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jax", None)
    assert "pip install 'mubinn[train]'" in fault(folder, "train", "@eeg.npz", "-o", "@out")


def test_a_file_cut_anywhere_is_a_fault(folder):
    whole = (folder / "good.mubinn").read_bytes()
    path = folder / "cut.mubinn"
    for length in np.random.default_rng(0).integers(0, len(whole), 30):
        path.write_bytes(whole[:length])
        fault(folder, "info", path)


def test_a_file_altered_anywhere_is_a_fault(folder):
    whole = (folder / "good.mubinn").read_bytes()
    path = folder / "changed.mubinn"
    rng = np.random.default_rng(1)
    for place in rng.integers(0, len(whole), 30):
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        fault(folder, "info", path)


OLD = '{\n  "files": [\n    "parameters.json"\n  ]\n}\n'


def test_a_failure_while_writing_leaves_the_old_folder(folder, monkeypatch):
    from mubinn.golden.ground import files
    from mubinn.golden.ground.errors import MubinnError

    target = folder / "made"
    files.write_folder(target, {"parameters.json": OLD}, "parameters.json")
    kept = files.Path.write_bytes

    def full(self, content):
        if self.name == "second":
            raise OSError(28, "No space left on device")
        return kept(self, content)

    monkeypatch.setattr(files.Path, "write_bytes", full)
    before = sorted(folder.rglob("*"))
    with pytest.raises(MubinnError, match="no space left on device; give another path"):
        files.write_folder(target, {"parameters.json": "{}", "second": ""}, "parameters.json")
    assert sorted(folder.rglob("*")) == before
    assert (target / "parameters.json").read_text() == OLD


def test_a_failure_while_moving_puts_the_old_folder_back(folder, monkeypatch):
    from mubinn.golden.ground import files
    from mubinn.golden.ground.errors import MubinnError

    target = folder / "made"
    files.write_folder(target, {"parameters.json": OLD}, "parameters.json")
    kept = files.Path.rename

    def stuck(self, other):
        if self.name.endswith(".tmp"):
            raise OSError(5, "Input/output error")
        return kept(self, other)

    monkeypatch.setattr(files.Path, "rename", stuck)
    before = sorted(folder.rglob("*"))
    with pytest.raises(MubinnError, match="input/output error"):
        files.write_folder(target, {"parameters.json": "{}"}, "parameters.json")
    assert sorted(folder.rglob("*")) == before
    assert (target / "parameters.json").read_text() == OLD
