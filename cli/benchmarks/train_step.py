"""``mubinn bench train-step``: one binarized training step beside float ones, on this machine.

Forward, backward and the optimiser's update are timed for the JAX graphs; for PyTorch forward and
backward of ``nn.LSTM`` alone, the mean over steps for a loss. Each takes the threads that its
framework chooses. Measure on an idle machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from mubinn.cli.benchmarks.figures import best_seconds, figure, versions
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError

BATCH, STEPS, FEATURES, HIDDEN, CLASSES = 64, 320, 32, 100, 2
LEVELS = (3, 3)
ROUNDS = 7
CLIP = 1.0
GOALS = {"ratio_float": 1.3, "ratio_torch": 1.5}
Run = Callable[[], None]


def bench_train_step(rounds: int = ROUNDS, steps: int = STEPS) -> dict[str, Any]:
    """Return the time of a (3, 3) training step over that of a float step, in JAX and PyTorch.

    They run in turn, `rounds` times; the best time of each counts.

    Raises
    ------
    MubinnError
        Where JAX or PyTorch is not installed, or `rounds` or `steps` is below 1.
    """
    if rounds < 1 or steps < 1:
        raise MubinnError("The measurement takes at least 1 round and 1 time step.")
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (BATCH, steps, FEATURES)).astype(np.float32)
    y = rng.integers(0, CLASSES, BATCH).astype(np.int32)
    runs = {
        "float": _jax(None, x, y),
        "mubinn2": _jax(Levels.of(*LEVELS), x, y),
        "torch": _torch(x),
    }
    seconds = best_seconds(runs, rounds)
    ratios = {
        "ratio_float": seconds["mubinn2"] / seconds["float"],
        "ratio_torch": seconds["mubinn2"] / seconds["torch"],
    }
    return {
        "figures": [
            figure(name, value, "1", f"<= {GOALS[name]:g}") for name, value in ratios.items()
        ],
        "versions": versions("mubinn", "jax", "jaxlib", "optax", "numpy", "torch"),
        "parameters": {
            "batch": BATCH,
            "steps": steps,
            "features": FEATURES,
            "hidden": HIDDEN,
            "levels": "({},{})".format(*LEVELS),
            "cores": os.cpu_count(),
            "rounds": rounds,
            "seconds": seconds,
        },
    }


def _jax(levels: Levels | None, x: Any, y: Any) -> Run:
    """Return one step of the trainer, float where there are no levels."""
    try:
        jax: Any = import_module("jax")
        import_module("optax")
    except ImportError as error:
        raise MubinnError(
            "JAX and optax are not installed; run: pip install 'mubinn[train]'."
        ) from error
    from mubinn.golden.cells.library import lstm
    from mubinn.golden.model.float_model import Preprocessing
    from mubinn.train.graphs import network
    from mubinn.train.graphs.graph import Graph, Pace, compiled
    from mubinn.train.recipes.method import Method
    from mubinn.train.recipes.stack import LayerForm
    from mubinn.train.runs.devices import BatchSharding

    batch_sharding = BatchSharding(len(x))
    method = Method() if levels is None else Method("mubinn2", levels)
    form = LayerForm(lstm, HIDDEN)
    graph = Graph(method, "mean", (form.kind(CLIP),))
    drawn = network.init_params((form,), 0, FEATURES, CLASSES)
    model = network.to_model(drawn, graph.kinds, "mean", Preprocessing(), {})
    optimizer, step, _ = compiled(graph, Pace(1e-3, 1e-3, 0.05, 1.0, 1000))
    params = batch_sharding.copies(graph.start(model, x[:8]))
    state = [params, batch_sharding.copies(optimizer.init(params))]

    def run() -> None:
        *state[:], value = step(*state, *batch_sharding.parts(x, y))
        jax.block_until_ready((state, value))

    return run


def _torch(x: Any) -> Run:
    """Return forward and backward of PyTorch's LSTM."""
    try:
        torch: Any = import_module("torch")
    except ImportError as error:
        raise MubinnError(
            "PyTorch is not installed to compare with; run: pip install torch."
        ) from error
    lstm = torch.nn.LSTM(FEATURES, HIDDEN, batch_first=True)
    return partial(_torch_step, lstm, torch.from_numpy(x))


def _torch_step(lstm: Any, x: Any) -> None:
    lstm.zero_grad()
    lstm(x)[0].mean().backward()
