"""Heads and readouts through the models: reference, integers, fast inference and files."""

import re
from dataclasses import replace

import numpy as np
import pytest
from stacks import STACKS, stacked

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import CompiledModel, infer
from mubinn.golden.model.bit_true import run
from mubinn.golden.model.bounds import dequantize
from mubinn.golden.model.float_model import READOUTS
from mubinn.golden.model.head import HEADS, reading_of
from mubinn.golden.model.model_file import load_any, save_model
from mubinn.golden.model.reference import logits
from mubinn.golden.quantize import quantize

NAMES = (*READOUTS, "leaky:1@end", "leaky:2@3", "mean@2", "last@4")
OUTPUTS = {"classes": 3, "sigmoid": 1, "regression": 2}
STEPS = 5


def stands_for(model, scores, steps, wanted):
    """Return whether scores stand for numbers: of a leaky mean floors add less than a unit."""
    more = model.values(scores, steps) - wanted
    unit = 2.0**-model.dense.b.fraction if model.reading.leak else 0
    return (more > -1e-9).all() and (more < unit + 1e-9).all()


def windows(features=5, count=6, steps=STEPS):
    return np.random.default_rng(3).normal(0, 1.5, (count, steps, features)).astype(np.float32)


def test_what_decides():
    classes = HEADS["classes"].decide(np.array([[1, 7, 7], [0, 0, 0], [-1, -3, 2]]))
    assert classes.tolist() == [1, 0, 2]
    assert HEADS["sigmoid"].decide(np.array([[5], [0], [-1]])).tolist() == [1, 1, 0]
    with pytest.raises(MubinnError, match="regression, which decides on no class: read"):
        HEADS["regression"].decide(np.zeros((2, 2), np.int64))
    assert [HEADS[name].classes(OUTPUTS[name]) for name in OUTPUTS] == [3, 2, 0]


@pytest.mark.parametrize(
    ("head", "outputs", "words"),
    [
        ("classes", 1, "one class: give a model of 2 classes up, or one unit as a sigmoid head"),
        ("sigmoid", 2, "a sigmoid head has 1 output, the dense layer 2"),
        ("softmax", 2, "unknown head 'softmax': give classes or sigmoid or regression"),
    ],
)
def test_heads_that_do_not_fit(random_model, random_float, head, outputs, words):
    for make in (random_model, random_float):
        with pytest.raises(MubinnError, match=words):
            make(classes=outputs, head=head)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("head", HEADS)
def test_every_step_is_the_last_of_a_shorter_window(random_of, head, cell):
    made = {"seed": 2, "cell": cell, "head": head, "classes": OUTPUTS[head], "depth": 2}
    of = {name: random_of(readout=name, **made) for name in READOUTS}
    codes = of["last"].encode_input(windows())
    scores = {name: run(model, codes)[1] for name, model in of.items()}
    for step in range(STEPS):
        begun = codes[:, : step + 1]
        assert (scores["every"][:, step] == run(of["last"], begun)[1]).all()
        assert (scores["running"][:, step] == run(of["mean"], begun)[1]).all()
    assert len(np.unique(scores["every"])) > 2


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("readout", NAMES)
def test_integers_stand_for_the_reference(random_model, head, readout):
    # Thresholds compute the exact functions, so that no code differs.
    model = random_model(4, (2, 2), readout=readout, head=head, classes=OUTPUTS[head])
    model = model.with_datapath("threshold")
    x = windows()
    _, scores, classes = run(model, model.encode_input(x))
    floats, quantizers = dequantize(model)
    assert floats.head == head
    wanted = logits(floats, x, quantizers)
    assert wanted.shape == scores.shape
    assert stands_for(model, scores, STEPS, wanted)
    if head == "regression":
        assert classes is None
    else:
        assert (classes == HEADS[head].decide(wanted)).all() or model.reading.leak


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("readout", NAMES)
def test_fast_inference_gives_the_same_scores(random_model, head, readout):
    model = random_model(5, (3, 2), readout=readout, head=head, classes=OUTPUTS[head], depth=2)
    for steps in (1, STEPS):
        x = windows(steps=steps)
        _, scores, classes = run(model, model.encode_input(x))
        found = CompiledModel(model, kernel="numpy").infer(x, batch=4, threads=2)
        assert found.scores.shape == scores.shape
        assert (found.scores == scores).all()
        if classes is not None:
            assert (found.classes == classes).all()
    none = infer(model, x[:0])
    assert none.scores.shape == (0, *scores.shape[1:])


