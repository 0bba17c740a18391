"""Projections: an output of fewer numbers than cells, in every form that a layer has."""

import json
from dataclasses import replace

import numpy as np
import pytest
from own_cells import STEPS, float_model, windows
from simulators import needs_icarus

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.rules import Rule
from mubinn.golden.binarize.scales import LevelTensor
from mubinn.golden.cells.graph import (
    cell,
    encode,
    projection,
    row,
    sigmoid,
    stored,
    tanh,
    with_activations,
)
from mubinn.golden.cells.library import lstm, lstm_projected
from mubinn.golden.cells.sizes import Sizes
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import CompiledModel
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.bounds import dequantize
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.model_file import load_any, save_model
from mubinn.golden.quantize import quantize
from mubinn.hw.export.layer_folder import LayerDesign, describe
from mubinn.hw.layer.layer_memory import weight_words
from mubinn.hw.layer.lstm_layer import cycles_per_step
from mubinn.sim.layer.layer_check import check_layer
from mubinn.train.data.windows import synthetic_eeg
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import parse_layers
from mubinn.train.runs.trainer import train

H, P = 4, 2


def made(levels=(2, 2), outputs=P, depth=1, **how):
    return quantize(
        float_model(lstm_projected, depth, outputs=outputs), Levels.of(*levels), windows(), **how
    )


def test_rows_of_a_projection_are_the_outputs():
    sizes = Sizes(lstm_projected, 8, 3)
    assert (sizes.rows, sizes.columns, sizes.row_counts) == (35, 8, (8, 8, 8, 8, 3))
    assert sizes.phase_rows(1).tolist() == [32, 33, 34]
    assert [sizes.phase_columns(phase) for phase in (0, 1)] == [3, 8]
    assert sizes.unused()[:32, 3:].all()
    assert sizes.unused().sum() == 32 * 5
    assert Sizes.of(lstm_projected, 35, 8) == sizes
    assert Sizes.of(lstm, 32, 8) == Sizes(lstm, 8, 8)


@pytest.mark.parametrize(("rows", "columns"), [(32, 8), (41, 8), (3, 8), (35, 0)])
def test_other_shapes_make_no_layer(rows, columns):
    with pytest.raises(MubinnError, match=r"are not \(4H \+ P, H\) of a layer of cell lstm_proj"):
        Sizes.of(lstm_projected, rows, columns)


def of_x(x, h):
    return encode("h", projection("r", x))


def of_h(x, h):
    return encode("h", projection("r", h))


def of_a_sum(x, h):
    return encode("h", projection("r", tanh(row("n", x, h))))


def with_a_state(x, h, c):
    m = encode("m", tanh(row("m", x, h)))
    c = encode("c", m * c)
    return encode("h", projection("r", m) + m * c), c


def with_a_number(x, h):
    m = encode("m", tanh(row("m", x, h)))
    return encode("h", stored("p") * encode("n", tanh(projection("r", m))))


def of_another_state(x, h, c):
    m = encode("m", tanh(row("m", x, h)))
    return encode("h", m * c), encode("c", projection("r", m))


def beside_a_row(x, h):
    m = encode("m", tanh(row("m", x, h)))
    return encode("h", projection("r", m) + projection("q", m) * encode("n", tanh(row("n", m))))


def before_a_row(x, h):
    m = encode("m", tanh(row("m", x, h)))
    s = encode("s", projection("r", m))
    return encode("h", tanh(row("n", s)))


def of_a_gate(x, h):
    m = encode("m", tanh(row("m", x, h)))
    return encode("h", tanh(encode("n", sigmoid(projection("r", m)))))


FAULTS = {
    of_x: "the projection r of cell of_x reads one vector that the cells have encoded",
    of_h: "the projection r of cell of_h reads one vector that the cells have encoded",
    of_a_sum: "the projection r of cell of_a_sum reads one vector that the cells have encoded",
    with_a_state: r"computes r \+ m c of a number an output and a number a cell",
    with_a_number: r"computes p n of a number an output and a number a cell",
    of_another_state: "encodes c of a projection, which is for its output h alone",
    beside_a_row: "has a projection and other rows of weights in one phase",
    before_a_row: "has a projection and other rows of weights in one phase",
    of_a_gate: "encodes n, h of a projection, which is for its output h alone",
}


@pytest.mark.parametrize("equations", FAULTS, ids=lambda own: own.__name__)
def test_what_no_projection_can_be_is_refused(equations):
    with pytest.raises(MubinnError, match=FAULTS[equations]) as refused:
        cell(equations)
    assert str(refused.value).count(". ") == 0


def test_a_projection_may_have_an_activation():
    @cell
    def bounded(x, h):
        m = encode("m", tanh(row("m", x, h)))
        return encode("h", tanh(projection("r", m)))

    made = quantize(float_model(bounded, outputs=P), Levels.of(2, 2), windows())
    scores = bit_true.run(made, made.encode_input(windows()))[1]
    again = with_activations(bounded, {"h": "sigmoid"})
    assert again.projects
    assert scores.shape == (12, 3)


