"""``mubinn generate``: the Verilog of a quantized model."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mubinn.cli.shared.common import (
    json_option,
    open_quantized,
    print_json,
    working,
)
from mubinn.cli.shared.device import DeviceRequest, device_options
from mubinn.cli.shared.paths import Command, InputPath, OutputFolder
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import check_folder, write_folder

if TYPE_CHECKING:
    from mubinn.golden.model.quantized_model import QuantizedModel


@click.command(cls=Command)
@click.argument("model", type=InputPath(), required=False)
@click.option("-o", "--output", type=OutputFolder(replaced=True), required=True, metavar="DIR")
@device_options
@click.option(
    "--layers", is_flag=True, help="With --device: the layers alone, without classifier and AXI."
)
@click.option(
    "--logic",
    is_flag=True,
    help="Of layers alone: weights, scales and biases as logic, for a chip, in place of memories.",
)
@click.option(
    "--measure/--no-measure",
    default=None,
    help="With --device: state on the page what Yosys makes of the Verilog, or save that time.  "
    "[default: measure]",
)
@json_option
def generate(
    model: Path | None,
    output: Path,
    asked: DeviceRequest,
    layers: bool,
    logic: bool,
    measure: bool | None,
    as_json: bool,
) -> None:
    """Write the layers of MODEL (by default the bundled EEG model at (3,3)) as Verilog.

    DIR gets one file a layer with its memories initialised, parameters.json with every width,
    format and count, and README.md, which lists ports, fields, cycles, memories and formats. An
    earlier output in DIR is replaced; a folder that holds anything else is left alone.

    \b
      mubinn generate -o layer
      mubinn generate my.mubinn -o layer --json
      mubinn generate --datapath threshold --top eeg -o small
      mubinn generate --logic -o chip

    With --device DIR stands alone: all layers and the classifier behind AXI4-Stream and AXI4-Lite,
    a self-checking Verilog bench with golden vectors, memory contents, constraints, a FuseSoC
    .core file, C header, Python driver, and a page on all of it that states the resources which
    Yosys counts. The Verilog is that of mubinn synth with the same options.

    \b
      mubinn generate my.mubinn --lanes 132 --units 1 --device ecp5 -o accelerator
      mubinn generate my.mubinn --units 3 --device xc7 --layers -o layer
    """
    from mubinn.hw.export.layer_folder import PARAMETERS

    check_folder(output, PARAMETERS)
    for option, given in (("--layers", layers), ("--[no-]measure", measure is not None)):
        if given and asked.name is None:
            raise MubinnError(f"{option} is for FPGAs: give it with --device.")
    if logic and asked.name is not None and not layers:
        raise MubinnError("--logic is for layers alone: leave out --device, or give --layers.")
    measured = measure is not False
    loaded = open_quantized(model, asked.datapath)
    started = time.perf_counter()
    with working("writing Verilog", as_json) as show:
        if layers or asked.name is None:
            files = _layers(loaded, asked, measured, logic)
        else:
            show("writing Verilog, mapping it to the device's cells (Yosys)")
            files = _accelerator(loaded, asked, measured)
        write_folder(output, files, PARAMETERS)
    seconds = time.perf_counter() - started
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if as_json:
        print_json(
            {
                "folder": str(output),
                "files": sorted(files),
                "seconds": round(seconds, 2),
                "peak_memory_mb": round(megabytes, 1),
            }
        )
        return
    for name, text in files.items():
        click.echo(f"{output / name}: {len(text.encode())} bytes")
    click.echo(f"{seconds:.1f} s, at most {megabytes:.0f} MB of memory.")


def _accelerator(model: QuantizedModel, asked: DeviceRequest, measured: bool) -> dict[str, str]:
    """Return the files of the whole accelerator."""
    from mubinn.hw.export.accelerator_folder import accelerator_folder
    from mubinn.synth import SynthJob
    from mubinn.synth.fpga.place_and_route import measure

    design = asked.design(model)
    commands = (asked.device.command(design.name),)
    found = measure(SynthJob(design.verilog, design.name), commands) if measured else None
    return accelerator_folder(model, design, found)


def _layers(
    model: QuantizedModel, asked: DeviceRequest, measured: bool, logic: bool
) -> dict[str, str]:
    """Return the files of the layers, for a device or for standard cells."""
    from mubinn.hw.export.layer_folder import generate as files_of
    from mubinn.hw.export.layer_folder import layer_designs
    from mubinn.synth.fpga.place_and_route import measure_logic

    device = None if asked.name is None else asked.device
    foreign = asked.options.keys() - {"lanes", "units", "name"}
    if foreign:
        raise MubinnError(f"--layers has no {min(foreign)}: leave out what is of streams.")
    designs = layer_designs(model, device, **asked.options, logic=logic)
    found = []
    if device is not None and measured:
        found = [measure_logic(design.verilog, design.name, device) for design in designs]
    return files_of(model, device, designs, found)
