"""Workers: a process and whatever it starts, ended with the caller, its messages in a log."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mubinn.golden.ground import leash
from mubinn.golden.ground.errors import MubinnError

POLL_S = 0.1

_SPACE_LEFT = 1 << 16


class Cancelled(Exception):
    """The run was ended on request."""


def python_module(name: str) -> tuple[str, ...]:
    """Return the command that runs a module, whatever stands in the current folder."""
    return (sys.executable, "-P", "-m", name)


def leashed(command: Sequence[str]) -> tuple[str, ...]:
    """Return the command that runs `command` and has it killed when the caller is gone.

    For programs that are not ours; ours call `mubinn.golden.ground.leash.end_with_caller`.
    """
    return (sys.executable, "-I", "-S", leash.__file__, *command)


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def require(tools: dict[str, str], purpose: str) -> None:
    """Demand that programs are on PATH: `tools`, with the Debian packages that bring them.

    `purpose` is what needs them, for the message.

    Raises
    ------
    MubinnError
        Naming the missing programs and the command that installs them.
    """
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        packages = " ".join(dict.fromkeys(tools[tool] for tool in missing))
        raise MubinnError(
            f"{purpose} needs {' and '.join(missing)}, which is not on PATH; install it with "
            f"`apt-get install {packages}`."
        )


def run_process(
    command: Sequence[str],
    log: Path,
    env: Mapping[str, str],
    *,
    cwd: Path | None = None,
    timeout_s: float | None = None,
    cancel: threading.Event | None = None,
) -> int:
    """Run a command in a session of its own; return its exit status.

    Whatever it prints is added to `log`. Where the caller is interrupted, `cancel` is set or the
    time is up, the whole session is killed; a caller that is itself killed leaves it to
    `mubinn.golden.ground.leash`.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    subprocess.TimeoutExpired
        If it took more than `timeout_s` seconds.
    """
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return _wait(process, timeout_s, cancel)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            if process.poll() is None:
                _kill(process)


def cause_outside(log: Path, status: int) -> str | None:
    """Return what else than its task made a program fail, None where nothing tells of it.

    Parameters
    ----------
    log : Path
        All that it printed, in the folder that it worked in.
    status : int
        Its exit status, or minus the signal that ended it.
    """
    text = log.read_text(errors="replace")
    full = re.search(r"No space left on device|Disk quota exceeded", text)
    # A full disk may have no room for the message that says so.
    if full or shutil.disk_usage(log.parent).free < _SPACE_LEFT:
        return "the disk is full; free some space, or set TMPDIR and MUBINN_CACHE to another one"
    killed = status in (-signal.SIGKILL, leash.SIGNALLED + signal.SIGKILL)
    if killed or re.search(r"Killed signal terminated program|[Oo]ut of memory|bad_alloc", text):
        return "it was ended for lack of memory; free some, or give it a smaller design"
    return None


def _wait(
    process: subprocess.Popen[bytes], timeout_s: float | None, cancel: threading.Event | None
) -> int:
    end = float("inf") if timeout_s is None else time.monotonic() + timeout_s
    while True:
        try:
            return process.wait(min(POLL_S, max(0.0, end - time.monotonic())))
        except subprocess.TimeoutExpired:
            if cancel is not None and cancel.is_set():
                raise Cancelled from None
            if time.monotonic() >= end:
                raise


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it started: they are one process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answer_job(folder: str, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Be a worker: answer the ``job.json`` of `folder` in its ``result.json``; return the status.

    A `MubinnError` becomes the answer's ``error``.
    """
    os.chdir(folder)
    try:
        result = answer(json.loads(Path("job.json").read_text()))
    except MubinnError as error:
        result = {"error": str(error)}
    Path("result.json").write_text(json.dumps(result))
    return 0
