"""From Verilog to an FPGA: resources, Fmax and a bitstream.

Yosys maps the design, nextpnr places and routes it, the family's packer makes the bitstream. Each
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
from mubinn.hw.boards.device import Device, Router, Tool
from mubinn.hw.export.device_design import Measured, constraints, logic_script
from mubinn.synth.flow.cache import cached, content_key
from mubinn.synth.flow.flow import SynthJob, tool_versions
from mubinn.synth.flow.process import run_worker
from mubinn.synth.fpga.fpga_worker import unpacked

WORKER = python_module("mubinn.synth.fpga.fpga_worker")
SCHEMA = 3


@dataclass(frozen=True)
class FpgaResult:
    """What a design takes on a device.

    Attributes
    ----------
    top, device : str
    cells : mapping of str to int
        Of the Yosys netlist, by type.
    used : mapping of str to float
        By resource of the device: as placed, or, without place and route, as counted in `cells`.
    fmax_mhz : float or None
        Of the slowest clock after routing; None where the device has no place and route.
    path : sequence of mappings
        Segments of the longest path between flip-flops: ``kind``, ``from``, ``to``, ``ns``.
    bitstream : bytes
        Empty where there is no place and route.
    tools : mapping of str to str
        Versions.
    """

    top: str
    device: str
    cells: Mapping[str, int]
    used: Mapping[str, float]
    fmax_mhz: float | None
    path: tuple[Mapping[str, Any], ...]
    bitstream: bytes
    tools: Mapping[str, str]


@cache
def route_tools(router: Router) -> dict[str, dict[str, Any]]:
    """Return how to call nextpnr and the packer, from Python packages or PATH, and their versions.

    Raises
    ------
    MubinnError
        If they are not installed.
    """
    found: dict[str, dict[str, Any]] = {"versions": {}}
    for name, tool in (("place", router.place), ("pack", router.pack)):
        if find_spec(tool.module.partition(".")[0]) is not None:
            found[name] = (
                {"module": tool.module, "function": tool.function}
                if tool.function
                else {"program": list(python_module(tool.module))}
            )
            found["versions"][tool.package] = version(tool.package)
            continue
        program = shutil.which(tool.program)
        if program is None:
            raise MubinnError(
                f"Place and route needs {router.place.program} and {router.pack.program}: "
                "pip install 'mubinn[fpga]'."
            )
        found[name] = {"program": [program]}
        if tool is router.place:
            found["versions"][tool.program] = _told_version(program)
    return found


def _told_version(program: str) -> str:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return (told.stderr or told.stdout).strip().splitlines()[0]


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
        ``cells`` (count by type), ``ports`` (width by name), ``netlist`` (packed JSON, or empty).
    """
    job = {"kind": "synth", "top": design.top, "commands": list(commands), "keep": keep}
    texts = {"design.v": design.verilog, **(files or {})}
    return _stage(job, texts, tool_versions(), cache_path, cancel)


def measure(
    design: SynthJob,
    commands: tuple[str, ...],
    files: Mapping[str, str] | None = None,
    cache_path: Any = None,
) -> Measured:
    """Return the cells that Yosys commands make of a design; see `synthesize_cells`."""
    found = synthesize_cells(design, commands, files=files, cache_path=cache_path)
    return Measured(found["cells"], tool_versions())


def measure_logic(verilog: str, top: str, device: Device, cache_path: Any = None) -> Measured:
    """Return the cells of a design's logic alone, its memories being black boxes."""
    script = f"{top}.ys"
    files = {script: logic_script(device, top)}
    return measure(SynthJob(verilog, top), (f"script {script}",), files, cache_path)


def implement(
    design: SynthJob,
    device: Device,
    *,
    clock_mhz: float | None = None,
    pins: str = "",
    seed: int = 1,
    cache_path: Any = None,
    cancel: threading.Event | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> FpgaResult:
    """Put a design on a device.

    Parameters
    ----------
    design : SynthJob
    device : Device
    clock_mhz : float, optional
        What place and route aim at, by default the device's; a result that misses it is returned.
    pins : str, optional
        Constraints, as the device's tools read them; without them ports get whatever pins are free.
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
    router = device.router
    route = route_tools(router) if router else {"versions": {}}
    options = {"cache_path": cache_path, "cancel": cancel}
    progress("mapping to the device's cells (Yosys)")
    commands = (device.command(design.top),)
    mapped = synthesize_cells(design, commands, keep=router is not None, **options)
    used: Mapping[str, float] = device.estimate(mapped["cells"])
    device.check_fit(used, design.top)
    tools = {**tool_versions(), **route["versions"]}
    placed: dict[str, Any] = {"path": [], "fmax_mhz": None, "bitstream": ""}
    if router is not None:
        progress("placing and routing (nextpnr)")
        if device.pins and not pins:
            (pins,) = constraints(device, mapped["ports"]).values()
        job = _route_job(design.top, router, route, clock_mhz or device.clock_mhz, seed)
        files = {"netlist.txt": mapped["netlist"]}
        if pins:
            files["pins.txt"] = pins
            job["place"]["arguments"] += router.pins.format("pins.txt").split()
        placed = _stage(job, files, tools, **options)
        used = placed["used"]
        if "error_line" in placed:
            device.check_fit(used, design.top)
            raise MubinnError(
                f"nextpnr could not place {design.top} on {device.name} although it fits: "
                f"{placed['error_line']}."
            )
    return FpgaResult(
        top=design.top,
        device=device.name,
        cells=mapped["cells"],
        used={key: used[key] for key in device.resources if key in used},
        fmax_mhz=placed["fmax_mhz"],
        path=tuple(placed["path"]),
        bitstream=unpacked(placed["bitstream"]) if placed["bitstream"] else b"",
        tools=tools,
    )


def _route_job(
    top: str, router: Router, route: Mapping[str, Any], clock_mhz: float, seed: int
) -> dict[str, Any]:
    """Return the job of the worker's stage ``route``."""

    def call(name: str, tool: Tool, *more: str) -> dict[str, Any]:
        return {**route[name], "arguments": [*tool.arguments, *more]}

    options = ("--freq", f"{clock_mhz:g}", "--seed", str(seed), "--timing-allow-fail")
    return {
        "kind": "route",
        "top": top,
        "place": call("place", router.place, *options),
        "pack": call("pack", router.pack),
        "text": router.text,
    }
