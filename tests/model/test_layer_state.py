"""Windows that go on from what the one before has left: in pieces, the same bits as in one go."""

import numpy as np
import pytest
from directions import DIRECTIONS, directed
from stacks import STACKS, stacked
from sweeps import SWEEPS, movies, swept

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import dense, gru_before, lstm
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import reference
from mubinn.golden.model.bit_true import layer_inputs, run, run_from
from mubinn.golden.model.layer_state import LayerState, first_state
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.quantize import quantize

CAUSAL = [
    (dense, 3, Frames(3, 1, 2)),
    (lstm, 2, Frames()),
    (dense, 2, Frames(2)),
    (gru_before, 2, Frames()),
]
"""Convolutions, with and without steps of 0 before the first one."""


def made(name, readout, random_of):
    """Return a model, and the least steps of a piece."""
    if name == "convolutions":
        x = np.random.default_rng(0).normal(0, 1, (8, 12, 3))
        return quantize(stacked(CAUSAL, 3, readout), Levels.of(2, 2), x), 1
    if name in SWEEPS:
        floats = swept(SWEEPS[name], readout=readout)
        return quantize(floats, Levels.of(2, 1), movies(SWEEPS[name])), SWEEPS[name][0][2].pixels
    about = {"lstm": {"depth": 2}, "gru": {"cell": "gru"}}[name]
    return random_of(seed=3, levels=(2, 2), features=3, hidden=4, readout=readout, **about), 1


def equal(traces, whole):
    return all(
        np.array_equal(np.concatenate([piece[k][n] for piece in traces]), whole[k][n])
        for k in range(len(whole))
        for n in whole[k]
    )


@pytest.mark.parametrize(
    ("name", "readout"),
    [
        *((name, "every") for name in ("lstm", "gru", "convolutions", "ConvLSTM", "stack")),
        *(("lstm", "leaky:2"), ("convolutions", "leaky:1")),
    ],
)
def test_a_recording_in_pieces_has_the_bits_of_one_go(name, readout, random_of):
    model, unit = made(name, readout, random_of)
    random = np.random.default_rng(1)
    lengths = [2 * unit, unit, 4 * unit, 3 * unit]
    codes = random.integers(0, 1 << model.layers[0].x.levels, (2, sum(lengths), model.features))
    whole, scores, classes = run(model, codes)
    again, *_ = run_from(model, codes)
    assert equal([again], whole)
    state, found, totals, labels = None, [], [], []
    for piece in np.split(codes, np.cumsum(lengths)[:-1], axis=1):
        traces, score, label, state = run_from(model, piece, state)
        found.append(traces)
        totals.append(score)
        labels.append(label)
    assert equal(found, whole)
    assert np.array_equal(np.concatenate(totals, axis=1), scores)
    assert np.array_equal(np.concatenate(labels, axis=1), classes)
    assert not equal([run(model, p)[0] for p in np.split(codes, [2 * unit], axis=1)], whole)


@pytest.mark.parametrize(
    ("name", "readout"),
    [("lstm", "leaky:3"), *((name, "every") for name in ("lstm", "convolutions", "ConvLSTM"))],
)
def test_the_reference_does_the_same(name, readout, random_of):
    model, unit = (
        made(name, readout, random_of)
        if name != "lstm"
        else (stacked([(lstm, 3, Frames())], 2, readout), 1)
    )
    floats = {"lstm": model, "convolutions": stacked(CAUSAL, 3, readout)}.get(name) or swept(
        SWEEPS[name], readout=readout
    )
    x = np.random.default_rng(2).normal(0, 1, (2, 6 * unit, floats.channels))
    carried = [[] for _ in range(len(floats.layers) + (readout != "every"))]
    pieces = np.split(x, [2 * unit, 3 * unit], axis=1)
    found = [reference.logits(floats, piece, carried=carried) for piece in pieces]
    # One sum of a product may be formed in another order where an array has another shape.
    assert np.allclose(
        np.concatenate(found, axis=1), reference.logits(floats, x), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(("readout", "sums"), [("mean", True), ("running", True), ("last", False)])
def test_sums_over_the_steps_begin_anew(readout, sums, random_model):
    model = random_model(seed=2, levels=(2, 1), features=3, hidden=3, readout=readout)
    each = QuantizedModel(model.layers, model.dense, "every")
    codes = np.random.default_rng(4).integers(0, 4, (2, 6, 3))
    _, steps, _ = run(each, codes)
    state = None
    for k, piece in enumerate(np.split(codes, 2, axis=1)):
        _, scores, _, state = run_from(model, piece, state)
        own = steps[:, 3 * k : 3 * k + 3]
        want = {"mean": own.sum(axis=1), "running": own.cumsum(axis=1), "last": own[:, -1]}
        assert np.array_equal(scores, want[readout])


def test_where_no_window_goes_on_from_another(random_model):
    x = np.random.default_rng(7).normal(0, 1, (8, 6, 2))
    both = quantize(directed(DIRECTIONS["two directions"], 2, "mean"), Levels.of(1, 1), x)
    with pytest.raises(MubinnError, match=r"a backward layer begins with the last step .*: let"):
        run_from(both, both.encode_input(x))
    x = np.random.default_rng(7).normal(0, 1, (8, 9, 2))
    floats = stacked(STACKS["strides"], 2)
    strides = quantize(floats, Levels.of(1, 1), x)
    with pytest.raises(MubinnError, match=r"frames 2 steps apart, .*: let the state be cleared"):
        run_from(strides, strides.encode_input(x))
    carried = [[] for _ in floats.layers]
    reference.logits(floats, x, carried=carried)
    with pytest.raises(MubinnError, match="frames 2 steps apart"):
        reference.logits(floats, x, carried=carried)


def test_a_state_of_something_else_is_refused(random_model):
    model = random_model(levels=(2, 1), features=3, hidden=2)
    codes = np.zeros((2, 3, 3), np.int64)
    state = first_state(model, 2)
    wrong = {
        "one of 0 layers": (),
        r"codes \[\[3, 2\], \[3, 2\]\]": first_state(model, 3),
        "numbers for h that are no codes": (
            LayerState((state[0].codes[0] + 8, state[0].codes[1]), state[0].ahead),
        ),
        r"steps \[2, 1, 3\] of its input": (LayerState(state[0].codes, codes[:, :1]),),
    }
    for words, own in wrong.items():
        with pytest.raises(MubinnError, match=words):
            run_from(model, codes, own)


def test_the_frames_of_layers_are_those_of_windows_that_go_on(random_of):
    model, _ = made("lstm", "mean", random_of)
    codes = np.random.default_rng(3).integers(0, 4, (3, 4, 3))
    found = layer_inputs(model, codes, [True, False, True])[1]
    joined = layer_inputs(model, codes[:2].reshape(8, 3))[1]
    assert np.array_equal(found[:2].reshape(joined.shape), joined)
    assert np.array_equal(found[2], layer_inputs(model, codes[2])[1])
    convolved, _ = made("convolutions", "mean", random_of)
    with pytest.raises(MubinnError, match="fewer frames in a first window"):
        layer_inputs(convolved, codes, [True, True, True])
