"""Fast inference with NumPy alone: a layer's program over a batch of windows, step by step."""

from collections.abc import Iterator
from functools import cached_property
from itertools import islice

import numpy as np

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.place import side_by_side
from mubinn.golden.cells.step import stored_values
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.inference.input import Array, positive
from mubinn.golden.inference.plan import Look, Mix, Plan, Segment

COMPARED = 48
"""Up to so many thresholds are compared one by one; above, a search is faster."""


class NumpyPlan:
    """A plan, its numbers in the types that NumPy is fast with.

    Attributes
    ----------
    weights : list of float [R, n + I]
        By phase.
    stands : list of float [codes]
        By phase m of each code of what is multiplied with W_h.
    counts : float [codes]
        m of each code of h, as what is above the layer reads it.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self.weights = [rows.floats for rows in plan.rows]
        self.stands = [
            _stands(q, plan.layer.quantizers[node.name].levels).astype(weights.dtype)
            for node, q, weights in zip(
                plan.layer.cell.recurrent, plan.layer.states, self.weights, strict=True
            )
        ]
        h = plan.layer.h
        self.counts = _stands(h, h.levels).astype(self.weights[0].dtype)

    @cached_property
    def firsts(self) -> dict[str, Array]:
        """Thresholds by the symbols that they make, [K, H or 1, 1]."""
        found = {}
        for step in self.plan.steps:
            if isinstance(step, Segment):
                first, kind = step.first, np.dtype(np.float64)
                if step.source in self.plan.places:
                    phase, row = self.plan.places[step.source]
                    first = self.plan.rows[phase].first(first, row)
                    kind = self.weights[phase].dtype
                found[step.out] = first.T[:, :, None].astype(kind)
        return found

    @cached_property
    def tables(self) -> dict[Look, Array]:
        """Tables of all steps in short types."""
        steps = self.plan.steps
        terms = (look for step in steps if isinstance(step, Mix) for look, _ in step.terms)
        found = {look: look.table.astype(np.float64) for look in terms}
        for look in (step for step in steps if isinstance(step, Look)):
            found[look] = look.table.astype(np.min_scalar_type(int(look.table.max())))
        return found


def _stands(quantizer: Quantizer, levels: int) -> Array:
    """Return m of codes of so many levels, of which the quantizer has the first ones."""
    codes = np.arange(1 << levels) & (1 << quantizer.levels) - 1
    return positive(quantizer, codes)


def stage_steps(runs: "list[LayerRun]", steps: Iterator[Array]) -> Iterator[Array]:
    """Yield m of h [H, B] of layers beside each other, side by side, of m of steps [I, B]."""
    layers = [run.plan.layer for run in runs]
    if isinstance(layers[0].frames, Sweep):
        return runs[0].sweep(layers[0].frames, steps)
    if len(runs) == 1 and not layers[0].place.backward:
        return map(runs[0].step, runs[0].read(steps))
    whole = np.stack(list(steps))
    orders = [layer.place.ordered(whole, 0) for layer in layers]
    made = [np.stack([*map(run.step, own)]) for run, own in zip(runs, orders, strict=True)]
    return iter(side_by_side(layers, made, axis=0))


class LayerRun:
    """State of one layer over one batch of B windows; of a sweep, of all pixels of their frames.

    Attributes
    ----------
    h : float [H, B]
        m of the last step's h.
    """

    def __init__(self, own: NumpyPlan, batch: int):
        self.own, self.plan, layer = own, own.plan, own.plan.layer
        sweep = layer.frames if isinstance(layer.frames, Sweep) else None
        batch = batch * sweep.pixels if sweep else batch
        self.batch = batch
        self.columns = [np.empty((w.shape[1], batch), w.dtype) for w in own.weights]
        self.values: dict[str, Array] = {}
        for node in layer.cell.states:
            count = layer.sizes.count(node)
            zero = layer.quantizers[node.name].zero_code(count).astype(np.uint8)
            self.values[f"old.{node.name}"] = np.repeat(zero[:, None], batch, axis=1)
        for name, codes in stored_values(layer).items():
            self.values[name] = codes[:, None].astype(np.uint8)

    def read(self, steps: Iterator[Array]) -> Iterator[Array]:
        """Yield m of the frames that the layer reads of m of steps [I, B]."""
        layer = self.plan.layer
        zero = positive(layer.x, layer.x.zero_code(layer.inputs))
        assert not isinstance(layer.frames, Sweep)
        return layer.frames.slide(steps, zero[:, None])

    def sweep(self, sweep: Sweep, steps: Iterator[Array]) -> Iterator[Array]:
        """Yield m of h [H, B] pixel by pixel, of m of pixels [I, B]; it takes frame by frame."""
        layer, windows = self.plan.layer, self.batch // sweep.pixels
        zero = positive(layer.x, layer.x.zero_code(layer.inputs))
        while frame := list(islice(steps, sweep.pixels)):
            x = _gathered(sweep, np.stack(frame, axis=1), zero)
            made = self.step(x.reshape(-1, self.batch))
            yield from np.moveaxis(made.reshape(-1, sweep.pixels, windows), 1, 0)

    def step(self, x: Array) -> Array:
        """Return m of h [H, B] after a step with m of x [I, B]."""
        cell, own = self.plan.layer.cell, self.own
        for phase, (weights, column) in enumerate(zip(own.weights, self.columns, strict=True)):
            read = cell.recurrent[phase]
            name = read.name if read.operation == "encode" else f"old.{read.name}"
            columns = self.plan.layer.sizes.phase_columns(phase)
            count = self.plan.rows[phase].count
            frames = self.plan.layer.frames
            if columns and isinstance(frames, Sweep):
                column[:columns] = self._around(frames, own.stands[phase])
            elif columns:
                np.take(own.stands[phase], self.values[name], out=column[:columns], mode="clip")
            column[columns:] = x
            sums = (weights @ column).reshape(-1, count, self.batch)
            for place, y in zip(self.plan.layer.phases[phase], sums, strict=True):
                self.values[f"{cell.rows[place].name}.z"] = y
            for step in self.plan.phases[phase]:
                self.values[step.out] = self._made(step, count)
        for node in cell.states:
            self.values[f"old.{node.name}"] = self.values[node.name]
        return np.take(own.counts, self.values[f"old.{cell.states[0].name}"])

    def _around(self, sweep: Sweep, stands: Array) -> Array:
        """Return m of h [taps H, B] of the pixels around, one frame ago."""
        layer = self.plan.layer
        codes = self.values[f"old.{layer.cell.states[0].name}"]
        pixels = np.take(stands, codes).reshape(len(codes), sweep.pixels, -1)
        zero = np.take(stands, layer.h.zero_code(layer.outputs))
        return _gathered(sweep, pixels, zero).reshape(-1, self.batch)

    def _made(self, step: Segment | Look | Mix, count: int) -> Array:
        """Return the symbols or numbers [count, B] that a step makes."""
        if isinstance(step, Segment):
            return _reached(self.values[step.source], self.own.firsts[step.out])
        if isinstance(step, Look):
            return np.take(self.own.tables[step], self._index(step, count), mode="clip")
        total = np.zeros((count, self.batch))
        for look, row in step.terms:
            factor = np.take(self.own.tables[look], self._index(look, count), mode="clip")
            total += factor * self._sum(row) if row else factor
        return total

    def _sum(self, row: str) -> Array:
        phase, place = self.plan.places[row]
        scale, constant = self.plan.rows[phase].of_row(place)
        return self.values[row].astype(np.float64) * scale[:, None] + constant[:, None]

    def _index(self, look: Look, count: int) -> Array:
        """Return where symbols stand in the table [H or 1, n], taken as one axis."""
        index = np.zeros((count, self.batch), np.uint32)
        for name, bits in zip(look.operands, look.bits, strict=True):
            index <<= np.uint32(bits)
            index |= self.values[name]
        if len(look.table) > 1:
            index += np.arange(len(look.table), dtype=np.uint32)[:, None] * np.uint32(
                look.table.shape[1]
            )
        return index


def _gathered(sweep: Sweep, pixels: Array, zero: Array) -> Array:
    """Return what pixels read, [taps n, P, B], of [n, P, B]; `zero` [n] is outside."""
    return sweep.neighbours(pixels.transpose(2, 1, 0), zero).transpose(2, 1, 0)


def _reached(values: Array, first: Array) -> Array:
    """Return how many thresholds [K, H or 1, 1] the values [H, B] reach."""
    kind = np.min_scalar_type(len(first))
    if len(first) > COMPARED:
        own = np.broadcast_to(first, (len(first), len(values), 1))[..., 0].T
        found = (np.searchsorted(*pair, side="right") for pair in zip(own, values, strict=True))
        return np.stack(list(found)).astype(kind)
    count = np.zeros(values.shape, kind)
    for threshold in first:
        count += values >= threshold
    return count
