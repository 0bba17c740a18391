"""``mubinn run``: a recording, or samples as they come, played to a board."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.board import OWN, Board, open_board
from mubinn.cli.shared.common import (
    STATE_FOR_GOOD,
    datapath_option,
    json_option,
    progress_bar,
    refuse_given,
    working,
)
from mubinn.cli.shared.data_options import Reading, channels_option, lsb_option, reading_of
from mubinn.cli.shared.paths import Command, InputPath, OutputFile
from mubinn.cli.shared.run_port import open_port, serial_package
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import write_file
from mubinn.hw.boards.board import ADC
from mubinn.hw.link.line import BAUD

if TYPE_CHECKING:
    from mubinn.cli.shared.run_source import Samples, Source
    from mubinn.golden.model.quantized_model import QuantizedModel
    from mubinn.sim.link.virtual_board import VirtualBoard
    from mubinn.train.data.recordings import LabelledSet, Recording

DIFFERENT = 1
"""Exit code where a result is not the bit-true model's."""

STDIN = "-"
_BUFFER = 4096
"""Bytes that a system holds back in front of a port."""
_SPEED_HZ = 400_000
"""Clock cycles a second of a slow simulation."""
RESAMPLED = "resample it to {:g} Hz before it is played"


@click.command(cls=Command)
@click.argument("model", type=InputPath())
@click.argument("recording", type=InputPath())
@click.option("--port", metavar="PORT", help="The board's: a path, or a URL of pyserial.")
@click.option(
    "--baud",
    type=click.IntRange(min=1),
    help=f"Of the port.  [default: the board's, else {BAUD}]",
)
@click.option(
    "--simulate", is_flag=True, help="In place of a port, run the board's Verilog behind a pty."
)
@click.option("--adc", type=click.IntRange(8, 24), help=f"Bits of a sample.  [default: {ADC}]")
@click.option(
    "--samples",
    type=click.IntRange(min=2),
    metavar="BITS",
    help="Bits of the layer's own samples, where the model's input is made by the host.",
)
@click.option(
    "--state",
    type=STATE_FOR_GOOD,
    help="What the board's windows begin with.  [default: cleared]",
)
@click.option(
    "--state-port",
    is_flag=True,
    default=None,
    help="The board's state goes out and in.",
)
@click.option("--link", type=click.Choice(["uart", "spi"]), help="The board's.  [default: uart]")
@click.option(
    "--divisor",
    type=click.IntRange(min=1),
    help="Clock cycles of a bit of the board's UART.  [default: 6]",
)
@click.option("--units", type=click.IntRange(min=1), help="Of the board.  [default: 1]")
@click.option("--lanes", type=click.IntRange(min=1), help="Of the board.  [default: all]")
@click.option(
    "--load-weights",
    is_flag=True,
    default=None,
    help="The board has no weights of its own.",
)
@click.option(
    "--sleep",
    is_flag=True,
    default=None,
    help="The clock of the board's core stops while it has nothing to do.",
)
@click.option("--max-steps", type=click.IntRange(min=1), help="Of the board.  [default: 4096]")
@datapath_option
@click.option(
    "--window",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="Cut what is played into windows of so many steps.  [default: as the file has them; one "
    "packet where a state is carried and each step has a result]",
)
@channels_option
@lsb_option
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="HZ",
    help="Samples of a channel a second.  [default: as fast as it goes]",
)
@click.option("-o", "--output", type=OutputFile(), metavar="FILE", help="Table of decisions, CSV.")
@click.option("--picture", type=OutputFile(), metavar="FILE.png", help="Signal and decisions.")
@click.option(
    "--load-state",
    type=InputPath(),
    metavar="FILE",
    help="What the board goes on from: the state that --save-state has kept of the same model.",
)
@click.option(
    "--save-state",
    type=OutputFile(),
    metavar="FILE",
    help="Keep the board's state at the end, as before a power-down.",
)
@click.option("--check", is_flag=True, help="Hold every result to the bit-true model.")
@click.option(
    "--faults",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    help="With --simulate: lose a byte, or flip a bit of it, with this probability, either way.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of --faults.")
