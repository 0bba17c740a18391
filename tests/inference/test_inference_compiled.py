"""The compiled kernels equal the bit-true model, compiled and as the plain Python that they are."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mubinn.cli.shared.common import FLOAT_MODEL, bundled
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference import bits as inference_bits
from mubinn.golden.inference import compiled as inference_compiled
from mubinn.golden.inference import loops as inference_loops
from mubinn.golden.inference import run as inference
from mubinn.golden.inference import step as inference_step
from mubinn.golden.inference.run import CompiledModel
from mubinn.golden.model import bit_true
from mubinn.golden.model.model_file import load_float
from mubinn.golden.quantize import quantize
from mubinn.train.data.windows import prepare, synthetic_eeg

KERNELS = ("popcount", "fused")
LEVELS = [
    Levels.of(1, 1),
    Levels.of(2, 2),
    Levels.of(3, 3),
    Levels.of(5, 1),
    Levels.of(1, 1, h=2, c=2),
    Levels(x=1, w=1, h=3, c=1, gate=1, b=2),
    Levels(x=2, w=3, h=1, c=3, gate=2, b=1),
    Levels(x=1, w=2, h=2, c=4, gate=4, b=2),
]
PLAIN = inference_compiled.Kernels(
    inference_loops.encode_words, inference_loops.run_layer, inference_loops.finish_step
)


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
    for module in (inference, inference_bits, inference_step):
        monkeypatch.setattr(module, "kernels", lambda: PLAIN)


def windows(seed, n, steps, features):
    return np.random.default_rng(seed).normal(0, 1.5, (n, steps, features)).astype(np.float32)


def check(model, x, kernels=KERNELS, **how):
    _, scores, classes = bit_true.run(model, model.encode_input(x))
    for kernel in kernels:
        result = CompiledModel(model, kernel=kernel).infer(x, **how)
        assert result.scores.dtype == np.int64
        assert (result.scores == scores).all(), kernel
        assert (result.classes == classes).all()
    return scores


@pytest.mark.parametrize("levels", LEVELS, ids=str)
@pytest.mark.parametrize("readout", ["last", "mean"])
def test_equals_bit_true(random_model, form, levels, readout):
    model = random_model(1, levels, hidden=4, features=3, readout=readout)
    scores = check(model, windows(2, 5, 4, 3), batch=3, threads=2)
    assert len(np.unique(scores)) > 1


@pytest.mark.parametrize("seed", range(40))
def test_equals_bit_true_at_random(random_model, seed):
    pytest.importorskip("numba")
    rng = np.random.default_rng(seed)
    levels = Levels(*(int(n) for n in rng.integers(1, 1 + rng.integers(1, 5), 6)))
    features, hidden = (int(n) for n in rng.integers(1, 33, 2))
    model = random_model(
        seed,
        levels,
        features=features,
        hidden=hidden,
        classes=int(rng.integers(2, 5)),
        depth=int(rng.integers(1, 4)),
        per_row=bool(rng.integers(2)),
        offsets=bool(rng.integers(2)),
        readout=("last", "mean")[rng.integers(2)],
    )
    x = windows(seed, int(rng.integers(1, 50)), int(rng.integers(1, 9)), features)
    check(model, x, batch=int(rng.integers(1, 40)), threads=int(rng.integers(1, 4)))


def test_several_words_of_either(random_model, form):
    size = {"hidden": 34, "features": 65} if form == "compiled" else {"hidden": 33, "features": 34}
    model = random_model(3, (1, 1), h=2, depth=2, **size)
    check(model, windows(4, 3, 3, size["features"]), ["popcount"])


def test_layers_of_different_depths(random_model, form):
    model = random_model(5, Levels(x=3, w=2, h=1, c=2, gate=1, b=2), depth=2)
    assert [inference_bits.depth(layer) for layer in model.layers] == [3, 1]
    check(model, windows(7, 4, 3, 5))


def test_c_without_one_table(random_model, form):
    model, x = random_model(8, (3, 3), hidden=3, features=2), windows(9, 4, 5, 2)
    compiled = CompiledModel(model, kernel="fused", table_limit=0)
    assert compiled.fused[0].c_table is None
    assert compiled.bits is None
    scores = bit_true.run(model, model.encode_input(x))[1]
    assert (compiled.infer(x).scores == scores).all()


def test_sums_too_long_for_words(random_model, monkeypatch):
    as_plain_python(monkeypatch)
    model = random_model(10, (1, 1))
    layer = model.layers[0]
    wide = replace(layer, wx=replace(layer.wx, scales=layer.wx.scales + (1 << 24)))
    model = replace(model, layers=(wide,))
    with pytest.raises(MubinnError, match="too long for the popcount kernel"):
        CompiledModel(model, kernel="popcount")
    monkeypatch.setattr(inference, "LEAST_WORK", 1)
    monkeypatch.setattr(inference, "COLUMNS_PER_WORD", 0)
    compiled = CompiledModel(model)
    assert compiled.choose(1, 1) == "fused"
    assert compiled.fused[0].gates.weights.dtype == np.float64
    check(model, windows(11, 3, 3, 5), ["fused"])


def test_more_thresholds_than_are_compared(random_model, monkeypatch):
    as_plain_python(monkeypatch)
    monkeypatch.setattr(inference, "FUSED_COMPARE_LIMIT", 3)
    model = random_model(12, (4, 4), hidden=2, features=2)
    assert CompiledModel(model).fused[0].gates.thresholds is None
    check(model, windows(13, 3, 3, 2), ["fused"])


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
    assert one.choose(3270, 160) == "popcount"
    assert three.choose(3270, 160) == "fused"
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

    def njit(**options):
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function")
        return real(**options)

    monkeypatch.setattr(numba, "njit", njit)
    double = inference_compiled._declared(numba, lambda word: 2 * word)
    assert double(3) == 6
    assert [options.get("cache", False) for options in asked] == [True, False]


def test_thresholds_are_reached_where_they_are_met():
    z, out = np.arange(-3, 12, dtype=np.int32), np.empty(15, np.int32)
    for first in ([2], [0, 1, 2, 9], [-3, 0, 0, 5, 7, 99, 99, 99]):
        own = np.array(first, np.int32)
        inference_loops.segment(z, own, out)
        assert (out == (z >= own[:, None]).sum(axis=0)).all()
    bits = np.array([[[0, 1, 3, 7]]], np.uint32)
    gains, words = np.array([-1, -2], np.int32), np.array([0, 1], np.uint32)
    inference_loops.decide(out[:4], bits[0], bits[0], words, gains, -4, ((0,), (0,)))
    # Bits that differ: 0 1 2 3 in h and 1 0 1 2 in x, so the sums are -2 -1 -4 -7.
    assert out[:4].tolist() == [1, 1, 1, 0]


def test_tables_in_a_word_equal_tables():
    rng = np.random.default_rng(20)
    gates, c = rng.integers(0, 2, (4, 64)).astype(np.int32), rng.integers(0, 4, 64).astype(np.uint8)
    gates[2], radix = 0, (4, 2, 1)
    table = rng.integers(0, 4, (1, 16)).astype(np.uint8)
    word = inference_bits._short(table, 2)[0]
    c_word, o_word, o = c.copy(), gates[3].copy(), np.empty(64, np.int32)
    inference_loops.next_h_short(o_word, c, radix, word, 2)
    inference_loops.next_h(gates[3], c, radix, table[0], o)
    inference_loops.next_c_short(gates, c_word, radix, word, 2)
    inference_loops.next_c(gates, c, radix, table[0])
    assert (c_word == c).all()
    assert (o_word == o).all()


def test_sums_for_c_are_clipped_to_the_buckets():
    gates, c = np.zeros((4, 4), np.int32), np.arange(4, dtype=np.uint8)
    sums = (np.array([-9, 3, 4, 99]), np.zeros(1, np.int64), 1, np.array([5, 6, 7], np.uint8))
    inference_loops.next_c_sum(gates, c, (4, 1, 1), sums)
    assert c.tolist() == [5, 6, 7, 7]


def test_samples_on_a_threshold_reach_it():
    first = np.array([[0.5, -1], [1.5, 2]], np.float32)
    below = np.nextafter(first, np.float32(-np.inf))
    x = np.stack([first, below])  # two windows of two steps
    words, codes = np.zeros((2, 2, 1, 2), np.uint32), np.array([2, 1, 3], np.uint32)
    assert inference_loops.encode_words(x, first, codes, words)
    # Codes of windows and steps: [1, 1], [3, 3] and [2, 2], [1, 1]; a level a word.
    assert words[..., 0, :].tolist() == [[[3, 0], [0, 3]], [[3, 3], [3, 0]]]
