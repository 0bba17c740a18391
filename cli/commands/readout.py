"""``mubinn readout``: a model with another readout."""

from __future__ import annotations

from pathlib import Path

import click

from mubinn.cli.shared.common import READOUT, json_option, print_json
from mubinn.cli.shared.paths import Command, InputPath, OutputFile

TRAINED = "trained_readout"
"""The note of the readout that a model was trained with, where it has another one."""


@click.command(cls=Command)
@click.argument("model", type=InputPath())
@click.argument("readout", type=READOUT)
@click.option("-o", "--output", type=OutputFile(), required=True, help="File of the new model.")
@json_option
def readout(model: Path, readout: str, output: Path, as_json: bool) -> None:
    """Give MODEL, a .mubinn file or a float model of ours, another READOUT.

    READOUT is WHAT@WHEN. WHAT a score is: last, of its step; mean, the sum over the window so far;
    leaky:K, S of a leaky mean, S += s - (S >> K) at each step, which goes on from window to window
    with a state that does. WHEN there is one: end, at a window's last step; step, at every one; a
    number n, at every n-th step of a window and at its last one. Short names are last, mean
    (@end), every (last@step), running (mean@step), leaky (leaky:7@step).

    Weights stay as they are, and the new model says which readout it was trained with. All commands
    then do as the file says: a leaky mean of 2^K steps takes the place of the mean over a window.

    \b
      mubinn readout window.mubinn leaky -o stream.mubinn
      mubinn readout window.mubinn leaky:6@40 -o stream.mubinn
      mubinn generate stream.mubinn --device ecp5 --adc 16 --state carried -o accelerator
    """
    from dataclasses import replace

    from mubinn.golden.ground.errors import MubinnError
    from mubinn.golden.model.model_file import load_any, save_model

    found = load_any(model)
    if readout == found.readout:
        raise MubinnError(f"{model} has the readout {readout} already: give another one.")
    trained = found.meta.get(TRAINED, found.readout)
    meta = {name: note for name, note in found.meta.items() if name != TRAINED}
    if trained != readout:
        meta[TRAINED] = trained
    save_model(output, replace(found, readout=readout, meta=meta))
    if as_json:
        print_json({"model": str(output), "readout": readout, TRAINED: trained})
        return
    told = "" if trained == readout else f", trained with {trained}"
    click.echo(f"{output}: readout {readout}{told}.")