@json_option
def run(
    model: Path,
    recording: Path,
    port: str | None,
    baud: int | None,
    simulate: bool,
    window: int | None,
    rate: float | None,
    output: Path | None,
    picture: Path | None,
    load_state: Path | None,
    save_state: Path | None,
    check: bool,
    faults: float,
    seed: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Play RECORDING to a board with MODEL, and write what it decides.

    MODEL is a model file, with options that say how the board was made, or a folder that mubinn
    build has made, which knows. Weights that the board does not have itself are loaded first.
    RECORDING is an .npz or .npy of windows or of whole recordings, of
    integers as the board's ADC would have them; EDF, BDF or what MNE reads, from gap to gap,
    counted in --lsb; or - for lines of one integer a channel on
    standard input. The table has a line for each result as it comes: a step, a class, scores,
    flags. A window that the line has lost, there or on the way back, has a line without a class,
    flagged dropped.

    With --check each result has to be what the bit-true model says, exactly; one that is not ends
    the run with exit code 1. With --simulate there is no board, but its Verilog in Verilator,
    driven through the same driver and the same bytes, bit by bit at its pins.

    With --save-state the board's state is kept at the end, and with --load-state it goes on from
    one: a host may switch it off in between, and nothing differs from one run.

    \b
      mubinn run eeg.mubinn night.npz --port /dev/ttyUSB1 -o decided.csv --picture night.png
      mubinn run eeg.mubinn night.edf --lsb 0.5 --port /dev/ttyUSB1 -o decided.csv
      mubinn run eeg.mubinn night.npz --simulate --state carried --check -o decided.csv
      mubinn run eeg.mubinn night.npz --simulate --check --faults 1e-4 --seed 1 -o decided.csv
      mubinn run built/ night.npz --port /dev/ttyUSB1 --load-state n1 --save-state n2 -o decided.csv
      sensor | mubinn run built/ - --port /dev/ttyUSB1
    """
    from mubinn.cli.commands.predict import class_names
    from mubinn.cli.shared.run_play import Play
    from mubinn.cli.shared.run_state import state_text

    given = {name: options[name] for name in OWN if options[name] is not None}
    _check_options(port, simulate, faults, output, as_json)
    serial_package()
    board = open_board(model, given)
    state = _state(board, load_state, saved=save_state is not None)
    source = _source(board, recording, reading_of(options), window, rate)
    with ExitStack() as stack:
        simulated = None
        if simulate:
            with working("compiling the board's Verilog", as_json):
                simulated = stack.enter_context(_simulated(board, source.steps, faults, seed))
            port = simulated.port
        assert port is not None
        out = (
            sys.stdout
            if output is None
            else stack.enter_context(output.open("w", encoding="utf-8"))
        )
        play = Play(
            board,
            source,
            class_names(board.model),
            out,
            check=check,
            drawn=picture is not None,
            state=state,
            saving=save_state is not None,
        )
        quiet = as_json or (output is None and sys.stdout.isatty())
        speed = baud or board.baud
        with open_port(port, speed) as wire, progress_bar("playing", quiet) as show:
            clock = _SPEED_HZ if simulate else board.clock_hz or (board.top.divisor or 1) * speed
            seconds = board.byte_cycles / _SPEED_HZ if simulate else 10 / speed
            play.run(play.session(wire, 1 + _BUFFER * seconds, clock), show, quiet)
        counted = None if simulated is None else simulated.close()
    if picture is not None and play.table.decided:
        write_file(picture, play.picture())
    if save_state is not None and play.saved:
        write_file(save_state, state_text(board, play.saved).encode())
    play.tell(counted, output, as_json)
    if play.difference is not None:
        click.get_current_context().exit(DIFFERENT)
    if play.interrupted:
        raise KeyboardInterrupt


def _check_options(
    port: str | None, simulate: bool, faults: float, output: Path | None, as_json: bool
) -> None:
    if (port is None) == (not simulate):
        raise MubinnError("Give the board's --port, or --simulate to do without a board.")
    if simulate:
        refuse_given("is of a port: leave it out with --simulate.", "baud")
    else:
        refuse_given("is of a simulated line: give it with --simulate.", "faults", "seed")
    if as_json and output is None:
        raise MubinnError("--json takes the terminal: give the table a file with -o.")
    if not faults:
        refuse_given("is of faults: give --faults as well.", "seed")


def _state(board: Board, path: Path | None, *, saved: bool) -> bytes:
    """Return what a board is to go on from; none where it begins."""
    if board.top.state_bytes is None and (saved or path is not None):
        option = "--save-state" if saved else "--load-state"
        raise MubinnError(
            "The board's state does not go out or in: build it with --state carried --state-port, "
            f"or leave out {option}."
        )
    from mubinn.cli.shared.run_state import read_state

    return b"" if path is None else read_state(path, board)


def _source(
    board: Board, recording: Path, reading: Reading, window: int | None, rate: float | None
) -> Source:
    from mubinn.cli.shared import run_source
    from mubinn.cli.shared.fitting import noted

    model, quantum = board.model, board.quantum
    if window is None and board.core.state == "carried" and model.reading.each:
        window = board.packet_steps
    least = max(1, board.top.min_steps) * quantum
    own_rate = float(model.meta["rate_hz"]) if "rate_hz" in model.meta else None
    if str(recording) == STDIN:
        refuse_given("is of a recording: leave it out of samples that come.", "channels", "lsb")
        if window is None:
            raise MubinnError("Samples that come have no windows: give --window, their steps.")
        names = tuple(map(str, noted(model, "channels", list))) or tuple(
            map(str, range(model.channels))
        )
        cut = run_source.lines(sys.stdin, model.channels, window * quantum, least, quantum)
        paced = run_source.paced(cut, rate)
        return run_source.Source(paced, "standard input", window, None, rate or own_rate, names)
    parts, name, about, own = _opened(recording, reading, model)
    length = max(map(len, parts))
    size = (own or length) if window is None else window * quantum
    cut = run_source.pieces(parts, size, least, quantum)
    total = sum(len(part) for part in run_source.pieces(parts, size, least, quantum)) // quantum
    hertz = rate or about.fs_hz or own_rate
    longest = min(size, length) // quantum
    return run_source.Source(
        run_source.paced(cut, rate), name, longest, total, hertz, about.channels
    )


def _opened(
    recording: Path, reading: Reading, model: QuantizedModel
) -> tuple[list[Samples], str, LabelledSet | Recording, int | None]:
    """Return what is played, from gap to gap, its name, what is known of it, and its window."""
    from mubinn.cli.shared.fitting import noted
    from mubinn.cli.shared.recordings import located, open_stretches, open_windows
    from mubinn.golden.model.float_model import CAUSAL
    from mubinn.train.data.recordings import whole_numbers
    from mubinn.train.data.sources import is_arrays

    path = located(recording)
    if not path.exists() or is_arrays(path):
        data, name = open_windows(recording, reading, model=model, resampled=RESAMPLED)
        return list(data.x), name, data, None
    found, name = open_stretches(path, reading, model, RESAMPLED)
    parts: list[Samples] = [one.x[0] for one in found]
    if model.preprocessing.normalise == CAUSAL:
        parts = [whole_numbers(part) for part in parts]
    cut = noted(model, "recordings", dict)
    seconds, rate = cut.get("window"), found[0].fs_hz
    return parts, name, found[0], round(seconds * rate) if seconds and rate else None


def _simulated(board: Board, steps: int, faults: float, seed: int) -> VirtualBoard:
    from mubinn.hw.accelerator.link_accelerator import latency
    from mubinn.sim.link.virtual_board import VirtualBoard

    verilog, name = board.verilog()
    settle = 4096 + latency(board.top, steps)
    return VirtualBoard(verilog, name, board.top.divisor, settle=settle, faults=faults, seed=seed)
