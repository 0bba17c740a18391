"""The threshold datapath against the float64 reference and the bit-true units of Figure 3."""

from dataclasses import replace

import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.library import lstm
from mubinn.golden.cells.operations import Search, Table
from mubinn.golden.cells.step import cell_step
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import reference
from mubinn.golden.model.bit_true import run, run_layer
from mubinn.golden.model.bounds import FLOAT_SLACK, dequantize, margin
from mubinn.golden.units.pointwise import pointwise
from mubinn.golden.units.threshold_search import threshold_search

MIXED = [
    Levels(x=1, w=2, h=3, c=4, gate=5, b=6),
    Levels(x=5, w=1, h=2, c=1, gate=3, b=1),
    Levels(x=2, w=4, h=1, c=3, gate=1, b=3),
]
LEVELS = [Levels.of(a, w) for a, w in ((1, 1), (2, 2), (3, 3), (2, 4), (5, 5))] + MIXED


def of(random_model, *args, **kwargs):
    return random_model(*args, **kwargs).with_datapath("threshold")


def shuffled(layer, seed):
    """The layer with quantizers whose scales rise and fall."""
    rng = np.random.default_rng(seed)

    def other(quantizer):
        return replace(quantizer, scales=rng.integers(0, 120, quantizer.levels))

    return replace(layer, quantizers={n: other(q) for n, q in layer.quantizers.items()})


def check_step(layer, floats, quantizers, codes):
    """Hold one step from the codes of x, h and c to the reference with exact activations."""
    x, h, c = codes
    own_c = layer.quantizers["c"]
    t = cell_step(layer, x, h, c)
    scale = 2.0**-layer.x.fraction
    values = reference.step(
        floats,
        quantizers,
        layer.x.decode(x) * scale,
        layer.h.decode(h) * 2.0**-layer.h.fraction,
        own_c.decode(c) * 2.0**-own_c.fraction,
    )
    assert (t["z"] * 2.0**-layer.z_fraction == values["z"]).all()
    far = 0
    for name, code, y, gate in zip(
        lstm.gate_names,
        *(np.split(part, 4, axis=-1) for part in (t["gate"], values["y"], values["gate"])),
        strict=True,
    ):
        sure = margin(y, quantizers[name]) > FLOAT_SLACK
        own = layer.gates[name]
        assert (own.decode(code) * 2.0**-own.fraction == gate)[sure].all()
        far += sure.sum()
    assert far > 0.9 * t["z"].size
    all_sure = (t["z"] != 0).all()
    if all_sure:
        assert (own_c.decode(t["c"]) * 2.0**-own_c.fraction == values["c"]).all()
        sure = margin(values["h_raw"], quantizers["h"]) > FLOAT_SLACK
        assert (layer.h.decode(t["h"]) * 2.0**-layer.h.fraction == values["h"])[sure].all()
    return t


@pytest.mark.parametrize("levels", LEVELS, ids=str)
@pytest.mark.parametrize("offsets", [True, False], ids=["offsets", "plain"])
@pytest.mark.parametrize("ordered", [True, False], ids=["descending", "shuffled"])
def test_codes_are_those_of_exact_activations(random_model, levels, offsets, ordered):
    model = of(random_model, 3, levels, offsets=offsets, features=4, hidden=5)
    layer = model.layers[0] if ordered else shuffled(model.layers[0], 1)
    dense_b = replace(model.dense.b, fraction=layer.h.fraction + model.dense.w.fraction)
    model = replace(model, layers=(layer,), dense=replace(model.dense, b=dense_b))
    floats, quantizers = dequantize(model)
    rng = np.random.default_rng(2)
    sizes = ((layer.x, 4), (layer.h, 5), (layer.quantizers["c"], 5))
    codes = [rng.integers(0, 1 << q.levels, (60, n)) for q, n in sizes]
    t = check_step(layer, floats.layers[0], quantizers[0], codes)
    assert ("h_raw" in t) == offsets


@pytest.mark.parametrize("levels", LEVELS, ids=str)
def test_eq_5_and_its_encoder_are_those_of_figure_3(random_model, levels):
    layer = of(random_model, 5, levels).layers[0]
    c_quantizer, product = layer.quantizers["c"], layer.on("figure3")["c_raw"].operation
    rng = np.random.default_rng(0)
    f, i, g = rng.integers(0, 1 << layer.gates["f"].levels, (3, 5000))
    c = rng.integers(0, 1 << c_quantizer.levels, 5000)
    raw = pointwise(product.params, f, c, i, g, *product.gammas)
    fc, ig, search = (layer.lowered[name].operation.params for name in ("_fc", "_ig", "c"))
    bits = layer.gates["f"].levels
    short = np.array(fc.words)[f | c << bits] + np.array(ig.words)[i | g << bits]
    code = threshold_search(search, short)
    assert (code == c_quantizer.encode(raw, layer.fraction_of("c"))).all()


