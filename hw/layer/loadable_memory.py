"""Weights that are loaded at run time: memories without contents, and what fills them.

Scales, biases, tables and thresholds are constants of the design, so the weights of a model fit its
own accelerator alone: they follow four bytes that name the constants they belong to.
"""

import re
from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from mubinn.golden.folding.constants_digest import DIGEST_BYTES, constants_digest
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.layer.layer_memory import LayerMemories, Word, weight_layout, weight_words
from mubinn.hw.stream.component import Component, Memory, View
from mubinn.hw.stream.packet import transfer_layout

BYTE = 8


def word_bytes(plan: LayerPlan) -> int:
    """Return the bytes of a word of M_w as it is loaded."""
    width: int = weight_layout(plan).as_shape().width
    return -(-width // BYTE)


def contents(plans: list[LayerPlan]) -> bytes:
    """Return what is loaded: the digest of the constants, then M_w of each layer, words in order.

    Lowest bytes come first.
    """
    words = (
        word.to_bytes(word_bytes(plan), "little") for plan in plans for word in weight_words(plan)
    )
    return constants_digest(plans).to_bytes(DIGEST_BYTES, "little") + b"".join(words)


def load_layout(plans: list[LayerPlan]) -> data.StructLayout:
    """Return one write: to whose M_w (a bit a layer), address and word."""
    depth = max(len(weight_words(plan)) for plan in plans)
    return data.StructLayout(
        {
            "layers": unsigned(len(plans)),
            "address": range(depth),
            "word": unsigned(BYTE * max(word_bytes(plan) for plan in plans)),
        }
    )


def without_contents(verilog: str, *, single_port: bool = False) -> str:
    """Return a design with loadable weights, M_w uninitialised.

    Amaranth writes zeros as the contents of every memory, in decimal where they are 32 bits; a
    single-port RAM of an FPGA has none.

    >>> without_contents("  m_w[0] = 32'd0;\\n  m_w[1] = 8'h00;\\n")
    ''

    Parameters
    ----------
    verilog : str
    single_port : bool
        Ask for the large single-port RAMs of an iCE40 UP5K, by the attribute that Yosys knows.
    """
    bare = re.sub(r"^ +m_w\[\d+\] = \d+'[dh]0+;\n", "", verilog, flags=re.M)
    if single_port:
        bare = re.sub(
            r"^( +)(reg \[\d+:0\] m_w )", r'\1(* ram_style = "huge" *) \2', bare, flags=re.M
        )
    return bare


class LoadableMemories(LayerMemories):
    """The memories of a layer, M_w without contents.

    M_w has one port: a write takes the place of a read, so that a single-port RAM will do.

    Parameters
    ----------
    plan : LayerPlan

    Attributes
    ----------
    write_weight, weight_address, weight : Signal
        A write to M_w; drive them from outside.
    """

    def __init__(self, plan: LayerPlan) -> None:
        super().__init__(plan)
        self.write_weight = Signal()
        self.weight_address = Signal(range(len(weight_words(plan))))
        self.weight = Signal(weight_layout(plan).as_shape().width)

    def _read(
        self, m: Module, name: str, out: View, words: Sequence[int | Word], address: Value
    ) -> None:
        """Add a memory `name` that drives `out`, and is loaded where it is M_w."""
        if name != "m_w":
            super()._read(m, name, out, words, address)
            return
        memory = Memory(shape=unsigned(len(out.as_value())), depth=len(words), init=[])
        m.submodules[name] = memory
        write, read = memory.write_port(), memory.read_port()
        shared = Signal.like(write.addr)
        m.d.comb += [
            shared.eq(Mux(self.write_weight, self.weight_address, address)),
            write.addr.eq(shared),
            write.data.eq(self.weight),
            write.en.eq(self.write_weight),
            read.addr.eq(shared),
            read.en.eq(~self.write_weight),
            out.as_value().eq(read.data),
        ]


class Loader(Component):
    """Bytes to writes: `contents` in, one byte a cycle.

    Parameters
    ----------
    plans : list of LayerPlan

    Members
    -------
    i : In(stream of {data: 8, last: 1})
        ``last`` makes the next byte the first one of the contents again. Contents of other
        constants are ignored.
    restart : In(1)
        As ``last`` does, at once.
    o : Out(load_layout(plans))
    loaded : Out(1)
        All contents have been written, and no byte has come since.
    refused : Out(1)
        The contents that came last are those of other constants.
    """

    i: stream.Interface
    restart: Signal
    o: View
    loaded: Signal
    refused: Signal

    def __init__(self, plans: list[LayerPlan]) -> None:
        self.plans = plans
        super().__init__(
            {
                "i": In(stream.Signature(transfer_layout(BYTE))),
                "restart": In(1),
                "o": Out(load_layout(plans)),
                "loaded": Out(1),
                "refused": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return the counters of bytes, words and parts: the digest, then each layer."""
        m = Module()
        sizes = [DIGEST_BYTES, *(word_bytes(plan) for plan in self.plans)]
        depths = [1, *(len(weight_words(plan)) for plan in self.plans)]
        part, word = Signal(range(len(sizes) + 1)), Signal(range(max(depths)))
        byte, shifted = Signal(range(max(sizes))), Signal(BYTE * max(sizes))
        last_byte, last_word = Signal(), Signal()
        taken = self.i.valid & (part != len(sizes))
        joined, whole = Cat(shifted[BYTE:], self.i.payload.data), Signal(BYTE * max(sizes))
        m.d.comb += [self.i.ready.eq(1), self.o.address.eq(word), self.o.word.eq(whole)]
        with m.Switch(part):
            for k, (size, depth) in enumerate(zip(sizes, depths, strict=True)):
                with m.Case(k):
                    m.d.comb += [
                        last_byte.eq(byte == size - 1),
                        last_word.eq(word == depth - 1),
                        whole.eq(joined[BYTE * (max(sizes) - size) :]),
                    ]
                    if k:
                        m.d.comb += self.o.layers[k - 1].eq(taken & last_byte)
        with m.If(taken):
            m.d.sync += [shifted.eq(joined), byte.eq(Mux(last_byte, 0, byte + 1))]
            m.d.sync += self.loaded.eq(0)
            with m.If(last_byte):
                m.d.sync += word.eq(Mux(last_word, 0, word + 1))
            with m.If(last_byte & last_word):
                m.d.sync += [part.eq(part + 1), self.loaded.eq(part == len(sizes) - 1)]
            with m.If(last_byte & (part == 0)):
                other = whole != constants_digest(self.plans)
                m.d.sync += [self.refused.eq(other), part.eq(Mux(other, len(sizes), 1))]
        with m.If(self.restart | (self.i.valid & self.i.payload.last)):
            m.d.sync += [byte.eq(0), word.eq(0), part.eq(0)]
        return m
