"""The whole state of an accelerator, byte by byte, out of it or into it, between windows."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Member, Out

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.layer_state import StateKind
from mubinn.hw.stream.component import Component, View
from mubinn.hw.stream.side_by_side import Source

BYTE = 8


def word_bytes(width: int) -> int:
    """Return the bytes that a word of the state takes on its way."""
    return -(-width // BYTE)


def pack(shapes: Sequence[tuple[int, int]], words: Sequence[Sequence[int]]) -> bytes:
    """Return the words of all parts as they travel.

    >>> pack([(9, 1), (3, 2)], [[257], [1, 7]]).hex(" ")
    '01 01 01 07'
    """
    pairs = zip(shapes, words, strict=True)
    return b"".join(w.to_bytes(word_bytes(bits), "little") for (bits, _), own in pairs for w in own)


def unpack(shapes: Sequence[tuple[int, int]], state: bytes) -> list[list[int]]:
    """Return what `pack` makes bytes of.

    Raises
    ------
    MubinnError
        The bytes are those of another state.
    """
    total = sum(word_bytes(bits) * count for bits, count in shapes)
    if len(state) != total:
        raise MubinnError(
            f"a state of {len(state)} bytes is another accelerator's: give the {total} bytes that "
            "this one has given."
        )
    found, start = [], 0
    for bits, count in shapes:
        size = word_bytes(bits)
        ends = range(start, start + size * count, size)
        found.append([int.from_bytes(state[k : k + size], "little") for k in ends])
        start += size * count
    return found


def check_port(state: StateKind, *, sleeps: bool) -> None:
    """Raise `MubinnError` unless the whole state of an accelerator can go out and in."""
    if state == "cleared":
        raise MubinnError(
            "a state that each window clears is worth no port: have it carried (--state), or leave "
            "out the port of the state (--state-port)."
        )
    if sleeps:
        raise MubinnError(
            "a state goes out and in by a clock that runs: leave out its port (--state-port), or "
            "have the clock run (without --sleep)."
        )


class StateRing(Component):
    """Has each part's words go round: what comes out of a part goes in behind, or others do.

    A part is a memory or a register that is shifted. It shows the word that is next, one cycle
    after it is chosen or has moved; with `moved` that one is gone, and `word` is the last one.

    Parameters
    ----------
    shapes : sequence of (int, int)
        Of each part the bits of a word, and how many there are.

    Attributes
    ----------
    shapes : tuple of (int, int)

    Members
    -------
    save, restore : In(1)
        In this cycle: have the state go out at `o`, and stay as it is; or come in at `i`. It begins
        as soon as `busy` is 0.
    busy : In(1)
        A window is under way.
    hold : Out(1)
        No window may begin.
    i : In(stream of 8 bits), o : Out(stream of 8 bits)
        All parts in order, in each its words, the lowest byte of each first.
    turns : Out(parts)
        The part whose words move.
    moved : Out(1)
        In this cycle the word that it shows gives place to `word`.
    shown : In(array of words), word : Out(word)
    """

    save: Signal
    restore: Signal
    busy: Signal
    hold: Signal
    i: stream.Interface
    o: stream.Interface
    turns: Signal
    moved: Signal
    shown: View
    word: Signal

    def __init__(self, shapes: Sequence[tuple[int, int]]) -> None:
        self.shapes = tuple(shapes)
        width = max(bits for bits, _ in shapes)
        super().__init__(
            {
                **dict.fromkeys(("save", "restore", "busy"), In(1)),
                "hold": Out(1),
                "i": In(stream.Signature(BYTE)),
                "o": Out(stream.Signature(BYTE)),
                "turns": Out(len(shapes)),
                "moved": Out(1),
                "shown": In(data.ArrayLayout(width, len(shapes))),
                "word": Out(width),
            }
        )

    @property
    def bytes(self) -> int:
        """Bytes of the whole state."""
        return sum(word_bytes(bits) * count for bits, count in self.shapes)

    @property
    def ports(self) -> dict[str, Member]:
        """Ports of an accelerator by which its state goes out and in."""
        own = self.signature.members
        commands = {name: own[name] for name in ("save", "restore")}
        return commands | {f"state_{name}": own[name] for name in ("i", "o")}

    def between(self, m: Module, source: Source, parts: Sequence[Any], top: Any) -> Source:
        """Connect the ring to parts, and to `ports` of `top`; return `source`, held back by it."""
        m.d.comb += [
            self.save.eq(top.save),
            self.restore.eq(top.restore),
            self.busy.eq(top.busy),
        ]
        wiring.connect(m, wiring.flipped(top.state_i), self.i)
        wiring.connect(m, self.o, wiring.flipped(top.state_o))
        for k, part in enumerate(parts):
            m.d.comb += [
                part.turns.eq(self.turns[k]),
                part.moved.eq(self.moved & self.turns[k]),
                Value.cast(part.word).eq(self.word),
                self.shown[k].eq(Value.cast(part.shown)),
            ]
        taken = stream.Signature(source.payload.shape()).create(path=("taken",))
        m.d.comb += [
            taken.payload.eq(source.payload),
            taken.valid.eq(source.valid & ~self.hold),
            source.ready.eq(taken.ready & ~self.hold),
        ]
        return taken

    def elaborate(self, platform: object) -> Module:
        """Return the counters of parts, words and bytes."""
        m = Module()
        sizes = [word_bytes(bits) for bits, _ in self.shapes]
        most = max(sizes)
        asked, into, reads = Signal(), Signal(), Signal()
        part, place = Signal(range(len(sizes))), Signal(range(max(n for _, n in self.shapes)))
        byte, came = Signal(range(most + 1)), Signal(BYTE * most)
        size, last = Signal(range(most + 1)), Signal()
        shown = Signal(BYTE * most)
        with m.If(self.save | self.restore):
            m.d.sync += [asked.eq(1), into.eq(self.restore)]
        m.d.comb += shown.eq(self._of(part, [self.shown[k] for k in range(len(sizes))]))
        m.d.comb += size.eq(self._of(part, sizes))
        m.d.comb += last.eq(place == self._of(part, [n - 1 for _, n in self.shapes]))
        fresh = self._of(part, [came[BYTE * (most - own) :] for own in sizes])
        m.d.comb += self.word.eq(Mux(into, fresh, shown))
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.hold.eq(asked & ~self.busy)
                with m.If(asked & ~self.busy):
                    m.d.sync += [asked.eq(0), part.eq(0), place.eq(0)]
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += [self.hold.eq(1), reads.eq(1)]
                m.d.sync += byte.eq(0)
                m.next = "BYTES"
            with m.State("BYTES"):
                m.d.comb += [self.hold.eq(1), reads.eq(1)]
                m.d.comb += [
                    self.i.ready.eq(into & (byte != size)),
                    self.o.valid.eq(~into & (byte != size)),
                    self.o.payload.eq(shown.word_select(byte, BYTE)),
                ]
                with m.If((self.i.valid & self.i.ready) | (self.o.valid & self.o.ready)):
                    m.d.sync += [byte.eq(byte + 1), came.eq(Cat(came[BYTE:], self.i.payload))]
                with m.If(byte == size):
                    m.d.comb += self.moved.eq(1)
                    m.d.sync += place.eq(Mux(last, 0, place + 1))
                    m.next = "READ"
                    with m.If(last):
                        m.d.sync += part.eq(Mux(part == len(sizes) - 1, 0, part + 1))
                        with m.If(part == len(sizes) - 1):
                            m.next = "REST"
            with m.State("REST"):
                # Memories of the last part read for what comes next.
                m.d.comb += self.hold.eq(1)
                m.next = "IDLE"
        m.d.comb += self.turns.eq(reads << part)
        return m

    @staticmethod
    def _of(part: Signal, choices: Sequence[Value | int]) -> Value:
        """Return what a part has."""
        return Array(choices)[part] if len(choices) > 1 else Value.cast(choices[0])
