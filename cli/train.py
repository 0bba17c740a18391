"""``mubinn train``: a float LSTM from EEG."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from mubinn.cli.common import check_file, json_option, print_json
from mubinn.cli.group import command_line


@click.command()
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option("--labels", type=click.Path(path_type=Path), help="Labels (npy) where DATA has none.")
@click.option("--subjects", type=click.Path(path_type=Path), help="Subject of each window (npy).")
@click.option("--fold", type=int, default=0, show_default=True, help="Fold to hold out.")
@click.option("--epochs", type=int, default=6, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--hidden", type=int, default=100, show_default=True, help="LSTM cells.")
@click.option(
    "--readout",
    type=click.Choice(["mean", "last"]),
    default="mean",
    show_default=True,
    help="The classifier reads the mean of h over the steps, or the last step's h.",
)
@click.option(
    "--c-clip",
    type=float,
    default=1.0,
    show_default=True,
    help="Clip of the cell state; 0 for none.",
)
@click.option("--learning-rate", type=float, default=2e-3, show_default=True)
@click.option("--batch", type=int, default=64, show_default=True, help="Windows a step.")
@click.option(
    "--validation",
    type=float,
    default=0.0,
    show_default=True,
    help="Share of the training subjects set aside for a validation accuracy.",
)
@click.option(
    "--checkpoint-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the state after every epoch there; the same command then goes on from it.",
)
@click.option("--log", type=click.Path(path_type=Path), metavar="FILE", help="Write a JSONL log.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE")
@json_option
@click.pass_context
def train(
    ctx: click.Context,
    data: Path | None,
    labels: Path | None,
    subjects: Path | None,
    fold: int,
    epochs: int,
    seed: int,
    hidden: int,
    readout: Literal["mean", "last"],
    c_clip: float,
    learning_rate: float,
    batch: int,
    validation: float,
    checkpoint_dir: Path | None,
    log: Path | None,
    output: Path,
    as_json: bool,
) -> None:
    """Train a one-layer float LSTM classifier on the windows of DATA (npz, npy).

    DATA holds X [windows, steps, channels] and y [windows], and may hold subject and fold. Without
    it the shared data set is taken where it is there, else synthetic EEG. Training needs JAX:
    pip install 'mubinn[train]'.

    \b
    The bundled model was made by:
      mubinn train eeg_eegmmidb_eyes.npz --fold 0 --epochs 6 --seed 0 \\
          -o train/data/eeg_float.safetensors
    Your own recording, resumed where it was stopped:
      mubinn train x.npy --labels y.npy --checkpoint-dir run -o my.safetensors
    """
    from mubinn.cli.recordings import open_eeg
    from mubinn.golden.model_file import save_model
    from mubinn.train.recipe import Recipe
    from mubinn.train.trainer import train_float

    check_file(output)
    recipe = Recipe(
        fold=fold,
        epochs=epochs,
        seed=seed,
        hidden=hidden,
        readout=readout,
        c_clip=c_clip or None,
        learning_rate=learning_rate,
        batch=batch,
        validation=validation,
    )
    eeg, name = open_eeg(data, labels=labels, subjects=subjects)
    with _display(as_json) as show:
        result = train_float(
            eeg,
            recipe,
            checkpoint_dir=checkpoint_dir,
            log=log,
            progress=show,
            notes={"data": name, "command": command_line(ctx)},
        )
    save_model(output, result.model)
    if as_json:
        print_json(
            {
                "model": str(output),
                "data": name,
                "test_accuracy": result.test_accuracy,
                "validation_accuracy": result.validation_accuracy,
                "history": list(result.history),
            }
        )
        return
    click.echo(
        f"{output}: {100 * result.test_accuracy:.2f} % of the windows of fold {fold} right, "
        f"after {len(result.history)} epochs on {name}."
    )


def _display(quiet: bool) -> Any:
    """Return the context of the progress display: none with --json or without a terminal."""
    import contextlib

    from rich.console import Console

    from mubinn.train.progress import rich_progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return contextlib.nullcontext()
    return rich_progress(console)
