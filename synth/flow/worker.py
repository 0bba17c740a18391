"""One Yosys run in a process of its own: ``python -m mubinn.synth.flow.worker JOBDIR``.

The folder holds ``job.json``, ``design.v`` and, for a mapped run, the library files and
``constraints``; the answer is written to ``result.json``. A process of its own returns its memory,
can be killed, and turns a crash of Yosys or ABC into an exit status.
"""

import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.leash import end_with_caller
from mubinn.golden.ground.process import answer_job
from mubinn.synth.flow import strategies
from mubinn.synth.liberty.library import Library, read_normalised
from mubinn.synth.netlist import netlist, sta

_STIME = re.compile(r"Area =\s*([\d.]+).*?Delay =\s*([\d.]+) ps")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def parse_stime(log: str) -> float:
    """Return the delay in ps from the last ``stime`` line of an ABC log.

    Raises
    ------
    MubinnError
        If there is none.
    """
    found = _STIME.findall(_COLOUR.sub("", log))
    if not found:
        raise MubinnError("ABC printed no delay: the library may lack tables, see its log.")
    return float(found[-1][1])


def _yosys() -> Callable[[str], None]:
    from pyosys import libyosys

    design = libyosys.Design()

    def run(command: str) -> None:
        libyosys.run_pass(command, design)

    return run


def _library(job: dict[str, Any]) -> str:
    """Return the options that name the library's files and the cells to avoid."""
    files = [f"-liberty {file}" for file in job["libraries"]]
    return " ".join(files + [f"-dont_use {cell}" for cell in job["dont_use"]])


@cache
def _read_cells(files: tuple[str, ...]) -> Library:
    return read_normalised([Path(file).read_text() for file in files], "library")


def _cells(job: dict[str, Any]) -> Library:
    """Return the job's library, read once."""
    return _read_cells(tuple(job["libraries"]))


def _count(run: Callable[[str], None], selection: str) -> int:
    """Return how many cells Yosys selects.

    A netlist would tell as well, but writing one sorts the design, and ABC then sees it otherwise.
    """
    run(f"tee -o count.log select -count {selection}")
    return int(Path("count.log").read_text().split()[0])


def _front(run: Callable[[str], None], job: dict[str, Any]) -> tuple[int, bool]:
    """Bring the design to gates, saved as ``generic`` and for a library as ``mapped``.

    Returns the count of cells, and whether both have so many and no flip-flops.
    """
    run("read_verilog -sv design.v")
    for command in strategies.FRONT:
        run(command.format(top=job["top"]))
    run("design -save generic")
    cells = _count(run, "c:*")
    if "libraries" not in job:
        return cells, False
    stateful = _count(run, "t:*FF* t:$_DLATCH* t:$_SR_*") > 0
    if stateful:
        if gating := job.get("gating"):
            Path("gating.v").write_text(gating["map"])
            for command in gating["passes"]:
                run(command)
        run(f"dfflibmap {_library(job)}")
    run(strategies.LAST)
    run("design -save mapped")
    return cells, not stateful and _count(run, "c:*") == cells


def _generic(run: Callable[[str], None], name: str, top: str) -> dict[str, Any]:
    run(f"abc -g {strategies.GENERIC_GATES} -script {name}.abc")
    run("opt_clean")
    run(f"write_json {name}.json")
    module = netlist.load_module(Path(f"{name}.json"), top)
    cells = netlist.cell_counts(module)
    flipflops = sum(n for cell, n in cells.items() if netlist.is_state(cell))
    return {
        "depth": netlist.logic_depth(module),
        "gates": sum(cells.values()) - flipflops,
        "flipflops": flipflops,
        "memory_bits": netlist.memory_bits(module),
        "cells": cells,
    }


