"""How often every net of a mapped netlist changes, from simulation.

The simulation is bit-parallel over time: bit b of word w of a net is its value at vector 64 w + b,
so that one operation on a word evaluates a cell for 64 vectors. Registers delay by one vector, and
a feed-forward pipeline is therefore evaluated in one pass over its cells, level by level.

`settled` values alone give the changes without delay, at most one for each net and clock: a lower
bound, as adders and multipliers change several times before they settle. Those glitches come from
`mubinn.synth.netlist.activity_timed`.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.boolean import evaluate, inputs
from mubinn.synth.liberty.clock_gates import clock_gate_of
from mubinn.synth.liberty.library import Library
from mubinn.synth.netlist.sta import Net

ENABLE, HELD = "clock_enable", "held_value"
"""What a register behind a clock gate reads beside its pins: the gate's enable, its own value."""

WORD = 64
ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
CONSTANTS = {"0": np.uint64(0), "1": ONES, "x": np.uint64(0), "z": np.uint64(0)}

Words = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]


def pack(bits: npt.ArrayLike) -> Words:
    """Return bits over time, uint8 [vectors, width], as words [width, vectors / 64].

    Raises
    ------
    ValueError
        If the vectors are no multiple of 64.
    """
    array = np.asarray(bits, np.uint8)
    if len(array) % WORD or not len(array):
        raise ValueError(f"{len(array)} vectors do not fill words of {WORD}")
    packed = np.packbits(array.T, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").astype(np.uint64)


def before(words: Words) -> Words:
    """Return each net's value one vector earlier; the first vector is its own predecessor."""
    one, last = np.uint64(1), np.uint64(WORD - 1)
    moved: Words = words << one
    moved[:, 1:] |= words[:, :-1] >> last
    moved[:, 0] |= words[:, 0] & one
    return moved


def changes(words: Words) -> Indices:
    """Return how often each net changes from vector to vector."""
    return count_ones(words ^ before(words))


def count_ones(words: Words) -> Indices:
    """Return the ones of each row."""
    return np.asarray(np.bitwise_count(words).sum(axis=1, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class CellGroup:
    """Equal outputs of equal cells that are evaluated together.

    Attributes
    ----------
    function : str
        Of the output.
    sources : dict of str to int64 [n]
        Nets at the pins that the function reads.
    targets : int64 [n]
        Nets at the output.
    registered : bool
        Whether the outputs follow one vector later.
    """

    function: str
    sources: dict[str, Indices]
    targets: Indices
    registered: bool

    def values(self, words: Words) -> Any:
        """Return the outputs, uint64 [n, ...], with `words` at the nets."""
        given = {pin: words[nets] for pin, nets in self.sources.items()}
        return evaluate(self.function, given, ONES)


@dataclass(frozen=True)
class _Node:
    """One output of one cell."""

    function: str
    registered: bool
    sources: dict[str, int]
    target: int


def clock_gates(module: Mapping[str, Any], library: Library) -> dict[Net, Net]:
    """Return the enables of a mapped netlist's clock gates by the clocks that they pass on.

    Raises
    ------
    MubinnError
        One is behind another.
    """
    found: dict[Net, Net] = {}
    clocks: set[Net] = set()
    for cell in module["cells"].values():
        if gate := clock_gate_of(library.gate(cell["type"])):
            pins = cell["connections"]
            found[pins[gate.out][0]] = pins[gate.enable][0]
            clocks.add(pins[gate.clock][0])
    if clocks & found.keys():
        raise MubinnError("A clock gate stands behind another one: only one is known to work.")
    return found


class Logic:
    """A flat mapped netlist, ready to be evaluated.

    Parameters
    ----------
    module : mapping
        As Yosys writes it in JSON; registers must not be part of a loop. Clear and preset of
        registers count as never active.
    library : Library
    clocked : bool
        Registers begin and end paths in place of passing values on: they may be part of a loop,
        and their groups give what they take over at the clock. Those behind a clock gate hold
        theirs while its enable is 0.

    Attributes
    ----------
    nets : dict of net to int
        Row of every net in arrays of words.
    groups : list of CellGroup
        Each after all that drive it.
    inputs : int64 [n]
        Nets at the input ports.
    gated : dict of net to int
        By the net of a clock behind a gate, the row of its enable.

    Raises
    ------
    MubinnError
        On a loop, a cell without a function, or clock gates of which one is behind another or which
        are not `clocked`.
    """

    def __init__(
        self, module: Mapping[str, Any], library: Library, *, clocked: bool = False
    ) -> None:
        self.module = module
        self._clocked = clocked
        self.nets: dict[Net, int] = {name: row for row, name in enumerate(CONSTANTS)}
        self._library = library
        self.groups: list[CellGroup] = []
        ports = [port for port in module["ports"].values() if port["direction"] == "input"]
        self.inputs = np.array([self._row(bit) for port in ports for bit in port["bits"]], np.int64)
        self._group(self._nodes())

    def settle(self, vectors: Mapping[str, npt.ArrayLike]) -> Words:
        """Return the values of all nets once each vector has settled, uint64 [nets, vectors / 64].

        Parameters
        ----------
        vectors : mapping
            By input port, uint8 [vectors, width]; ports that are not named stay 0.

        Raises
        ------
        ValueError
            If the vectors are no multiple of 64, or there are none.
        """
        packed = {name: pack(bits) for name, bits in vectors.items()}
        words = np.zeros((len(self.nets), len(next(iter(packed.values()))[0])), np.uint64)
        for net, value in CONSTANTS.items():
            words[self.nets[net]] = value
        for name, rows in packed.items():
            words[[self.nets[bit] for bit in self.module["ports"][name]["bits"]]] = rows
        for group in self.groups:
            values = group.values(words)
            words[group.targets] = before(values) if group.registered else values
        return words

    def _row(self, net: Net) -> int:
        return self.nets.setdefault(net, len(self.nets))

    def _nodes(self) -> list[_Node]:
        """Return every output of every cell."""
        nodes: list[_Node] = []
        gates = clock_gates(self.module, self._library)
        self.gated = {out: self._row(enable) for out, enable in gates.items()}
        if gates and not self._clocked:
            raise MubinnError("The netlist has clock gates: its activity is that of one without.")
        for cell in self.module["cells"].values():
            if clock_gate_of(self._library.gate(cell["type"])):
                continue
            tree = self._library.gate(cell["type"]).group
            rows = {pin: self._row(bits[0]) for pin, bits in cell["connections"].items() if bits}
            state = next(tree.of("ff"), None)
            for pin in tree.of("pin"):
                name, function = pin.arguments[0], pin.get("function")
                if pin.get("direction") != "output" or name not in rows:
                    continue
                if state is not None:
                    if function not in state.arguments:
                        raise MubinnError(f"{cell['type']} has an output that is no state: {name}.")
                    inverse = "!" if function != state.arguments[0] else ""
                    function = f"{inverse}({state.get('next_state')})"
                elif not function:
                    raise MubinnError(f"{cell['type']} has no function: complete the library.")
                sources = {read: rows[read] for read in inputs(function)}
                if state is not None:
                    (clock,) = inputs(state.get("clocked_on"))
                    enable = self.gated.get(cell["connections"][clock][0])
                    if enable is not None:
                        function = f"({ENABLE}&({function}))|(!{ENABLE}&{HELD})"
                        sources |= {ENABLE: enable, HELD: rows[name]}
                nodes.append(_Node(function, state is not None, sources, rows[name]))
        return nodes

    def _group(self, nodes: list[_Node]) -> None:
        """Put the nodes into levels, and those of a level into groups of one function."""
        driver = {
            node.target: k
            for k, node in enumerate(nodes)
            if not (self._clocked and node.registered)
        }
        users: dict[int, list[int]] = defaultdict(list)
        waits = [0] * len(nodes)
        for k, node in enumerate(nodes):
            for row in set(node.sources.values()) & driver.keys():
                users[driver[row]].append(k)
                waits[k] += 1
        ready = [k for k, count in enumerate(waits) if not count]
        done = 0
        while ready:
            done += len(ready)
            kinds: dict[tuple[str, bool], list[_Node]] = defaultdict(list)
            for k in ready:
                kinds[nodes[k].function, nodes[k].registered].append(nodes[k])
            for (function, registered), members in sorted(kinds.items()):
                sources = {
                    pin: np.array([node.sources[pin] for node in members])
                    for pin in members[0].sources
                }
                targets = np.array([node.target for node in members])
                self.groups.append(CellGroup(function, sources, targets, registered))
            later = []
            for k in ready:
                for user in users[k]:
                    waits[user] -= 1
                    if not waits[user]:
                        later.append(user)
            ready = later
        if done != len(nodes):
            raise MubinnError("The netlist has a loop: its activity is that of a feed-forward one.")
