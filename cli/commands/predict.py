"""``mubinn predict``: class and scores of each window."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.common import STATE_FOR_GOOD, datapath_option, progress_bar
from mubinn.cli.shared.data_options import Reading, labelled_options, reading_of
from mubinn.cli.shared.measures import in_words, measures
from mubinn.cli.shared.paths import Command, InputPath, OutputFile
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import write_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mubinn.golden.inference.metrics import Metrics
    from mubinn.golden.model.float_model import FloatModel
    from mubinn.golden.model.head import Head
    from mubinn.golden.model.quantized_model import QuantizedModel
    from mubinn.train.data.recordings import LabelledSet, Recording

    Model = FloatModel | QuantizedModel


MOST_SCORES = 1 << 28
"""Scores that are held, 2 GiB."""


@dataclass(frozen=True, eq=False)
class Decisions:
    """What one model makes of the windows.

    Attributes
    ----------
    kind : "bit_true" or "float"
    head : Head
    scores : [N, C] or [N, T, C]
        As they are.
    values : float64, of the same shape
        What they stand for: logits, or the numbers of a regression.
    """

    kind: str
    head: Head
    scores: NDArray[Any]
    values: NDArray[Any]

    @cached_property
    def classes(self) -> NDArray[Any]:
        """Class of each window, or of each of its steps."""
        return self.head.decide(self.scores)

    @property
    def decided(self) -> NDArray[Any]:
        """Class of each window, of its last step where each has one."""
        return self.classes if self.classes.ndim == 1 else self.classes[:, -1]

    def row(self, place: tuple[int, ...], names: tuple[str, ...]) -> dict[str, Any]:
        """Return what is known of a window, or of a step."""
        from mubinn.golden.units.shapes import exact

        scores, values = self.scores[place].tolist(), self.values[place].tolist()
        if self.head.name == "regression":
            outputs = tuple(map(str, range(len(scores))))
            own = {"values": dict(zip(outputs, values, strict=True))}
            more = {"scores": dict(zip(outputs, scores, strict=True))}
            return own if self.kind == "float" else {**own, **more}
        own = {"class": names[self.classes[place]]}
        if self.head.name == "classes":
            return {**own, "scores": dict(zip(names, scores, strict=True))}
        return {**own, "probability": float(exact("sigmoid", values[0])), "score": scores[0]}


@click.command(cls=Command)
@click.argument("model", type=InputPath())
@click.argument("data", type=InputPath(), nargs=-1, required=True)
@click.option(
    "--float",
    "float_path",
    type=InputPath(),
    metavar="FILE",
    help="Float model whose class and scores stand beside the bit-true ones.",
)
@labelled_options
@datapath_option
@click.option(
    "--state",
    type=STATE_FOR_GOOD,
    default="cleared",
    show_default=True,
    help="What a window begins with: nothing, or what its subject's window before has left.",
)
@click.option(
    "-o",
    "--output",
    type=OutputFile(),
    metavar="FILE",
    help="File of the table, in place of the terminal.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON in place of CSV.")
def predict(
    model: Path,
    data: tuple[Path, ...],
    float_path: Path | None,
    datapath: str | None,
    state: str,
    output: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Classify the windows of DATA with MODEL: class and scores of each, as CSV.

    Scores of a .mubinn file are the integers that its hardware decides by, bit for bit; with the
    mean readout they are sums over the steps, so they compare within a window, and with a leaky one
    2^k times it. Those of a float model are its logits. A sigmoid head has one score, and the
    probability of class 1 that it stands for; a regression has values and no class. With the
    readouts every, running and leaky each step of a window has a line (of leaky:6@40 every 40th
    and the last), and the measures are those of its last step, or where DATA has labels of
    steps those of all steps that have one, the perplexity among them. DATA needs no labels. Where
    it has some, accuracy, balanced accuracy and F1 of each class are told: beside a table on the
    terminal on its error output. Windows of the data that the model was trained on are told apart
    from those that training held out.

    \b
      mubinn predict model.mubinn my.npz -o decided.csv
      mubinn predict model.mubinn my.npz --float my.safetensors --json
      mubinn predict my.safetensors x.npy --labels y.npy
      mubinn predict model.mubinn monday.edf tuesday.edf --hop 1
      mubinn predict stream.mubinn my.npz --state carried
    """
    from mubinn.cli.shared.recordings import open_windows
    from mubinn.golden.model.model_file import load_any, load_float
    from mubinn.golden.model.quantized_model import QuantizedModel

    first = load_any(model)
    if isinstance(first, QuantizedModel):
        first = first if datapath is None else first.with_datapath(_chosen(datapath))
    elif float_path is not None or datapath is not None:
        option = "--float" if datapath is None else "--datapath"
        raise MubinnError(f"{model} is a float model: {option} is for a quantized one.")
    models: list[Model] = [first]
    if float_path is not None:
        models.append(_beside(load_float(float_path), first, float_path))
    reading = reading_of(options)
    if state == "carried" and "hop" in reading.given:
        raise MubinnError(
            "windows that overlap do not go on from each other: leave out --hop, or --state."
        )
    windows, name = open_windows(data, reading, model=first)
    names = class_names(first)
    truth = _truth(windows, names, name) if first.classes else None
    if truth is not None and truth.ndim == 2:
        _check_of_steps(first, truth.shape[1], name)
    if not first.classes:
        _say_no_classes(windows, reading)
    _warn(first)
    found = [_decided(one, windows, as_json, state) for one in models]
    told = [] if truth is None else _told(first, found, windows, truth, name)
    rows = _rows(found, windows, names, truth, _steps(first, windows.x.shape[1]))
    text = _json(rows, names, told) if as_json else _csv(rows)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_file(output, text.encode())
    for kind, part, one in () if as_json else told:
        label = f"{kind.replace('_', '-')}, {part}"
        click.echo(f"{label}: {in_words(one, names)}", err=output is None)


