"""``mubinn synth --device``: a model on an FPGA."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.common import print_json, print_table, working
from mubinn.golden.ground.files import check_folder, write_folder

if TYPE_CHECKING:
    from mubinn.cli.shared.device import DeviceRequest
    from mubinn.golden.model.quantized_model import QuantizedModel
    from mubinn.hw.export.device_design import DeviceDesign
    from mubinn.synth.fpga.place_and_route import FpgaResult

REPORT = "fpga.json"
"""The file by which a folder of results is known."""


@dataclass(frozen=True)
class FpgaOptions:
    """What the command's options say of an FPGA."""

    asked: DeviceRequest
    clock: float | None
    seed: int
    steps: int
    output: Path | None


def synth_fpga(model: QuantizedModel, options: FpgaOptions, as_json: bool) -> None:
    """Put a model on a device, print what it takes, and write report and bitstream if asked to.

    Raises
    ------
    MubinnError
        If the design does not fit, a tool is missing, or the folder cannot be written.
    """
    from mubinn.synth import SynthJob
    from mubinn.synth.fpga.place_and_route import implement, route_tools

    device = options.asked.device
    if options.output is not None:
        check_folder(options.output, REPORT)
    if device.router is not None:
        route_tools(device.router)
    with working("writing Verilog", as_json) as show:
        design = options.asked.design(model)
        result = implement(
            SynthJob(design.verilog, design.name),
            device,
            clock_mhz=options.clock,
            seed=options.seed,
            progress=lambda stage: show(f"{device.name}: {stage}"),
        )
    told = _report(design, result, options)
    if options.output is not None:
        _write(options.output, told, design, result)
    if as_json:
        print_json(told)
    else:
        _tell(told)


def _report(design: DeviceDesign, result: FpgaResult, options: FpgaOptions) -> dict[str, Any]:
    """Return everything as JSON types."""
    device, made, top = design.device, design.options, design.top
    cycles = design.window_cycles(options.steps)
    fmax = result.fmax_mhz
    return {
        "device": device.name,
        "part": device.part,
        "command": device.command(result.top),
        "lanes": made.lanes,
        "units": made.units,
        "sample_width": made.sample_width,
        "weights": "loaded" if made.loadable else "initialised",
        "tdata_bits": top.reader.width,
        "registers": bool(top.registers),
        "seed": options.seed,
        "cycles_per_step": top.core.cycles_per_step,
        "steps": options.steps,
        "cycles_per_window": cycles,
        "fmax_mhz": fmax,
        "ms_per_window": None if fmax is None else cycles / fmax / 1e3,
        "used": device.taken(result.used),
        "cells": dict(result.cells),
        "critical_path": [dict(step) for step in result.path],
        "bitstream_bytes": len(result.bitstream),
        "versions": dict(result.tools),
    }


def _write(folder: Path, told: dict[str, Any], design: DeviceDesign, result: FpgaResult) -> None:
    """Write report, Verilog and bitstream as a folder."""
    import json

    files: dict[str, str | bytes] = {
        REPORT: json.dumps(told, indent=2) + "\n",
        f"{result.top}.v": design.verilog,
    }
    if result.bitstream:
        files[f"{result.top}.bit"] = result.bitstream
    write_folder(folder, files, REPORT)


def _tell(told: dict[str, Any]) -> None:
    rows = [
        (u["what"], f"{u['used']:g}", u["available"], f"{100 * u['used'] / u['available']:.1f}")
        for u in told["used"].values()
    ]
    print_table(told["part"], ("resource", "used", "available", "%"), rows)
    click.echo(
        f"\n{told['cycles_per_step']} cycles a step, {told['cycles_per_window']} a window of "
        f"{told['steps']} steps."
    )
    if told["fmax_mhz"] is None:
        click.echo("Synthesis alone: there is no place and route for this device.")
        return
    click.echo(
        f"Fmax {told['fmax_mhz']:.1f} MHz: {told['ms_per_window']:.2f} ms a window. Bitstream: "
        f"{told['bitstream_bytes']} bytes."
    )
