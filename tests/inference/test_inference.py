"""The fast inference equals the bit-true model, score by score, for every configuration."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

from mubinn.cli.shared.common import FLOAT_MODEL, bundled
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.constants import DATAPATHS, INPUT_FRACTION
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.library import CELLS
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference import run as inference
from mubinn.golden.inference import step as inference_step
from mubinn.golden.inference.input import InputTables, positive, unit
from mubinn.golden.inference.plan import TABLE_LIMIT, Plan
from mubinn.golden.inference.rows import MatrixRows
from mubinn.golden.inference.run import CompiledModel, infer
from mubinn.golden.model import bit_true
from mubinn.golden.model.model_file import load_float
from mubinn.golden.quantize import quantize
from mubinn.train.data.windows import prepare, synthetic_eeg

MIXED = [
    Levels(x=1, w=2, h=3, c=4, gate=5, b=6),
    Levels(x=5, w=1, h=2, c=1, gate=3, b=1),
    Levels(x=2, w=4, h=1, c=3, gate=1, b=3),
    Levels(x=3, w=3, h=4, c=2, gate=4, b=2),
]
LEVELS = [Levels.of(a, w) for a, w in ((1, 1), (2, 2), (3, 3), (2, 4), (6, 5), (1, 3))] + MIXED
SPLIT = 1 << 6
"""A limit that makes of most tables sums of several."""


def windows(seed, n=7, steps=6, features=5, spread=1.5):
    return np.random.default_rng(seed).normal(0, spread, (n, steps, features)).astype(np.float32)


def check(model, x, limits=(TABLE_LIMIT, SPLIT), **how):
    _, scores, classes = bit_true.run(model, model.encode_input(x))
    for limit in limits:
        result = CompiledModel(model, table_limit=limit, kernel="numpy").infer(x, **how)
        assert result.scores.dtype == result.classes.dtype == np.int64
        assert (result.scores == scores).all(), limit
        assert (result.classes == classes).all()
    return scores


@pytest.mark.parametrize("levels", LEVELS, ids=str)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("datapath", DATAPATHS)
def test_equals_bit_true(model_of, cell, datapath, levels):
    for offsets in (True, False):
        model = model_of(cell, seed=1, levels=levels, offsets=offsets, hidden=6)
        scores = check(model.with_datapath(datapath), windows(2), batch=3, threads=2)
        assert len(np.unique(scores)) > 1


@pytest.mark.parametrize("seed", range(20))
def test_equals_bit_true_at_random(random_build, seed):
    model, x = random_build(seed)
    check(model, x, batch=3, threads=2)


def test_double_precision_where_single_is_not_exact(random_model):
    model = random_model(5, (3, 3))
    layer = model.layers[0]
    wide = replace(layer, wx=replace(layer.wx, scales=(layer.wx.scales << 16) + 1))
    assert MatrixRows.of(layer, 0).floats.dtype == np.float32
    assert MatrixRows.of(wide, 0).floats.dtype == np.float64
    check(replace(model, layers=(wide,)), windows(6))


def test_extreme_sums_on_both_sides_of_single_precision(random_model):
    model = random_model(0, (1, 1), gate=2, features=40, hidden=3, offsets=False)
    layer, kinds = model.layers[0], set()
    # Every row has a window whose samples all push it upwards, and one that push it downwards.
    push = 2.0 * layer.wx.bits[0] - 1
    x = np.repeat(np.concatenate([push, -push])[:, None], 3, axis=1).astype(np.float32) * 9
    for scale in range(1, 400000, 9700):
        wide = replace(layer, wx=replace(layer.wx, scales=layer.wx.scales * 0 + 2 * scale + 1))
        kinds.add(MatrixRows.of(wide, 0).floats.dtype)
        check(replace(model, layers=(wide,)), x, limits=[TABLE_LIMIT])
    assert kinds == {np.dtype(np.float32), np.dtype(np.float64)}


def test_offsets_of_h_that_differ_between_cells(random_model):
    model = random_model(14, (3, 3))
    layer = model.layers[0]
    table = Plan.of(layer).phases[-1][-1].table
    assert len(table) == layer.hidden
    quantizers = dict(layer.quantizers)
    quantizers["h"] = replace(layer.h, offset=np.full(layer.hidden, 4))
    alike = replace(layer, quantizers=quantizers)
    check(replace(model, layers=(alike,)), windows(15))


def test_more_thresholds_than_are_compared(random_gru, monkeypatch):
    monkeypatch.setattr(inference_step, "COMPARED", 2)
    check(random_gru(12, (4, 4)), windows(13))


def test_what_is_a_row_in_part_stays_wide(random_gru):
    steps = Plan.of(random_gru(1, (2, 2)).layers[0]).steps
    assert [type(step).__name__ for step in steps] == [
        "Segment",
        "Segment",
        "Mix",
        "Segment",
        "Look",
    ]
    (r_nh, row), (_, other) = steps[2].terms
    assert (r_nh.operands, row, other) == (("r",), "nh.z", "nx.z")


@pytest.mark.parametrize("scale", [1, 60])
@pytest.mark.parametrize("fit", [(1, 1), (3, 3), (5, 5)])
def test_weights_that_saturate_z(random_model, fit, scale):
    model = random_model(3, fit, hidden=8, per_row=True)
    layer = model.layers[0]
    wh, wx = (replace(w, scales=w.scales * scale) for w in (layer.wh, layer.wx))
    model = replace(model, layers=(replace(layer, wh=wh, wx=wx),))
    x = windows(4)
    check(model, x)
    z = bit_true.run_layer(model.layers[0], model.encode_input(x))["z_q"]
    assert (scale > 1) == bool(((z == 2047) | (z == -2048)).mean() > 0.1)


@pytest.mark.parametrize(
    "formats",
    [Formats(8, 4, 8, 5), Formats(14, 10, 12, 8), Formats(10, 8, 9, 4), Formats(18, 16, 12, 7)],
)
def test_other_formats(random_model, formats):
    check(random_model(7, (2, 3), formats=formats, depth=2), windows(8))


@pytest.mark.parametrize("batch", [1, 2, 5, 7, 64])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_batches_and_threads_change_nothing(random_model, batch, threads):
    model, x, seen = random_model(9, (3, 3)), windows(10, 13), []
    result = infer(model, x, batch=batch, threads=threads, progress=seen.append)
    _, scores, classes = bit_true.run(model, model.encode_input(x))
    assert (result.scores == scores).all()
    assert (result.classes == classes).all()
    assert sum(seen) == 13
    assert max(seen) <= batch


@pytest.mark.parametrize("offset", [0, 3, [5, -7, 0, 2, 1]], ids=str)
@pytest.mark.parametrize("scales", [[9], [40, 20, 10], [3, 30, 7], [0, 5]], ids=str)
@pytest.mark.parametrize("fraction", [0, 6, INPUT_FRACTION])
def test_samples_at_every_threshold_are_encoded_as_the_golden_model_does(
    random_model, scales, fraction, offset
):
    x_q = Quantizer(scales, fraction, offset)
    model = random_model(11, (len(scales), 2))
    layer = model.layers[0]
    b = replace(layer.b, fraction=max(fraction + layer.wx.fraction, 14))
    model = replace(model, layers=(replace(layer, x=x_q, b=b),))
    tables = InputTables.of(x_q)
    at = np.concatenate([[-np.inf, 0], tables.thresholds.ravel(), [np.inf]]).astype(np.float32)
    near = np.concatenate([np.nextafter(at, np.float32(s * np.inf)) for s in (-1, 1)])
    rest = np.random.default_rng(0).normal(0, 50 * 2.0**-fraction, 200)
    samples = np.concatenate([at[1:-1], near, rest]).astype(np.float32)
    samples = samples[np.abs(samples) < 1e6]
    x = np.repeat(samples[:, None, None], 5, axis=2)
    m = positive(x_q, model.encode_input(x))
    assert (2 * unit(x_q) * m - x_q.scales.sum() == x_q.decode_signs(model.encode_input(x))).all()
    assert (tables.encode(model, x).transpose(2, 0, 1) == m).all()


def test_other_types_than_float32(random_model):
    model, x = random_model(12, (3, 3)), windows(13)
    for other in (x.astype(np.float64) / 3, np.round(x).astype(np.int16)):
        check(model, other)
    check(model, x.transpose(1, 0, 2), limits=[TABLE_LIMIT])


def test_without_windows(random_model):
    result = infer(random_model(0, (1, 1)), windows(0, 0))
    assert result.scores.shape == (0, 3)
    assert result.classes.shape == (0,)


def test_without_threadpoolctl(random_model, monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(inference, "import_module", absent)
    with pytest.raises(ImportError):
        inference.import_module("threadpoolctl")
    check(random_model(16, (3, 3)), windows(17), limits=[TABLE_LIMIT], batch=2, threads=2)
    assert importlib.import_module is not absent


def test_bad_input_is_named(random_model):
    model = random_model(18, (3, 3))
    x = windows(19)
    for bad in (x[0], x[:, :0]):
        with pytest.raises(MubinnError, match=r"not \(windows, steps, channels"):
            infer(model, bad)
    with pytest.raises(MubinnError, match="reads 5 channels, the data have 4"):
        infer(model, x[:, :, :4])
    with pytest.raises(MubinnError, match="at least 1"):
        infer(model, x, batch=0)
    with pytest.raises(MubinnError, match="at least 1"):
        infer(model, x, threads=0)
    x[3, 2, 1] = np.nan
    for kind in (np.float32, np.float64):
        with pytest.raises(MubinnError, match="NaN or infinite"):
            infer(model, x.astype(kind), batch=2, threads=2)


@pytest.mark.parametrize("fit", [(1, 1), (3, 3), (2, 4), (5, 5)])
@pytest.mark.parametrize("granularity", ["gate", "row"])
def test_the_bundled_model(fit, granularity):
    x = prepare(synthetic_eeg(20, 320, 32).x)[::7, :16]
    model = quantize(
        load_float(bundled(FLOAT_MODEL)), Levels.of(*fit), x.astype(float), granularity=granularity
    )
    scores = check(model, x, limits=[TABLE_LIMIT], batch=2, threads=2)
    assert len(np.unique(scores)) > 4
