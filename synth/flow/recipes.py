"""The Yosys passes and ABC scripts that every design gets: one effort for all, baselines too.

No single ABC script is best for every structure: restructuring shortens ripple chains by half and
lengthens explicit carry-save networks. So each design runs through every recipe here, and the one
with the least delay counts (least depth for generic gates), ties going to the smaller area.
"""

import hashlib
import json

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

# Logic restructuring before mapping; "plain" keeps the structure as written. Each one is the best
# on some of: carry-save and adder-tree popcounts, multipliers and adders, integer and binary32.
PREPARE = {
    "plain": "strash",
    "syn4": "strash; &get -n; &syn4; &b -d; &put; dch -f",
    "balance": f"strash; {_SOP}; {_SOP}; dch",
    "exact": "strash; if -x -K 6; strash; dch; if -x -K 6; strash; dch",
}
PREPARE["choices"] = "strash; dch"
TRIED = {
    "generic": ("plain", "balance", "exact"),
    "mapped": ("plain", "syn4", "balance"),
    "small": ("plain", "choices", "balance", "adders"),
}

# Before ABC, in the recipe "adders": full adders are found in the gates and become cells of the
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

SCHEMA = 1


def scripts(kind: str) -> dict[str, str]:
    """Return the ABC scripts by name for `kind`: ``generic``, ``mapped`` or ``small``."""
    tail = {"generic": MAP_GENERIC, "mapped": MAP_LIBERTY, "small": MAP_SMALL}[kind]
    return {name: f"{PREPARE[name]}; {tail}" for name in TRIED[kind]}


def script_hash(kind: str) -> str:
    """Return the SHA-256 of all that this module asks of Yosys and ABC for `kind`."""
    text = json.dumps(
        [SCHEMA, FRONT, scripts(kind), GENERIC_GATES, *([ADDERS] * (kind == "small"))]
    )
    return hashlib.sha256(text.encode()).hexdigest()
