"""Windows, results and weights for the benches in which a driver runs a model."""

import json

import numpy as np

from mubinn.golden.model.bit_true import run, run_from
from mubinn.hw.accelerator.plans import plans
from mubinn.hw.accelerator.state_parts import WholeState, state_bytes
from mubinn.hw.export.golden_vectors import drawn_windows
from mubinn.hw.export.interface import interface
from mubinn.hw.layer.loadable_memory import contents


def stimulus_of(model, design, windows, steps, kept=None):
    """Random windows as they are sent, and the fields of their results."""
    x, codes = drawn_windows(design.core, windows, steps, kept=kept)
    if kept is None:
        _, scores, classes = run(model, codes)
    else:
        scores, classes = kept_results(model, codes, kept)
    name = "values" if model.head == "regression" else "logits"
    ends = np.tile(np.arange(steps) == steps - 1, (windows, 1)).astype(int)
    return {
        "about": np.frombuffer(json.dumps(interface(design)).encode(), np.uint8),
        "x": x,
        **({} if classes is None else {"result_label": classes}),
        # One number stands alone.
        f"result_{name}": scores if model.outputs > 1 else scores[..., 0],
        **({"result_end": ends} if scores.ndim == 3 else {}),
    }


def streams_of(model, design, streams, steps):
    """Windows of several streams, results as each stream has alone, and the states as bytes."""
    about = stimulus_of(model, design, len(streams), steps, [True] * len(streams))
    _, codes = drawn_windows(design.core, len(streams), steps, kept=[True] * len(streams))
    before, scores, classes, states = {}, [], [], [state_bytes(design.core)]
    for window, stream in zip(codes, streams, strict=True):
        _, *said, before[stream] = run_from(model, window, before.get(stream))
        scores.append(said[0])
        classes.append(said[1])
        states.append(state_bytes(design.core, WholeState(before[stream])))
    assert (np.stack(scores) != about["result_logits"]).any()
    return about | {
        "result_logits": np.stack(scores),
        "result_label": np.stack(classes),
        "streams": np.array(streams),
        "states": np.array([list(state) for state in states], np.uint8),
    }


def kept_results(model, codes, kept):
    """Scores and classes of windows, each from the state that is kept of the one before."""
    state, found = None, []
    for window, keeps in zip(codes, kept, strict=True):
        _, scores, classes, left = run_from(model, window, state)
        found.append((scores, classes))
        state = left if keeps else None
    return tuple(np.stack(own) for own in zip(*found, strict=True))


def loading(design, other, **options):
    """The weights of a design, and those of another model, which it is to refuse."""
    loaded, foreign = contents(design.core.plans), contents(plans(other, **options))
    assert len(foreign) == len(loaded)
    assert len(loaded) % 4
    return {
        "contents": np.frombuffer(loaded, np.uint8),
        "foreign": np.frombuffer(foreign, np.uint8),
    }
