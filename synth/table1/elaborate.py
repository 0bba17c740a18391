"""Units as Verilog, ready to be synthesized; what the hardware's sources gave once is kept."""

import gc
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from mubinn.golden.ground.process import Cancelled
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.synth.flow.cache import cached, content_key
from mubinn.synth.flow.flow import SynthJob, tool_versions
from mubinn.synth.flow.source import source_hash
from mubinn.synth.table1.cell_units import CellUnit

Report = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``."""


def stage(progress: Report | None, name: str) -> Report | None:
    """Return `progress` as one that tells `name`, whatever it is told."""
    if progress is None:
        return None
    return lambda _, done, total: progress(name, done, total)


def _begin() -> None:
    """Prepare a process: interrupts are its parent's; looking for garbage takes a fifth of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(1_000_000)


def _verilog(unit: CellUnit) -> dict[str, str]:
    return {"verilog": verilog_text(unit.make(), unit.kind)}


def elaborate(
    units: Mapping[str, CellUnit],
    workers: int,
    progress: Report | None,
    cache_path: str | Path | None,
    cancel: threading.Event | None = None,
) -> dict[str, SynthJob]:
    """Return the units by key as jobs, those of the longest runs first.

    Processes elaborate: threads of Python would take turns. `Cancelled` is raised once `cancel` is
    set.
    """
    common = {"sources": source_hash("golden", "hw"), "tools": tool_versions()}
    jobs = {}
    with (
        ProcessPoolExecutor(workers, get_context("spawn"), _begin) as processes,
        ThreadPoolExecutor(workers) as threads,
    ):

        def verilog(key: str) -> str:
            made = cached(
                content_key({"unit": key, **common}),
                lambda: processes.submit(_verilog, units[key]).result(),
                cache_path,
            )
            return str(made["verilog"])

        for done, (key, text) in enumerate(zip(units, threads.map(verilog, units), strict=True), 1):
            if cancel is not None and cancel.is_set():
                raise Cancelled
            jobs[key] = SynthJob(text, units[key].kind)
            if progress is not None:
                progress("elaborate", done, len(units))
    # No core then waits at the end.
    return dict(sorted(jobs.items(), key=lambda item: len(item[1].verilog), reverse=True))
