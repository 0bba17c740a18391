"""The training graph of any cell: values, gradients, export, and the sentences of faults."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from own_cells import OWN, hard_lstm

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.graph import cell, encode, row, sigmoid, tanh
from mubinn.golden.cells.library import CELLS, gru, lstm_projected, mgu, rnn, rnn_relu
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.float_model import FloatModel, Preprocessing
from mubinn.train.data.windows import synthetic_eeg
from mubinn.train.graphs import network
from mubinn.train.graphs.graph import Graph
from mubinn.train.graphs.projection import with_one
from mubinn.train.graphs.quantizers import operands, quantizers
from mubinn.train.graphs.recurrence import recurrence
from mubinn.train.recipes.matrices import matrices, places_of, recurrent, sizes_of, whole
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import LayerForm
from mubinn.train.runs.export import to_quantized
from mubinn.train.runs.trainer import train

FEATURES, HIDDEN, CLASSES, STEPS = 5, 6, 3, 8


@cell
def late(x, h, c):
    """An output of the old c, and a number that goes on as one."""
    o = encode("o", sigmoid(row("o", x, h)))
    return encode("h", o * tanh(c)), encode("c", o * c + o * tanh(row("g", x)))


PROJECTED = 4

ALL = (*CELLS.values(), lstm_projected, *OWN, late)
NAMED = {"argvalues": ALL, "ids": lambda made: made.name}


def form_of(made):
    return LayerForm(made, HIDDEN, projection=PROJECTED if made.projects else None)


def kinds(made):
    return (form_of(made).kind(1.0),)


def drawn(made, depth=1):
    """A float model with biases and weights far from 0, and windows for it."""
    rng = np.random.default_rng(len(made.rows))
    models = []
    for level in range(depth):
        features = form_of(made).outputs if level else FEATURES
        params = network.init_params((form_of(made),), level, features, CLASSES)
        params = jax.tree.map(lambda w: 1.5 * w + rng.normal(0, 0.3, w.shape), params)
        about = kinds(made), "mean", Preprocessing(), {}
        models.append(network.to_model(params, *about))
    layers = tuple(model.layers[0] for model in models)
    x = rng.normal(0, 1, (50, STEPS, FEATURES)).astype(np.float32)
    return FloatModel(layers, models[-1].wd, models[-1].bd), x


@pytest.mark.parametrize("made", **NAMED)
def test_the_float_graph_is_the_reference(made):
    model, x = drawn(made, depth=2)
    graph = Graph(Method(), "mean", kinds(made) * 2)
    params = graph.start(model, x)
    found = np.asarray(graph.logits(params, x))
    assert np.abs(found - reference.logits(model, x)).max() < 1e-5
    (again, _) = network.to_model(params, graph.kinds, "mean", Preprocessing(), {}).layers
    for name, own in again.stored.items():
        assert (own == np.float32(model.layers[0].stored[name])).all()
    for name in ("wx", "wh", "b"):
        assert (getattr(again, name) == np.float32(getattr(model.layers[0], name))).all()
    assert again.clips == model.layers[0].clips


@pytest.mark.parametrize("made", **NAMED)
def test_float_gradients_are_finite_differences(made):
    model, x = drawn(made)
    graph = Graph(Method(), "mean", kinds(made))
    params, y = graph.start(model, x), np.arange(len(x)) % CLASSES

    def loss(layer, weights):
        own = replace(model.layers[0], **{name: np.asarray(layer[name]) for name in layer})
        scores = reference.logits(replace(model, layers=(own,), **weights), x)
        shares = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return -shares[np.arange(len(y)), y].mean()

    layer = {name: getattr(model.layers[0], name) for name in ("wx", "wh", "b")}
    weights = {"wd": model.wd, "bd": model.bd}
    slope = jax.grad(graph.loss)(params, x, y)
    own = {name: np.asarray(rows) for name, rows in slope["layers"][0].items() if name != "stored"}
    sizes = sizes_of(made, own)
    slopes = {"wx": whole(sizes, "wx", own["wx"]), "wh": recurrent(sizes, own), "b": own["b"]}
    rng, step = np.random.default_rng(0), 1e-6
    for name in layer:
        rows = slopes[name]
        way = rng.normal(0, 1, rows.shape) * (rows != 0)
        sides = [loss({**layer, name: layer[name] + side * way}, weights) for side in (step, -step)]
        want = (sides[0] - sides[1]) / (2 * step)
        assert (rows * way).sum() == pytest.approx(want, rel=2e-3, abs=2e-6), name


def straight(form, q, x, w):
    """The recurrence written as the equations say, for automatic differentiation."""
    from mubinn.train.graphs.cell_step import Step, first_states, numbers_of

    made = form.cell
    one, seen = jnp.ones((x.shape[1], HIDDEN)), []
    states = first_states(form, q, 0 * one, PROJECTED)
    for now in x:
        known = {f"old.{n.name}": value for n, value in zip(made.states, states, strict=True)}
        known |= numbers_of(q, one)
        for phase, weights in enumerate(w):
            read = known[form.reads(phase)]
            z = jnp.concatenate([read, now], axis=1) @ weights.T
            rows = made.phase_nodes[phase]
            heads = dict(zip([r.name for r in rows], jnp.split(z, len(rows), axis=1), strict=True))
            size = one[:, :PROJECTED] if rows[0].projects else one
            known |= Step(form, q, {}, size).run(phase, heads, known)
        states = [known[node.name] for node in made.states]
        seen.append(states[0])
    return jnp.stack(seen)


@pytest.mark.parametrize("made", **NAMED)
def test_the_backward_scan_is_automatic_differentiation(made):
    model, x = drawn(made)
    graph = Graph(Method("mubinn2", Levels.of(2, 2), damp_h=1, damp_c=1), "mean", kinds(made))
    params, (form,) = graph.start(model, x), graph.forms
    (own,), _ = quantizers(params, graph.method, graph.kinds)
    q = operands(own, form, params["layers"][0]["stored"])
    rng = np.random.default_rng(1)
    sizes = form_of(made).sizes
    shapes = [
        (sizes.count(node) * len(rows), sizes.count(read) + FEATURES + 1)
        for rows, read in zip(made.phase_nodes, made.recurrent, strict=True)
        for node in rows[:1]
    ]
    w = tuple(jnp.asarray(rng.normal(0, 0.5, shape), jnp.float32) for shape in shapes)
    steps = with_one(jnp.swapaxes(x, 0, 1))
    share = jnp.asarray(rng.normal(0, 1, (STEPS, len(x), sizes.outputs)), jnp.float32)
    assert (recurrence(steps, w, q, form) == straight(form, q, steps, w)).all()
    got = jax.grad(lambda w, x: (share * recurrence(x, w, q, form)).sum(), (0, 1))(w, steps)
    want = jax.grad(lambda w, x: (share * straight(form, q, x, w)).sum(), (0, 1))(w, steps)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert np.abs(other).max() > 0.1
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


CASES = [((3, 3), "figure3"), ((2, 4), "threshold"), ((1, 1), "threshold")]


@pytest.mark.parametrize(("pair", "datapath"), CASES)
@pytest.mark.parametrize("made", **NAMED)
def test_the_integers_decide_as_the_graph(made, pair, datapath):
    model, x = drawn(made)
    offset = "learned" if made.own_offsets and datapath == "figure3" else "none"
    method = Method("mubinn2", Levels.of(*pair), x_offset="learned", h_offset=offset)
    graph = Graph(method, "mean", kinds(made), datapath=datapath)
    params = graph.start(model, x)
    integers = to_quantized(graph, params, Preprocessing(), {})
    _, scores, _ = bit_true.run(integers, integers.encode_input(x))
    found = np.asarray(jax.jit(graph.logits)(params, x))
    unit = 2.0 ** -(integers.layers[0].h.fraction + integers.dense.w.fraction)
    same = (np.rint(found * STEPS / unit) == scores).all(axis=1)
    # float32 rounds a code times a wide sum, which integers keep whole.
    assert same.mean() >= (0.9 if made is gru else 1)
    assert (found.argmax(axis=1) == scores.argmax(axis=1)).mean() >= 0.995
    # One level of a relu about 0 is always the same.
    assert len(np.unique(scores)) > (20 if made is not rnn_relu or pair != (1, 1) else 2)


@pytest.mark.parametrize("made", **NAMED)
def test_gradients_reach_everything_that_is_learned(made):
    model, x = drawn(made)
    offset = "learned" if made.own_offsets else "none"
    method = Method("mubinn2", Levels.of(2, 2), x_offset="learned", h_offset=offset, bias="gate")
    graph = Graph(method, "mean", kinds(made))
    params, y = graph.start(model, x), np.arange(len(x)) % CLASSES
    slope = jax.jit(jax.grad(graph.loss))(params, x, y)
    for path, leaf in jax.tree_util.tree_leaves_with_path(slope):
        assert np.asarray(leaf).any(), path
    others = {node.name for node in made.encoders if node not in made.gates}
    others |= {f"stored.{node.name}" for node in made.stored}
    gates = {"gate"} if made.gates else set()
    assert set(params["scales"]) == {"x", *matrices(made), "b", "wd", "bd"} | others | gates


@pytest.mark.parametrize("made", **NAMED)
def test_rows_have_the_weights_that_they_read(made):
    model, x = drawn(made)
    params = Graph(Method("mubinn2", Levels.of(2, 2)), "mean", kinds(made)).start(model, x)
    (layer,) = params["layers"]
    reading = [sum(n.operation == "input" for n in node.operands) for node in made.rows]
    states = [sum(n.operation != "input" for n in node.operands) for node in made.rows]
    projects = sum(node.projects for node in made.rows)
    columns = PROJECTED if projects else HIDDEN
    assert layer["wx"].shape == (sum(reading) * HIDDEN, FEATURES)
    assert layer["wh"].shape == ((sum(states) - projects) * HIDDEN, columns)
    assert layer["b"].shape == ((len(made.rows) - projects) * HIDDEN + projects * PROJECTED,)
    assert params["scales"]["wx"].shape == (2, sum(reading))
    assert params["scales"]["wh"].shape == (2, sum(states) - projects)
    if projects:
        assert layer["wr"].shape == (PROJECTED, HIDDEN)
        assert params["scales"]["wr"].shape == (2, 1)
    assert [k for name in matrices(made)[1:] for k in places_of(made, name)] == [
        *made.reading("wh")
    ]


def test_damping_of_paths():
    form = network.form_of(*kinds(mgu), Method("mubinn2", Levels.of(2, 2)), "figure3")
    by_name = {node.name: form.damping(node) for node in mgu.encoders}
    assert by_name["s"] == form.damp_h == 0.5  # on to the weights of n
    assert by_name["h"] == form.damp_c == 0.9
    assert form.reads(0) == "old.h"
    assert form.reads(1) == "s"


@pytest.mark.parametrize("made", [mgu, hard_lstm], ids=lambda made: made.name)
def test_a_cell_of_ones_own_trains(made):
    data = synthetic_eeg(120, steps=32, channels=3, seed=2)
    recipe = Recipe(epochs=3, hidden=6, batch=16, cell=made, learning_rate=1e-2)
    start = train(data, recipe)
    assert start.history[-1]["loss"] < start.history[0]["loss"]
    method = Method("mubinn2", Levels.of(3, 3))
    result = train(data, replace(recipe, method=method, epochs=1), start=start.model)
    assert result.model.layers[0].cell is made
    assert result.agreement >= 0.995


@cell
def clashing(x, h):
    b = encode("b", tanh(row("a", x)) * encode("f", sigmoid(row("f", x, h))))
    return encode("h", encode("g", sigmoid(row("g", x))) * b)


def test_faults_say_what_to_do():
    model, x = drawn(clashing)
    method = Method("mubinn2", Levels.of(2, 2))
    with pytest.raises(MubinnError, match=r"an encoder b, as training calls .* another name"):
        Graph(method, "mean", kinds(clashing)).start(model, x)
    with pytest.raises(MubinnError, match="is of clashing cells, the training graph of rnn cells"):
        Graph(method, "mean", kinds(rnn)).start(model, x)
    model, x = drawn(mgu)
    own = replace(method, h_offset="learned")
    with pytest.raises(MubinnError, match="MGU share one offset of h: leave --h-offset out"):
        Graph(own, "mean", kinds(mgu)).start(model, x)
    model, x = drawn(rnn)
    with pytest.raises(MubinnError, match="Thresholds of rnn cells take one offset of h for all"):
        Graph(own, "mean", kinds(rnn), datapath="threshold").start(model, x)