def _chosen(datapath: str) -> Any:
    return datapath


def _say_no_classes(windows: LabelledSet | Recording, reading: Reading) -> None:
    """Say that labels, which are classes, are not compared with numbers."""
    if "labels" in reading.given:
        raise MubinnError(
            "The model's head is a regression, which decides on no class: leave out --labels."
        )
    if windows.y is not None:
        click.echo("note: the model decides on no class, so labels are not compared.", err=True)


def _beside(other: FloatModel, model: Model, path: Path) -> FloatModel:
    each = [one.reading.every for one in (other, model)]
    if other.head != model.head or each[0] != each[1]:
        raise MubinnError(
            f"{path} has the head {other.head} and the readout {other.readout}, the quantized "
            f"model {model.head} and {model.readout}: give the float model it was made from."
        )
    sizes = [(one.channels, one.features, one.outputs) for one in (other, model)]
    if sizes[0] != sizes[1]:
        raise MubinnError(
            f"{path} has {other.features} inputs a step and {other.outputs} outputs, the quantized "
            f"model {model.features} and {model.outputs}: give the float model it was made from."
        )
    return other


def class_names(model: Model) -> tuple[str, ...]:
    """Return the names of the classes that the model notes, else their numbers."""
    try:
        noted = json.loads(model.meta.get("classes", "null"))
    except ValueError:
        noted = None
    if isinstance(noted, list) and len(noted) == model.classes == len(set(map(str, noted))):
        return tuple(map(str, noted))
    return tuple(map(str, range(model.classes)))


def _check_of_steps(model: Model, steps: int, name: str) -> None:
    """Raise `MubinnError` where labels of steps have no decisions beside them."""
    left = steps // model.preprocessing.decimate
    if model.reading.every != 1 or model.steps(left) != steps:
        raise MubinnError(
            f"{name} has labels of {steps} steps, and the model does not decide at each of these: "
            "give a model that was trained on such labels, or data of one label a window."
        )


