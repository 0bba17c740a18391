"""From Verilog to an FPGA: resources, Fmax and a bitstream.

Yosys maps the design, nextpnr places and routes it, icepack or ecppack makes the bitstream. Each
stage's answer is kept by content, so that an interrupted run goes on behind the last whole stage.
"""

import hashlib
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.process import python_module
from mubinn.synth.flow.cache import cached, content_key
from mubinn.synth.flow.flow import SynthJob, tool_versions
from mubinn.synth.flow.process import run_worker
from mubinn.synth.fpga.fpga_worker import unpacked
from mubinn.synth.fpga.targets import Router, Target, check_fit, estimate

WORKER = python_module("mubinn.synth.fpga.fpga_worker")
SCHEMA = 1


@dataclass(frozen=True)
class FpgaResult:
    """What a design takes on a device.

    Attributes
    ----------
    top, target : str
    cells : mapping of str to int
        Of the Yosys netlist, by type.
    used : mapping of str to float
        By resource of the target: as placed, or, without place and route, as counted in `cells`.
    fmax_mhz : float or None
        Of the slowest clock after routing; None where the target has no place and route.
    path : sequence of mappings
        Segments of the longest path between flip-flops: ``kind``, ``from``, ``to``, ``ns``.
    bitstream : bytes
        Empty where there is no place and route.
    tools : mapping of str to str
        Versions.
    """

    top: str
    target: str
    cells: Mapping[str, int]
    used: Mapping[str, float]
    fmax_mhz: float | None
    path: tuple[Mapping[str, Any], ...]
    bitstream: bytes
    tools: Mapping[str, str]


@cache
def route_tools(router: Router) -> dict[str, dict[str, str]]:
    """Return how to call nextpnr and the packer, from Python packages or PATH, and their version.

    Raises
    ------
    MubinnError
        If they are not installed.
    """
    place = f"nextpnr-{router.family}"
    if find_spec(router.module) is not None:
        package = router.module.replace("_", "-")
        return {
            "place": {"module": router.module, "function": f"run_nextpnr_{router.family}"},
            "pack": {"module": router.module, "function": f"run_{router.packer}"},
            "versions": {package: version(package)},
        }
    programs = {name: shutil.which(name) for name in (place, router.packer)}
    if not all(programs.values()):
        raise MubinnError(
            f"Place and route needs {place} and {router.packer}: pip install 'mubinn[fpga]'."
        )
    told = subprocess.run([place, "--version"], capture_output=True, text=True, check=False)
    return {
        "place": {"program": str(programs[place])},
        "pack": {"program": str(programs[router.packer])},
        "versions": {place: (told.stderr or told.stdout).strip().splitlines()[0]},
    }


def _stage(
    job: dict[str, Any],
    files: dict[str, str],
    tools: Mapping[str, str],
    cache_path: Any,
    cancel: threading.Event | None,
) -> dict[str, Any]:
    """Return the answer of one stage, from the cache where it is there."""
    contents = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    key = content_key({"schema": SCHEMA, **job, "files": contents, "tools": dict(tools)})
    return cached(key, lambda: run_worker(job, files, cancel, WORKER), cache_path)


def synthesize_cells(
    design: SynthJob,
    commands: tuple[str, ...],
    *,
    keep: bool = False,
    files: Mapping[str, str] | None = None,
    cache_path: Any = None,
    cancel: threading.Event | None = None,
) -> dict[str, Any]:
    """Run Yosys commands on a design.

    Parameters
    ----------
    commands : tuple of str
        After reading the Verilog, such as ``synth_xilinx -family xc7 -top top``.
    keep : bool
        Also return the netlist.
    files : mapping of str to str, optional
        Further text files that the commands read, by name.

    Returns
    -------
    dict
        ``cells`` (count by type) and ``netlist`` (packed JSON, or empty).
    """
    job = {"kind": "synth", "top": design.top, "commands": list(commands), "keep": keep}
    texts = {"design.v": design.verilog, **(files or {})}
    return _stage(job, texts, tool_versions(), cache_path, cancel)


def implement(
    design: SynthJob,
    target: Target,
    *,
    clock_mhz: float | None = None,
    seed: int = 1,
    cache_path: Any = None,
    cancel: threading.Event | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> FpgaResult:
    """Put a design on a device.

    Parameters
    ----------
    design : SynthJob
        Its ports get whatever pins are free.
    target : Target
    clock_mhz : float, optional
        What place and route aim at, by default the target's; a result that misses it is returned.
    seed : int
        Of the placement.
    cache_path : path, optional
        Folder of the cache; see `mubinn.golden.ground.files.cache_root`.
    cancel : threading.Event, optional
        Ends the run when set.
    progress : callable, optional
        Called with the name of each stage when it begins.

    Raises
    ------
    MubinnError
        If the design does not fit, a tool is missing or refuses the design.
    """
    router = target.router
    route = route_tools(router) if router else {"versions": {}}
    options = {"cache_path": cache_path, "cancel": cancel}
    progress("mapping to the device's cells (Yosys)")
    commands = (target.synth.format(top=design.top),)
    mapped = synthesize_cells(design, commands, keep=router is not None, **options)
    used: Mapping[str, float] = estimate(target, mapped["cells"])
    check_fit(target, used, design.top)
    tools = {**tool_versions(), **route["versions"]}
    placed: dict[str, Any] = {"path": [], "fmax_mhz": None, "bitstream": ""}
    if router is not None:
        progress("placing and routing (nextpnr)")
        job = _route_job(design.top, router, route, clock_mhz or target.clock_mhz, seed)
        placed = _stage(job, {"netlist.txt": mapped["netlist"]}, tools, **options)
        used = placed["used"]
        if "error_line" in placed:
            check_fit(target, used, design.top)
            raise MubinnError(
                f"nextpnr could not place {design.top} on {target.name} although it fits: "
                f"{placed['error_line']}."
            )
    return FpgaResult(
        top=design.top,
        target=target.name,
        cells=mapped["cells"],
        used={key: used[key] for key in target.resources if key in used},
        fmax_mhz=placed["fmax_mhz"],
        path=tuple(placed["path"]),
        bitstream=unpacked(placed["bitstream"]) if placed["bitstream"] else b"",
        tools=tools,
    )


def _route_job(
    top: str, router: Router, route: Mapping[str, Any], clock_mhz: float, seed: int
) -> dict[str, Any]:
    """Return the job of the worker's stage ``route``."""
    options = [*router.options, "--freq", f"{clock_mhz:g}", "--seed", str(seed)]
    return {
        "kind": "route",
        "top": top,
        "place": {**route["place"], "arguments": [*options, "--timing-allow-fail"]},
        "pack": {**route["pack"], "arguments": list(router.pack)},
        "text": router.text,
    }
