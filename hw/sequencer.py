"""The order of a layer's passes: cells, their gates, and the level pairs of each gate."""

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from mubinn.golden.lstm_model import QuantizedLstm


def pass_layout(layer: QuantizedLstm) -> data.StructLayout:
    """Return what names one pass, and where the memories hold its words.

    ``plane`` is the level of x and h; ``weight, row, gamma`` are addresses, ``gate, cell`` and the
    marks of a gate's first and last pass go with the words.
    """
    levels = layer.levels
    rows = 4 * layer.hidden
    return data.StructLayout(
        {
            "plane": range(max(levels.count("x"), levels.count("h"))),
            "weight": range(rows * levels.count("w")),
            "row": range(rows),
            "gamma": range(4 * levels.passes * (layer.hidden if per_row(layer) else 1)),
            "gate": unsigned(2),
            "cell": range(layer.hidden),
            "first": unsigned(1),
            "last": unsigned(1),
        }
    )


def per_row(layer: QuantizedLstm) -> bool:
    """Return whether any stored tensor has scales of its own for every row."""
    return any(len(tensor.scales) > 4 for tensor in (layer.wx, layer.wh, layer.b))


class Sequencer(wiring.Component):  # type: ignore[type-arg]
    """Names all passes of one time step, one a cycle, innermost first: weight level, level of x
    and h, gate, cell.

    Memories are addressed in this very order, so that addresses count and nothing multiplies.

    Parameters
    ----------
    layer : QuantizedLstm

    Members
    -------
    start : In(1)
        Begin a step; the first pass is offered in the next cycle.
    done : In(1)
        The step's last cell is stored.
    busy : Out(1)
        From the cycle after `start` to the one of `done`.
    o : Out(stream.Signature(pass_layout(layer)))
    """

    start: Any
    done: Any
    busy: Any
    o: Any

    def __init__(self, layer: QuantizedLstm) -> None:
        self.layer = layer
        super().__init__(
            {
                "start": In(1),
                "done": In(1),
                "busy": Out(1),
                "o": Out(stream.Signature(pass_layout(layer))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the nested counters."""
        m = Module()
        levels, o = self.layer.levels, self.o.payload
        w_levels = levels.count("w")
        planes = levels.passes // w_levels
        level = Signal(range(w_levels))
        last_level, last_plane = level == w_levels - 1, o.plane == planes - 1
        last_gate, last_cell = o.gate == 3, o.cell == self.layer.hidden - 1
        m.d.comb += o.first.eq((level == 0) & (o.plane == 0))
        m.d.comb += o.last.eq(last_level & last_plane)
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), self.o.valid.eq(1)]
            m.d.sync += [getattr(o, name).eq(0) for name in ("weight", "row", "gamma", "cell")]
        with m.If(self.done):
            m.d.sync += self.busy.eq(0)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [level.eq(level + 1), o.weight.eq(o.weight + 1), o.gamma.eq(o.gamma + 1)]
            with m.If(last_level):
                m.d.sync += [level.eq(0), o.plane.eq(o.plane + 1)]
                with m.If(~last_plane):
                    m.d.sync += o.weight.eq(o.weight - (w_levels - 1))
            with m.If(o.last):
                m.d.sync += [o.plane.eq(0), o.gate.eq(o.gate + 1), o.row.eq(o.row + 1)]
            with m.If(o.last & last_gate):
                m.d.sync += o.cell.eq(o.cell + 1)
                if not per_row(self.layer):
                    m.d.sync += o.gamma.eq(0)
            with m.If(o.last & last_gate & last_cell):
                m.d.sync += self.o.valid.eq(0)
        return m
