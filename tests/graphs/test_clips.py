"""Clips in training: each encoder's own, those of the first model, and what a recipe says."""

import json
from dataclasses import replace

import numpy as np
import pytest
from own_cells import FEATURES, float_model

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.library import gru, gru_before, lstm
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import reference
from mubinn.golden.model.float_model import Preprocessing
from mubinn.train.data.windows import synthetic_eeg
from mubinn.train.graphs import network
from mubinn.train.graphs.graph import Graph
from mubinn.train.recipes.first_scales import first_scales
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import layer_kinds
from mubinn.train.runs.trainer import train

CLIPS = {
    lstm: [{"c": 0.3, "h": 0.1, "f": 0.55}, {"c": 0.2, "g": 0.25}],
    gru: [{"h": 0.2}, {"n": 0.3, "z": 0.5}],
    gru_before: [{}, {"s": 0.05, "h": 0.2}],
}


def clipped(cell):
    model = float_model(cell, depth=2)
    pairs = zip(model.layers, CLIPS[cell], strict=True)
    layers = tuple(replace(layer, clips=own) for layer, own in pairs)
    x = 2 * np.random.default_rng(1).normal(0, 1, (20, 8, FEATURES)).astype(np.float32)
    return replace(model, layers=layers), x


@pytest.mark.parametrize("cell", CLIPS, ids=lambda cell: cell.name)
def test_the_graph_clips_what_each_encoder_reads(cell):
    model, x = clipped(cell)
    for method in (Method(), Method("b_lstm", Levels.of(1, 1))):
        graph = Graph(method, "mean", layer_kinds(model.layers))
        params = graph.start(model, x)
        made = network.to_model(params, graph.kinds, "mean", Preprocessing(), {})
        assert [layer.clips for layer in made.layers] == CLIPS[cell]
    graph = Graph(Method(), "mean", layer_kinds(model.layers))
    params = graph.start(model, x)
    found = np.asarray(graph.logits(params, x))
    assert np.abs(found - reference.logits(model, x)).max() < 1e-5
    for place, clips in enumerate(CLIPS[cell]):
        for name in clips:
            own = {n: bound for n, bound in clips.items() if n != name}
            layers = list(model.layers)
            layers[place] = replace(layers[place], clips=own)
            without = reference.logits(replace(model, layers=tuple(layers)), x)
            assert np.abs(found - without).max() > 1e-4, name


def test_first_scales_are_of_clipped_values():
    model, x = clipped(lstm)
    logs, _, _ = first_scales(model, Method("mubinn2", Levels.of(2, 2)), x)
    scales = {name: np.exp(values).sum(axis=0) for name, values in logs.items()}
    assert scales["c"] <= 0.3
    assert scales["h"] <= 0.1
    assert scales["gate"][lstm.gate_names.index("f")] <= 0.5  # from 0 to 0.55 about 0.5
    assert scales["1.gate"][lstm.gate_names.index("g")] <= 0.25


SMALL = Recipe(epochs=1, batch=16, hidden=4)


@pytest.fixture(scope="module")
def start():
    data = synthetic_eeg(80, steps=16, channels=FEATURES, seed=2)
    model, _ = clipped(lstm)
    return data, replace(model, wd=model.wd[:2], bd=model.bd[:2])


def recorded(model):
    return json.loads(model.meta["recipe"])["c_clip"]


def test_a_first_model_keeps_its_clips(start):
    data, model = start
    made = train(data, SMALL, start=model).model
    assert [layer.clips for layer in made.layers] == CLIPS[lstm]
    assert recorded(made) is None  # they differ
    alike = replace(model, layers=(model.layers[0], replace(model.layers[1], clips={"c": 0.3})))
    assert recorded(train(data, SMALL, start=alike).model) == 0.3


def test_a_recipe_says_where_c_is_clipped(start):
    data, model = start
    for said, c in ((0.7, {"c": 0.7}), (0, {})):
        made = train(data, replace(SMALL, c_clip=said), start=model).model
        others = [{"h": 0.1, "f": 0.55}, {"g": 0.25}]
        assert [layer.clips for layer in made.layers] == [{**own, **c} for own in others]
        assert recorded(made) == said
    drawn = train(data, SMALL).model
    assert (drawn.layers[0].clips, recorded(drawn)) == ({"c": 1.0}, 1.0)


def test_what_has_no_c_is_not_clipped():
    with pytest.raises(MubinnError, match=r"Layers of GRU have no state to clip .* --c-clip out"):
        Recipe(cell="gru", c_clip=0.5)