def _steps(model: Model, samples: int) -> list[int]:
    """Return which steps of windows of so many samples have results."""
    steps = model.steps(samples // model.preprocessing.decimate)
    return list(map(int, model.reading.given(steps)))


def _truth(
    windows: LabelledSet | Recording, names: tuple[str, ...], name: str
) -> NDArray[Any] | None:
    """Return the labels as classes of the model: by their names, else by their numbers."""
    import numpy as np

    from mubinn.train.data.recordings import NO_LABEL, labelled

    if windows.y is None:
        return None
    numbers = tuple(map(str, range(len(names))))
    own = np.unique(labelled(windows.y)).tolist()
    known = {windows.classes[code] for code in own}
    order = numbers if known <= set(numbers) - set(names) else names
    strange = sorted(known - set(order))
    if strange:
        raise MubinnError(
            f"{name} has the label {strange[0]!r}, which is no class of the model: its classes "
            f"are {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}."
        )
    where = {label: place for place, label in enumerate(order)}
    places = np.full(len(windows.classes) + 1, NO_LABEL)  # the last one is that of no label
    places[own] = [where[windows.classes[code]] for code in own]
    return np.asarray(places[windows.y], np.int64)


def _warn(model: Model) -> None:
    """Say where training took decisions in another way than is done here."""
    try:
        calibration = json.loads(model.meta.get("recipe", "{}")).get("centre", "none")
    except (ValueError, AttributeError):
        return
    if calibration != "none" and "calibrated_on" not in model.meta:
        click.echo(
            "mubinn: the model was trained for scores that are calibrated to each person, and "
            "these are not: run mubinn calibrate on each person's recording first.",
            err=True,
        )


def _decided(model: Model, windows: LabelledSet | Recording, quiet: bool, state: str) -> Decisions:
    from mubinn.cli.shared.recordings import float_scores, prepared
    from mubinn.golden.inference.run import infer
    from mubinn.golden.model.head import head_of
    from mubinn.golden.model.quantized_model import QuantizedModel

    head = head_of(model.head)
    steps = windows.x.shape[1] if model.reading.each else 1
    if len(windows.x) * steps * model.outputs > MOST_SCORES:
        raise MubinnError(
            f"{len(windows.x)} windows of {steps} steps with {model.outputs} scores each are more "
            f"than the {MOST_SCORES} scores that a table holds: give fewer windows."
        )
    exact = isinstance(model, QuantizedModel)
    if state == "carried":
        from mubinn.cli.shared.streams import carried_scores

        with progress_bar("bit-true" if exact else "float", quiet) as show:
            found, steps = carried_scores(model, windows.x, windows.subject, show)
        if isinstance(model, QuantizedModel):
            return Decisions("bit_true", head, found, model.values(found, steps))
        return Decisions("float", head, found, found)
    x = prepared(model, windows.x, windows.subject)
    with progress_bar("bit-true" if exact else "float", quiet) as show:
        if isinstance(model, QuantizedModel):
            scores = infer(model, x, progress=lambda done: show("", done, len(x))).scores
            return Decisions("bit_true", head, scores, model.values(scores, x.shape[1]))
        found = float_scores(model, x, show)
        return Decisions("float", head, found, found)


def _told(
    model: Model,
    found: list[Decisions],
    windows: LabelledSet | Recording,
    truth: NDArray[Any],
    name: str,
) -> list[tuple[str, str, Metrics]]:
    """Return kind of decisions, which windows, and their measures."""
    import numpy as np

    from mubinn.cli.shared.recordings import held_out
    from mubinn.golden.inference.metrics import cross_entropy, metrics
    from mubinn.train.data.recordings import NO_LABEL

    parts: dict[str, NDArray[Any]] = {f"all {len(truth)} windows": np.ones(len(truth), bool)}
    fold = held_out(model, windows, name) if model.meta.get("data") == name else None
    if fold is not None:
        outside = np.asarray(windows.fold == fold)
        parts = {f"fold {fold}, held out in training": outside}
        parts["the other folds, trained on"] = ~outside
    if model.reading.each:
        at = "last steps" if truth.ndim == 1 else "steps with a label"
        parts = {f"{part}, at their {at}": chosen for part, chosen in parts.items()}
    if truth.ndim == 1:
        return [
            (one.kind, part, metrics(truth[chosen], one.decided[chosen], model.classes))
            for one in found
            for part, chosen in parts.items()
        ]
    told = []
    for one in found:
        for part, chosen in parts.items():
            known = chosen[:, None] & (truth != NO_LABEL)
            if known.any():
                nats = float(cross_entropy(one.values[known], truth[known]).mean())
                own = metrics(truth[known], one.classes[known], model.classes, nats)
                told.append((one.kind, part, own))
    return told


def _rows(
    found: list[Decisions],
    windows: LabelledSet | Recording,
    names: tuple[str, ...],
    truth: NDArray[Any] | None,
    steps: list[int],
) -> Iterator[dict[str, Any]]:
    """Yield what is known of each window, or step; a second model's stands under its kind."""
    import numpy as np

    for place in np.ndindex(found[0].scores.shape[:-1]):
        k = place[0]
        row: dict[str, Any] = {"window": k} | ({"step": steps[place[1]]} if place[1:] else {})
        if windows.subject is not None:
            row["subject"] = windows.subject[k].item()
        if truth is not None:
            label = truth[place[: truth.ndim]]
            row["label"] = names[label] if label >= 0 else None
        for own, one in zip((row, {}), found, strict=False):
            own |= one.row(place, names)
            if own is not row:
                row[one.kind] = own
        yield row


def _flat(row: dict[str, Any], mark: str = "") -> dict[str, Any]:
    """Return a row as one of a table: each score is a column, of a second model with its mark."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name in ("scores", "values"):
            flat |= {f"{mark}{name[:-1]}_{label}": score for label, score in value.items()}
        elif isinstance(value, dict):
            flat |= _flat(value, f"{name}_")
        else:
            flat[f"{mark}{name}"] = value
    return flat


def _csv(rows: Iterable[dict[str, Any]]) -> str:
    text = io.StringIO()
    flat = [_flat(row) for row in rows]
    writer = csv.DictWriter(text, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _json(
    rows: Iterable[dict[str, Any]],
    names: tuple[str, ...],
    told: list[tuple[str, str, Metrics]],
) -> str:
    measured = [{"decisions": kind, "of": part, **measures(one, names)} for kind, part, one in told]
    document = {"classes": names, "windows": list(rows), "measured": measured}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"
