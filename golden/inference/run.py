"""Fast bit-true inference over whole data sets: scores equal those of `bit_true.run` exactly.

Windows run in batches, the batch along the last axis of every array, so that one step's arrays stay
in a core's cache. `mubinn.golden.inference.plan` says what a step of a cell consists of. Batches
run in threads, as NumPy and compiled code let go of the interpreter, with one thread for the BLAS.

There are three kernels of equal results. ``numpy`` needs nothing else. The others need numba, which
takes a moment to start, so data sets of fewer than `LEAST_WORK` multiply-adds do without:
``words`` works on level bits in words, and is taken where a row of all level pairs has few words
(`COLUMNS_PER_WORD`, by how the machine counts bits); ``pairs`` multiplies 16-bit numbers, which
have all levels of a value.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, reduce
from importlib import import_module
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np

from mubinn.golden.cells.place import stages, width
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.ground.process import cores
from mubinn.golden.inference.compiled import WINDOWS, available, host_has, kernels
from mubinn.golden.inference.input import (
    WORD,
    Array,
    InputTables,
    check_windows,
    joined,
    pack,
    peak,
    positive,
    unit,
)
from mubinn.golden.inference.plan import TABLE_LIMIT, Plan
from mubinn.golden.inference.program import Program, words_for
from mubinn.golden.inference.rows import depth, words_of
from mubinn.golden.inference.step import LayerRun, NumpyPlan, stage_steps
from mubinn.golden.model.head import Head, head_of
from mubinn.golden.model.quantized_model import QuantizedModel

BATCH = 512
"""Windows in a batch: at 100 cells a step's arrays then fill about 1 MiB."""

COMPILED_BATCH = {"words": 512, "pairs": 256}
"""The same of the compiled kernels, which hold the states of all steps."""

PIXELS = 1 << 14
"""Most pixels of a batch of layers that sweep frames."""

TILES = {"numpy": 1, "words": WINDOWS, "pairs": WINDOWS}
"""Windows that a kernel computes at once: batches are filled up to a multiple of them."""

Kernel = Literal["numpy", "words", "pairs"]

LEAST_WORK = 1 << 33
"""Multiply-adds of the matrix products from which on numba's start is worth its while."""

COLUMNS_PER_WORD = {True: 3, False: 10}
"""A word of one level pair costs what these many columns of pairs cost, by whether the machine
counts the bits of a vector's words in one instruction."""


@dataclass(frozen=True, eq=False)
class Inference:
    """Result over N windows.

    Attributes
    ----------
    scores : int64 [N, C], or [N, T, C] of a readout at every step
        Of a step; summed over the steps so far for the readouts mean and running; S of leaky.
    head : Head
        What the scores are.
    """

    scores: Ints
    head: Head

    @property
    def classes(self) -> Ints:
        """Classes [N] or [N, T]; raises `MubinnError` for a regression, which has none."""
        return self.head.decide(self.scores)


