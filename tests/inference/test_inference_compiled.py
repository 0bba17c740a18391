"""The compiled kernels equal the bit-true model, as machine code and as plain Python."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from directions import DIRECTIONS, directed
from own_cells import MORE, ceilings, float_model, hard_lstm, open_gate
from own_cells import windows as own_windows

from mubinn.cli.shared.common import FLOAT_MODEL, bundled
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.constants import DATAPATHS
from mubinn.golden.cells.library import CELLS, rnn_relu
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference import compiled as inference_compiled
from mubinn.golden.inference import loops, program
from mubinn.golden.inference import run as inference
from mubinn.golden.inference.input import joined, pack
from mubinn.golden.inference.plan import TABLE_LIMIT
from mubinn.golden.inference.rows import MatrixRows, WordRows
from mubinn.golden.inference.run import CompiledModel
from mubinn.golden.model import bit_true
from mubinn.golden.model.head import READINGS
from mubinn.golden.model.model_file import load_float
from mubinn.golden.quantize import quantize
from mubinn.train.data.windows import prepare, synthetic_eeg

KERNELS = ("words", "pairs")
PLAIN = inference_compiled.Kernels(loops.encode_words, loops.run_layer)


@pytest.fixture(params=["plain", "compiled"])
def form(request, monkeypatch):
    """The loops as plain Python, or compiled where numba is installed."""
    if request.param == "compiled":
        pytest.importorskip("numba")
    else:
        as_plain_python(monkeypatch)
    return request.param


def as_plain_python(monkeypatch):
    monkeypatch.setattr(inference, "available", lambda: True)
    monkeypatch.setattr(inference, "TILES", dict.fromkeys(inference.TILES, 1))
    monkeypatch.setattr(inference, "kernels", lambda: PLAIN)


def windows(seed, n, steps, features):
    return np.random.default_rng(seed).normal(0, 1.5, (n, steps, features)).astype(np.float32)


def check(model, x, kernels=KERNELS, limit=TABLE_LIMIT, **how):
    _, scores, classes = bit_true.run(model, model.encode_input(x))
    for kernel in kernels:
        result = CompiledModel(model, kernel=kernel, table_limit=limit).infer(x, **how)
        assert result.scores.dtype == np.int64
        assert (result.scores == scores).all(), kernel
        assert (result.classes == classes).all()
    return scores


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("datapath", DATAPATHS)
def test_equals_bit_true(model_of, form, cell, datapath):
    for levels in (Levels.of(1, 1), Levels(x=2, w=1, h=3, c=1, gate=2, b=2)):
        model = model_of(cell, 1, levels, hidden=5, depth=2).with_datapath(datapath)
        scores = check(model, windows(2, 4, 3, 5), threads=1)
        assert len(np.unique(scores)) > 1


@pytest.mark.parametrize("readout", [*READINGS, "leaky:2@end", "mean@2"])
@pytest.mark.parametrize("name", DIRECTIONS)
def test_directions_are_equal(monkeypatch, name, readout):
    as_plain_python(monkeypatch)
    x = windows(4, 3, 5, 3)
    floats = directed(DIRECTIONS[name], 3, readout)
    model = quantize(floats, Levels.of(1, 1), x, scale_form="shift")
    assert len(np.unique(check(model, x, threads=1))) > 1


@pytest.mark.parametrize("sizes", [(20, 20), (33, 5), (32, 32), (3, 40, 7)])
@pytest.mark.parametrize("bits", [1, 16])
def test_fields_of_layers_stand_side_by_side(sizes, bits):
    random = np.random.default_rng(1)
    codes = [random.integers(0, 1 << bits, (size, 4)) for size in sizes]
    parts = [pack(own, 1, bits)[None] for own in codes]
    whole = pack(np.concatenate(codes), 1, bits)[None]
    assert np.array_equal(joined(parts, sizes, bits), whole)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("limit", [TABLE_LIMIT, 1 << 6])
def test_equals_bit_true_at_random(random_build, seed, limit):
    pytest.importorskip("numba")
    model, x = random_build(seed, most=4)
    # Seed 1 has one level of 195 units beside several of one unit: factors of more than 16 bits.
    fits = CompiledModel(model).programs("pairs") is not None
    assert fits == (seed != 1)
    check(model, x, ["pairs"] if fits else ["numpy"], limit, batch=3, threads=2)
    if seed < 2:  # each size of words is compiled anew
        check(model, x, ["words"], limit)


@pytest.mark.parametrize("cell", MORE, ids=lambda cell: cell.name)
def test_a_cell_of_ones_own(form, cell):
    for levels in (Levels.of(1, 1), Levels.of(2, 3)):
        x = own_windows().astype(np.float32)
        model = quantize(float_model(cell, depth=2), levels, x.astype(float))
        # Sums of fractions far apart are too long for pairs: words and NumPy take them.
        pairs = ["pairs"] if CompiledModel(model).programs("pairs") else []
        assert pairs or cell in (hard_lstm, open_gate, ceilings, rnn_relu)
        for limit in (TABLE_LIMIT, 1 << 5):
            check(model, x[:5], ["numpy", "words", *pairs], limit, threads=1)


def test_more_windows_than_a_tile_has(random_gru):
    pytest.importorskip("numba")
    check(random_gru(3, (3, 3), hidden=9), windows(4, 200, 3, 5), threads=1)


def test_several_words_of_either(random_model, form):
    size = {"hidden": 34, "features": 65} if form == "compiled" else {"hidden": 33, "features": 34}
    model = random_model(3, (1, 1), h=2, depth=2, **size)
    check(model, windows(4, 3, 3, size["features"]), ["words"])


@pytest.mark.parametrize("cell", ["lstm", "gru_before", "rnn"])  # 4, 2 and 1, and 1 row a phase
def test_long_rows_are_made_in_tiles(model_of, form, monkeypatch, cell):
    levels = Levels(x=2, w=3, h=1, c=1, gate=2, b=2)
    model = model_of(cell, 5, levels, features=40, hidden=34, depth=2)
    short = CompiledModel(model, kernel="words").programs("words")[0]
    monkeypatch.setattr(program, "UNROLLED", 0)
    long = CompiledModel(model, kernel="words").programs("words")[0]
    assert len(short.span[-1][0]) == len(long.span[-1][0]) + 2
    check(model, windows(4, 3, 3, 40), ["words"])


def test_signs_of_long_rows(random_model, form, monkeypatch):
    monkeypatch.setattr(program, "UNROLLED", 2)
    check(random_model(6, (1, 1), features=33, hidden=9), windows(4, 70, 2, 33), ["words"])


def test_sums_too_long(random_model, monkeypatch):
    as_plain_python(monkeypatch)
    model = random_model(10, (1, 1))
    layer = model.layers[0]
    wide = replace(layer, wx=replace(layer.wx, scales=layer.wx.scales + (1 << 32) + 1))
    model = replace(model, layers=(wide,))
    assert WordRows.of(wide, 0).largest >= 1 << 30
    assert not MatrixRows.of(wide, 0).fits_pairs
    for kernel in KERNELS:
        with pytest.raises(MubinnError, match=f"too long for the {kernel} kernel"):
            CompiledModel(model, kernel=kernel)
    monkeypatch.setattr(inference, "LEAST_WORK", 1)
    assert CompiledModel(model).choose(1, 1) == "numpy"
    check(model, windows(11, 3, 3, 5), [None])


def test_other_types_and_layouts(random_model, form):
    model, x = random_model(14, (2, 2), hidden=4, features=5), windows(15, 4, 5, 5)
    for other in (x.astype(np.float64) / 3, np.round(x).astype(np.int16), x.transpose(1, 0, 2)):
        check(model, other)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_samples_are_named(random_model, form, bad):
    model, x = random_model(16, (1, 1), hidden=4), windows(17, 3, 2, 5)
    x[2, 1, 3] = bad
    for kernel in KERNELS:
        with pytest.raises(MubinnError, match="NaN or infinite"):
            CompiledModel(model, kernel=kernel).infer(x, threads=1)


@pytest.mark.parametrize("fit", [(1, 1), (3, 3)])
def test_the_bundled_model(fit):
    pytest.importorskip("numba")
    x = prepare(synthetic_eeg(20, 320, 32).x)[::7, :16]
    model = quantize(load_float(bundled(FLOAT_MODEL)), Levels.of(*fit), x.astype(float))
    check(model, x, batch=2, threads=2)


def test_the_choice(monkeypatch):
    x = prepare(synthetic_eeg(20, 320, 32).x)[:, :4]
    floats = load_float(bundled(FLOAT_MODEL))
    one, three = (CompiledModel(quantize(floats, Levels.of(n, n), x.astype(float))) for n in (1, 3))
    monkeypatch.setattr(inference, "available", lambda: True)
    assert one.choose(3270, 160) == "words"
    two = CompiledModel(quantize(floats, Levels.of(2, 2), x.astype(float)))
    for one_instruction, kernel in ((True, "words"), (False, "pairs")):
        monkeypatch.setattr(inference, "host_has", lambda _, found=one_instruction: found)
        assert two.choose(3270, 160) == kernel
    assert three.choose(3270, 160) == "pairs"
    assert one.choose(20, 160) == "numpy"
    monkeypatch.setattr(inference, "available", lambda: False)
    assert one.choose(3270, 160) == three.choose(3270, 160) == "numpy"


def test_without_numba(random_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    assert not inference_compiled.available()
    monkeypatch.setattr(inference, "LEAST_WORK", 0)
    model = random_model(18, (1, 1))
    assert CompiledModel(model).choose(9, 9) == "numpy"
    check(model, windows(19, 3, 2, 5), [None])
    for kernel in KERNELS:
        with pytest.raises(MubinnError, match=r"pip install 'mubinn\[fast\]'"):
            CompiledModel(model, kernel=kernel)


def test_numba_is_imported_when_it_is_used():
    modules = "mubinn.golden.inference.run, mubinn.cli.main"
    code = f"import sys, {modules}; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_a_folder_for_machine_code(monkeypatch):
    numba = pytest.importorskip("numba")
    real, asked = numba.njit, []

    def njit(*functions, **options):
        if functions:  # numba's own
            return real(*functions, **options)
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function")
        return real(**options)

    monkeypatch.setattr(numba, "njit", njit)
    double = inference_compiled._declared(numba, lambda word: 2 * word)
    assert double(3) == 6
    assert [options.get("cache", False) for options in asked] == [True, False]


def test_machine_code_is_kept_by_all_that_it_is_made_of(monkeypatch, tmp_path):
    numba = pytest.importorskip("numba")
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path))
    before = numba.config.CACHE_DIR
    made = inference_compiled._declared(numba, loops.popcount)
    first = made.stats.cache_path
    assert first.startswith(str(tmp_path / "numba"))
    assert before == numba.config.CACHE_DIR
    monkeypatch.setattr(inference_compiled, "_digest", lambda: "other")
    assert inference_compiled._declared(numba, loops.popcount).stats.cache_path != first
    monkeypatch.undo()
    digest = inference_compiled._digest()
    other = tmp_path / "other.py"
    for module in (inference_compiled, loops):
        other.write_text(Path(module.__file__).read_text() + "# another line\n")
        with monkeypatch.context() as changed:
            changed.setattr(module, "__file__", str(other))
            assert inference_compiled._digest() != digest


def test_thresholds_are_reached_where_they_are_met():
    z, out = np.arange(-3, 12, dtype=np.int32)[None], np.empty((2, 15), np.int32)
    for first in ([2], [0, 1, 2, 9], [-3, 0, 0, 5, 7, 99, 99, 99]):
        own = np.array([77, *first], np.int32)
        loops.segment(z, 0, own, 1, len(first), out, 1)
        assert (out[1] == (z >= own[1:, None]).sum(axis=0)).all()


def test_samples_on_a_threshold_reach_it():
    first = np.array([[0.5, -1], [1.5, 2]], np.float32)
    below = np.nextafter(first, np.float32(-np.inf))
    x = np.stack([first, below])  # two windows of two steps
    words, codes = np.zeros((2, 2, 1, 2), np.uint32), np.array([2, 1, 3], np.uint32)
    assert loops.encode_words(x, first, codes, 1, words)
    # Codes of windows and steps: [1, 1], [3, 3] and [2, 2], [1, 1]; a level a word.
    assert words[..., 0, :].tolist() == [[[3, 0], [0, 3]], [[3, 3], [3, 0]]]
    assert loops.encode_words(x, first, codes, 16, words)
    assert words[:, 0, 0].tolist() == [[0x10001, 0x20002], [0x30003, 0x10001]]
