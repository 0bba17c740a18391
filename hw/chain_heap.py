"""A heap of weighted words summed by a tree of carry chains, for FPGAs of four-input LUTs."""

from heapq import heapify, heappop, heappush
from itertools import count

from amaranth.hdl import Cat, Const, Module, Signal, Value


class ChainHeap:
    """A sum of weighted words and of XNOR products modulo ``2**width``.

    Two lanes make a word of two bits, each bit a function of four inputs. Words are then added two
    by two with ``+``, which synthesis maps to carry chains, those that end lowest first: words of
    like widths meet, so that chains are short while they are many.

    Parameters
    ----------
    m : Module
    width : int
        Bits of the result; heavier bits are dropped.
    name : str
    """

    def __init__(self, m: Module, width: int, *, name: str) -> None:
        if width < 1:
            raise ValueError(f"a heap of {width} bits holds nothing; give a positive width")
        self.width = width
        self._m = m
        self._name = name
        self._order = count()
        self._words: list[tuple[int, int, int, Value]] = []
        self._constant = 0

    def add(self, value: Value, weight: int = 0) -> None:
        """Add ``value << weight``; a signed value's sign bit s counts as ``~s`` less a constant."""
        if value.shape().signed:
            top = len(value) - 1
            self.add_const(-(1 << weight + top))
            value = Cat(value[:top], ~value[top])
        if weight < self.width:
            self._push(value[: self.width - weight], weight)

    def add_const(self, constant: int) -> None:
        """Add a constant, of either sign."""
        self._constant = (self._constant + constant) % (1 << self.width)

    def add_matches(self, a: Value, w: Value, weight: int = 0) -> None:
        """Add ``popcount(xnor(a, w)) << weight``."""
        same = ~(a ^ w)
        for k in range(0, len(a), 2):
            pair = same[k : k + 2]
            self._push(Cat(pair.xor(), pair.all()) if len(pair) == 2 else pair, weight)

    def sum(self) -> Value:
        """Return the sum, unsigned; the heap is used up."""
        heapify(self._words)
        while len(self._words) > 1:
            (_, low, _, a), (_, high, _, b) = heappop(self._words), heappop(self._words)
            if low > high:
                low, high, a, b = high, low, b, a
            # Bits below the heavier word pass by.
            apart = min(high - low, len(a))
            if apart == len(a) and high - low >= len(a):
                gap = Const(0, high - low - len(a))
                self._push(Cat(a, gap, b), low)
                continue
            self._push(Cat(a[:apart], a[apart:] + b), low)
        done: Value = Const(0, self.width)
        if self._words:
            _, low, _, value = self._words.pop()
            done = Cat(Const(0, low), value)
        if self._constant:
            done = done + self._constant
        return Cat(done, Const(0, self.width))[: self.width]

    def _push(self, value: Value, weight: int) -> None:
        value = value[: self.width - weight]
        number = next(self._order)
        named = Signal(len(value), name=f"{self._name}_word{number}")
        self._m.d.comb += named.eq(value)
        heappush(self._words, (weight + len(named), weight, number, named))
