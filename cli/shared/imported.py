"""The float model that a command starts from: ours, or one of PyTorch, Keras or ONNX."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mubinn.cli.shared.common import NORMALISE, READOUT, READOUT_FORMS
from mubinn.cli.shared.paths import InputPath
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_model import FloatModel, Preprocessing
from mubinn.golden.model.head import HEADS
from mubinn.golden.units.shapes import FARTHEST

TAKEN = {
    "outputs": "The file does not say what its outputs are: {} (--outputs).",
    "last": "The readout last: {}.",
}
"""Notes on what was taken as the file does not say it, and the sentences that tell of them."""

OPTIONS = (
    click.option(
        "--readout",
        type=READOUT,
        help="What the classifier of a PyTorch state dictionary, or of a graph of one step, reads "
        f"of h. {READOUT_FORMS}. For other models see mubinn readout.",
    ),
    click.option(
        "--recurrent",
        metavar="NAMES",
        help="Recurrent modules of a state dictionary from the bottom up, separated by commas.",
    ),
    click.option(
        "--head",
        metavar="NAME",
        help="The classifier of a state dictionary, or of an ONNX graph with several outputs.",
    ),
    click.option(
        "--from",
        "first",
        metavar="NODE",
        help="The node of a larger ONNX graph at which the model begins; states begin at 0.",
    ),
    click.option(
        "--to",
        "last",
        metavar="NODE",
        help="The node of a larger ONNX graph with which the model ends.",
    ),
    click.option(
        "--nonlinearity",
        type=click.Choice(["tanh", "relu"]),
        help="The activation of a PyTorch nn.RNN, which its state dictionary does not say.",
    ),
    click.option(
        "--ceiling",
        type=click.FloatRange(min=0, min_open=True, max=FARTHEST),
        metavar="X",
        help="Where relu and linear of an imported model, which have no limit, are clipped.",
    ),
    click.option(
        "--outputs",
        type=click.Choice(sorted(HEADS)),
        help="What the outputs of an imported model are, where nothing follows its dense layer: "
        "logits of classes, the logit of a sigmoid, or numbers.  [default: classes of several]",
    ),
    click.option(
        "--describe",
        type=InputPath(),
        metavar="TOML",
        help="A file that lists the layers of a PyTorch state dictionary, where convolutions, "
        "normalisations or dense layers stand beside the recurrent ones.",
    ),
    click.option(
        "--clip-c",
        type=click.FloatRange(min=0, min_open=True),
        metavar="X",
        help="Clip the cell state c to +-X; 1 costs little and makes c quantize well.",
    ),
    click.option(
        *NORMALISE,
        type=click.Choice(["window", "none"]),
        help="Normalise each channel of a window before an imported model reads it, or not.",
    ),
    click.option(
        "--decimate",
        type=click.IntRange(min=1),
        metavar="N",
        help="Average N samples into one time step of an imported model.",
    ),
)


def import_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what `open_float` takes to a command, as keyword arguments of the same names."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def open_float(
    path: Path,
    *,
    readout: Any,
    recurrent: str | None,
    head: str | None,
    first: str | None,
    last: str | None,
    nonlinearity: str | None,
    ceiling: float | None,
    outputs: Any,
    describe: Path | None,
    clip_c: float | None,
    normalise: str | None,
    decimate: int | None,
) -> FloatModel:
    """Return the float model of the file `path`, whichever program made it.

    Raises
    ------
    MubinnError
        As `import_model` does; for options of imported models beside one of ours, and for a
        clipped c where no cell has one.
    """
    from mubinn.golden.importers.any_file import import_model, is_our_file
    from mubinn.golden.importers.parts import ImportOptions

    names = tuple(recurrent.split(",")) if recurrent is not None else ()
    options = ImportOptions(
        readout, names, head, first, last, nonlinearity, ceiling, outputs, describe
    )
    model = import_model(path, options)
    if normalise is not None or decimate is not None:
        if is_our_file(path):
            raise MubinnError(
                f"{path} says by itself how its input is prepared: leave out --normalise and "
                "--decimate."
            )
        own = model.preprocessing
        how = Preprocessing(normalise or own.normalise, decimate or own.decimate)
        model = replace(model, preprocessing=how)
    if clip_c is not None:
        clipped = ["c" in layer.cell.state_names for layer in model.layers]
        if not any(clipped):
            raise MubinnError(
                f"{path} is a {model.cell.upper()}, which has no c to clip: leave out --clip-c."
            )
        layers = tuple(
            replace(layer, clips={"c": clip_c}) if own else layer
            for layer, own in zip(model.layers, clipped, strict=True)
        )
        model = replace(model, layers=layers)
    return model


def taken(notes: Mapping[str, str]) -> dict[str, str]:
    """Return what a model was taken for as its file does not say it, of its notes."""
    return {name: notes[name] for name in TAKEN if name in notes}


def say_taken(notes: Mapping[str, str]) -> None:
    """Print the sentences about `taken`."""
    for name, own in taken(notes).items():
        click.echo(TAKEN[name].format(own))


def check_prepared(path: Path, normalise: str | None) -> None:
    """Raise `MubinnError` where neither a file nor its user says how its input is prepared."""
    from mubinn.golden.importers.any_file import is_our_file

    if normalise is None and not is_our_file(path):
        raise MubinnError(
            f"{path} does not say how its input is prepared: give --data with windows as it reads "
            "them, or --normalise window for synthetic EEG."
        )