def _mapped(
    run: Callable[[str], None], name: str, kind: str, job: dict[str, Any]
) -> dict[str, Any]:
    run(f"tee -o {name}.log abc {_library(job)} -constr constraints -script {name}.abc")
    run("opt_clean")
    run(f"write_json {name}.json")
    module = netlist.load_module(Path(f"{name}.json"), job["top"])
    cells = netlist.cell_counts(module)
    foreign = sorted(set(cells) - set(job["areas"]))
    if foreign:
        raise MubinnError(
            f"The library has no cell for {', '.join(foreign)}: use one that has, or change the "
            "design."
        )
    bare = sorted(cell for cell in cells if job["areas"][cell] is None)
    if bare:
        raise MubinnError(f"The library gives no area for {', '.join(bare)}: complete it.")
    log = Path(f"{name}.log").read_text()
    # Without a single gate there is nothing to map and no delay; that is seen, not assumed.
    logic = sum(n for cell, n in cells.items() if cell not in job["flipflops"])
    if kind == "small":
        # ABC sees no path through full adders.
        logic_alone = netlist.memories_outside(netlist.without_notes(module))
        delay = sta.analyse(logic_alone, _cells(job)).delay_ps
    else:
        delay = parse_stime(log) if logic else 0.0
    return {
        "delay_ps": delay,
        "area_um2": sum(n * job["areas"][cell] for cell, n in cells.items()),
        "flipflops": sum(cells.values()) - logic,
        "memory_bits": netlist.memory_bits(module),
        "cells": cells,
        **({"netlist": netlist.without_notes(module)} if job.get("netlists") else {}),
    }


def _logic() -> bytes:
    """Return the logic that ABC was given last, without the comment that tells the time."""
    path = Path(strategies.LOGIC)
    return path.read_bytes().rpartition(b"\nc\n")[0] if path.exists() else b""


def _strategy(
    run: Callable[[str], None], name: str, script: str, kind: str, job: dict[str, Any]
) -> dict[str, Any]:
    """Return what one strategy makes of the current design."""
    Path(f"{name}.abc").write_text(script.replace("; ", "\n") + "\n")
    if name == "adders":
        run("read_verilog adder_cell.v")
        for command in strategies.ADDERS:
            run(command)
    return _generic(run, name, job["top"]) if kind == "generic" else _mapped(run, name, kind, job)


def _best(outcomes: dict[str, dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the figures of the strategy that counts, and what decided."""
    first, second = ("depth", "gates") if kind == "generic" else ("delay_ps", "area_um2")

    def rank(name: str) -> tuple[float, float]:
        main, other = float(outcomes[name][first]), float(outcomes[name][second])
        return (main * other, main) if kind == "small" else (main, other)

    best = min(outcomes, key=rank)
    tried = {name: [o[first], o[second]] for name, o in outcomes.items()}
    netlists = {name: o.pop("netlist") for name, o in outcomes.items() if "netlist" in o}
    kept = {"netlists": netlists} if netlists else {}
    return {**outcomes[best], "recipe": best, "tried": tried, **kept}


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """Run `job` in the current folder and return the best strategy's figures for each kind of run.

    Parameters
    ----------
    job : dict
        ``kinds`` (of ``generic``, ``mapped`` and ``small``), ``top``; for all but the generic run
        ``libraries`` (files), ``dont_use`` (cells), ``areas`` (um^2 by cell), ``flipflops`` (cell
        names) and, where they are asked for, ``netlists`` (true), ``adders`` (true: a map
        stands beside), ``only`` (one strategy) and ``gating`` (of `strategies.gating`).

    Returns
    -------
    dict
        By kind: the figures, ``recipe`` (the winning strategy, by the name that caches have),
        ``tried`` (the deciding figure by strategy) and all ``netlists`` by strategy where they are
        asked for.
    """
    run = _yosys()
    cells, alike = _front(run, job)
    answer: dict[str, Any] = {}
    logic = b""
    for kind in job["kinds"]:
        outcomes: dict[str, dict[str, Any]] = {}
        for name in strategies.tried(kind, cells):
            if name == "adders" and not job.get("adders"):
                continue
            if job.get("only", name) != name:
                continue
            for balanced in (True, False) if answer and alike and name == "balance" else (False,):
                run(f"design -load {'generic' if kind == 'generic' else 'mapped'}")
                script = strategies.script(kind, name, balanced=balanced)
                outcomes[name] = _strategy(run, name, script, kind, job)
                if balanced and _logic() == logic:
                    break
        logic = _logic()
        answer[kind] = _best(outcomes, kind)
    return answer


if __name__ == "__main__":
    end_with_caller()
    sys.exit(answer_job(sys.argv[1], run_job))
