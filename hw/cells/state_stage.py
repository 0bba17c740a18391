"""The second half of a cell, from the sums z of its gates to its new state, in any datapath."""

from abc import abstractmethod
from importlib import import_module
from typing import Any

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from mubinn.golden.cells.gru_layer import GruLayer, QuantizedGru
from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.cells.cell_layout import CellLayouts


class Tail(wiring.Component):  # type: ignore[type-arg]
    """What all tails share: the streams, the trace, a latency.

    The sums of f, i, g and o of a cell (of a GRU, its rows in each phase) arrive in this order, one
    a transfer; the cell's new state leaves `latency` cycles after the last was taken, where nothing
    stalls. One transfer a cycle. The scales, tables or thresholds are constants of the hardware.

    Parameters
    ----------
    params : AnyCellParams
    trace : bool
        Add a port that shows every intermediate of the cell at the output.

    Members
    -------
    i : In(stream.Signature(CellLayouts.tail_input))
        ``z`` with the bias in it, ``gate`` (0 to 3), and, read with gate o, the old code ``c`` and
        the threshold offset ``h_offset``.
    o : Out(stream.Signature(CellLayouts.output))
        New codes of c and h.
    probe : Out(trace_layout(params)), with `trace`
        Belongs to ``o.payload``; the fields have the names of the golden intermediates.
    """

    i: Any
    o: Any
    probe: Any

    FIRST_PHASE: tuple[str, ...] = ()
    """Fields of `probe` that belong to the first of two phases."""

    def __init__(self, params: Any, *, trace: bool = False) -> None:
        self.params = params
        self.layouts = CellLayouts(params)
        self._trace = trace
        members: dict[str, Any] = {
            "i": In(stream.Signature(self.layouts.tail_input)),
            "o": Out(stream.Signature(self.layouts.output)),
        }
        if trace:
            members["probe"] = Out(self.trace_layout(params))
        super().__init__(members)

    def _kept(self, s: Any, *names: str, **new: Any) -> dict[str, Any]:
        """Return what a stage carries on for the trace: fields `names` of `s`, and new ones."""
        return {name: getattr(s, name) for name in names} | new if self._trace else {}

    @classmethod
    def for_cell(cls, params: Any) -> "type[Tail]":
        """Return the form of this tail that suits a cell."""
        return cls

    @classmethod
    @abstractmethod
    def latency(cls, params: Any) -> int:
        """Return the cycles from the transfer of gate o to that of the new state, at least 1."""

    @classmethod
    @abstractmethod
    def trace_layout(cls, params: Any) -> data.StructLayout:
        """Return the layout of `probe`: every intermediate of one cell.

        What each gate has stands in ``gates``, an array of four structures.
        """


def gate_layout(params: Any) -> data.StructLayout:
    """Return the layout of what one gate computes on the units of Figure 3."""
    table = params.layer.formats.activation("f")
    return data.StructLayout(
        {
            "z_q": signed(table.in_width),
            "y": signed(table.out_width),
            "gate": unsigned(params.layer.levels.count("gate")),
        }
    )


TAILS: dict[str, tuple[str, str]] = {
    "figure3": ("mubinn.hw.cells.figure3_state", "Figure3Tail"),
    "threshold": ("mubinn.hw.cells.threshold_state", "ThresholdTail"),
}
"""Module and class of the tail of each datapath of an LSTM."""

GRU_TAILS: dict[str, tuple[str, str]] = {
    "figure3": ("mubinn.hw.cells.gru_figure3_state", "GruTail"),
    "threshold": ("mubinn.hw.cells.gru_threshold_state", "GruThresholdTail"),
}


CHO_TAILS: dict[str, tuple[str, str]] = {
    "figure3": ("mubinn.hw.cells.gru_before_figure3_state", "ChoTail"),
    "threshold": ("mubinn.hw.cells.gru_before_threshold_state", "ChoThresholdTail"),
}


def tail_class(params: Any) -> type[Tail]:
    """Return the class of the tail of the layer's cell and datapath.

    Raises
    ------
    MubinnError
        On an unknown datapath.
    """
    tails = TAILS
    if isinstance(params.layer, GruLayer):
        tails = GRU_TAILS if isinstance(params.layer, QuantizedGru) else CHO_TAILS
    datapath = params.layer.datapath
    if datapath not in tails:
        raise MubinnError(f"unknown datapath {datapath!r}: give one of {', '.join(tails)}.")
    module, name = tails[datapath]
    found: type[Tail] = getattr(import_module(module), name)
    return found.for_cell(params)


def make_tail(params: Any, *, trace: bool = False) -> Tail:
    """Return a tail of the layer's datapath; see :func:`tail_class`."""
    return tail_class(params)(params, trace=trace)