def test_every_z_around_every_threshold(random_model):
    layer = of(random_model, 7, (3, 3)).layers[0]
    hidden, bound = layer.hidden, layer.z_bound
    search = layer.lowered["f"].operation.params
    assert search.width == layer.z_width
    for name, tree in zip(lstm.gate_names, search.trees, strict=True):
        quantizer = layer.gates[name]
        near = np.array(tree)[:, None] + np.arange(-2, 3)
        z = np.unique(np.clip(np.append(near, [-bound, bound, 0]), -bound, bound))
        exact = 2.0**quantizer.fraction * (
            np.tanh(z / 2**layer.z_fraction)
            if name == "g"
            else 1 / (1 + np.exp(-z / 2**layer.z_fraction))
        )
        want = quantizer.encode(np.floor(exact).astype(int), quantizer.fraction)
        sure = (np.abs(exact - np.round(exact)) > 1e-9) | (z == 0)
        assert sure.mean() > 0.8
        nothing = np.zeros((len(z), hidden), np.int64)
        values = {f"{row.name}.z": nothing for row in layer.cell.rows} | {"old.c": nothing}
        values[f"{name}.z"] = np.where(np.arange(hidden) == 0, z[:, None], 0)
        got = layer.lowered.run(values)[name][:, 0]
        assert (got == want)[sure].all()


def test_whole_windows_differ_from_figure_3_only_where_its_tables_do(random_model):
    figure3 = random_model(11, (3, 3), offsets=False)
    threshold = figure3.with_datapath("threshold")
    assert (figure3.datapath, threshold.datapath) == ("figure3", "threshold")
    x = np.random.default_rng(0).integers(0, 8, (6, 9, figure3.features))
    one, other = run(figure3, x), run(threshold, x)
    assert set(other[0][0]) == {
        *("dot_x", "prod_x", "dot_h", "prod_h", "z", "gate", "c_raw", "c", "h")
    }
    assert (one[0][0]["z"][0] == other[0][0]["z"][0]).all()
    assert (one[0][0]["gate"] == other[0][0]["gate"]).mean() > 0.9
    back = threshold.with_datapath("figure3")
    assert (run(back, x)[1] == one[1]).all()


def test_the_state_starts_from_the_code_of_zero(random_model):
    layer = of(random_model, 4, (2, 2)).layers[0]
    x = np.random.default_rng(0).integers(0, 4, (3, layer.features))
    trace = run_layer(layer, x)
    first = cell_step(layer, x[0], layer.h.zero_code(4), layer.quantizers["c"].zero_code(4))
    assert all((trace[name][0] == values).all() for name, values in first.items())


def test_h_with_one_offset_for_all_cells_is_one_table(random_model):
    layer = of(random_model, 8, (3, 3)).layers[0]
    offset = int(layer.h.offset[0])
    h = Quantizer(layer.h.scales, layer.h.fraction, [offset] * 4)
    shared = replace(layer, quantizers={**layer.quantizers, "h": h})
    assert isinstance(layer.lowered["h_raw"].operation, Table)
    assert isinstance(layer.lowered["h"].operation, Search)
    assert "h_raw" not in shared.lowered
    assert isinstance(shared.lowered["h"].operation, Table)
    codes = [np.random.default_rng(1).integers(0, 8, (50, n)) for n in (5, 4, 4)]
    one, other = cell_step(layer, *codes), cell_step(shared, *codes)
    assert (one["h"][:, 0] == other["h"][:, 0]).all()
    assert (one["h"][:, 1:] != other["h"][:, 1:]).any()


def test_bad_datapaths_are_named(random_model):
    model = random_model(0, depth=2)
    with pytest.raises(MubinnError, match="unknown datapath 'lut': give figure3 or threshold"):
        model.with_datapath("lut")
    mixed = (model.layers[0], replace(model.layers[1], datapath="threshold"))
    with pytest.raises(MubinnError, match="different datapaths"):
        replace(model, layers=mixed)
