"""A heap of weighted bits: what is put in is summed, whatever the network that does it."""

from abc import ABC, abstractmethod

from amaranth.hdl import Const, Module, Signal, Value, ValueLike


class BitHeap(ABC):
    """A sum of weighted bits and of counted matches modulo ``2**width``.

    Constants are summed at elaboration.

    Parameters
    ----------
    m : Module
        Receives the logic, in its combinational domain.
    width : int
        Bits of the result; heavier bits are dropped.
    name : str
        Prefix of the signals' names.
    """

    def __init__(self, m: Module, width: int, *, name: str) -> None:
        if width < 1:
            raise ValueError(f"a heap of {width} bits holds nothing; give a positive width")
        self.width = width
        self.name = name
        self._m = m
        self._constant = 0
        self._operands: list[tuple[Signal, Value]] = []

    @abstractmethod
    def add_bit(self, weight: int, bit: ValueLike, arrival: float = 0) -> None:
        """Add ``bit << weight``, where the bit is there `arrival` gates after the inputs."""

    @abstractmethod
    def add_matches(self, a: Value, w: Value, weight: int = 0) -> None:
        """Add ``popcount(xnor(a, w)) << weight``."""

    @abstractmethod
    def sum(self) -> Value:
        """Return the sum, unsigned, of `width` bits; the heap is used up."""

    def add(self, value: ValueLike, weight: int = 0, arrival: float = 0) -> None:
        """Add ``value << weight``; a signed value's sign bit s counts as ``~s`` less a constant."""
        value = self._named(Value.cast(value))
        top = len(value) - 1
        for k in range(top + 1):
            if k == top and value.shape().signed:
                self.add_bit(weight + k, ~value[k], arrival)
                self.add_const(-(1 << weight + k))
            else:
                self.add_bit(weight + k, value[k], arrival)

    def add_const(self, constant: int) -> None:
        """Add a constant, of either sign."""
        self._constant = (self._constant + constant) % (1 << self.width)

    def _named(self, value: Value) -> Value:
        """Return a signal that will be `value`, unless that has a name already.

        Each bit of an operand is used by itself; without a name each would repeat the operand's
        whole expression.
        """
        if isinstance(value, Signal | Const):
            return value
        signal = Signal(value.shape(), name=f"{self.name}_in{len(self._operands)}")
        self._operands.append((signal, value))
        return signal

    def _drive_operands(self) -> None:
        """Give the signals of the operands their values, once all are there."""
        self._m.d.comb += [signal.eq(value) for signal, value in self._operands]
        self._operands.clear()
