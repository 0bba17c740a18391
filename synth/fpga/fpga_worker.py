"""One stage of the FPGA flow, in a process: ``python -m mubinn.synth.fpga.fpga_worker DIR``.

The folder holds ``job.json`` and the stage's input; the answer is written to ``result.json``.
"""

import base64
import importlib
import json
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.leash import end_with_caller
from mubinn.golden.ground.process import answer_job

_HOLD = re.compile(r"Info:\s+hold\s+\S+\s+(-?\d+\.\d+)\s")
_USED = re.compile(r"Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%")


def packed(data: bytes) -> str:
    """Return bytes as text, compressed."""
    return base64.b64encode(zlib.compress(data, 6)).decode()


def unpacked(text: str) -> bytes:
    """Return the bytes that `packed` took."""
    return zlib.decompress(base64.b64decode(text))


def run_synth(job: dict[str, Any]) -> dict[str, Any]:
    """Run Yosys on ``design.v``; return cells by type, the top's ports and the netlist.

    Parameters
    ----------
    job : dict
        ``commands`` after reading the design.
    """
    from pyosys import libyosys

    design = libyosys.Design()
    for command in ("read_verilog -sv design.v", *job["commands"]):
        libyosys.run_pass(command, design)
    libyosys.run_pass("tee -q -o stat.json stat -json", design)
    libyosys.run_pass("write_json netlist.json", design)
    cells = json.loads(Path("stat.json").read_text())["design"]["num_cells_by_type"]
    netlist = Path("netlist.json").read_bytes()
    ports = json.loads(netlist)["modules"][job["top"]]["ports"]
    return {
        "cells": {k: n for k, n in cells.items() if k[0] != "$"},
        "ports": {name: len(port["bits"]) for name, port in ports.items()},
        "netlist": packed(netlist) if job["keep"] else "",
    }


def _call(tool: dict[str, Any], *more: str) -> int:
    """Run a program, or a function of a Python package that holds it; return its status."""
    arguments = [*tool["arguments"], *more]
    if "program" in tool:
        return subprocess.run([*tool["program"], *arguments], check=False).returncode
    run = getattr(importlib.import_module(tool["module"]), tool["function"])
    return int(run(arguments) or 0)


def parse_used(log: str) -> dict[str, int]:
    """Return how much of each resource nextpnr found in the packed design."""
    return {name: int(used) for name, used, _ in _USED.findall(log)}


def check_hold(log: str, top: str) -> None:
    """Raise `MubinnError` where a path that nextpnr tells of reaches its end before it may.

    Of Gowin's block RAMs nextpnr adds up the hold time of several entries of its tables, and tells
    of paths that by its own sum, the last figure of each, keep to it.
    """
    sums = [float(found) for found in _HOLD.findall(log)]
    if sums and min(sums) < 0:
        raise MubinnError(
            f"nextpnr routed {top} with a path that misses a hold time by {-min(sums):.2f} ns: "
            "choose another device, or other lanes or units, which are placed anew."
        )


def run_route(job: dict[str, Any]) -> dict[str, Any]:
    """Place, route and pack ``netlist.txt``; return Fmax, resources, critical path, bitstream.

    Parameters
    ----------
    job : dict
        ``place`` and ``pack``, each a tool and its ``arguments``, the latter's from ``placed.txt``
        to ``design.bit``; ``text`` the option that names the placed design's file.

    Returns
    -------
    dict
        ``used`` alone where the design was packed but cannot be placed.

    Raises
    ------
    MubinnError
        With the first error of the log.
    """
    Path("netlist.json").write_bytes(unpacked(Path("netlist.txt").read_text()))
    files = ("--json", "netlist.json", job["text"], "placed.txt", "--report", "report.json")
    status = _call(job["place"], *files, "-l", "pnr.log", "-q")
    log = Path("pnr.log").read_text(errors="replace") if Path("pnr.log").exists() else ""
    used = parse_used(log)
    if status != 0:
        errors = [line for line in log.splitlines() if line.startswith("ERROR")]
        if used and any("place" in line.lower() for line in errors):
            return {"used": used, "error_line": errors[0]}
        told = errors[0] if errors else f"exit status {status}"
        raise MubinnError(f"nextpnr could not place and route {job['top']}: {told}.")
    check_hold(log, job["top"])
    if _call(job["pack"]) != 0:
        raise MubinnError(f"The bitstream of {job['top']} could not be packed: see the tool's log.")
    report = json.loads(Path("report.json").read_text())
    return {
        "fmax_mhz": _fmax_mhz(report),
        "used": {k: u["used"] for k, u in report["utilization"].items()},
        "path": _critical_path(report),
        "bitstream": packed(Path("design.bit").read_bytes()),
    }


def _clocked_paths(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the longest path from each clock to each, itself among them."""
    return [p for p in report["critical_paths"] if p["from"][:7] == "posedge" == p["to"][:7]]


def _delay_ns(path: dict[str, Any]) -> float:
    return sum(float(step["delay"]) for step in path["path"])


def _fmax_mhz(report: dict[str, Any]) -> float:
    """Return what all clocks reach: they are one, which a gate passes to some registers only.

    Paths from clock to clock are no clock's own in nextpnr's report.
    """
    between = [_delay_ns(p) for p in _clocked_paths(report) if p["from"] != p["to"]]
    own = [float(clock["achieved"]) for clock in report["fmax"].values()]
    return min([*own, *(1e3 / ns for ns in between if ns > 0)])


def _critical_path(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the segments of the longest path from clock to clock: kind, from, to, ns."""
    none: dict[str, Any] = {"path": []}
    longest = max(_clocked_paths(report), key=_delay_ns, default=none)
    return [
        {
            "kind": step["type"],
            "from": step["from"]["cell"],
            "to": step["to"]["cell"],
            "ns": round(step["delay"], 3),
        }
        for step in longest["path"]
    ]


STAGES = {"synth": run_synth, "route": run_route}


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of the stage that ``kind`` names."""
    return STAGES[job["kind"]](job)


if __name__ == "__main__":
    end_with_caller()
    sys.exit(answer_job(sys.argv[1], run_job))