def test_the_reference_is_the_papers_equations():
    """Sak 2014, Eq. (1) to (6), without peepholes: m = o tanh(c), and r = W_rm m is read."""
    layer = float_model(lstm_projected, outputs=P).layers[0]
    x, h, c = windows(), np.zeros((12, P)), np.zeros((12, H))
    found = reference.run_layer(layer, reference.LayerQuantizers(), x)
    for t in range(STEPS):
        z = x[:, t] @ layer.wx[: 4 * H].T + h @ layer.wh[: 4 * H, :P].T + layer.b[: 4 * H]
        f, i, g, o = np.split(z, 4, axis=1)
        gates = (1 / (1 + np.exp(-gate)) for gate in (f, i, o))
        f, i, o = gates
        c = f * c + i * np.tanh(g)
        h = (o * np.tanh(c)) @ layer.wh[4 * H :].T + layer.b[4 * H :]
        np.testing.assert_allclose(found["h"][:, t], h, atol=1e-12)
        np.testing.assert_allclose(found["c"][:, t], c, atol=1e-12)


@pytest.mark.parametrize("levels", [(1, 1), (2, 3)])
@pytest.mark.parametrize("granularity", ["gate", "row"])
def test_stored_numbers_come_back_and_give_the_sums(tmp_path, levels, granularity):
    model = made(levels, depth=2, granularity=granularity)
    path = tmp_path / "m.mubinn"
    save_model(path, model)
    again = load_any(path)
    codes = model.encode_input(windows())
    traces, scores, _ = bit_true.run(model, codes)
    assert (bit_true.run(again, codes)[1] == scores).all()
    rows = (H, H, H, H, P) if granularity == "gate" else None
    assert [own.group_rows for own in (again.layers[0].wx, again.layers[0].wh)] == [rows] * 2
    floats, quantizers = dequantize(model)
    layer, trace = floats.layers[0], traces[0]
    assert not layer.wh[: 4 * H, P:].any()
    # From the same codes the sums are equal to the last bit.
    first = model.layers[0]
    x = first.x.decode(codes[:, 0]) / 2.0**first.x.fraction
    zeros = [quantizers[0][name](np.zeros((12, n))) for name, n in (("h", P), ("c", H))]
    z = reference.step(layer, quantizers[0], x, *zeros)["z"]
    assert (z[:, : 4 * H] * 2**first.z_fraction == trace["z"][0][:, : 4 * H]).all()


def test_weights_that_nothing_reads_are_refused():
    layer = float_model(lstm_projected, outputs=P).layers[0]
    wh = layer.wh.copy()
    wh[0, P] = 1
    with pytest.raises(MubinnError, match="wh has weights beyond the 2 numbers of h"):
        FloatLayer(lstm_projected, layer.wx, wh, layer.b)
    stored_layer = made().layers[0]
    bits = stored_layer.wh.bits.copy()
    assert not bits[:, : 4 * H, P:].any()
    bits[0, 0, P] = 1
    own = stored_layer.wh
    with pytest.raises(MubinnError, match="W_h has weights beyond the 2 numbers of h"):
        replace(stored_layer, wh=LevelTensor(bits, own.scales, own.fraction, own.group_rows))


@pytest.mark.parametrize("rows", [(4, 4, 4, 4, 3), (4, 4, 4, 6), (0, 4, 4, 4, 6)])
def test_groups_of_other_sizes_are_no_scales(rows):
    own = made().layers[0].b
    with pytest.raises(MubinnError, match="5 groups of scales do not divide 18 rows"):
        LevelTensor(own.bits, own.scales, own.fraction, rows)


@pytest.mark.parametrize("lanes", [None, 3])
def test_cycles_of_both_passes(lanes):
    layer, dense = made((1, 2)).layers[0], made((1, 2)).dense
    plan = LayerPlan(layer, dense, lanes=lanes)
    planes, latency = 4, 2 * (cycles_per_step(plan) > 0)
    # I = 5: of the gates' rows two words of x and one of h, of the projection's two of m.
    words = (1, 1, 1) if lanes is None else (3, 2, 1)
    assert [own.count for own in plan.passes] == list(words)
    products = planes * (4 * H * words[0] + P * words[1])
    assert plan.gate_issues == products
    assert plan.class_issues == 3 * planes * words[2]
    about = describe(LayerDesign.of(plan, "top").layer)
    stages = about["cycles"]["L"] + 1
    assert cycles_per_step(plan) == products + plan.class_issues + latency * stages
    assert (about["hidden"], about["outputs"], about["cycles"]["H"]) == (H, P, [H, P])
    assert "H in R, H, B" in about["cycles"]["formula"].replace("r, H, B in", "H in")
    assert json.dumps(about)


