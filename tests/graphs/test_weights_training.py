"""Training of binarized weights alone: values and scales of each rule, models, faults."""

from dataclasses import replace

import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.rules import parse_encoders
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import reference
from mubinn.golden.quantize import quantize
from mubinn.train.data.windows import prepare, synthetic_eeg
from mubinn.train.graphs.graph import Graph
from mubinn.train.graphs.network import with_stored
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.stack import layer_kinds
from mubinn.train.recipes.tuned import tuned
from mubinn.train.runs.trainer import train

RULES = {"bc": 1, "tc": 2, "qc": 2}


def of_weights(rule, **own):
    levels = Levels.of(1, RULES[rule])
    encoders = tuple(parse_encoders([f"w={rule}"]).items())
    about = {"granularity": "matrix", "weight_scales": "fitted"}
    return Method("weights", levels, encoders=encoders, **{**about, **own})


def stored_weights(model, method, x):
    kinds = layer_kinds(model.layers)
    params = Graph(method, "mean", kinds).start(model, x)
    return with_stored(params, method, kinds)["layers"]


@pytest.fixture(scope="module")
def model(random_float):
    return random_float(3, features=6, hidden=5, depth=2)


X = np.random.default_rng(0).normal(0, 1, (8, 9, 6)).astype(np.float32)


@pytest.mark.parametrize("rule", RULES)
def test_values_of_a_rule_fit_each_matrix(model, rule):
    method = of_weights(rule)
    for layer, made in zip(model.layers, stored_weights(model, method, X), strict=True):
        for name in ("wx", "wh"):
            real = getattr(layer, name)
            own = np.asarray(made[name], np.float64)
            levels = np.unique(own / own.max())
            assert (
                levels.tolist() == {"bc": [-1, 1], "tc": [-1, 0, 1], "qc": [-1, -0.5, 0.5, 1]}[rule]
            )
            form = own / own.max()
            best = (real * form).sum() / np.square(form).sum()
            assert own.max() == pytest.approx(best, abs=2**-7)  # a scale has some 8 bits
            cut = real.mean() + {"tc": 1, "qc": 0.25}.get(rule, 0) * real.std()
            far = np.abs(np.abs(real) - cut) > 2**-8  # thresholds have the scale's bits
            if rule == "tc":
                assert ((own == own.max()) == (real >= cut))[far].all()
            if rule == "qc":
                assert ((np.abs(own) == own.max()) == ((real >= cut) | (real < -cut)))[far].all()
        assert np.asarray(made["b"]) == pytest.approx(layer.b, abs=1e-6)


def test_one_level_has_the_mean_magnitude(model):
    own = np.asarray(stored_weights(model, of_weights("bc"), X)[0]["wx"])
    assert np.abs(own).max() == pytest.approx(np.abs(model.layers[0].wx).mean(), abs=2**-8)


@pytest.mark.parametrize("rule", RULES)
def test_no_scale_has_the_largest_value_1(model, rule):
    own = np.asarray(stored_weights(model, of_weights(rule, weight_scales="none"), X)[0]["wh"])
    assert own.max() == 1


@pytest.mark.parametrize(("granularity", "groups"), [("matrix", 1), ("gate", 4), ("row", 20)])
def test_what_shares_a_scale(model, granularity, groups):
    own = np.asarray(stored_weights(model, of_weights("bc", granularity=granularity), X)[0]["wx"])
    parts = np.abs(own).reshape(groups, -1)
    assert (parts == parts[:, :1]).all()
    assert len(np.unique(parts[:, 0])) > 0.8 * groups


def test_a_run_gives_the_model_that_it_has_measured():
    data = synthetic_eeg(120, 24, 3, seed=1, subjects=10)
    method = {"encoders": tuple(parse_encoders(["w=tc"]).items())}
    about = {"hidden": 6, "epochs": 2, "batch": 16}
    recipe = tuned("weights", Levels.of(1, 2), method=method, **about)
    assert (recipe.method.granularity, recipe.method.weight_scales) == ("matrix", "fitted")
    made = train(data, recipe)
    test = data.take(data.fold == 0)
    scores = reference.logits(made.model, prepare(test.x))
    assert made.test_accuracy == pytest.approx((scores.argmax(axis=1) == test.y).mean())
    assert len(np.unique(made.model.layers[0].wx)) == 3
    # Algorithm 1 of two levels holds these three values, so hardware has the trained weights.
    integers = quantize(made.model, replace(Levels.of(3, 2), h=3), prepare(test.x).astype(float))
    error = integers.layers[0].wx.float_values - made.model.layers[0].wx
    assert np.abs(error).max() < 0.02 * np.abs(made.model.layers[0].wx).max()


@pytest.mark.parametrize(
    ("levels", "own", "message"),
    [
        ((1, 2), {}, "Scales of 2 levels by Algorithm 1 are learned"),
        ((2, 2), {"encoders": ("tc",)}, "leaves x in full precision: give the encoder of w"),
        ((1, 1), {"encoders": ("w=tc",)}, "has 2 levels, but w is to have 1"),
    ],
)
def test_what_does_not_fit(levels, own, message):
    encoders = tuple(parse_encoders(own.get("encoders", ())).items())
    with pytest.raises(MubinnError, match=message):
        Method("weights", Levels.of(*levels), encoders=encoders, weight_scales="fitted")
