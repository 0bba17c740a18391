"""Runs a worker in a folder of its own, and tells what went wrong."""

import json
import os
import re
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import demand_no_blank
from mubinn.golden.ground.process import cause_outside, python_module, run_process

TAIL_LINES = 3
WORKER = python_module("mubinn.synth.flow.worker")


def _tail(lines: list[str]) -> str:
    """Return the error of a log with the warning before it, else its last lines, as one line."""
    errors = [line[line.index("ERROR") :] for line in lines if "ERROR:" in line]
    if not errors:
        return " | ".join(lines[-TAIL_LINES:])
    warnings = [line for line in lines if line.startswith("Warning:")]
    return " | ".join(warnings[-1:] + errors[-1:])


def _fault(top: str, status: int, log: Path) -> MubinnError:
    """Return what to tell the user of a failed run."""
    if why := cause_outside(log, status):
        return MubinnError(f"Yosys could not synthesize {top}: {why}.")
    lines = [s for line in log.read_text(errors="replace").splitlines() if (s := line.strip())]
    tail = _tail(lines)
    if lacks := re.search(r"cannot be legalized: (.*)", tail):
        return MubinnError(
            f"{top} needs a flip-flop or latch that the library lacks ({lacks.group(1)}): use a "
            "library that has one, or change the design."
        )
    if "logic loop" in tail:
        return MubinnError(f"{top} has a combinational loop: put a register into it.")
    return MubinnError(
        f"Yosys could not synthesize {top} (exit status {status}): correct the design or the "
        f"library; the log ends: {tail}"
    )


def run_worker(
    job: Mapping[str, Any],
    files: Mapping[str, str],
    cancel: threading.Event | None = None,
    command: tuple[str, ...] = WORKER,
) -> dict[str, Any]:
    """Run `job` in a new process and return its answer.

    The process works in a temporary folder that is its TMPDIR too (Yosys keeps libraries there by
    path and whole-second time, so that a shared folder could serve an old one).

    Parameters
    ----------
    job : mapping
        As `mubinn.synth.flow.worker.run_job` takes it.
    files : mapping of str to str
        Text files for the folder, by name.
    cancel : threading.Event, optional
        Ends the run when set.
    command : tuple of str
        The worker; the folder is added.

    Raises
    ------
    MubinnError
        If the run fails; the sentence ends with the last lines of its log.
    Cancelled
        If `cancel` was set.
    """
    with tempfile.TemporaryDirectory(prefix="mubinn-synth-") as name:
        folder = Path(name)
        demand_no_blank(folder.parent, "temporary files", "Yosys", "TMPDIR")
        for file, text in files.items():
            (folder / file).write_text(text)
        (folder / "job.json").write_text(json.dumps(job))
        log = folder / "log.txt"
        status = run_process([*command, name], log, {**os.environ, "TMPDIR": name}, cancel=cancel)
        answer = folder / "result.json"
        if status != 0 or not answer.exists():
            raise _fault(job["top"], status, log)
        result: dict[str, Any] = json.loads(answer.read_text())
    if "error" in result:
        raise MubinnError(result["error"])
    return result