class CompiledModel:
    """A quantized model with its tables built, for repeated use.

    Parameters
    ----------
    model : QuantizedModel
    table_limit : int
        See `Plan.of`; it affects the speed alone.
    kernel : "numpy", "words", "pairs" or None
        None chooses for each data set, as this module says.

    Raises
    ------
    MubinnError
        Where the fast inference has no form for an equation, or `kernel` cannot run this model
        here.
    """

    def __init__(
        self,
        model: QuantizedModel,
        *,
        table_limit: int = TABLE_LIMIT,
        kernel: Kernel | None = None,
    ):
        self.model = model
        self.kernel = kernel
        self.input = InputTables.of(model.layers[0].x)
        self.plans = [Plan.of(layer, table_limit) for layer in model.layers]
        if kernel in (None, "numpy"):
            return
        if not available():
            raise MubinnError(
                f"the {kernel} kernel needs numba: install it with pip install 'mubinn[fast]'."
            )
        if self.programs(kernel) is None:
            raise MubinnError(
                f"the sums of this model are too long for the {kernel} kernel, or it sweeps "
                "frames: take the numpy one."
            )

    @property
    def _sweeps(self) -> list[Sweep]:
        """The sweeps of the layers, all of frames of one size."""
        return [own.frames for own in self.model.layers if isinstance(own.frames, Sweep)]

    @cached_property
    def numpy(self) -> list[NumpyPlan]:
        """Plans of the numpy kernel."""
        return [NumpyPlan(plan) for plan in self.plans]

    def programs(self, kernel: Kernel) -> list[Program] | None:
        """Return the layers of a compiled kernel; None where sums are too long for it."""
        if kernel not in self._programs:
            found = [Program.of(plan, kernel) for plan in self.plans]
            whole = [own for own in found if own is not None]
            self._programs[kernel] = whole if len(whole) == len(found) else None
        return self._programs[kernel]

    @cached_property
    def _programs(self) -> dict[Kernel, list[Program] | None]:
        return {}

    def choose(self, windows: int, steps: int) -> Kernel:
        """Return the kernel for a data set of so many windows and steps."""
        if self.kernel is not None:
            return self.kernel
        layers = self.model.layers
        columns = sum(layer.wx.rows * (layer.hidden + layer.features) for layer in layers)
        if windows * steps * columns < LEAST_WORK or not available():
            return "numpy"
        each = COLUMNS_PER_WORD[host_has("avx512vpopcntdq")]
        few = sum(map(words_of, layers)) * each <= columns
        order: tuple[Kernel, Kernel] = ("words", "pairs") if few else ("pairs", "words")
        return next((own for own in order if self.programs(own) is not None), "numpy")

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
            Most windows computed at once; compiled kernels take `COMPILED_BATCH` at most.
        threads : int or None
            None uses every core that the process may use.
        progress : callable or None
            Called in this thread with the count of windows just finished.

        Raises
        ------
        MubinnError
            On a wrong shape, NaN, or a batch or thread count below 1.
        """
        threads = cores() if threads is None else threads
        self._check(x, batch, threads)
        reading = self.model.reading
        each = (reading.results(self.model.steps(x.shape[1])),) if reading.each else ()
        found = Inference(
            np.zeros((len(x), *each, self.model.outputs), np.int64), head_of(self.model.head)
        )
        if not len(x):
            return found
        kernel = self.choose(len(x), x.shape[1])
        batch = min([batch, *(max(1, PIXELS // own.pixels) for own in self._sweeps)])
        if kernel != "numpy":
            kernels()  # once, before there are threads
            batch = min(batch, COMPILED_BATCH[kernel])
        # A multiple of the thread count leaves no thread idle for the length of a batch, and whole
        # tiles none of a tile's lanes.
        tiles = -(-len(x) // TILES[kernel])
        rounds = -(-len(x) // (batch * threads))
        edges = np.linspace(0, tiles, min(rounds * threads, tiles) + 1).astype(int)
        edges = np.minimum(edges * TILES[kernel], len(x))
        parts = [slice(a, b) for a, b in pairwise(edges)]

        def work(part: slice) -> int:
            found.scores[part] = self._scores(x[part], kernel)
            return int(part.stop - part.start)

        with _one_blas_thread():
            for done in _each(work, parts, threads):
                if progress is not None:
                    progress(done)
        return found

    def _check(self, x: Array, batch: int, threads: int) -> None:
        check_windows(x)
        if min(batch, threads) < 1:
            raise MubinnError(f"batch {batch} and threads {threads} must both be at least 1.")
        if x.shape[2] != self.model.channels:
            self.model.encode_input(x)  # raises with the right words
        self.model.steps(x.shape[1])  # raises where windows are short
        for sweep in self._sweeps:
            sweep.frames(x[:1])  # raises where they are not of whole frames

    def _scores(self, x: Array, kernel: Kernel) -> Ints:
        programs = self.programs(kernel) if kernel != "numpy" else None
        reading = self.model.reading
        if reading.in_order:
            steps = self._steps([x], len(x)) if programs is None else self._field_steps(x, programs)
            own = (self._summed(m, 1) for m in steps)
            if reading.each:
                return reading.total(np.stack(list(own), axis=1))
            return reduce(reading.after, own, np.zeros((len(x), self.model.outputs), np.int64))
        read = self._read_steps(x) if programs is None else self._read_fields(x, programs)
        return self._summed(read, self.model.steps(x.shape[1]) if reading.sums else 1)

    def _summed(self, read: Array, count: int) -> Ints:
        """Return the sums of scores [N, C] that sums of m of h [H, N] over `count` steps give."""
        h_q, dense = self.model.top[0].h, self.model.dense
        # The sum of h over the steps is exact, and so is the sum of scores that it gives.
        h = (2 * read.T.astype(np.int64) - count * peak(h_q)) * unit(h_q)
        if count == 1:  # `QuantizedModel` sees to it that float64 holds such sums, and it is fast
            sums = (h.astype(np.float64) @ dense.w.values.T.astype(np.float64)).astype(np.int64)
            return np.asarray(sums + dense.b.values)
        return np.asarray(h @ dense.w.values.T + count * dense.b.values)

    def scores_of(self, pieces: Iterable[Array], windows: int) -> Iterator[Ints]:
        """Yield scores [N, C] of each step of windows that come piece by piece, float [N, t, I].

        Of a readout at every step; of the readout leaky S. A piece is asked for when its first
        score is.
        """
        own = (self._summed(m, 1) for m in self._steps(pieces, windows))
        return accumulate(own, self.model.reading.after) if self.model.reading.leak else own

    def _steps(self, pieces: Iterable[Array], windows: int) -> Iterator[Array]:
        """Yield m of h of the top layers after each step, [H, N], of windows in pieces of steps."""
        steps: Iterator[Array]
        steps = (step for piece in pieces for step in self.input.encode(self.model, piece))
        own = iter(self.numpy)
        for stage in stages(self.model.layers):
            steps = stage_steps([LayerRun(next(own), windows) for _ in stage], steps)
        return steps

    def _read_steps(self, x: Array) -> Array:
        """Return m of h of the top layers, of the last step or summed over all: [H, N]."""
        top = self.model.top
        total, first = np.zeros((width(top), len(x))), np.zeros(0)
        for step, now in enumerate(self._steps([x], len(x))):
            first = first if step else now
            if self.model.reading.sums:
                total += now
        if self.model.reading.sums:
            return total
        edges = np.cumsum([layer.outputs for layer in top])[:-1]
        parts = zip(top, np.split(first, edges), np.split(now, edges), strict=True)
        return np.concatenate([a if layer.place.backward else b for layer, a, b in parts])

    def _read_fields(self, x: Array, programs: list[Program]) -> Array:
        """Do as `_read_steps` with compiled loops."""
        counts, _ = self._run_fields(x, programs)
        found = zip(programs[-len(counts) :], counts, strict=True)
        sums = [np.tensordot(own.planes, each.astype(np.int64), axes=1) for own, each in found]
        return np.concatenate(sums)

    def _field_steps(self, x: Array, programs: list[Program]) -> Iterator[Array]:
        """Do as `_steps` with compiled loops."""
        _, made = self._run_fields(x, programs)
        top = programs[-len(made) :]
        for fields in zip(*made, strict=True):
            found = zip(top, fields, strict=True)
            sums = [np.tensordot(own.planes, own.counted(each), axes=1) for own, each in found]
            yield np.concatenate(sums)[..., : len(x)]

    def _run_fields(self, x: Array, programs: list[Program]) -> tuple[list[Array], list[Array]]:
        """Return sums of the fields of h of each top layer [planes, H, N], and its states' fields.

        The states are those after each step where each is read, [T, L, n_h, B], as time has them.
        """
        tile = TILES[programs[0].form]
        batch = -(-len(x) // tile) * tile
        planes = max(map(depth, self.model.layers)) if programs[0].form == "words" else 1
        words = self._encoded(x, programs[0].form, planes, batch)
        found = stages(self.model.layers)
        waiting = iter(programs)
        for stage in found:
            own = [next(waiting) for _ in stage]
            top = stage is found[-1]
            counts, made = zip(
                *(self._run_one(one, words, planes, top) for one in own), strict=True
            )
            if not top:
                words = joined(made, [layer.outputs for layer in stage], own[0].width)
        return [each[..., : len(x)] for each in counts], list(made)

    def _run_one(self, own: Program, words: Array, planes: int, top: bool) -> tuple[Array, Array]:
        """Run one layer on fields [T, L, n, B]; return its sums, and its states as time has them.

        Of a top layer the states are those at the end where no step has a result of its own.
        """
        layer, reading = own.layer, self.model.reading
        words = np.ascontiguousarray(layer.place.ordered(own.read(words, planes), 0))
        steps, batch = len(words), words.shape[-1]
        zero = own.fields(layer.h, layer.h.zero_code(layer.outputs)[:, None], planes)
        kept_steps = 2 if top and not reading.in_order else steps + 1
        longest = words_for(layer.hidden, own.width)
        states = np.zeros((kept_steps, len(zero), longest, batch), np.uint32)
        states[0, :, : zero.shape[1]] = zero
        made = np.zeros((len(own.phases), *states.shape[1:]), np.uint32)
        kept = np.repeat(own.start[..., None], batch, axis=2)
        counts = np.zeros((len(own.planes) if top else 0, layer.outputs, batch), np.int32)
        count_from = 0 if reading.sums else steps - 1
        span = (count_from, *own.span)
        kernels().run_layer(words, states, made, kept, counts, span, own.phases, own.pools)
        return counts, layer.place.ordered(states[1:, :, : zero.shape[1]], 0)

    def _encoded(self, x: Array, form: str, planes: int, batch: int) -> Array:
        """Return fields of the samples, uint32 [T, L, n_x, batch]."""
        quantizer, first = self.model.layers[0].x, self.input
        width, own = (1, first.codes) if form == "words" else (16, first.values)
        columns = -(-self.model.features * width // WORD)
        words = np.zeros((x.shape[1], planes, columns, batch), np.uint32)
        if x.dtype == np.float32 and self.model.embedding is None:
            thresholds = np.broadcast_to(first.thresholds, (len(first.thresholds), x.shape[2]))
            if kernels().encode_words(
                np.ascontiguousarray(x),
                np.ascontiguousarray(thresholds),
                own.astype(np.uint32),
                width,
                words,
            ):
                return words
        codes = self.model.encode_input(x)  # raises on NaN with the right words
        for t in range(x.shape[1]):
            if form == "words":
                words[t, ..., : len(x)] = pack(codes[:, t].T, quantizer.levels, 1, planes)
            else:
                words[t, ..., : len(x)] = pack(positive(quantizer, codes[:, t].T), 1, 16)
        return words


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
    """Return what a model makes of prepared windows; parameters as in `CompiledModel.infer`."""
    return CompiledModel(model).infer(x, batch=batch, threads=threads, progress=progress)
