"""A mapped netlist with registers and memories, clock by clock, for 64 runs side by side.

A bit of a word is a run: each cell is one line of C++ on words of 64 bits, compiled at first use.
Registers and memories begin at 0. A memory has ports with a clock alone, and a port that reads
where another writes gives what was there before.
"""

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.kernels.native import compiled
from mubinn.synth.liberty.boolean import evaluate
from mubinn.synth.liberty.library import Library
from mubinn.synth.netlist.activity import CONSTANTS, WORD, Indices, Logic, Words, count_ones, pack
from mubinn.synth.netlist.netlist import MEMORY, memories_outside
from mubinn.synth.netlist.sta import Net

FLAGS = ("-O1", "-std=c++17", "-shared", "-fPIC", "-fno-strict-aliasing")
LINES = 2000
"""Cells of one C++ function, as compilers take long functions ill."""

_CODE = """\
#include <cstdint>
typedef uint64_t W;
{parts}
extern "C" void settle(W *v, W *n, W *old, int64_t *changes) {{
{calls}
  for (int64_t i = 0; i < {nets}; i++) {{
    changes[i] += __builtin_popcountll(v[i] ^ old[i]);
    old[i] = v[i];
  }}
}}
extern "C" void clock(W *v, const W *n) {{
{takes}
}}
"""


class _Text:
    """An expression of C++."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _join(self, sign: str, other: "_Text") -> "_Text":
        return _Text(f"({self.text}{sign}{other.text})")

    def __and__(self, other: "_Text") -> "_Text":
        return self._join("&", other)

    def __or__(self, other: "_Text") -> "_Text":
        return self._join("|", other)

    def __xor__(self, other: "_Text") -> "_Text":
        return self._join("^", other)

    def __rmul__(self, bit: int) -> "_Text":
        return self if bit else _Text("0ull")


_ONE = _Text("~0ull")


def _code(logic: Logic) -> str:
    """Return the C++ of a netlist: `settle`, and `clock`, by which registers take values over."""
    lines, takes, count = [], [], 0
    for group in logic.groups:
        for k, target in enumerate(group.targets):
            own = {pin: _Text(f"v[{nets[k]}]") for pin, nets in group.sources.items()}
            value = evaluate(group.function, own, _ONE).text
            if group.registered:
                lines.append(f"n[{count}]={value};")
                takes.append(f"v[{target}]=n[{count}];")
                count += 1
            else:
                lines.append(f"v[{target}]={value};")
    chunks = [lines[k : k + LINES] for k in range(0, len(lines), LINES)]
    parts = "\n".join(
        f"static void part{k}(W *v, W *n) {{\n{chr(10).join(chunk)}\n}}"
        for k, chunk in enumerate(chunks)
    )
    calls = "".join(f"part{k}(v, n);" for k in range(len(chunks)))
    return _CODE.format(parts=parts, calls=calls, nets=len(logic.nets), takes="\n".join(takes))


class _Memory:
    """A memory: its contents in every run, its pins' nets, and how often it was accessed."""

    def __init__(self, name: str, cell: Mapping[str, Any], rows: Mapping[Net, int]) -> None:
        def number(key: str) -> int:
            return int(cell["parameters"][key].replace("x", "0"), 2)

        self.name = name
        self.width, self.depth = number("WIDTH"), number("SIZE")
        address_bits = number("ABITS")
        self.reads, self.writes = number("RD_PORTS"), number("WR_PORTS")
        for clocks, count in (("RD_CLK_ENABLE", self.reads), ("WR_CLK_ENABLE", self.writes)):
            if number(clocks) != (1 << count) - 1 or number("OFFSET"):
                raise MubinnError(f"The memory {name} has a port without a clock: give it one.")
        if number("RD_TRANSPARENCY_MASK") or number("RD_WIDE_CONTINUATION"):
            raise MubinnError(f"The memory {name} reads what is being written: it must not.")
        text = cell["parameters"]["INIT"].replace("x", "0")[::-1].ljust(self.bits, "0")
        bits = np.frombuffer(text[: self.bits].encode(), np.uint8) - ord("0")
        self.words = np.where(bits.reshape(self.depth, self.width), *_FULL)

        def pins(pin: str, count: int, width: int) -> Indices:
            found = [rows[bit] for bit in cell["connections"][pin]]
            return np.array(found, np.int64).reshape(count, width)

        self._read_pins = pins("RD_ADDR", self.reads, address_bits), pins("RD_EN", self.reads, 1)
        self._data = pins("RD_DATA", self.reads, self.width)
        self._write_pins = (
            pins("WR_ADDR", self.writes, address_bits),
            pins("WR_EN", self.writes, self.width),
            pins("WR_DATA", self.writes, self.width),
        )
        # The address that each port read last, and in which runs it has read.
        self._last = np.zeros((self.reads, address_bits), np.uint64)
        self._seen = np.zeros(self.reads, np.uint64)
        self.read = self.written = 0.0

    @property
    def bits(self) -> int:
        """All of it."""
        return self.depth * self.width

    def clock(self, v: Words) -> None:
        """Take reads and writes of one clock; `v` gets the words that were read."""
        found = []
        for port, (address, enable) in enumerate(zip(*self._read_pins, strict=True)):
            at, wanted, last = v[address], v[enable[0]], self._last[port]
            other = np.bitwise_or.reduce(at ^ last) | ~self._seen[port]
            self.read += _ones(other & wanted) / WORD
            self._last[port] = (at & wanted) | (last & ~wanted)
            self._seen[port] |= wanted
            found.append((self._fetch(at) & wanted) | (v[self._data[port]] & ~wanted))
        for address, enable, data in zip(*self._write_pins, strict=True):
            self._store(v[address], v[enable], v[data])
        for port, word in enumerate(found):
            v[self._data[port]] = word

    def _runs(self, address: Words) -> tuple[Indices, bool]:
        """Return the address of each run, and whether all have the same."""
        same = bool(((address == 0) | (address == _FULL[0])).all())
        at = np.zeros(1 if same else WORD, np.int64)
        for k, word in enumerate(address):
            at |= (word >> _RUNS[: len(at)] & np.uint64(1)).astype(np.int64) << k
        return np.minimum(at, self.depth - 1), same

    def _fetch(self, address: Words) -> Words:
        at, same = self._runs(address)
        if same:
            return np.asarray(self.words[at[0]])
        return np.asarray(np.bitwise_or.reduce(self.words[at] & _MASKS[:, None], axis=0))

    def _store(self, address: Words, enable: Words, data: Words) -> None:
        if not enable.any():
            return
        self.written += float(count_ones(enable[None]).sum()) / WORD / self.width
        at, same = self._runs(address)
        masks = np.array([_FULL[0]]) if same else _MASKS
        for place, mask in zip(at, masks, strict=True):
            self.words[place] ^= (self.words[place] ^ data) & enable & mask