@pytest.mark.parametrize(("outputs", "parts"), [(1, ("h",)), (2, ()), (3, ("h",)), (4, ())])
def test_the_parity_of_spare_lanes_travels_where_it_differs(outputs, parts):
    model = made(outputs=outputs)
    plan = LayerPlan(model.layers[0], model.dense)
    assert plan.odd_parts == parts
    # Half of the spare lanes of a gate's row are 0, and half 1.
    spare = H - outputs
    word = weight_words(plan)[0] >> plan.layer.features + outputs
    assert bin(word & ((1 << spare) - 1)).count("1") == spare - spare // 2


HARDWARE = {
    "whole rows, an odd count": ((2, 2), 3, "figure3", {"classify": True}),
    "whole rows that share cycles": ((2, 2), 2, "threshold", {"units": 3, "classify": True}),
    "one output": ((1, 1), 1, "threshold", {"units": 2, "classify": True}),
    "engines": ((1, 2), 3, "figure3", {"units": 12, "classify": True}),
    "words": ((3, 2), 2, "figure3", {"lanes": 3, "units": 2, "classify": True}),
    "short words": ((2, 3), 3, "threshold", {"lanes": 2, "units": 14}),
    "bias of levels": ((2, 2), 2, "figure3", {"folded_bias": False, "units": 3}),
    "as many outputs as cells": ((1, 2), 4, "threshold", {"lanes": 3, "classify": True}),
}


@needs_icarus
@pytest.mark.parametrize("name", HARDWARE)
def test_hardware_equals_the_bit_true_model(name):
    levels, outputs, datapath, how = HARDWARE[name]
    model = made(levels, outputs).with_datapath(datapath)
    codes = model.encode_input(windows())[:2]
    assert check_layer(model, codes, pause=0.4, simulator="icarus", **how).tests == 2


@pytest.mark.parametrize("kernel", ["numpy", "words", "pairs"])
def test_kernels_equal_the_bit_true_model(kernel):
    """More cells than a word has fields, and fewer outputs."""
    random = np.random.default_rng(2)
    counts = {0: (5, 36, 33), 1: (33, 3, 2)}
    layers = []
    for inputs, hidden, outputs in counts.values():
        sizes = Sizes(lstm_projected, hidden, outputs)
        wx, wh = (random.normal(0, 0.4, (sizes.rows, n)) for n in (inputs, hidden))
        wx[4 * hidden :] = 0
        layers.append(
            FloatLayer(lstm_projected, wx, np.where(sizes.unused(), 0, wh), wx[:, 0].copy())
        )
    head = float_model(lstm_projected, outputs=P)
    x = windows().astype(np.float32)
    model = quantize(replace(head, layers=tuple(layers)), Levels.of(1, 2), x, scale_form="shift")
    scores = bit_true.run(model, model.encode_input(x))[1]
    assert (CompiledModel(model, kernel=kernel).infer(x, threads=1).scores == scores).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gru 3, lstm_projected 4", "projects its output: give .* 'lstm_projected 4 to 2'"),
        ("gru 3 to 2", "layer of gru has an output for each cell: leave out what its cells"),
        ("lstm_projected 4 to 5", "4 cells are not projected to 5 numbers: give 1 to 4"),
        ("lstm_projected 4 to 0", "not projected to 0 numbers"),
    ],
)
def test_layers_that_project_say_to_what(text, words):
    with pytest.raises(MubinnError, match=words):
        parse_layers(text)


def test_projections_train():
    """A stack, by every kind of scales and encoders: integers say what the graph says."""
    data = synthetic_eeg(120, steps=32, channels=3, seed=2)
    recipe = Recipe(
        epochs=3, batch=16, learning_rate=1e-2, layers=parse_layers("lstm_projected 6 to 3, gru 4")
    )
    start = train(data, recipe)
    assert start.history[-1]["loss"] < start.history[0]["loss"]
    first = start.model.layers[0]
    assert (first.hidden, first.outputs, first.wh.shape) == (6, 3, (27, 6))
    assert recipe.to_json()["layers"] == ["lstm_projected 6 to 3", "gru 4"]
    methods = [
        Method("mubinn2", Levels.of(2, 3), granularity="row", x_offset="learned"),
        Method("mubinn2", Levels.of(2, 2), scale_form="shift", granularity="matrix"),
        Method("mubinn2", Levels.of(2, 2), encoders=(("w", Rule("tc", 1)), ("h", Rule("qc", 1)))),
    ]
    for method in methods:
        made = train(data, replace(recipe, method=method, epochs=1), start=start.model)
        assert made.agreement == 1
        own = made.model.layers[0]
        assert (own.hidden, own.outputs) == (6, 3)
        assert not own.wh.bits[:, own.sizes.unused()].any()
    with pytest.raises(MubinnError, match=r"layers are lstm_projected 6 to 3, gru 4, the recipe's"):
        train(
            data,
            replace(recipe, layers=parse_layers("lstm_projected 6 to 2, gru 4")),
            start=start.model,
        )
