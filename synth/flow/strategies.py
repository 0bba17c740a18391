"""The Yosys passes and ABC scripts that every design gets: one effort for all, baselines too.

No single ABC script is best for every structure: restructuring shortens ripple chains by half and
lengthens explicit carry-save networks. So each design runs through every strategy here, and the one
with the least delay counts (least depth for generic gates), ties going to the smaller area.
"""

import hashlib
import json
from typing import Any

from mubinn.synth.liberty.clock_gates import ClockGate

FRONT = (
    "hierarchy -check -top {top}",
    "proc -norom",  # a Switch stays logic; only a memory that was written as one is a memory
    "flatten",
    "opt_expr",
    "opt_clean",
    "opt -nodffe -nosdff",
    "wreduce",
    "peepopt",
    "opt_clean",
    "alumacc",
    "share",
    "opt",
    "memory -nomap",  # memories stay cells of their own, never flip-flops
    "opt_clean",
    "opt -fast -full",
    "techmap",
    "opt -fast",
    "check -assert",
)

_SOP = "dch; if -g -K 6 -C 16; strash"  # sum-of-products balancing

LOGIC = "logic.aig"
"""Where the strategy "balance" leaves the logic that ABC was given."""

BALANCED = "netlist.aig"
"""Where the logic lies after sum-of-products balancing, the costliest step of all: the first of a
design's runs writes it, others on the same `LOGIC` read it. ABC names the design after the file."""
WRITE_LOGIC = f"strash; write_aiger -s {LOGIC}"
READ_BALANCED = f"read_aiger {BALANCED}"

# Logic restructuring before mapping; "plain" keeps the structure as written. Each one is the best
# on some of: carry-save and adder-tree popcounts, multipliers and adders, integer and binary32.
PREPARE = {
    "plain": "strash",
    "syn4": "strash; &get -n; &syn4; &b -d; &put; dch -f",
    "balance": f"{WRITE_LOGIC}; {_SOP}; {_SOP}; write_aiger -s {BALANCED}; {READ_BALANCED}; dch",
    "exact": "strash; if -x -K 6; strash; dch; if -x -K 6; strash; dch",
}
PREPARE["choices"] = "strash; dch"
TRIED = {
    "generic": ("plain", "balance", "exact"),
    "mapped": ("plain", "syn4", "balance"),
    "small": ("plain", "choices", "balance", "adders"),
}

FEW_CELLS = 2500
"""Cells before ABC up to which all strategies are tried for the least delay; with more it is
"balance" that wins, at a third of the time."""

# Before ABC, in the strategy "adders": full adders are found in the gates and become cells of the
# library, which ABC leaves alone.
PREPARE["adders"] = PREPARE["choices"]
ADDERS = (
    "simplemap",
    "opt_clean",
    "extract_fa -fa",
    "techmap -map adders.v",
    "techmap",
    "opt_clean",
)

# -B 0.9 makes the mapper count on the later sizing of gates with a high fan-out.
MAP_LIBERTY = "map -B 0.9 -D 1; topo; buffer -c; topo; upsize -D 1; dnsize -D 1; stime -p"
# For the least area times delay: mapped for area, then sized for delay.
MAP_SMALL = "amap -m; topo; buffer -c; topo; upsize -D 1; dnsize -D 1; stime -p"
MAP_GENERIC = "map -D 1; topo"

# Every function of two inputs, and the inverter. Inputs of any polarity cost nothing, so that
# inverters are left only where an input or output itself is inverted; they count as gates.
GENERIC_GATES = "AND,NAND,OR,NOR,XOR,XNOR,ANDNOT,ORNOT"

LEAST_GATED = 4
"""Registers of one enable that get a clock gate, which takes what 1 to 2 of their clock pins do."""


RESETS = "".join(
    f"""
(* techmap_celltype = "$_SDFFE_PP{value}{level}_" *) module enabled_{value}{level}(D, C, R, E, Q);
  input D, C, R, E;
  output Q;
  \\$_DFFE_PP_ register(.D({"D | R" if value else "D & ~R"}), .C(C), .E({sign}E | R), .Q(Q));
endmodule
"""
    for value in (0, 1)
    for level, sign in (("P", ""), ("N", "~"))
)
"""An enable that a synchronous reset goes before takes that into itself, so that it may become a
clock gate's; Yosys would rather make a multiplexer of it."""


def gating(gate: ClockGate) -> dict[str, Any]:
    """Return the passes that have registers which hold their value lose their clock instead.

    Also the map that the first of them reads, ``gating.v``. Other enables become multiplexers, as
    all do without gates.
    """
    pins = f"{gate.enable}:{gate.clock}:{gate.out}"
    low = f" -tie_lo {gate.test}" if gate.test else ""
    passes = [
        "techmap -map gating.v",
        "techmap",
        "opt -fast -nodffe -nosdff",
        f"clockgate -pos {gate.name} {pins}{low} -min_net_size {LEAST_GATED}",
        "dffunmap -ce-only",
        "opt_clean",
    ]
    return {"map": RESETS, "passes": passes}


# Once more for a library, where `FRONT` or the library's flip-flops left something to simplify.
LAST = "opt -fast"

SCHEMA = 2


def tried(kind: str, cells: int = 0) -> tuple[str, ...]:
    """Return the strategies of a ``generic``, ``mapped`` or ``small`` run on `cells` cells."""
    return TRIED[kind] if cells <= FEW_CELLS or kind == "small" else ("balance",)


def script(kind: str, name: str, *, balanced: bool = False) -> str:
    """Return the ABC script of a strategy.

    With `balanced` the strategy "balance" goes on with what a run on the same logic has written.
    """
    tail = {"generic": MAP_GENERIC, "mapped": MAP_LIBERTY, "small": MAP_SMALL}[kind]
    if balanced and name == "balance":
        return f"{WRITE_LOGIC}; {READ_BALANCED}; dch; {tail}"
    return f"{PREPARE[name]}; {tail}"


def script_hash(kind: str) -> str:
    """Return the SHA-256 of all that this module asks of Yosys and ABC for `kind`."""
    asked = [
        *(SCHEMA, FRONT, LAST, [script(kind, name) for name in tried(kind)], FEW_CELLS),
        *(GENERIC_GATES, *([ADDERS] * (kind == "small"))),
    ]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()