_FULL = np.uint64(0xFFFF_FFFF_FFFF_FFFF), np.uint64(0)
_RUNS = np.arange(WORD, dtype=np.uint64)
_MASKS = np.uint64(1) << _RUNS


def _ones(word: Any) -> int:
    return int(word).bit_count()


class ClockedNetlist:
    """Runs a netlist.

    Parameters
    ----------
    module : mapping
        A flat mapped netlist, as Yosys writes it in JSON; memories are ``$mem_v2``.
    library : Library

    Attributes
    ----------
    outside : mapping
        The module with its memories taken out.
    logic : Logic
        Of `outside`.
    values : uint64 [nets]
        Of every net in each run.
    changes : int64 [nets]
        Of the settled values from clock to clock, over all runs, since they were set to 0.
    memories : dict of str to _Memory
        With `bits`, `width`, and words `read` and `written` in a run.

    Raises
    ------
    MubinnError
        On a memory with a port that it does not know, a cell without a function, a loop, or where
        there is no compiler.
    """

    def __init__(self, module: Mapping[str, Any], library: Library) -> None:
        self.outside = memories_outside(module)
        self.logic = Logic(self.outside, library, clocked=True)
        rows = self.logic.nets
        for port in self.outside["ports"].values():
            for bit in port["bits"]:
                rows.setdefault(bit, len(rows))  # what goes from memory to port meets no cell
        self._code = compiled(_code(self.logic), FLAGS, "netlists")
        registers = sum(len(g.targets) for g in self.logic.groups if g.registered)
        self.values = np.zeros(len(rows), np.uint64)
        self.values[rows["1"]] = CONSTANTS["1"]
        self._old, self._next = self.values.copy(), np.zeros(registers + 1, np.uint64)
        self.changes = np.zeros(len(rows), np.int64)
        self._enables = np.array(sorted({*self.logic.gated.values()}), np.int64)
        self._passed, self._clocks = np.zeros(len(self._enables)), 0
        self.memories = {
            name: _Memory(name, cell, rows)
            for name, cell in module["cells"].items()
            if cell["type"] in MEMORY
        }
        places = self.values, self._next, self._old, self.changes
        self._places = [ctypes.c_void_p(array.ctypes.data) for array in places]

    def pins(self, port: str) -> Indices:
        """Return the rows in `values` of a port's bits."""
        nets = self.outside["ports"][port]["bits"]
        return np.array([self.logic.nets[bit] for bit in nets], np.int64)

    def begin(self) -> None:
        """Set all that is counted to 0."""
        self.changes[:] = 0
        self._passed[:] = self._clocks = 0
        for memory in self.memories.values():
            memory.read = memory.written = 0.0

    @property
    def passed(self) -> dict[Net, float]:
        """The share of clocks that each gate has passed on, by the net behind it."""
        rows = {int(row): k for k, row in enumerate(self._enables)}
        share = self._passed / (WORD * max(1, self._clocks))
        return {net: float(share[rows[row]]) for net, row in self.logic.gated.items()}

    def settle(self) -> None:
        """Let all nets settle on what inputs, registers and memories have."""
        self._code.settle(*self._places)

    def clock(self) -> None:
        """Give a clock edge: registers and memories take over; inputs may be set then."""
        for memory in self.memories.values():
            memory.clock(self.values)
        self._passed += np.bitwise_count(self.values[self._enables])
        self._clocks += 1
        self._code.clock(*self._places[:2])


def runs_of(bits: npt.NDArray[np.uint8]) -> Words:
    """Return bits [64, width] of every run as words [width]."""
    return pack(bits)[:, 0]
