"""Words that never change as logic in place of a memory, for what is read from first to last."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value, unsigned
from amaranth.lib.wiring import In, Out

from mubinn.hw.arith.word_tree import word_tree
from mubinn.hw.stream.component import Component


class WordRom(Component):
    """``words[addr]``, one cycle after its address, as a synchronous memory has it.

    The address is kept as a Gray code, so that from one word to the next a single bit of it
    changes, and the words are a tree of multiplexers over it (`mubinn.hw.arith.word_tree`). While
    the address stays nothing changes. An address beyond the words reads any.

    Parameters
    ----------
    words : sequence of int
        Of `width` bits, unsigned.
    width : int

    Members
    -------
    addr : In(range(len(words)))
    data : Out(width)
    """

    addr: Signal
    data: Signal

    def __init__(self, words: Sequence[int], width: int) -> None:
        self._words = words
        super().__init__({"addr": In(range(len(words))), "data": Out(unsigned(width))})

    def elaborate(self, platform: object) -> Module:
        """Return the register and the tree."""
        m = Module()
        bits = len(self.addr)
        code = Signal(bits, reset_less=True)
        m.d.sync += code.eq(gray(self.addr))
        count = len(self._words)
        # By Gray code; a code beyond the words is that of the last words, mirrored.
        words = [0] * (1 << bits)
        for k in range(1 << bits):
            own = k if k < count else (1 << bits) - 1 - k
            words[k ^ k >> 1] = self._words[min(own, count - 1)]
        m.d.comb += self.data.eq(word_tree(m, words, code, len(self.data), name="word"))
        return m


def gray(number: Value) -> Value:
    """Return the Gray code of a number: that of the next number differs in a single bit."""
    return number ^ number >> 1
