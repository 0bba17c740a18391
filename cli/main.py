"""``mubinn``: from a trained LSTM to Verilog, checked bit for bit, and figures of synthesis."""

import signal
from importlib.metadata import version
from typing import Any, NoReturn

import click

from mubinn.cli.shared.group import LazyGroup, Terminated, identifier

COMMANDS = {
    "convert": "Make windows to train on of a public set.",
    "train": "Train a model on windows or recordings, float or binarized.",
    "papers": "Train what other papers have trained, by their methods and ours.",
    "import": "Make a float model of one of PyTorch, Keras or ONNX.",
    "quantize": "Turn a float model into level bits and scales.",
    "calibrate": "Calibrate a model to one person by a recording.",
    "readout": "Give a model another readout: what its scores are, and when.",
    "predict": "Classify windows: class and scores of each, bit-true.",
    "movies": "Continue movies frame by frame, and measure the error of each.",
    "info": "Show what a file holds, of a model or of data.",
    "run": "Play a recording to a board, or to its Verilog.",
    "generate": "Write the Verilog of a quantized model.",
    "build": "Make the bitstream of a board that runs a quantized model.",
    "simulate": "Hold the hardware to the bit-true model in simulation.",
    "synth": "Measure depth, delay and area of the units of a model's cell.",
    "report": "Make Table I and the pages around it.",
    "bench": "Measure what the project promises.",
}


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"mubinn {version('mubinn')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    aliases={"wearer": "calibrate"},
    modules={
        name: (f"mubinn.cli.commands.{identifier(name)}", text) for name, text in COMMANDS.items()
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def mubinn() -> None:
    """Multi-level binarized LSTM accelerators: from a trained model to verified hardware.

    \b
    The whole line, on the model that comes with the program:
      mubinn simulate                      the hardware equals its golden model, value by value
      mubinn generate -o layer             Verilog and a page about it
      mubinn synth                         depth, delay and area of every unit
      mubinn report -o report              Table I as pages and pictures
    \b
    On your own data:
      mubinn train my.npz -o my.safetensors
      mubinn quantize my.safetensors --levels 3,3 --data my.npz -o my.mubinn
      mubinn predict my.mubinn my.npz -o decided.csv
      mubinn build my.mubinn --board icebreaker -o eeg

    A fault in what you give ends in one sentence and exit code 2.
    """


def _terminate(*_: Any) -> NoReturn:
    raise Terminated


def main(*args: Any) -> None:
    """Run the command line; the entry point of the ``mubinn`` program."""
    signal.signal(signal.SIGTERM, _terminate)
    mubinn.main(*args)
