"""``mubinn import``: a float model of another program's, to start training from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mubinn.cli.shared.common import json_option, print_json
from mubinn.cli.shared.imported import import_options, open_float, say_taken, taken
from mubinn.cli.shared.paths import Command, InputPath, OutputFile
from mubinn.golden.ground.errors import MubinnError


@click.command("import", cls=Command)
@click.argument("model", type=InputPath())
@click.option("-o", "--output", type=OutputFile(), required=True, metavar="FILE")
@import_options
@json_option
def import_(model: Path, output: Path, as_json: bool, **options: Any) -> None:
    """Make a float model of ours, FILE.safetensors, of a MODEL of PyTorch, Keras or ONNX.

    What `mubinn quantize` takes is taken here. `mubinn train --float-model FILE` then trains the
    same network on, binarized, where scales fitted after training lose too much; `mubinn info`
    says of what it consists. Weights are kept in float32.

    \b
      mubinn import my.pt --readout last --normalise none --decimate 1 -o my.safetensors
      mubinn train my.npz --normalise none --decimate 1 --readout last --hidden 64 \\
          --method mubinn2 --levels 2,2 --float-model my.safetensors -o my.mubinn
    """
    from mubinn.golden.importers.any_file import is_our_file
    from mubinn.golden.model.model_file import save_model
    from mubinn.train.recipes.stack import LayerForm, layer_words

    if is_our_file(model):
        raise MubinnError(f"{model} is a model of this program already: use it as it is.")
    found = open_float(model, **options)
    if None in (options["normalise"], options["decimate"]):
        raise MubinnError(
            f"{model} does not say how its input is prepared: give --normalise none --decimate 1 "
            "for windows as it reads them, or what else it is."
        )
    save_model(output, found)
    layers = ", ".join(layer_words([LayerForm.of(layer) for layer in found.layers]))
    trains = _trains(layers)
    if as_json:
        told = {"layers": layers, "trains": trains, "readout": found.readout, "head": found.head}
        print_json({"model": str(output), **told, **taken(found.meta)})
        return
    say_taken(found.meta)
    if not trains:
        click.echo(
            f"{output}: its layers, {layers}, have activations that training does not have; mubinn "
            "quantize takes them as they are."
        )
        return
    click.echo(f"{output}: --layers '{layers}' --readout {found.readout} --head {found.head}")


def _trains(layers: str) -> bool:
    """Return whether training knows such layers."""
    from mubinn.train.recipes.stack import parse_layers

    try:
        return bool(parse_layers(layers))
    except MubinnError:
        return False
