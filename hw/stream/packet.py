"""Frames as beats of an AXI4-Stream, and beats as frames."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.stream.component import Component

LAST = "last"
"""The field of a frame that says, in place of bits, that it ends its packet."""


@dataclass(frozen=True)
class Slot:
    """Where one element of a frame stands in the packet, and where in the payload.

    Attributes
    ----------
    name : str
        Field, with the index in an array, such as ``x[2]``.
    offset, width, signed
        Of the element in the payload, in bits.
    start, size : int
        First bit and bits in the packet: whole bytes, a power of two of them up to 8, so that
        software finds native integers, sign- or zero-extended, little-endian, aligned as in a
        C structure.
    """

    name: str
    offset: int
    width: int
    signed: bool
    start: int
    size: int


def slot_size(width: int) -> int:
    """Return the bits that an element of `width` bits takes in a packet: 8, 16, 32, 64, 128 ..."""
    if width <= 64:
        return max(8, 1 << (width - 1).bit_length())
    return -(-width // 64) * 64


def slots(layout: data.StructLayout) -> list[Slot]:
    """Return the elements of a frame in the order in which they travel, without `LAST`."""
    found: list[Slot] = []
    start = 0
    for name, field in layout:
        if name == LAST:
            continue
        elements = [(str(name), field.offset, Shape.cast(field.shape))]
        if isinstance(field.shape, data.ArrayLayout):
            elements = [
                (f"{name}[{k}]", field.offset + e.offset, Shape.cast(e.shape))
                for k, e in field.shape
            ]
        for label, offset, shape in elements:
            size = slot_size(shape.width)
            start = -(-start // min(size, 64)) * min(size, 64)
            found.append(Slot(label, offset, shape.width, shape.signed, start, size))
            start += size
    return found


def beats(layout: data.StructLayout, width: int) -> int:
    """Return the beats of `width` bits that a frame takes; the last one is filled with zeros."""
    end = slots(layout)[-1]
    return -(-(end.start + end.size) // width)


def check_width(width: int) -> int:
    """Return `width`; raise `MubinnError` where an AXI4-Stream cannot have it."""
    if width % 8 or not 8 <= width <= 1024:
        raise MubinnError(
            f"TDATA of {width} bits is not possible: give a multiple of 8 from 8 to 1024."
        )
    return width


def transfer_layout(width: int) -> data.StructLayout:
    """Return one transfer of an AXI4-Stream: TDATA and TLAST."""
    return data.StructLayout({"data": width, "last": 1})


class FrameReader(Component):
    """Beats to frames: `beats` transfers in, one frame out in the next cycle.

    One frame is held, so that the next one arrives while the first is worked on. TLAST belongs to
    the last beat of the last step of a packet, and becomes ``last`` of that frame. On an
    earlier beat of a step it is a fault: the frame is dropped.

    Parameters
    ----------
    layout : StructLayout
        Of a frame.
    width : int
        Bits of TDATA.
    per_step : int
        Frames that make a step.

    Members
    -------
    i : In(stream of transfer_layout(width))
    o : Out(stream of layout)
    step : Out(1)
        The frame in `o` is the last one of its step.
    fault : Out(1)
        This cycle's beat ends a packet in the middle of a step.
    """

    i: stream.Interface
    o: stream.Interface
    step: Signal
    fault: Signal

    def __init__(self, layout: data.StructLayout, width: int, per_step: int = 1) -> None:
        self.layout = layout
        self.per_step = per_step
        self.width = check_width(width)
        self.beats = beats(layout, width)
        super().__init__(
            {
                "i": In(stream.Signature(transfer_layout(width))),
                "o": Out(stream.Signature(layout)),
                "step": Out(1),
                "fault": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return a register for each beat, written in turn."""
        m = Module()
        index = Signal(range(self.beats))
        words = [Signal(self.width, name=f"beat_{k}") for k in range(self.beats)]
        number = Signal(range(self.per_step))
        final, whole = index == self.beats - 1, number == self.per_step - 1
        last = Signal()
        m.d.comb += self.i.ready.eq(~self.o.valid)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [index.eq(Mux(final | self.i.payload.last, 0, index + 1))]
            m.d.sync += [last.eq(self.i.payload.last), self.o.valid.eq(final)]
            m.d.comb += self.fault.eq(self.i.payload.last & ~(final & whole))
            with m.If(final):
                m.d.sync += [self.step.eq(whole), number.eq(Mux(whole, 0, number + 1))]
            with m.Switch(index):
                for k, word in enumerate(words):
                    with m.Case(k):
                        m.d.sync += word.eq(self.i.payload.data)
        packet, payload = Cat(words), self.o.payload.as_value()
        for slot in slots(self.layout):
            bits = payload[slot.offset : slot.offset + slot.width]
            m.d.comb += bits.eq(packet[slot.start : slot.start + slot.width])
        m.d.comb += getattr(self.o.payload, LAST).eq(last)
        return m


class FrameWriter(Component):
    """Frames to beats: a frame in, its first beat offered in the next cycle, `beats` in all.

    A frame is held while it is sent, and the next one is taken after its last beat's transfer.
    TLAST ends each frame.

    Parameters
    ----------
    layout : StructLayout
        Of a frame.
    width : int
        Bits of TDATA.

    Members
    -------
    i : In(stream of layout)
    o : Out(stream of transfer_layout(width))
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, layout: data.StructLayout, width: int) -> None:
        self.layout = layout
        self.width = check_width(width)
        self.beats = beats(layout, width)
        super().__init__(
            {"i": In(stream.Signature(layout)), "o": Out(stream.Signature(transfer_layout(width)))}
        )

    def elaborate(self, platform: object) -> Module:
        """Return a register that is shifted out a beat at a time."""
        m = Module()
        held = Signal(self.beats * self.width)
        index = Signal(range(self.beats))
        final = index == self.beats - 1
        m.d.comb += [
            self.i.ready.eq(~self.o.valid),
            self.o.payload.data.eq(held),
            self.o.payload.last.eq(final),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [held.eq(held >> self.width), index.eq(index + 1)]
            with m.If(final):
                m.d.sync += [self.o.valid.eq(0), index.eq(0)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [held.eq(self._packet()), self.o.valid.eq(1)]
        return m

    def _packet(self) -> Value:
        """Return the frame with every element extended to its slot."""
        payload = self.i.payload.as_value()
        parts: list[Value] = []
        for slot in slots(self.layout):
            gap = slot.start - sum(len(part) for part in parts)
            bits = payload[slot.offset : slot.offset + slot.width]
            sign = bits[-1] if slot.signed else Const(0, 1)
            parts += [Const(0, gap), bits, sign.replicate(slot.size - slot.width)]
        return Cat(*parts)
