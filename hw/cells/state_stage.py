"""The second half of a cell, from the sums z of its gates to its new state, in any datapath."""

from abc import abstractmethod
from typing import Generic, TypeVar

from amaranth.hdl import Module, Value, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Member, Out

from mubinn.golden.cells.cell_params import CellParams
from mubinn.hw.cells.cell_layout import CellLayouts
from mubinn.hw.stream.component import Component, FieldValue, View
from mubinn.hw.stream.fields import drive, fields_of
from mubinn.hw.stream.pipe import Pipe

Params = TypeVar("Params", bound=CellParams)


class StateStage(Component, Generic[Params]):
    """What all state stages share: the streams, the trace, a latency.

    The sums of f, i, g and o of a cell (of a GRU, its rows in each phase) arrive in this order, one
    a transfer; the cell's new state leaves `latency` cycles after the last was taken, where nothing
    stalls. One transfer a cycle. The scales, tables or thresholds are constants of the hardware.

    Parameters
    ----------
    params : CellParams
    trace : bool
        Add a port that shows every intermediate of the cell at the output.

    Members
    -------
    i : In(stream.Signature(CellLayouts.state_input))
        ``z`` with the bias in it, ``gate`` (0 to 3), and, read with gate o, the old code ``c`` and
        the threshold offset ``h_offset``.
    o : Out(stream.Signature(CellLayouts.output))
        New codes of c and h.
    probe : Out(trace_layout(params)), with `trace`
        Belongs to ``o.payload``; the fields have the names of the golden intermediates.
    """

    i: stream.Interface
    o: stream.Interface
    probe: View

    FIRST_PHASE: tuple[str, ...] = ()
    """Fields of `probe` that belong to the first of two phases."""

    def __init__(self, params: Params, *, trace: bool = False) -> None:
        self.params = params
        self.layouts = CellLayouts(params)
        self._trace = trace
        members: dict[str, Member] = {
            "i": In(stream.Signature(self.layouts.state_input)),
            "o": Out(stream.Signature(self.layouts.output)),
        }
        if trace:
            members["probe"] = Out(self.trace_layout(params))
        super().__init__(members)

    @classmethod
    def suits(cls, params: Params) -> bool:
        """Return whether this form of the stage can be built for a cell, and is worth it."""
        return True

    @classmethod
    @abstractmethod
    def latency(cls, params: Params) -> int:
        """Return the cycles from the transfer of gate o to that of the new state, at least 1."""

    @classmethod
    @abstractmethod
    def trace_layout(cls, params: Params) -> data.StructLayout:
        """Return the layout of `probe`: every intermediate of one cell.

        What each gate has stands in ``gates``, an array of structures.
        """


class PipelinedState(StateStage[Params], Generic[Params]):
    """A state stage of `latency` registers, one after the other."""

    def _kept(self, s: View, *names: str, **new: Value | View) -> dict[str, Value | View]:
        """Return what a stage carries on for the trace: fields `names` of `s`, and new ones."""
        return fields_of(s, *names) | new if self._trace else {}

    def elaborate(self, platform: object) -> Module:
        """Return the pipeline."""
        m = Module()
        pipe = Pipe(m, self.i)
        self._build(m, pipe)
        assert pipe.stages == self.latency(self.params)
        return m

    @abstractmethod
    def _build(self, m: Module, pipe: Pipe) -> None:
        """Add the stages, from the streams' input to their output."""

    def _finish(self, m: Module, pipe: Pipe, c: Value, h: Value, /, **traced: FieldValue) -> None:
        """Hand the new state over, and with a trace what else the probe shows."""
        pipe.end(self.o)
        drive(m, self.o.payload, c=c, h=h)
        if self._trace:
            drive(m, self.probe, **traced)


def code_layout(params: CellParams) -> data.StructLayout:
    """Return the layout of what one gate computes on the threshold datapath."""
    return data.StructLayout({"gate": unsigned(params.layer.levels.count("gate"))})
