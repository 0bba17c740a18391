"""Fast inference: one layer's cell over a batch of windows, step by step."""

import numpy as np

from mubinn.golden.inference.bits import padded
from mubinn.golden.inference.compiled import kernels
from mubinn.golden.inference.input import Array
from mubinn.golden.inference.tables import LayerTables


class LayerRun:
    """State and work arrays of one layer over one batch of B windows.

    Attributes
    ----------
    h : float [H, B]
        m of the last step's h.
    x : float [I, B]
        m of the next step's input, to be filled in before each step.
    """

    def __init__(self, tables: LayerTables, batch: int):
        self.t = tables
        hidden = tables.hidden
        self.column = np.ones((tables.gates.weights.shape[1], batch), tables.gates.weights.dtype)
        self.h, self.x = self.column[:hidden], self.column[hidden:-1]
        self.h[:] = tables.h_zero
        self.h_flat = self.h.reshape(-1)
        self.y = np.empty((len(tables.gates.weights), batch), tables.gates.weights.dtype)
        self._prepare(hidden * batch)

    def _prepare(self, size: int) -> None:
        tables = self.t
        self.y_gates = self.y.reshape(-1, size)
        self.y_int = np.empty(self.y.shape, np.int32)
        self.segment = np.zeros((4, size), np.uint8)
        self.reached = np.empty((4, size), np.bool_)
        f, i, g, o = tables.segments
        self.c = np.full(size, tables.c_zero, np.uint8)
        self.fc = np.empty(size, np.min_scalar_type(f * tables.c_codes))
        self.ig = np.empty(size, np.min_scalar_type(i * g))
        self.fcig = np.empty(size, np.min_scalar_type(f * tables.c_codes * i * g))
        self.oc = np.empty(size, np.min_scalar_type(o * tables.c_codes))
        self.index = np.empty(size, np.intp)
        self.raw = np.empty(size, np.int64)

    def step(self) -> None:
        """Compute one time step, Eq. (1)-(6)."""
        np.dot(self.t.gates.weights, self.column, out=self.y)
        self._finish()

    def _finish(self) -> None:
        self._gates()
        self._c()
        self._h()

    def _gates(self) -> None:
        """Eq. (1)-(4): the segment of every z."""
        gates, segment = self.t.gates, self.segment
        if gates.packed_bit is not None:
            np.greater_equal(self.y_gates, 0, out=segment[:2].view(np.bool_))
            np.copyto(self.y_int, self.y, casting="unsafe")
            np.bitwise_and(self.y_int, gates.packed_bit, out=self.y_int)
            np.not_equal(self.y_int, 0, out=segment[2:].view(np.bool_).reshape(self.y.shape))
            return
        if gates.z_tables is not None:
            for y, table, own in zip(self.y_gates, gates.z_tables, segment, strict=True):
                # Truncation is floor except below the table, where clipping hides it.
                np.copyto(self.index, y, casting="unsafe")
                np.take(table, self.index, out=own, mode="clip")
            return
        assert gates.thresholds is not None
        segment[:] = 0
        for threshold in gates.thresholds:
            np.greater_equal(self.y_gates, threshold, out=self.reached)
            np.add(segment, self.reached.view(np.uint8), out=segment)

    def _c(self) -> None:
        """Eq. (5)."""
        t, (f, i, g, _) = self.t, self.segment
        _join(f, t.c_codes, self.c, self.fc)
        _join(i, t.segments[2], g, self.ig)
        if t.c_table is not None:
            _join(self.fc, t.segments[1] * t.segments[2], self.ig, self.fcig)
            np.take(t.c_table, self.fcig, out=self.c, mode="clip")
            return
        np.take(t.fc, self.fc, out=self.raw, mode="clip")
        np.take(t.ig, self.ig, out=self.index, mode="clip")
        np.add(self.index, self.raw, out=self.index)
        np.right_shift(self.index, t.c_shift, out=self.index)
        np.take(t.c_bucket, self.index, out=self.c, mode="clip")

    def _h(self) -> None:
        """Eq. (6)."""
        t = self.t
        _join(self.segment[3], t.c_codes, self.c, self.oc)
        if t.h_table is not None:
            np.take(t.h_table, self.oc, out=self.h_flat, mode="clip")
            return
        np.take(t.h_raw, self.oc, out=self.raw, mode="clip")
        of_cell = self.raw.reshape(self.h.shape)
        np.subtract(of_cell, t.h_offset, out=of_cell)
        np.take(t.h_bucket, self.raw, out=self.h_flat, mode="clip")


class FusedRun(LayerRun):
    """A `LayerRun` that does all after the product in one compiled pass; gates have thresholds."""

    def _prepare(self, size: int) -> None:
        t, kind = self.t, self.y.dtype
        assert t.gates.thresholds is not None
        self.codes = np.full(self.h.shape, t.c_zero, np.uint8)
        self.first = padded(t.gates.first, np.inf).astype(kind)
        table = np.empty(0, np.uint8) if t.c_table is None else t.c_table
        sums = (t.fc, t.ig, t.c_shift, t.c_bucket)
        radix = (t.c_codes, *t.segments[1:3])
        self.cell = (radix, table, sums, t.of_cells(t.h_bucket).astype(kind))

    def _finish(self) -> None:
        kernels().finish_step(self.y, self.h, self.codes, self.first, self.cell)


def _join(high: Array, radix: int, low: Array, out: Array) -> None:
    """``out = high * radix + low``; `out` is wide enough for the result."""
    np.copyto(out, high)
    np.multiply(out, out.dtype.type(radix), out=out)
    np.add(out, low, out=out, casting="unsafe")
