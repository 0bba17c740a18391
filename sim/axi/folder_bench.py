"""The bench of a generated folder: a whole accelerator, pin to pin, by a simulator alone."""

import os
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.process import cause_outside
from mubinn.sim.runner.build import run_commands
from mubinn.sim.runner.toolchain import cause_of_failure, prepare
from mubinn.sim.testbench.compare import SimulationMismatch

# The bench waits for time to pass, for which Verilator takes coroutines.
_COROUTINES = "-std=gnu++20 -fcoroutines"


@dataclass(frozen=True)
class BenchRun:
    """A bench that passed.

    Attributes
    ----------
    beats : int
        Beats of results, all of which were as wanted.
    cycles : int
        Clock cycles from power-on to the last of them.
    seconds : float
        Wall time of the simulation, without compiling.
    """

    beats: int
    cycles: int
    seconds: float


def run_bench(
    files: Mapping[str, str],
    simulator: str = "verilator",
    *,
    paused: bool = False,
    timeout_s: float = 6 * 3600,
) -> BenchRun:
    """Compile the bench of a folder and run it.

    Parameters
    ----------
    files : mapping of str to str
        `mubinn.hw.export.accelerator_folder.bench_files`, or the whole folder.
    simulator : "verilator" or "icarus"
    paused : bool
        Both sides pause at random.

    Raises
    ------
    SimulationMismatch
        A result is another one than the bit-true model's, or none comes.
    MubinnError
        The bench cannot be compiled, or does not end.
    """
    env, _ = prepare(simulator)
    sources = [name for name in files if name.endswith(".v")]
    if simulator == "verilator":
        jobs = str(len(os.sched_getaffinity(0)))
        flags = ["--timing", "-j", jobs, "-Wno-fatal", "-Wno-lint", "-CFLAGS", _COROUTINES]
        make = ["verilator", "--binary", *flags, "--top-module", "testbench", "-Mdir", "made"]
        run = ["made/Vtestbench"]
    else:
        make, run = ["iverilog", "-g2005", "-o", "made"], ["vvp", "-n", "made"]
    with tempfile.TemporaryDirectory(prefix="mubinn-bench-") as name:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(text)
        log = folder / "build.log"
        if status := run_commands([[*make, *sources]], folder, env, log):
            text = log.read_text(errors="replace")
            why = cause_outside(log, status) or cause_of_failure(text) or text[-500:].strip()
            raise MubinnError(f"{simulator} could not compile the bench: {why}")
        started, log = time.perf_counter(), folder / "run.log"
        status = run_commands([run + ["+fast"] * (not paused)], folder, env, log, timeout_s)
        return _outcome(log, status, time.perf_counter() - started)


def _outcome(log: Path, status: int, seconds: float) -> BenchRun:
    """Return what the bench says that it found."""
    text = log.read_text(errors="replace")
    if found := re.search(r"^PASS: (\d+) result beats, (\d+) cycles$", text, re.M):
        return BenchRun(int(found[1]), int(found[2]), seconds)
    if found := re.search(r"^FAIL: .*$", text, re.M):
        first = re.search(r"^result beat .*$", text, re.M)
        raise SimulationMismatch(f"{found[0]}{f'; first, {first[0]}' if first else ''}.")
    why = cause_outside(log, status) or text[-500:].strip() or f"exit status {status}"
    raise MubinnError(f"The bench ended without a word on its results: {why}")
