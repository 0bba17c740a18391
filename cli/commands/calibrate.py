"""``mubinn calibrate``: a model for one person, from a recording without labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.common import json_option, print_json, working
from mubinn.cli.shared.data_options import cut_options, reading_of
from mubinn.cli.shared.paths import Command, InputPath, OutputFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST = 10
"""Windows whose median is taken, at least."""


@click.command(cls=Command)
@click.argument("model", type=InputPath())
@click.argument("recording", type=InputPath(), nargs=-1, required=True)
@click.option(
    "--subject", metavar="NAME", help="Whose windows, where RECORDING holds several people's."
)
@click.option("-o", "--output", type=OutputFile(), required=True, help="File of the new model.")
@cut_options
@json_option
def calibrate(
    model: Path,
    recording: tuple[Path, ...],
    subject: str | None,
    output: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Calibrate MODEL, a .mubinn file, to one person by that person's RECORDING.

    RECORDING is windows (npz, npy), or recordings such as EDF and folders of them, which then are
    all of that person.

    The recording needs no labels, but about as much of each class: the median of each class's
    score comes off. Only the biases of the classifier change, a word a class in M_B; all else of
    the hardware stays as it is. Made for models of `mubinn train --subject-calibration subject` or
    `trained`.

    \b
      mubinn calibrate model.mubinn anna.npz -o anna.mubinn
      mubinn calibrate model.mubinn everyone.npz --subject 17 -o 17.mubinn
      mubinn calibrate model.mubinn anna1.edf anna2.edf --window 4 -o anna.mubinn
    """
    from mubinn.cli.shared.recordings import located, open_windows, prepared
    from mubinn.golden.ground.errors import MubinnError
    from mubinn.golden.inference.run import infer
    from mubinn.golden.model.model_file import load_model, save_model
    from mubinn.train.data.sources import is_arrays
    from mubinn.train.subject.personal import for_subject

    found = load_model(model)
    read, name = open_windows(recording, reading_of(options), model=found)
    x, subjects = read.x, read.subject
    if not is_arrays(located(recording[0])):
        if subject is not None:
            raise MubinnError("--subject is for windows in arrays: give recordings of one person.")
        subjects = None
    own = x if subjects is None else x[_chosen(name, subjects, subject)]
    if len(own) < LEAST:
        raise MubinnError(
            f"{name} has {len(own)} windows of the person, too few for a median: record "
            f"{LEAST} or more."
        )
    with working("classifying the recording", as_json):
        windows = prepared(found, own)
        before = infer(found, windows)
        made = for_subject(found, before.scores, windows.shape[1])
        after = infer(made, windows)
    note = f"{len(own)} windows of {name}"
    note += f", subject {subject}" if subject is not None else ""
    save_model(output, replace(made, meta={**made.meta, "calibrated_on": note}))
    changed = int((before.classes != after.classes).sum())
    if as_json:
        print_json({"model": str(output), "windows": len(own), "decided_otherwise": changed})
        return
    click.echo(f"{output}: calibrated on {note}; {changed} of them decided otherwise than before.")


def _chosen(recording: str, subjects: NDArray[Any], subject: str | None) -> NDArray[Any]:
    """Return which windows are the subject's."""
    import numpy as np

    from mubinn.golden.ground.errors import MubinnError

    people = np.unique(subjects)
    if subject is None and len(people) > 1:
        raise MubinnError(f"{recording} holds {len(people)} people: name one with --subject.")
    chosen = np.ones(len(subjects), bool) if subject is None else subjects.astype(str) == subject
    if not chosen.any():
        raise MubinnError(
            f"{recording} has no subject {subject}: its people are "
            f"{', '.join(map(str, people[:8]))}{', ...' if len(people) > 8 else ''}."
        )
    return np.asarray(chosen)
