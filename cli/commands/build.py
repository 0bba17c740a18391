"""``mubinn build``: a model as the bitstream of a board."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.common import (
    STATE_FOR_GOOD,
    datapath_option,
    json_option,
    open_quantized,
    print_json,
    print_table,
    working,
)
from mubinn.cli.shared.paths import Command, InputPath, OutputFolder
from mubinn.golden.ground.files import check_folder, write_folder
from mubinn.hw.boards.board import ABOUT, ADC, BOARDS, PORTS, find_board
from mubinn.hw.link.line import BAUD

if TYPE_CHECKING:
    from mubinn.golden.model.quantized_model import QuantizedModel
    from mubinn.hw.export.board_folder import BoardDesign


@click.command(cls=Command)
@click.argument("model", type=InputPath(), required=False)
@click.option("--board", required=True, metavar="NAME", help=f"One of {', '.join(BOARDS)}.")
@click.option("-o", "--output", type=OutputFolder(replaced=True), required=True, metavar="DIR")
@click.option("--port", type=click.Choice(PORTS), default="uart", show_default=True)
@click.option(
    "--baud",
    type=click.IntRange(min=1),
    metavar="BIT/S",
    help=f"Of the UART.  [default: {BAUD}]",
)
@click.option(
    "--clock",
    "clock_mhz",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MHZ",
    help="Of the core, by a PLL.  [default: the board's own clock]",
)
@click.option(
    "--adc",
    "adc_width",
    type=click.IntRange(8, 24),
    metavar="BITS",
    help=f"Samples as an ADC has them.  [default: {ADC} of models trained with --normalise causal; "
    "others take level bits]",
)
@click.option(
    "--state",
    type=STATE_FOR_GOOD,
    default="cleared",
    show_default=True,
    help="What a window begins with: nothing, or the state that the window before has left.",
)
@click.option(
    "--state-port",
    is_flag=True,
    help="With --state carried: the whole state goes out and in over the link, as mubinn run "
    "--save-state and --load-state have it, before a power-down, or for streams that share a "
    "board.",
)
@click.option(
    "--load-weights",
    "loadable",
    is_flag=True,
    help="Weights are loaded at run time, as mubinn run does, on an UP5K into its SPRAM.",
)
@click.option(
    "--lanes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Elements of a word.  [default: all of x and h]",
)
@click.option(
    "--units",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="XNOR multipliers side by side.",
)
@click.option(
    "--sleep",
    "sleeps",
    is_flag=True,
    help="Stop the core's clock while it has nothing to do; the link stays awake.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the placement."
)
@datapath_option
@json_option
def build(
    model: Path | None,
    board: str,
    output: Path,
    datapath: str | None,
    seed: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Make a bitstream of MODEL (by default the bundled EEG model at (3,3)) for a board.

    The accelerator stands behind a UART or a SPI slave, on the board's pins, clock and reset. It is
    placed, routed and packed; a design that does not reach its clock is refused. DIR gets the
    bitstream, its Verilog and constraints, the model, board.json for a host, and README.md: what it
    takes, how fast it is, how to load it and how to talk to it. Needs extra fpga.

    \b
      mubinn build my.mubinn --board icebreaker -o eeg
      mubinn build my.mubinn --board upduino3 --load-weights --lanes 32 -o eeg
      mubinn build my.mubinn --board ulx3s --clock 50 --baud 1000000 --state carried -o eeg
      mubinn build my.mubinn --board icebreaker --state carried --state-port -o eeg
    """
    from mubinn.hw.export.board_folder import (
        BoardOptions,
        Placed,
        board_design,
        board_folder,
        check_speed,
        describe_board,
    )
    from mubinn.synth import SynthJob
    from mubinn.synth.fpga.place_and_route import implement, route_tools

    check_folder(output, ABOUT)
    chosen = find_board(board)
    device = chosen.device
    assert device.router is not None
    route_tools(device.router)
    loaded = open_quantized(model, datapath)
    with working("writing Verilog", as_json) as show:
        design = board_design(loaded, chosen, BoardOptions(**options))
        result = implement(
            SynthJob(design.verilog, design.name),
            device,
            clock_mhz=design.clock_mhz,
            pins=design.pins,
            seed=seed,
            progress=lambda stage: show(f"{chosen.title}: {stage}"),
        )
    assert result.fmax_mhz is not None
    check_speed(design, result.fmax_mhz)
    placed = Placed(result.used, result.fmax_mhz, result.bitstream, result.tools)
    files = board_folder(loaded, _stored(loaded), design, placed)
    write_folder(output, files, ABOUT)
    told = describe_board(loaded, design, placed)
    if as_json:
        print_json({"folder": str(output), "files": sorted(files), **told})
    else:
        _tell(output, design, told)


def _stored(model: QuantizedModel) -> bytes:
    """Return the file of a model."""
    from mubinn.golden.model.model_file import save_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.mubinn"
        save_model(path, model)
        return path.read_bytes()


def _tell(output: Path, design: BoardDesign, told: dict[str, Any]) -> None:
    rows = [
        (u["what"], f"{u['used']:g}", u["available"], f"{100 * u['used'] / u['available']:.1f}")
        for u in told["used"].values()
    ]
    title = f"{told['title']}, {told['part']}"
    print_table(title, ("resource", "used", "available", "%"), rows)
    click.echo(
        f"\nFmax {told['fmax_mhz']:.1f} MHz, clock {design.clock_mhz:g} MHz; "
        f"{told['cycles_per_step']} cycles a step."
    )
    sensor = told["sensor"]
    if sensor is not None:
        click.echo(
            f"At {sensor['rate_hz']:g} samples a second, as the model's file notes, a clock of "
            f"{sensor['clock_hz'] / 1e3:.1f} kHz would do: asleep {100 * sensor['asleep']:.2f} % "
            "of the time."
        )
        if (sensor["line_share"] or 0) > 1:
            click.echo(
                f"The line is {sensor['line_share']:.1f} times too slow for that rate: samples "
                "come as fast as it carries them, unless a higher --baud is given."
            )
    click.echo(f"{output / 'README.md'} says how to talk to it. To load it:")
    click.echo(f"  cd {output} && {told['load']}")
