"""Cells whose encoders are ordered thresholds: model, inference, reference and hardware agree."""

import numpy as np
import pytest
from ordered import with_thresholds
from own_cells import float_model, windows
from simulators import QUICK

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.library import mgu, peephole, rnn
from mubinn.golden.cells.operations import Encode, Search
from mubinn.golden.inference.run import infer
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.bounds import dequantize, margin
from mubinn.golden.quantize import quantize
from mubinn.sim.layer.layer_check import check_layer

DATAPATHS = ("figure3", "threshold")
MADE = {
    "lstm": {"kinds": ("tc", "qc")},
    "lstm, gates alike": {"kinds": ("tc",)},
    "lstm, some": {"kinds": ("qc",), "leave": ("f", "c")},
    "lstm, states alone": {"kinds": ("tc", "qc"), "leave": ("x", "f", "i", "g", "o")},
    "lstm, 3 levels": {"kinds": ("any",)},
    "gru": {"kinds": ("tc", "qc", "qc")},
    "gru_before": {"kinds": ("qc", "tc")},
}


@pytest.fixture
def made(random_model, random_gru):
    """Return what gives a model of `MADE`; that of an LSTM has offsets of every x and h."""

    def of(name, **how):
        if name.startswith("lstm"):
            levels = (3, 3) if name == "lstm, 3 levels" else (2, 2)
            return with_thresholds(random_model(1, levels, **how), **MADE[name])
        reset = "before" if name == "gru_before" else "after"
        return with_thresholds(random_gru(1, (2, 2), reset=reset, **how), **MADE[name])

    return of


@pytest.mark.parametrize("datapath", DATAPATHS)
@pytest.mark.parametrize("name", MADE)
def test_inference_equals_the_bit_true_model(made, name, datapath):
    x = (0.4 * windows()).astype(np.float32)
    model = made(name, depth=2).with_datapath(datapath)
    codes = model.encode_input(x)
    _, scores, classes = bit_true.run(model, codes)
    found = infer(model, x)
    assert (found.scores == scores).all()
    assert (found.classes == classes).all()


@pytest.mark.parametrize("datapath", DATAPATHS)
@pytest.mark.parametrize("name", MADE)
def test_hardware_equals_the_bit_true_model(made, name, datapath):
    model = made(name).with_datapath(datapath)
    codes = model.encode_input(0.4 * windows())[:2]
    assert check_layer(model, codes, pause=0.4, simulator=QUICK).tests == 2


@pytest.mark.parametrize("datapath", DATAPATHS)
@pytest.mark.parametrize("cell", [rnn, mgu, peephole], ids=lambda cell: cell.name)
def test_own_cells_too(cell, datapath):
    x = windows()
    model = with_thresholds(quantize(float_model(cell), Levels.of(2, 2), x)).with_datapath(datapath)
    codes = model.encode_input(x)
    assert (infer(model, x.astype(np.float32)).scores == bit_true.run(model, codes)[1]).all()
    assert check_layer(model, codes[:2], pause=0.4, simulator=QUICK).tests == 2


def test_the_gates_of_figure_3_share_one_kind_of_encoder(made):
    layer = made("lstm, some").layers[0]
    kinds = {unit.name: type(unit.operation) for unit in layer.lowered.units}
    assert {name: kinds[name] for name in "figoch"} == {
        **dict.fromkeys("figo", Search),
        **{"c": Encode, "h": Search},
    }
    alone = made("lstm, states alone").layers[0]
    assert isinstance(alone.lowered["f"].operation, Encode)


@pytest.mark.parametrize("name", MADE)
def test_units_of_figure_3_encode_as_the_quantizers(made, name):
    layer = made(name).layers[0]
    random = np.random.default_rng(0)
    for node in layer.cell.encoders:
        unit, quantizer = layer.lowered[node.name], layer.quantizers[node.name]
        made_of = layer.lowered.formats[unit.operands[0]]
        values = random.integers(-made_of.bound, made_of.bound, (200, layer.hidden))
        codes = quantizer.encode(values, made_of.fraction)
        assert (unit.operation(values) == codes).all()
        assert len(np.unique(codes)) > 1


@pytest.mark.parametrize("name", MADE)
def test_thresholds_decide_as_the_equations_do(made, name):
    """With exact activations the codes are those of the float reference, off its own edges."""
    model = made(name).with_datapath("threshold")
    x = 0.4 * windows()
    (floats,), (own,) = dequantize(model)[0].layers, dequantize(model)[1]
    ref = reference.run_layer(floats, own, x)
    trace = bit_true.run_layer(model.layers[0], model.encode_input(x))
    h = model.layers[0].h
    near = margin(ref["h_raw"], own["h"]) > 1e-9
    assert near.any()
    made_h = np.ldexp(np.asarray(h.decode(trace["h"]), float), -h.fraction)
    assert (np.swapaxes(made_h, 0, 1) == ref["h"])[near].all()


def test_a_layer_says_which_thresholds_it_has(made):
    layer = made("lstm, some").layers[0]
    assert sorted(layer.thresholds) == ["g", "h", "i", "o", "x"]
    own = layer.quantizers["h"]
    assert layer.thresholds["h"] == (own.encoder.thresholds / 2**own.fraction).tolist()
