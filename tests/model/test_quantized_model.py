"""The quantized model: formats that follow from the memories, and faults."""

from dataclasses import replace

import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.scales import LevelTensor, Quantizer
from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.cells.figure3 import with_offset
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.library import lstm
from mubinn.golden.cells.step import cell_step
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import signed_width
from mubinn.golden.model.bit_true import run_layer

CASES = [(1, 1), (3, 3), (2, 4), (5, 5)]


@pytest.mark.parametrize("levels", CASES)
@pytest.mark.parametrize("per_row", [False, True])
def test_z_bound_is_reached_and_never_exceeded(random_model, levels, per_row):
    layer = random_model(3, levels, per_row=per_row).layers[0]
    codes = {"x": layer.x.levels, "h": layer.h.levels}
    # All signs alike make every product positive: the row with the largest scales is the bound.
    parts = {
        name: replace(getattr(layer, name), bits=np.ones_like(getattr(layer, name).bits))
        for name in ("wx", "wh", "b")
    }
    worst = replace(layer, **parts)
    x = np.full(layer.features, 2 ** codes["x"] - 1)
    h = np.full(layer.hidden, 2 ** codes["h"] - 1)
    assert cell_step(worst, x, h, np.zeros(layer.hidden, int))["z"].max() == layer.z_bound
    assert worst.z_width == signed_width(layer.z_bound)
    rng = np.random.default_rng(0)
    trace = run_layer(layer, rng.integers(0, 2 ** codes["x"], (30, 6, layer.features)))
    assert np.abs(trace["z"]).max() <= layer.z_bound


