"""From raw samples to the level bits of a frame, one sample at a time."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, ValueLike, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.cells.figure3 import encoder
from mubinn.golden.cells.operations import Wide
from mubinn.golden.ground.fixed import signed_width
from mubinn.golden.model.sample_format import SampleFormat
from mubinn.hw.cells.operations import operate
from mubinn.hw.stream.component import Component, Memory
from mubinn.hw.stream.fields import frame_layout


def sample_layout(width: int) -> data.StructLayout:
    """Return one sample and whether its frame is a window's last."""
    return data.StructLayout({"value": signed(width), "last": unsigned(1)})


class SampleEncoder(Component):
    """`QuantizedModel.encode_input` in hardware: the encoder on one channel after the other.

    A frame takes ``params.features`` transfers, channel 0 first, and is offered in the cycle after
    the last one; the next frame's first sample is taken when the frame is. Where channels have
    offsets of their own, nothing is taken in the first cycle after a reset, which reads channel
    0's.

    Parameters
    ----------
    params : SampleFormat

    Members
    -------
    i : In(stream.Signature(sample_layout(width)))
        ``last`` counts with a frame's last sample.
    o : Out(stream of {x: planes of I bits, last: 1})
    full : Out(1)
        The sample that is next is its frame's last.
    """

    i: stream.Interface
    o: stream.Interface
    full: Signal

    def __init__(self, params: SampleFormat) -> None:
        self.params = params
        frame = frame_layout(params.features, params.quantizer.levels)
        super().__init__(
            {
                "i": In(stream.Signature(sample_layout(params.width))),
                "o": Out(stream.Signature(frame)),
                "full": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return the encoder and the shift registers of the planes."""
        m = Module()
        quantizer, features, frame = self.params.quantizer, self.params.features, self.o.payload
        offsets: list[int] = (quantizer.offset << INPUT_FRACTION - quantizer.fraction).tolist()
        count, following = Signal(range(features)), Signal(range(features))
        full, taken = self.full, Signal()
        m.d.comb += [
            self.i.ready.eq((~self.o.valid | self.o.ready) & self._awake(m, offsets)),
            full.eq(count == features - 1),
            taken.eq(self.i.valid & self.i.ready),
            following.eq(Mux(taken, Mux(full, 0, count + 1), count)),
        ]
        m.d.sync += count.eq(following)
        sample = Wide((1 << self.params.width - 1) - 1, INPUT_FRACTION)
        offset = self._offset(m, offsets, following)
        code = operate(m, "encode_x", encoder(quantizer, sample), [self.i.payload.value], offset)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(taken):
            m.d.sync += [self.o.valid.eq(full), frame.last.eq(self.i.payload.last)]
            for level in range(quantizer.levels):
                m.d.sync += frame.x[level].eq(Cat(frame.x[level], code[level])[1:])
        return m

    @staticmethod
    def _awake(m: Module, offsets: list[int] | int) -> ValueLike:
        """Return whether the offset read is that of the channel that comes next."""
        if not isinstance(offsets, list):
            return 1
        awake = Signal()
        m.d.sync += awake.eq(1)
        return awake

    def _offset(self, m: Module, offsets: list[int] | int, following: Value) -> Value | None:
        """Return the offset of the channel that comes next, if channels have their own."""
        if not isinstance(offsets, list):
            return None
        width = signed_width(max(map(abs, offsets)))
        memory = Memory(shape=signed(width), depth=len(offsets), init=offsets)
        m.submodules.m_x_offset = memory
        port = memory.read_port()
        m.d.comb += port.addr.eq(following)
        return Value.cast(port.data)
