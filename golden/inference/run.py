"""Fast bit-true inference over whole data sets: scores equal those of `bit_true.run` exactly.

Windows run in batches, the batch along the last axis of every array, so that one step's arrays stay
in a core's cache. `mubinn.golden.inference.tables` says what a step consists of. Batches run in
threads, as NumPy lets go of the interpreter inside each call; the BLAS is held to one thread each.

There are three kernels of equal results. ``numpy`` needs nothing else. The others need numba, which
takes a moment to start, so data sets of fewer than `LEAST_WORK` multiply-adds do without:
``popcount`` works on level bits in words, and is taken where a row of all level pairs has few
words (`COLUMNS_PER_WORD`); ``fused`` keeps the matrix product and compiles what follows it.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from mubinn.golden.cells.library import lstm
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.inference.bits import BitTables, depth, read_bits, words_of
from mubinn.golden.inference.compiled import available, kernels
from mubinn.golden.inference.gates import COMPARE_LIMIT
from mubinn.golden.inference.gru import gru_scores
from mubinn.golden.inference.input import Array, InputTables, check_windows, peak, unit
from mubinn.golden.inference.step import FusedRun, LayerRun
from mubinn.golden.inference.tables import TABLE_LIMIT, LayerTables
from mubinn.golden.model.quantized_model import QuantizedModel

BATCH = 512
"""Windows in a batch: at 100 cells a step's arrays then fill about 1 MiB."""

Kernel = Literal["numpy", "fused", "popcount"]

LEAST_WORK = 1 << 33
"""Multiply-adds of the matrix products from which on numba's start is worth its while."""

COLUMNS_PER_WORD = 4
"""A word of one level pair costs the popcount kernel what these many columns cost a BLAS."""

FUSED_COMPARE_LIMIT = 32
"""The fused kernel compares up to so many thresholds a gate; above, NumPy's index is as fast."""


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
    kernel : "numpy", "fused", "popcount" or None
        None chooses for each data set, as this module says.

    Raises
    ------
    MubinnError
        Where scales are too long for exact sums, or `kernel` cannot run this model here.
    """

    def __init__(
        self,
        model: QuantizedModel,
        *,
        compare_limit: int = COMPARE_LIMIT,
        table_limit: int = TABLE_LIMIT,
        packs: bool = True,
        kernel: Kernel | None = None,
    ):
        self.model = model
        self.kernel = kernel
        self.table_limit = table_limit
        self.input = InputTables.of(model.layers[0].x)
        self.layers = [
            LayerTables.of(layer, compare_limit, table_limit, packs) for layer in model.lstm_layers
        ]
        if kernel not in (None, "numpy") and not available():
            raise MubinnError(
                f"the {kernel} kernel needs numba: install it with pip install 'mubinn[fast]'."
            )
        if kernel == "popcount" and self.bits is None:
            raise MubinnError(
                "the sums or tables of this model are too long for the popcount kernel: "
                "take the fused or the numpy kernel."
            )

    @cached_property
    def bits(self) -> list[BitTables] | None:
        """Tables of the popcount kernel; None where sums or tables are too long for it."""
        planes = max(depth(layer) for layer in self.model.lstm_layers)
        pairs = zip(self.model.lstm_layers, self.layers, strict=True)
        found = [BitTables.of(layer, tables, planes) for layer, tables in pairs]
        return None if None in found else [own for own in found if own is not None]

    @cached_property
    def fused(self) -> list[LayerTables]:
        """Tables of the fused kernel."""
        return [
            LayerTables.of(layer, FUSED_COMPARE_LIMIT, self.table_limit, packs=False)
            for layer in self.model.lstm_layers
        ]

    def choose(self, windows: int, steps: int) -> Kernel:
        """Return the kernel for a data set of so many windows and steps."""
        if self.kernel is not None:
            return self.kernel
        layers = self.model.lstm_layers
        columns = sum(layer.wx.rows * (layer.hidden + layer.features) for layer in layers)
        if windows * steps * columns < LEAST_WORK or not available():
            return "numpy"
        words = sum(map(words_of, layers))
        few = words * COLUMNS_PER_WORD <= columns
        return "popcount" if few and self.bits is not None else "fused"

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

        kernel = self.choose(len(x), x.shape[1])
        if kernel != "numpy":
            kernels()  # once, before there are threads

        def work(part: slice) -> int:
            scores[part] = self._scores(x[part], kernel)
            return int(part.stop - part.start)

        with _one_blas_thread():
            for done in _each(work, parts, threads):
                if progress is not None:
                    progress(done)
        return Inference(scores, scores.argmax(axis=-1))

    def _check(self, x: Array, batch: int, threads: int) -> None:
        check_windows(x)
        if min(batch, threads) < 1:
            raise MubinnError(f"batch {batch} and threads {threads} must both be at least 1.")
        if x.shape[2] != self.model.features:
            self.model.encode_input(x)  # raises with the right words

    def _scores(self, x: Array, kernel: Kernel) -> Ints:
        if kernel == "popcount":
            assert self.bits is not None
            read = read_bits(self.bits, self.input, self.model, x)
        else:
            read = self._read_steps(x, kernel)
        h_q, dense = self.model.layers[-1].h, self.model.dense
        count = x.shape[1] if self.model.readout == "mean" else 1
        # The sum of h over the steps is exact, and so is the sum of logits that it gives.
        h = (2 * read.T.astype(np.int64) - count * peak(h_q)) * unit(h_q)
        return np.asarray(h @ dense.w.values.T + count * dense.b.values)

    def _read_steps(self, x: Array, kernel: Kernel) -> Array:
        """Return m of h of the top layer, of the last step or summed over all: [H, N]."""
        layers = self.fused if kernel == "fused" else self.layers
        fits = [kernel == "fused" and own.gates.thresholds is not None for own in layers]
        runs = [
            (FusedRun if fit else LayerRun)(own, len(x))
            for fit, own in zip(fits, layers, strict=True)
        ]
        top, most = runs[-1], x.shape[1] * peak(self.model.layers[-1].h)
        total = np.zeros(top.h.shape, np.float32 if most < 1 << 24 else np.float64)
        for now in self.input.encode(self.model, x):
            below = now
            for run in runs:
                np.copyto(run.x, below, casting="unsafe")
                run.step()
                below = run.h
            if self.model.readout == "mean":
                total += top.h
        return total if self.model.readout == "mean" else top.h


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
    """Return scores and classes of prepared windows; parameters as in `CompiledModel.infer`.

    Other cells than LSTMs run without compiled tables, and without threads of their own.
    """
    if any(layer.cell is not lstm for layer in model.layers):
        scores = gru_scores(model, x, batch, progress)
        return Inference(scores, scores.argmax(axis=-1))
    return CompiledModel(model).infer(x, batch=batch, threads=threads, progress=progress)