@pytest.mark.parametrize("levels", CASES)
def test_gammas_are_products_of_scales(random_model, levels):
    layer = random_model(4, levels).layers[0]
    for gamma, left, right in (
        (layer.gamma_x, layer.x, layer.wx),
        (layer.gamma_h, layer.h, layer.wh),
    ):
        shift = layer.z_fraction - left.fraction - right.fraction
        for r, i, j in np.ndindex(*gamma.shape):
            scale = right.scales[r * len(right.scales) // right.rows, j]
            assert gamma[r, i, j] == left.scales[i] * scale * 2**shift
    assert layer.b.fraction == layer.z_fraction


def test_offsets_stand_first_in_the_pair_products(random_model):
    layer = random_model(1, (2, 3)).layers[0]
    assert [gamma.shape for gamma in layer.lowered["c_raw"].operation.gammas] == [(4, 4), (4, 3)]
    assert with_offset(layer.gates["f"])[0] == 128
    assert len(with_offset(layer.gates["g"])) == 3
    plain = random_model(1, (2, 3), offsets=False).layers[0].lowered["c_raw"].operation
    assert plain.gammas[0].shape == (3, 3)


def test_names_of_levels_and_sizes(random_model):
    model = random_model(0, Levels.of(2, 3, h=1, c=4, gate=5, b=2), features=6, hidden=3, depth=2)
    assert model.levels == Levels(x=2, w=3, h=1, c=4, gate=5, b=2)
    assert model.layers[1].levels == Levels(x=1, w=3, h=1, c=4, gate=5, b=2)
    assert (model.features, model.classes, model.layers[1].features) == (6, 3, 3)


def test_input_is_rounded_then_encoded(random_model):
    model = random_model(2)
    x = np.random.default_rng(0).normal(size=(7, 4, model.features))
    quantizer = model.layers[0].x
    units = np.floor(x * 2**INPUT_FRACTION + 0.5).astype(int)
    assert (model.encode_input(x) == quantizer.encode(units, INPUT_FRACTION)).all()


def test_huge_samples_encode_as_the_ends(random_model):
    model = random_model(2)
    codes = model.encode_input(np.array([[1e300] * model.features, [-1e300] * model.features]))
    assert codes.tolist() == [[7] * model.features, [0] * model.features]


def test_unusable_samples_are_refused(random_model):
    model = random_model(2)
    with pytest.raises(MubinnError, match="reads 5 channels, the data have 4"):
        model.encode_input(np.zeros((3, 4)))
    with pytest.raises(MubinnError, match="NaN or infinite"):
        model.encode_input(np.full((3, 5), np.nan))


@pytest.mark.parametrize(
    "sizes",
    [
        {"z_width": 1},
        {"z_width": 25},
        {"z_fraction": -1},
        {"y_fraction": 0},
        {"segment_bits": 0},
        {"segment_bits": 13},
        {"z_width": 24, "segment_bits": 17},
    ],
)
def test_absurd_formats_are_refused(sizes):
    with pytest.raises(MubinnError, match="table of usable size"):
        Formats(**sizes)


def shrink(tensor, **changes):
    return replace(tensor, **changes)


def changed(quantizers, name, **changes):
    return {**quantizers, name: replace(quantizers[name], **changes)}


def without(quantizers, name):
    return {own: quantizer for own, quantizer in quantizers.items() if own != name}


LAYER_FAULTS = [
    ("wx", lambda t: shrink(t, bits=t.bits[:, :6], scales=t.scales[:1]), "check the model file"),
    ("wx", lambda t: shrink(t, bits=t.bits[:, :, 0]), "check the model file"),
    ("wh", lambda t: shrink(t, bits=t.bits[:, :, :2]), "check the model file"),
    (
        "wh",
        lambda t: LevelTensor(t.bits[:1], t.scales[:, :1], t.fraction),
        "different level counts",
    ),
    ("b", lambda t: shrink(t, bits=t.bits[:, :4]), "does not have 16 rows"),
    ("b", lambda t: shrink(t, fraction=t.fraction + 1), "does not have 16 rows"),
    ("quantizers", lambda q: without(q, "i"), "not those of cell lstm: f, i, g, o, c, h"),
    ("quantizers", lambda q: {**q, "n": q["g"]}, "not those of cell lstm: f, i, g, o, c, h"),
    ("quantizers", lambda q: {**q, "o": Quantizer([1], 8, 0)}, "f, i, g, o differ in their level"),
    ("quantizers", lambda q: changed(q, "o", fraction=11), "scales of o are finer"),
    ("quantizers", lambda q: changed(q, "o", offset=[1, 2]), "offset of o is not one number"),
    ("x", lambda q: shrink(q, offset=[1, 2]), "offset of x is not one number, nor 5"),
    ("quantizers", lambda q: changed(q, "h", offset=[1, 2]), "of h is not one number, nor 4"),
    ("quantizers", lambda q: changed(q, "c", offset=[1, 2]), "offset of c is not one number"),
    ("quantizers", lambda q: changed(q, "c", scales=[1] * 9), "unknown level count 9"),
]


@pytest.mark.parametrize(("name", "change", "message"), LAYER_FAULTS)
def test_parts_that_do_not_fit_are_refused(random_model, name, change, message):
    layer = random_model(0).layers[0]
    with pytest.raises(MubinnError, match=message):
        replace(layer, **{name: change(getattr(layer, name))})


def finer(layer, **fractions):
    """Return `layer` with other fractions of x and h, the bias following."""
    x = replace(layer.x, fraction=fractions.get("x", layer.x.fraction))
    h = replace(layer.h, fraction=fractions.get("h", layer.h.fraction))
    fraction = max(x.fraction + layer.wx.fraction, h.fraction + layer.wh.fraction)
    b = replace(layer.b, fraction=fraction)
    return replace(layer, x=x, quantizers={**layer.quantizers, "h": h}, b=b)


@pytest.mark.parametrize("fractions", [{"x": INPUT_FRACTION + 1}, {"h": 19}])
def test_scales_finer_than_their_numbers_are_refused(random_model, fractions):
    ((name, fraction),) = fractions.items()
    with pytest.raises(MubinnError, match=f"scales of {name} are finer"):
        finer(random_model(0).layers[0], **fractions)
    assert finer(random_model(0).layers[0], **{name: fraction - 1})


def test_numbers_beyond_52_bits_are_refused(random_model):
    layer = random_model(0).layers[0]
    big = 1 << 23
    wide = replace(layer.x, scales=[big, big, big])
    coarse = replace(layer.wx, scales=np.full((4, 3), 1 << 30))
    with pytest.raises(MubinnError, match="z may need more than 52 bits"):
        replace(layer, x=wide, wx=coarse)
    c = replace(layer.quantizers["c"], scales=[big] * 3, fraction=30)
    gates = {name: replace(layer.gates[name], scales=[big] * 3) for name in "ig"}
    with pytest.raises(MubinnError, match="c_raw may need more than 52 bits"):
        replace(layer, quantizers={**layer.quantizers, **gates, "c": c})
    dense = random_model(0).dense
    w = replace(dense.w, scales=np.full((1, 3), 1 << 47))
    with pytest.raises(MubinnError, match="a logit may need more"):
        replace(random_model(0), dense=replace(dense, w=w))


def test_models_that_do_not_fit_are_refused(random_model):
    model = random_model(0, depth=2)
    below, above = model.layers
    with pytest.raises(MubinnError, match="no recurrent layer"):
        replace(model, layers=())
    with pytest.raises(MubinnError, match="does not read the hidden state"):
        replace(model, layers=(below, replace(above, x=replace(above.x))))
    with pytest.raises(MubinnError, match="classifier does not read"):
        replace(model, layers=random_model(0, hidden=3).layers)
    dense = replace(model.dense, b=replace(model.dense.b, fraction=3))
    with pytest.raises(MubinnError, match="not in the fraction of its products"):
        replace(model, dense=dense)
    with pytest.raises(MubinnError, match="unknown readout"):
        replace(model, readout="first")
    with pytest.raises(MubinnError, match="weights and biases do not fit"):
        replace(model.dense, b=replace(model.dense.b, bits=model.dense.b.bits[:, :2]))
    with pytest.raises(MubinnError, match="one class"):
        random_model(0, classes=1)


def test_layer_is_what_its_parts_are(random_model):
    layer = random_model(0).layers[0]
    assert isinstance(layer, QuantizedLayer)
    assert layer.cell is lstm
    assert layer.fraction_of("c") == max(8 + layer.quantizers["c"].fraction, 16)
    assert layer.fraction_of("h") == 8 + layer.formats.y_fraction