@pytest.mark.parametrize("readout", NAMES)
@pytest.mark.parametrize("name", STACKS)
def test_steps_are_those_of_the_last_layer(name, readout):
    floats = stacked(STACKS[name], 2, readout)
    x = windows(features=2, steps=8)
    model = quantize(floats, Levels.of(2, 1), x.astype(np.float64)).with_datapath("threshold")
    _, scores, _ = run(model, model.encode_input(x))
    own = reading_of(readout)
    assert scores.shape[1:-1] == ((own.results(model.steps(8)),) if own.each else ())
    assert (infer(model, x).scores == scores).all()
    alone, quantizers = dequantize(model)
    wanted = logits(alone, x, quantizers)
    assert stands_for(model, scores, 8, wanted)


@pytest.mark.parametrize("readout", NAMES)
@pytest.mark.parametrize("steps", [1, 4])
def test_float_readouts(random_float, readout, steps):
    model = random_float(readout=readout, head="sigmoid", classes=1)
    x = windows(steps=steps)
    every = logits(random_float(readout="every", head="sigmoid", classes=1), x)
    assert every.shape == (6, steps, 1)
    ages = np.arange(steps)[:, None] - np.arange(steps)
    leaky = {k: np.where(ages < 0, 0, 0.5**k * (1 - 0.5**k) ** ages) @ every for k in (1, 2, 7)}
    running = every.cumsum(axis=1) / np.arange(1, steps + 1)[:, None]
    wanted = {
        "last": every[:, -1],
        "mean": every.mean(axis=1),
        "every": every,
        "running": running,
        "leaky": leaky[7],
        "leaky:1@end": leaky[1][:, -1],
        "leaky:2@3": leaky[2][:, [0] if steps == 1 else [2, 3]],
        "mean@2": running[:, 1::2] if steps > 1 else running,
        "last@4": every[:, -1:],
    }
    assert np.allclose(logits(model, x), wanted[readout], rtol=0, atol=1e-12)
    assert reading_of(readout).each == (logits(model, x).ndim == 3)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("readout", NAMES)
def test_files_keep_head_and_readout(random_model, random_float, tmp_path, head, readout):
    for make in (random_model, random_float):
        model = make(readout=readout, head=head, classes=OUTPUTS[head])
        save_model(tmp_path / "model", model)
        found = load_any(tmp_path / "model")
        assert type(found) is type(model)
        assert (found.head, found.readout, found.outputs) == (head, readout, OUTPUTS[head])
        raw = (tmp_path / "model").read_bytes()
        # A file of classes is that of programs which know nothing else.
        assert (b"head" in raw) == (head != "classes")
        save_model(tmp_path / "again", found)
        assert raw == (tmp_path / "again").read_bytes()


def test_quantizing_keeps_the_head(random_float):
    model = random_float(head="regression", classes=2, readout="running")
    made = quantize(model, Levels.of(3, 3), windows().astype(np.float64))
    assert (made.head, made.readout, made.outputs, made.classes) == (
        *("regression", "running"),
        *(2, 0),
    )


def test_a_readout_that_is_not_there(random_model):
    names = re.escape("'first': give last or mean or every or running or leaky, or last, mean or")
    with pytest.raises(MubinnError, match=f"unknown readout {names}"):
        random_model(readout="first")
    for name in ("leaky:0", "leaky:17@end"):
        with pytest.raises(MubinnError, match="a leaky mean has a k from 1 to 16, not"):
            random_model(readout=name)
    for name in ("last@0", "mean@65537"):
        with pytest.raises(MubinnError, match="every n-th step with n from 1 to 65536, not"):
            random_model(readout=name)
    assert random_model(readout="leaky:7@1").readout == "leaky"
    model = random_model(readout="last")
    w = replace(model.dense.w, scales=model.dense.w.scales << 27)
    wide = replace(model, dense=replace(model.dense, w=w))
    with pytest.raises(MubinnError, match="the leaky mean with k = 16 of a logit may need more"):
        replace(wide, readout="leaky:16")
