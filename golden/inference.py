"""Fast bit-true inference over whole data sets: scores equal `mubinn.golden.bit_true.run` exactly.

Windows run in batches, the batch along the last axis of every array, so that one step's arrays stay
in a core's cache. `mubinn.golden.inference_tables` says what a step consists of. Batches run in
threads, as NumPy lets go of the interpreter inside each call; the BLAS is held to one thread each.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np

from mubinn.golden.errors import MubinnError
from mubinn.golden.fixed import Ints
from mubinn.golden.inference_gates import COMPARE_LIMIT
from mubinn.golden.inference_input import Array, InputTables, peak, unit
from mubinn.golden.inference_step import LayerRun
from mubinn.golden.inference_tables import TABLE_LIMIT, LayerTables
from mubinn.golden.lstm_model import QuantizedModel

BATCH = 256
"""Windows in a batch: at 100 cells a step's arrays then fill about 1 MiB."""


@dataclass(frozen=True, eq=False)
class Inference:
    """Result over N windows.

    Attributes
    ----------
    scores : int64 [N, C]
        Logits of the last step, or summed over the steps for the mean readout.
    classes : int64 [N]
        The first of the largest scores.
    """

    scores: Ints
    classes: Ints


class CompiledModel:
    """A quantized model with its tables built, for repeated use.

    Parameters
    ----------
    model : QuantizedModel
    compare_limit, table_limit, packs : int, int, bool
        See `LayerTables.of`; they affect the speed alone.

    Raises
    ------
    MubinnError
        Where scales are too long for exact sums.
    """

    def __init__(
        self,
        model: QuantizedModel,
        *,
        compare_limit: int = COMPARE_LIMIT,
        table_limit: int = TABLE_LIMIT,
        packs: bool = True,
    ):
        self.model = model
        self.input = InputTables.of(model.layers[0].x)
        self.layers = [
            LayerTables.of(layer, compare_limit, table_limit, packs) for layer in model.layers
        ]

    def infer(
        self,
        x: Array,
        *,
        batch: int = BATCH,
        threads: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Inference:
        """Return scores and classes of prepared windows.

        Parameters
        ----------
        x : float32 [N, T, I]
            Prepared samples; other types work, slower.
        batch : int
            Most windows computed at once.
        threads : int or None
            None uses every core that the process may use.
        progress : callable or None
            Called in this thread with the count of windows just finished.

        Raises
        ------
        MubinnError
            On a wrong shape, NaN, or a batch or thread count below 1.
        """
        threads = _cores() if threads is None else threads
        self._check(x, batch, threads)
        scores = np.zeros((len(x), self.model.classes), np.int64)
        if not len(x):
            return Inference(scores, scores.argmax(axis=-1))
        # A multiple of the thread count leaves no thread idle for the length of a batch.
        rounds = -(-len(x) // (batch * threads))
        edges = np.linspace(0, len(x), min(rounds * threads, len(x)) + 1).astype(int)
        parts = [slice(a, b) for a, b in pairwise(edges)]

        def work(part: slice) -> int:
            scores[part] = self._scores(x[part])
            return int(part.stop - part.start)

        with _one_blas_thread():
            for done in _each(work, parts, threads):
                if progress is not None:
                    progress(done)
        return Inference(scores, scores.argmax(axis=-1))

    def _check(self, x: Array, batch: int, threads: int) -> None:
        if x.ndim != 3 or not x.shape[1]:
            raise MubinnError(
                f"data of shape {x.shape} are not (windows, steps, channels): "
                "prepare them as the model's input is."
            )
        if min(batch, threads) < 1:
            raise MubinnError(f"batch {batch} and threads {threads} must both be at least 1.")
        if x.shape[2] != self.model.features:
            self.model.encode_input(x)  # raises with the right words

    def _scores(self, x: Array) -> Ints:
        runs = [LayerRun(tables, len(x)) for tables in self.layers]
        top, steps = runs[-1], x.shape[1]
        h_q = self.model.layers[-1].h
        total = np.zeros(top.h.shape, np.float32 if steps * peak(h_q) < 1 << 24 else np.float64)
        for now in self.input.encode(self.model, x):
            below = now
            for run in runs:
                np.copyto(run.x, below, casting="unsafe")
                run.step()
                below = run.h
            if self.model.readout == "mean":
                total += top.h
        read, count = (total, steps) if self.model.readout == "mean" else (top.h, 1)
        # The sum of h over the steps is exact, and so is the sum of logits that it gives.
        h = (2 * read.T.astype(np.int64) - count * peak(h_q)) * unit(h_q)
        dense = self.model.dense
        return np.asarray(h @ dense.w.values.T + count * dense.b.values)


def _each(work: Callable[[slice], int], parts: list[slice], threads: int) -> Iterator[int]:
    if threads == 1 or len(parts) == 1:
        yield from map(work, parts)
        return
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, part) for part in parts]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _one_blas_thread() -> AbstractContextManager[Any]:
    """Hold the BLAS to one thread a call where threadpoolctl is there; only speed depends on it."""
    try:
        threadpoolctl: Any = import_module("threadpoolctl")
    except ImportError:
        return nullcontext()
    limits: AbstractContextManager[Any] = threadpoolctl.threadpool_limits(1, user_api="blas")
    return limits


def infer(
    model: QuantizedModel,
    x: Array,
    *,
    batch: int = BATCH,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Inference:
    """Return scores and classes of prepared windows; parameters as in `CompiledModel.infer`."""
    return CompiledModel(model).infer(x, batch=batch, threads=threads, progress=progress)
