"""Carry-save compression of a heap of weighted bits, in order of arrival."""

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count

from amaranth.hdl import Cat, Const, Module, Signal, Value, ValueLike

from mubinn.hw.arith.bit_heap import BitHeap
from mubinn.hw.arith.prefix_adder import prefix_add


@dataclass(frozen=True)
class AdderDelay:
    """Pin-to-pin delays of the two counters, in two-input gates.

    A full adder forms ``h = a ^ b``, ``sum = h ^ c``, ``carry = (a & b) | (h & c)``: `c` is its
    fast pin. A half adder (one input a constant) takes one gate for either output.
    """

    slow_sum: float = 2
    slow_carry: float = 3
    fast_sum: float = 1
    fast_carry: float = 2
    half_sum: float = 1
    half_carry: float = 1


class GateHeap(BitHeap):
    """Carry-save adders of standard cells in order of arrival, and a short prefix adder.

    Columns are compressed from the lowest weight up; in each, the three bits that arrive first go
    into the next full adder, the last of them on its fast pin, until two bits are left (the
    three-greedy order, which is optimal for one column). Each bit of the constant turns one full
    adder into a cheaper one.

    Parameters
    ----------
    m, width, name
        Of `BitHeap`.
    delay : AdderDelay
        Model of the counters.
    kind : str
        Of `mubinn.hw.arith.prefix_adder.prefix_add`, which adds the last two rows.
    """

    def __init__(
        self,
        m: Module,
        width: int,
        *,
        name: str = "heap",
        delay: AdderDelay | None = None,
        kind: str = "sklansky",
    ) -> None:
        super().__init__(m, width, name=name)
        self.arrival: tuple[float, ...] = ()
        self._delay = delay or AdderDelay()
        self._kind = kind
        self._order = count()
        self._vectors = 0
        self._columns: list[list[tuple[float, int, Value]]] = [[] for _ in range(width)]

    def add_bit(self, weight: int, bit: ValueLike, arrival: float = 0) -> None:
        """Add ``bit << weight``, where the bit is there `arrival` gates after the inputs."""
        value = Value.cast(bit)
        if len(value) != 1:
            raise ValueError(f"add_bit takes one bit, not {len(value)}; use add")
        if isinstance(value, Const):
            self.add_const((value.value & 1) << weight)
        elif weight < self.width:
            self._columns[weight].append((arrival, next(self._order), value))

    def add_matches(self, a: Value, w: Value, weight: int = 0) -> None:
        """Add ``popcount(xnor(a, w)) << weight``."""
        same = Signal(len(a), name=f"{self.name}_same{self._vectors}")
        self._vectors += 1
        self._m.d.comb += same.eq(~(a ^ w))
        for k in range(len(a)):
            self.add_bit(weight, same[k], 1)

    def compress(self) -> tuple[Value, Value]:
        """Return two rows of `width` bits whose sum is the heap's, and set `arrival`.

        The heap is used up. ``arrival[k]`` is when the later bit of column k is there.
        """
        columns = self._reduce()
        zero = Const(0, 1)
        rows = [[*column, zero, zero][:2] for column in columns]
        return Cat(*(first for first, _ in rows)), Cat(*(second for _, second in rows))

    def sum(self) -> Value:
        """Return the sum, unsigned, of `width` bits; the heap is used up.

        Columns below the first that holds two bits are passed through; the adder takes the others.
        """
        columns = self._reduce()
        low = next((k for k, column in enumerate(columns) if len(column) > 1), self.width)
        zero = Const(0, 1)
        done = Cat(*(column[0] if column else zero for column in columns[:low]))
        if low == self.width:
            return done
        rows = [[*column, zero, zero][:2] for column in columns[low:]]
        top = prefix_add(
            self._m,
            Cat(*(first for first, _ in rows)),
            Cat(*(second for _, second in rows)),
            name=f"{self.name}_add",
            kind=self._kind,
        )
        return Cat(done, top[: self.width - low])

    def _reduce(self) -> list[list[Value]]:
        """Compress every column to at most two bits and return them."""
        self._drive_operands()
        arrival: list[float] = []
        result: list[list[Value]] = []
        columns, self._columns = self._columns, []
        for weight, column in enumerate(columns):
            heapify(column)
            carries = columns[weight + 1] if weight + 1 < self.width else []
            one = bool(self._constant >> weight & 1)
            tag = f"{self.name}_{weight}"
            if one and len(column) >= 2:
                self._half(column, carries, f"{tag}_one")
                one = False
            while len(column) > 2:
                self._full(column, carries, f"{tag}_{len(carries)}")
            arrival.append(max((t for t, _, _ in column), default=0.0))
            result.append([bit for _, _, bit in column] + [Const(1, 1)] * one)
        self.arrival = tuple(arrival)
        return result

    def _full(
        self,
        column: list[tuple[float, int, Value]],
        carries: list[tuple[float, int, Value]],
        name: str,
    ) -> None:
        """Put the first three bits of `column` through a full adder."""
        (_, _, a), (tb, _, b), (tc, _, c) = heappop(column), heappop(column), heappop(column)
        half = Signal(name=f"{name}_h")
        total = Signal(name=f"{name}_s")
        carry = Signal(name=f"{name}_c")
        self._m.d.comb += [half.eq(a ^ b), total.eq(half ^ c), carry.eq((a & b) | (half & c))]
        d = self._delay
        time = max(tb + d.slow_sum, tc + d.fast_sum)
        heappush(column, (time, next(self._order), total))
        time = max(tb + d.slow_carry, tc + d.fast_carry)
        carries.append((time, next(self._order), carry))

    def _half(
        self,
        column: list[tuple[float, int, Value]],
        carries: list[tuple[float, int, Value]],
        name: str,
    ) -> None:
        """Put the first two bits of `column` and a constant 1 through a full adder's half."""
        (_, _, a), (time, _, b) = heappop(column), heappop(column)
        total = Signal(name=f"{name}_s")
        carry = Signal(name=f"{name}_c")
        self._m.d.comb += [total.eq(~(a ^ b)), carry.eq(a | b)]
        heappush(column, (time + self._delay.half_sum, next(self._order), total))
        carries.append((time + self._delay.half_carry, next(self._order), carry))
