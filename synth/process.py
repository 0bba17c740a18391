"""Runs a worker in a process and a folder of its own, and ends it where the user does."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mubinn.golden.errors import MubinnError

POLL_S = 0.1
TAIL_LINES = 3


class Cancelled(Exception):
    """The run was ended on request."""


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the worker and the ABC that it started: they are one process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(log: Path) -> str:
    """Return the error line of a log, else its last lines, as one line of text."""
    lines = [s for line in log.read_text(errors="replace").splitlines() if (s := line.strip())]
    errors = [line for line in lines if re.match(r"(ERROR|\S*Error)\b", line)]
    return " | ".join(errors[-1:] or lines[-TAIL_LINES:])


def run_worker(
    job: Mapping[str, Any],
    files: Mapping[str, str],
    cancel: threading.Event | None = None,
    command: tuple[str, ...] = (sys.executable, "-m", "mubinn.synth.worker"),
) -> dict[str, Any]:
    """Run `job` in a new process and return its answer.

    The process works in a temporary folder that is its TMPDIR too (Yosys keeps libraries there by
    path and whole-second time, so that a shared folder could serve an old one).

    Parameters
    ----------
    job : mapping
        As :func:`mubinn.synth.worker.run_job` takes it.
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
        for file, text in files.items():
            (folder / file).write_text(text)
        (folder / "job.json").write_text(json.dumps(job))
        log = folder / "log.txt"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [*command, name],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": name},
                start_new_session=True,
            )
            try:
                _wait(process, cancel)
            finally:
                if process.poll() is None:
                    _kill(process)
        answer = folder / "result.json"
        if process.returncode != 0 or not answer.exists():
            raise MubinnError(
                f"Yosys could not synthesize {job['top']} (exit status {process.returncode}); its "
                f"log ends: {_tail(log)}"
            )
        result: dict[str, Any] = json.loads(answer.read_text())
    if "error" in result:
        raise MubinnError(result["error"])
    return result


def _wait(process: subprocess.Popen[bytes], cancel: threading.Event | None) -> None:
    while True:
        try:
            process.wait(timeout=POLL_S)
            return
        except subprocess.TimeoutExpired:
            if cancel is not None and cancel.is_set():
                raise Cancelled from None
