"""``mubinn synth``: depth, delay and area of the units of a cell, or a model on an FPGA."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.commands.synth_fpga import FpgaOptions, synth_fpga
from mubinn.cli.shared.common import (
    QUANTIZED_MODEL,
    bundled,
    fo4_option,
    json_option,
    liberty_option,
    open_quantized,
    print_json,
    print_table,
    progress_bar,
    refuse_given,
    workers_option,
)
from mubinn.cli.shared.device import DeviceRequest, device_options
from mubinn.cli.shared.paths import Command, InputPath, OutputFolder
from mubinn.golden.ground.errors import MubinnError

if TYPE_CHECKING:
    from mubinn.golden.model.quantized_model import QuantizedModel
    from mubinn.synth import Library, SynthResult
    from mubinn.synth.table1.cell_units import CellUnit

OF_UNITS = ("names", "liberty", "dont_use", "fo4", "workers")

COLUMNS = ("unit", "design", "depth", "gates", "delay/ps", "delay/FO4", "area/um^2", "parameters")


@click.command(cls=Command)
@click.argument("model", type=InputPath(), required=False)
@click.option(
    "--unit",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only this unit; may be repeated. Of full precision are fp_mult, fp_add and others.",
)
@liberty_option
@click.option(
    "--dont-use",
    multiple=True,
    metavar="PATTERN",
    help="Cells of FILE to avoid, such as '*clkgate*', in place of those avoided by default.",
)
@fo4_option
@workers_option
@device_options
@click.option("--clock", type=float, metavar="MHZ", help="With --device: what routing aims at.")
@click.option("--seed", type=click.IntRange(min=1), help="With --device.  [default: 1]")
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="With --device: time steps of a window, for the time that it takes.  [default: 320]",
)
@click.option(
    "-o",
    "--output",
    type=OutputFolder(replaced=True),
    metavar="DIR",
    help="With --device: where to write report, Verilog and bitstream.",
)
@json_option
def synth(
    model: Path | None,
    names: tuple[str, ...],
    liberty: tuple[Path, ...],
    dont_use: tuple[str, ...],
    fo4: float | None,
    workers: int,
    asked: DeviceRequest,
    clock: float | None,
    seed: int | None,
    steps: int | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Synthesize each unit of the cell of MODEL (by default the bundled EEG model at (3,3)).

    Depth and gates count two-input gates; delay and area come from mapping to the built-in
    65-nm-class library, or to the Liberty file that is given. Results are kept by content, so
    that a second run answers at once and an interrupted one goes on.

    \b
      mubinn synth
      mubinn synth my.mubinn --liberty sky130hd_tt.lib.gz
      mubinn synth --unit xnor_h --unit fp_mult --fo4 20

    With --device the whole MODEL goes on an FPGA, behind AXI4-Streams that are narrow enough for
    its pins: resources, Fmax and bitstream (xc7: resources alone). The Verilog is that of mubinn
    generate with the same options.

    \b
      mubinn synth --device ecp5-25k -o fpga
      mubinn synth --device ice40-up5k --lanes 64 --load-weights
    """
    from mubinn.golden.model.model_file import load_model
    from mubinn.hw.export.verilog_text import verilog_text
    from mubinn.synth import SynthJob, synthesize_many

    if asked.name is not None:
        refuse_given("is for units: leave it out with --device.", *OF_UNITS)
        options = FpgaOptions(asked, clock, seed or 1, steps or 320, output)
        synth_fpga(open_quantized(model, asked.datapath), options, as_json)
        return
    refuse_given("is for FPGAs: give it with --device.", "output", "clock", "seed", "steps")
    refuse_given("is for whole models: give it with --device.", "datapath", "name")
    library = _library(liberty, dont_use, fo4)
    chosen = _chosen(units_of(load_model(model or bundled(QUANTIZED_MODEL))), names)
    jobs, texts = {}, {}
    with progress_bar("synthesizing", as_json) as show:
        for name, unit in chosen.items():
            if unit.key not in texts:
                texts[unit.key] = verilog_text(unit.make(), unit.kind)
            jobs[name] = SynthJob(texts[unit.key], unit.kind)
        results = synthesize_many(jobs, library=library, workers=workers, progress=show)
    _tell(chosen, results, library, as_json)


def _library(liberty: tuple[Path, ...], dont_use: tuple[str, ...], fo4: float | None) -> Library:
    from mubinn.synth import DEFAULT_DONT_USE, builtin_library, load_library

    if liberty and fo4 is not None:
        raise MubinnError("--fo4 is for the built-in library: leave out one of --fo4, --liberty.")
    if liberty:
        return load_library(list(liberty), dont_use or DEFAULT_DONT_USE)
    if dont_use:
        raise MubinnError("--dont-use is for a library of your own: give it with --liberty.")
    return builtin_library() if fo4 is None else builtin_library(fo4)


def units_of(model: QuantizedModel) -> dict[str, CellUnit]:
    """Return the units of the first layer's cell, and those of full precision, by name."""
    from mubinn.synth.table1.cell_units import cell_units

    levels = model.levels
    own = cell_units((levels.x, levels.w), model.layers[0])
    full = cell_units((None, None), None)
    return own | {f"fp_{name.removeprefix('float_')}": unit for name, unit in full.items()}


def _chosen(units: dict[str, CellUnit], names: tuple[str, ...]) -> dict[str, CellUnit]:
    for name in names:
        if name not in units:
            raise MubinnError(f"There is no unit {name}: choose from {', '.join(units)}.")
    wanted = names or [name for name in units if not name.startswith("fp_")]
    return {name: units[name] for name in wanted}


def _tell(
    units: Mapping[str, CellUnit],
    results: Mapping[str, SynthResult],
    library: Library,
    as_json: bool,
) -> None:
    if as_json:
        rows: list[dict[str, Any]] = [
            {
                "unit": name,
                "design": units[name].kind,
                "parameters": dict(units[name].parameters),
                "metrics": {k: {"value": m.value, "unit": m.unit} for k, m in r.metrics.items()},
            }
            for name, r in results.items()
        ]
        tools = dict(next(iter(results.values())).tools)
        about = {"name": library.name, "sha256": library.sha256, "fo4_ps": library.fo4_ps}
        print_json({"library": about, "versions": tools, "units": rows})
        return
    table = [
        (
            name,
            units[name].kind,
            r.depth,
            r.gates,
            f"{r.delay_ps:.0f}",
            f"{r.delay_fo4:.1f}",
            f"{r.area_um2:.0f}",
            units[name].text,
        )
        for name, r in results.items()
    ]
    print_table(f"{library.name}, FO4 {library.fo4_ps:.1f} ps", COLUMNS, table)
