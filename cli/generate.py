"""``mubinn generate``: the Verilog of a quantized model."""

from pathlib import Path

import click

from mubinn.cli.common import (
    check_folder,
    datapath_option,
    json_option,
    open_quantized,
    print_json,
    working,
    write_folder,
)


@click.command()
@click.argument("model", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR")
@datapath_option
@json_option
def generate(model: Path | None, output: Path, datapath: str | None, as_json: bool) -> None:
    """Write the layers of MODEL (by default the bundled EEG model at (3,3)) as Verilog.

    DIR gets one file a layer with its memories initialised, parameters.json with every width,
    format and count, and README.md, which lists ports, fields, cycles, memories and formats. An
    earlier output in DIR is replaced; a folder that holds anything else is left alone.

    \b
      mubinn generate -o layer
      mubinn generate my.mubinn -o layer --json
      mubinn generate --datapath threshold -o small
    """
    from mubinn.hw.generate import PARAMETERS
    from mubinn.hw.generate import generate as files_of

    check_folder(output, PARAMETERS)
    loaded = open_quantized(model, datapath)
    with working("writing Verilog", as_json):
        files = files_of(loaded)
        write_folder(output, files, PARAMETERS)
    if as_json:
        print_json({"folder": str(output), "files": sorted(files)})
        return
    for name, text in files.items():
        click.echo(f"{output / name}: {len(text.encode())} bytes")
