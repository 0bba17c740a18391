"""Stored words as logic: each bit a decision diagram over the index, equal parts shared."""

from collections.abc import Sequence
from itertools import chain

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

Bits = tuple[int, ...]


def decision_diagram(
    m: Module, words: Sequence[int], index: Value, width: int, *, name: str = "word"
) -> Value:
    """Return ``words[index]`` as an unsigned value of `width` bits; combinational.

    One multiplexer a node of the diagrams of all bits together; their common order of variables is
    greedy, next the index bit that leaves the fewest different parts.

    Parameters
    ----------
    m : Module
        Receives the logic, in its combinational domain.
    words : sequence of int
        ``2**len(index)`` of them; of negative ones the low bits in two's complement.
    index : Value
    width : int
    name : str
        Prefix of the signals' names.
    """
    if len(words) != 1 << len(index):
        raise ValueError(f"{len(words)} words do not fit an index of {len(index)} bits")
    columns = [tuple(word >> k & 1 for word in words) for k in range(width)]
    order = _order(columns)
    made: dict[Bits, Value] = {}

    def build(column: Bits, depth: int) -> Value:
        if len(set(column)) == 1:
            return Const(column[0], 1)
        low, high = _halves(column, order[depth])
        if low == high:
            return build(low, depth + 1)
        if column not in made:
            bit = Signal(name=f"{name}_{len(made)}")
            made[column] = bit
            choice = index[_position(order, depth)]
            m.d.comb += bit.eq(Mux(choice, build(high, depth + 1), build(low, depth + 1)))
        return made[column]

    return Cat(*(build(column, 0) for column in columns))


def _halves(column: Bits, variable: int) -> tuple[Bits, Bits]:
    """Return the parts of `column` where index bit `variable` is 0 and where it is 1."""
    size = 1 << variable
    blocks = [column[k : k + size] for k in range(0, len(column), size)]
    return tuple(chain(*blocks[::2])), tuple(chain(*blocks[1::2]))


def _order(columns: list[Bits]) -> list[int]:
    """Return which index bit each depth decides, counted among those that are left."""
    order: list[int] = []
    parts = {column for column in columns if len(set(column)) > 1}
    left = (len(columns[0]) - 1).bit_length()
    while left:
        split = [
            {half for part in parts for half in _halves(part, k) if len(set(half)) > 1}
            for k in range(left)
        ]
        best = min(range(left), key=lambda k: len(split[k]))
        order.append(best)
        parts = split[best]
        left -= 1
    return order


def _position(order: list[int], depth: int) -> int:
    """Return the index bit that `depth` decides, counted among all."""
    left = list(range(len(order)))
    for k in order[:depth]:
        left.pop(k)
    return left[order[depth]]
