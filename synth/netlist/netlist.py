"""What a flat netlist, as Yosys writes it in JSON, says: depth, cells, flip-flops, memory bits."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mubinn.golden.ground.errors import MubinnError

MEMORY = ("$mem", "$mem_v2")
# Cells that carry notes for other tools and no logic.
_NOTES = ("$scopeinfo", "$print", "$check")


def netlist_cell(kind: str, /, **pins: Any) -> dict[str, Any]:
    """Return a cell of type `kind`, each pin at one net, as Yosys writes it."""
    return {"type": kind, "connections": {pin: [net] for pin, net in pins.items()}}


def netlist_module(
    inputs: Iterable[str], outputs: Iterable[str], /, **cells: Any
) -> dict[str, Any]:
    """Return a module of ports of one bit each, on nets of their own names, and `cells` by name."""
    ports = {name: {"direction": "input", "bits": [name]} for name in inputs}
    ports |= {name: {"direction": "output", "bits": [name]} for name in outputs}
    return {"ports": ports, "cells": cells}


def load_module(path: Path, top: str) -> Mapping[str, Any]:
    """Return the module `top` of the JSON netlist at `path`.

    Yosys writes a backslash before names of cells and pins that begin with a digit; it is taken
    away.
    """
    module: Mapping[str, Any] = json.loads(path.read_text())["modules"][top]
    for cell in module["cells"].values():
        cell["type"] = cell["type"].removeprefix("\\")
        for key in ("connections", "port_directions"):
            if key in cell:
                cell[key] = {pin.removeprefix("\\"): at for pin, at in cell[key].items()}
    return module


def cell_counts(module: Mapping[str, Any]) -> dict[str, int]:
    """Return how often each cell type occurs, memories and notes left out, sorted by name."""
    types = (c["type"] for c in module["cells"].values())
    return dict(sorted(Counter(t for t in types if t not in MEMORY + _NOTES).items()))


def without_notes(module: Mapping[str, Any]) -> dict[str, Any]:
    """Return the module without cells that carry notes for other tools."""
    cells = {name: c for name, c in module["cells"].items() if c["type"] not in _NOTES}
    return {**module, "cells": cells}


def memories_outside(module: Mapping[str, Any]) -> dict[str, Any]:
    """Return the module with its memories taken out, whose pins become ports.

    A port is called after the memory and the pin, ``m_w.RD_DATA``; a clock has none.
    """
    ports, cells = dict(module["ports"]), {}
    for name, cell in module["cells"].items():
        if cell["type"] not in MEMORY:
            cells[name] = cell
            continue
        for pin, bits in cell["connections"].items():
            nets = [bit for bit in bits if isinstance(bit, int)]
            if nets and not pin.endswith("_CLK"):
                direction = "input" if pin == "RD_DATA" else "output"
                ports[f"{name}.{pin}"] = {"direction": direction, "bits": nets}
    return {**module, "ports": ports, "cells": cells}


def memory_bits(module: Mapping[str, Any]) -> int:
    """Return the bits of all memories: words times width of each."""
    return sum(
        int(c["parameters"]["SIZE"], 2) * int(c["parameters"]["WIDTH"], 2)
        for c in module["cells"].values()
        if c["type"] in MEMORY
    )


def is_state(cell_type: str) -> bool:
    """Tell whether a generic gate is a flip-flop or a latch."""
    return "FF" in cell_type.upper() or cell_type.startswith(("$_DLATCH", "$_SR_"))


def logic_depth(module: Mapping[str, Any]) -> int:
    """Return the longest path in gates; flip-flops and memories begin and end paths.

    Raises
    ------
    MubinnError
        If the logic has a cycle.
    """
    driver: dict[int, str] = {}
    inputs: dict[str, set[int]] = {}
    for name, cell in module["cells"].items():
        if is_state(cell["type"]) or cell["type"] in MEMORY + _NOTES:
            continue
        inputs[name] = set()
        for port, bits in cell["connections"].items():
            nets = [b for b in bits if isinstance(b, int)]
            if cell["port_directions"][port] == "output":
                driver.update(dict.fromkeys(nets, name))
            else:
                inputs[name].update(nets)
    before = {name: {driver[b] for b in bits if b in driver} for name, bits in inputs.items()}
    after: dict[str, list[str]] = {name: [] for name in inputs}
    for name, sources in before.items():
        for source in sources:
            after[source].append(name)
    missing = {name: len(sources) for name, sources in before.items()}
    level = dict.fromkeys(inputs, 1)
    ready = [name for name, count in missing.items() if not count]
    done = 0
    while ready:
        name = ready.pop()
        done += 1
        for user in after[name]:
            level[user] = max(level[user], level[name] + 1)
            missing[user] -= 1
            if not missing[user]:
                ready.append(user)
    if done != len(inputs):
        raise MubinnError("The design has a combinational loop: put a register into it.")
    return max(level.values(), default=0)
