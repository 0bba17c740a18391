"""Running a cocotb bench against an Amaranth component on Verilator or Icarus Verilog."""

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.process import cause_outside
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.sim.runner.build import compile_design, run_commands
from mubinn.sim.runner.commands import bench_variables, run_command
from mubinn.sim.runner.toolchain import prepare
from mubinn.sim.testbench.bench import (
    CLOCK_NS,
    OUTPUTS_VARIABLE,
    STIMULUS_VARIABLE,
    read_arrays,
)
from mubinn.sim.testbench.compare import SimulationMismatch


@dataclass(frozen=True)
class SimResult:
    """What a simulation that passed gave.

    Attributes
    ----------
    tests : int
        Tests that ran, all of which passed.
    cycles : int
        Clock cycles simulated in them.
    seconds : float
        Wall time of the tests themselves, without the start of the simulator.
    outputs : dict of str to ndarray
        What the bench handed to `mubinn.sim.testbench.bench.save_outputs`.
    build_reused : bool
        Whether the compiled simulation was found.
    log : Path or None
        The simulator's log, where `run_dir` was given.
    waves : Path or None
        The FST file, where waves were asked for.
    """

    tests: int
    cycles: int
    seconds: float
    outputs: dict[str, NDArray[Any]] = field(repr=False)
    build_reused: bool = False
    log: Path | None = None
    waves: Path | None = None


def simulate(
    component: Any,
    *,
    top: str,
    bench: str,
    stimulus: Mapping[str, NDArray[Any]],
    simulator: str = "verilator",
    waves: bool = False,
    run_dir: Path | None = None,
    cache_dir: Path | None = None,
    python_path: Sequence[Path] = (),
    plusargs: Sequence[str] = (),
    extra_env: Mapping[str, str] | None = None,
    timeout_s: float = 3600,
) -> SimResult:
    """Run a cocotb bench against a component.

    Parameters
    ----------
    component : amaranth.lib.wiring.Component or str
        The design; its signature gives the ports. Or its Verilog, where it is not of here alone.
    top : str
        Name of the top module.
    bench : str
        Module with the cocotb tests, such as ``mubinn.sim.testbench.tb_unit``.
    stimulus : mapping of str to ndarray
        What the bench finds with `mubinn.sim.testbench.bench.load_stimulus`. No object
        arrays.
    simulator : str
        ``verilator`` or ``icarus``.
    waves : bool
        Write ``<top>.fst`` into `run_dir`.
    run_dir : Path, optional
        Where stimulus, log, results and waves stay; a temporary folder by default, which is kept
        only where the run fails (the error names the log) or waves were asked for.
    cache_dir : Path, optional
        Folder of compiled simulations; see `mubinn.sim.runner.build.cache_root`.
    python_path : sequence of Path
        Folders in which the simulator's Python finds further modules.
    plusargs, extra_env
        For the simulator.
    timeout_s : float
        Wall time after which the run is ended.

    Returns
    -------
    SimResult

    Raises
    ------
    SimulationMismatch
        If a test of the bench fails, with the bench's own message.
    MubinnError
        If a tool is missing, the compilation fails, the simulator ends without results or no test
        ran.
    """
    # First of all: Amaranth warns of components that were made and never converted.
    text = component if isinstance(component, str) else verilog_text(component, top)
    env, versions = prepare(simulator, waves)
    build, reused = compile_design(
        text, top, simulator, env, versions, waves=waves, cache_dir=cache_dir
    )
    folder = Path(tempfile.mkdtemp(prefix="mubinn-sim-")) if run_dir is None else Path(run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    results, log, fst = folder / "results.xml", folder / "simulation.log", folder / f"{top}.fst"
    for stale in (results, log, fst, folder / "outputs.npz"):
        stale.unlink(missing_ok=True)
    env |= bench_variables(simulator, top, bench, results)
    env |= _bench_environment(folder, stimulus, python_path, env) | dict(extra_env or {})
    command = run_command(simulator, build, top, plusargs, fst if waves else None)
    started = time.perf_counter()
    status = run_commands([command], folder, env, log, timeout_s)
    wall = time.perf_counter() - started
    tests, cycles, seconds = _read_results(results, bench, status, log)
    if waves and not fst.is_file():
        raise MubinnError(f"{simulator} wrote no waveforms for {top}; its messages are in {log}.")
    outputs = read_arrays(folder / "outputs.npz")
    temporary = run_dir is None
    if temporary and not waves:
        shutil.rmtree(folder)
    return SimResult(
        tests=tests,
        cycles=cycles,
        seconds=seconds or wall,
        outputs=outputs,
        build_reused=reused,
        log=None if temporary and not waves else log,
        waves=fst if waves else None,
    )


def _bench_environment(
    folder: Path,
    stimulus: Mapping[str, NDArray[Any]],
    python_path: Sequence[Path],
    env: Mapping[str, str],
) -> dict[str, str]:
    """Write the stimulus and return the variables by which the bench finds its files."""
    path = folder / "stimulus.npz"
    arrays: dict[str, Any] = dict(stimulus)
    np.savez(path, allow_pickle=False, **arrays)
    search = [str(Path(p).resolve()) for p in python_path]
    search += [env["PYTHONPATH"]] if env.get("PYTHONPATH") else []
    return {
        STIMULUS_VARIABLE: str(path),
        OUTPUTS_VARIABLE: str(folder / "outputs.npz"),
        "PYTHONPATH": ":".join(search),
        # In a bench a deprecated call is an error as it is under pytest.
        "PYTHONWARNINGS": "error::DeprecationWarning",
    }


def _read_results(results: Path, bench: str, status: int, log: Path) -> tuple[int, int, float]:
    """Return tests, cycles and seconds; demand that there were tests and none failed."""
    try:
        cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        why = cause_outside(log, status) or f"exit status {status}"
        raise MubinnError(
            f"The simulation with bench {bench} ended without results ({why}); its messages are "
            f"in {log}."
        ) from None
    tests, nanoseconds, seconds = 0, 0.0, 0.0
    for case in cases:
        for kind in ("failure", "error"):
            fault = case.find(kind)
            if fault is not None:
                message = (fault.get("message") or "no message").strip()
                if fault.get("type") not in ("SimulationMismatch", "AssertionError"):
                    message = f"{fault.get('type')}: {message}"
                raise SimulationMismatch(f"{bench}.{case.get('name')}: {message} (Log: {log}.)")
        if case.find("skipped") is None:
            tests += 1
            seconds += float(case.get("time", "0"))
            for item in case.iter("property"):
                if item.get("name") == "sim_time_duration":
                    nanoseconds += float(item.get("value", "0"))
    if tests == 0:
        raise MubinnError(f"The bench {bench} ran no test; its messages are in {log}.")
    if status != 0:
        raise MubinnError(
            f"The simulator ended with exit status {status} although the bench {bench} passed; "
            f"its messages are in {log}."
        )
    return tests, round(nanoseconds / CLOCK_NS), seconds
