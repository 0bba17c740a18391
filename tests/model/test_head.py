"""Heads and readouts through the models: reference, integers, fast inference and files."""

import re

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

OUTPUTS = {"classes": 3, "sigmoid": 1, "regression": 2}
STEPS = 5


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
@pytest.mark.parametrize("readout", READOUTS)
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
    assert np.allclose(model.values(scores, STEPS), wanted, rtol=0, atol=1e-9)
    if head == "regression":
        assert classes is None
    else:
        assert (classes == HEADS[head].decide(wanted)).all()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("readout", READOUTS)
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


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("name", STACKS)
def test_steps_are_those_of_the_last_layer(name, readout):
    floats = stacked(STACKS[name], 2, readout)
    x = windows(features=2, steps=8)
    model = quantize(floats, Levels.of(2, 1), x.astype(np.float64)).with_datapath("threshold")
    _, scores, _ = run(model, model.encode_input(x))
    assert scores.shape[1:-1] == ((model.steps(8),) if reading_of(readout).each else ())
    assert (infer(model, x).scores == scores).all()
    alone, quantizers = dequantize(model)
    wanted = logits(alone, x, quantizers)
    assert np.allclose(model.values(scores, 8), wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("steps", [1, 4])
def test_float_readouts(random_float, readout, steps):
    model = random_float(readout=readout, head="sigmoid", classes=1)
    x = windows(steps=steps)
    every = logits(random_float(readout="every", head="sigmoid", classes=1), x)
    assert every.shape == (6, steps, 1)
    wanted = {
        "last": every[:, -1],
        "mean": every.mean(axis=1),
        "every": every,
        "running": every.cumsum(axis=1) / np.arange(1, steps + 1)[:, None],
    }
    assert np.allclose(logits(model, x), wanted[readout], rtol=0, atol=1e-12)
    assert reading_of(readout).each == (logits(model, x).ndim == 3)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("readout", READOUTS)
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
    names = re.escape("'first': give last or mean or every or running")
    with pytest.raises(MubinnError, match=f"unknown readout {names}"):
        random_model(readout="first")
