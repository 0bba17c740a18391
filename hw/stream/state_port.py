"""The port by which a part of a state goes out and in, a word at a time."""

from typing import Any

from amaranth.hdl import Module, ShapeLike, Value
from amaranth.lib.wiring import In, Member, Out, Signature


def part_port(word: ShapeLike) -> dict[str, Member]:
    """Return the members of a part of `mubinn.hw.accelerator.state_ring.StateRing`.

    >>> sorted(part_port(8))
    ['moved', 'shown', 'turns', 'word']
    """
    return {"turns": In(1), "moved": In(1), "shown": Out(word), "word": In(word)}


def inner_port(word: ShapeLike) -> Member:
    """Return these of a part inside, under a name of its own."""
    return Out(Signature(part_port(word)))


def state_bytes_of(core: Any) -> int | None:
    """Return the bytes of the whole state of a core that has ports of it; None of others.

    >>> from types import SimpleNamespace
    >>> state_bytes_of(SimpleNamespace(signature=Signature({})))
    """
    return int(core.ring.bytes) if "save" in core.signature.members else None


def pass_on(m: Module, outer: Any, inner: Any) -> None:
    """Connect the port of a part inside to that of the component around it."""
    m.d.comb += [getattr(inner, name).eq(getattr(outer, name)) for name in ("turns", "moved")]
    m.d.comb += Value.cast(inner.word).eq(Value.cast(outer.word))
    m.d.comb += Value.cast(outer.shown).eq(Value.cast(inner.shown))
