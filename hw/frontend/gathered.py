"""What stands before a layer that reads several steps, or pixels, at once."""

from collections.abc import Mapping

from amaranth.lib import stream
from amaranth.lib.wiring import In, Member, Out

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.hw.stream.component import Component
from mubinn.hw.stream.fields import frame_layout


class Gathered(Component):
    """Steps in, what each step of a layer reads out: the streams of all that gather.

    Parameters
    ----------
    layer : QuantizedLayer
        Whose input it is.
    members : mapping of str to Member
        Further ones.

    Members
    -------
    i : In(stream of {x: planes of inputs bits, last: 1})
    o : Out(stream of {x: planes of taps inputs bits, last: 1})
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, layer: QuantizedLayer, members: Mapping[str, Member] | None = None) -> None:
        self.layer = layer
        levels = layer.x.levels
        super().__init__(
            {
                "i": In(stream.Signature(frame_layout(layer.inputs, levels))),
                "o": Out(stream.Signature(frame_layout(layer.features, levels))),
                **(members or {}),
            }
        )
