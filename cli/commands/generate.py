"""``mubinn generate``: the Verilog of a quantized model."""

import resource
import time
from pathlib import Path

import click

from mubinn.cli.shared.common import (
    check_folder,
    datapath_option,
    json_option,
    lanes_option,
    open_quantized,
    print_json,
    units_option,
    working,
    write_folder,
)


@click.command()
@click.argument("model", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR")
@click.option(
    "--target",
    metavar="NAME",
    help="ice40, ecp5 or xc7: write the whole accelerator, with all that goes with it.",
)
@lanes_option
@units_option
@click.option(
    "--width",
    type=click.IntRange(min=8),
    metavar="BITS",
    help="With --target: TDATA of both streams.  [default: 32, ice40 8]",
)
@click.option(
    "--samples",
    type=click.IntRange(min=2),
    metavar="BITS",
    help="With --target: take raw samples of so many bits in place of level bits.",
)
@click.option(
    "--load-weights",
    "loadable",
    is_flag=True,
    help="With --target: weights are loaded at run time.",
)
@click.option(
    "--max-steps",
    type=click.IntRange(min=1),
    help="With --target: steps of the longest window, for which the logits are wide enough.  "
    "[default: 4096]",
)
@datapath_option
@json_option
def generate(
    model: Path | None,
    output: Path,
    target: str | None,
    lanes: int | None,
    units: int,
    width: int | None,
    samples: int | None,
    loadable: bool,
    max_steps: int | None,
    datapath: str | None,
    as_json: bool,
) -> None:
    """Write the layers of MODEL (by default the bundled EEG model at (3,3)) as Verilog.

    DIR gets one file a layer with its memories initialised, parameters.json with every width,
    format and count, and README.md, which lists ports, fields, cycles, memories and formats. An
    earlier output in DIR is replaced; a folder that holds anything else is left alone.

    \b
      mubinn generate -o layer
      mubinn generate my.mubinn -o layer --json
      mubinn generate --datapath threshold -o small

    With --target DIR stands alone: all layers and the classifier behind AXI4-Stream and AXI4-Lite,
    a self-checking Verilog bench with golden vectors, memory contents, constraints, a FuseSoC
    .core file, C header, Python driver, and a page on all of it.

    \b
      mubinn generate my.mubinn --lanes 132 --units 1 --target ecp5 -o accelerator
    """
    from mubinn.golden.folding.layer_plan import MAX_STEPS
    from mubinn.hw.export.accelerator_folder import FolderOptions, accelerator_folder
    from mubinn.hw.export.layer_folder import PARAMETERS
    from mubinn.hw.export.layer_folder import generate as files_of

    check_folder(output, PARAMETERS)
    options = None
    if target is not None:
        steps = MAX_STEPS if max_steps is None else max_steps
        options = FolderOptions(target, lanes, units, samples, loadable, width, steps)
    loaded = open_quantized(model, datapath)
    started = time.perf_counter()
    with working("writing Verilog", as_json):
        files = files_of(loaded) if options is None else accelerator_folder(loaded, options)
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
