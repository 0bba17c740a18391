"""Units as Verilog, ready to be synthesized; what the hardware's sources gave once is kept."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mubinn.synth.flow.cache import cached, content_key
from mubinn.synth.flow.flow import SynthJob, to_verilog, tool_versions
from mubinn.synth.flow.source import source_hash
from mubinn.synth.table1.cell_units import CellUnit

Report = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``."""


def stage(progress: Report | None, name: str) -> Report | None:
    """Return `progress` as one that tells `name`, whatever it is told."""
    if progress is None:
        return None
    return lambda _, done, total: progress(name, done, total)


def elaborate(
    units: Mapping[str, CellUnit],
    workers: int,
    progress: Report | None,
    cache_path: str | Path | None,
) -> dict[str, SynthJob]:
    """Return the units by key as jobs, those of the longest runs first."""
    common = {"sources": source_hash("golden", "hw"), "tools": tool_versions()}

    def verilog(key: str) -> str:
        made = cached(
            content_key({"unit": key, **common}),
            lambda: {"verilog": to_verilog(units[key].make(), units[key].kind)},
            cache_path,
        )
        return str(made["verilog"])

    jobs = {}
    with ThreadPoolExecutor(workers) as pool:
        for done, (key, text) in enumerate(zip(units, pool.map(verilog, units), strict=True), 1):
            jobs[key] = SynthJob(text, units[key].kind)
            if progress is not None:
                progress("elaborate", done, len(units))
    # No core then waits at the end.
    return dict(sorted(jobs.items(), key=lambda item: len(item[1].verilog), reverse=True))
