"""Data held to what a model notes of those it was trained on: channels, rate, units, classes."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.train.data.recordings import NO_LABEL, LabelledSet, Recording, numbered
from mubinn.train.data.signals import listed, picked

Model = FloatModel | QuantizedModel

RESAMPLED = (
    "bring a recording to it with --rate {:g}, or resample the windows before they are saved"
)
"""What to do about another rate, for sentences of commands that cut recordings."""
_Data = TypeVar("_Data", LabelledSet, Recording)


def noted(model: Model | None, name: str, kind: type) -> Any:
    """Return a note of a model that is JSON; an empty one where there is none of that type."""
    try:
        found = json.loads(model.meta[name]) if model is not None else None
    except (ValueError, KeyError, RecursionError):
        found = None
    return found if isinstance(found, kind) else kind()


def named(names: Sequence[Any]) -> tuple[str, ...] | None:
    """Return names of channels; None where they do no more than count."""
    texts = tuple(map(str, names))
    return None if texts == numbered(len(texts)) else texts


def chosen(data: _Data, channels: Sequence[str], name: str) -> _Data:
    """Return data with the channels of these names or patterns alone, in this order.

    Raises
    ------
    MubinnError
        One is not there.
    """
    index = list(picked(data.channels, channels, name))
    units = None if data.units is None else tuple(data.units[k] for k in index)
    return replace(
        data,
        x=np.ascontiguousarray(data.x[:, :, index]),
        channels=tuple(data.channels[k] for k in index),
        units=units,
    )


def fitted(
    data: _Data, name: str, model: Model, *, channels_said: bool, resampled: str = RESAMPLED
) -> _Data:
    """Return data with the channels of a model, in its order, held to its rate and units.

    Parameters
    ----------
    data : LabelledSet or Recording
    name : str
        Of the data, for sentences.
    model : FloatModel or QuantizedModel
    channels_said : bool
        Whether the user has named the channels: then their names need not be the model's.
    resampled : str
        What to do about another rate, as `RESAMPLED` has it.

    Raises
    ------
    MubinnError
        They differ in channels, rate or units from what the model was trained on.
    """
    own = named(noted(model, "channels", list))
    if not channels_said and own is not None and named(data.channels) is not None:
        data = chosen(data, own, name)
    check_channels(data, name, model.channels)
    rate = noted(model, "rate_hz", float)
    if rate and data.fs_hz and abs(rate - data.fs_hz) > 1e-6 * rate:
        raise MubinnError(
            f"{name} has {data.fs_hz:g} Hz, the model was trained on {rate:g} Hz: "
            f"{resampled.format(rate)}."
        )
    units = tuple(noted(model, "units", list))
    raw = model.preprocessing.normalise == "none"
    pairs = zip(units, data.units or (), strict=False)
    odd = next((k for k, (one, other) in enumerate(pairs) if one != other), None)
    if raw and odd is not None and data.units:
        raise MubinnError(
            f"{name} has {data.channels[odd]} in {data.units[odd] or 'no unit'}, the model was "
            f"trained on {units[odd] or 'no unit'}, and its input is not normalised: convert it."
        )
    return data


def folded(data: _Data, model: Model, fold: int | None) -> _Data:
    """Return data with the people whom a model's training held out in the fold that it names.

    So folds are those of training where other files are given, or more of them.
    """
    held = list(map(str, noted(model, "held_out", list)))
    who = data.who
    if fold is None or not held or who is None or data.fold is None:
        return data
    other = max(int(data.fold.max()), fold) + 1
    rest = np.where(data.fold == fold, other, data.fold)
    return replace(data, fold=np.where(np.isin(who, held), fold, rest).astype(np.int64))


def check_channels(data: LabelledSet | Recording, name: str, features: int | None) -> None:
    """Raise MubinnError where data have another number of channels."""
    if features is not None and data.features != features:
        raise MubinnError(
            f"{name} has {data.features} channels, the model reads {features}: give data of "
            "the channels that it was trained on."
        )


def classified(data: LabelledSet, name: str, model: Model) -> LabelledSet:
    """Return data with classes numbered as a model has them, where both name theirs.

    Raises
    ------
    MubinnError
        The data have a class that the model does not know.
    """
    own = tuple(map(str, noted(model, "classes", list)))
    counted = all(one.isdecimal() for one in own) or all(one.isdecimal() for one in data.classes)
    if counted or own == data.classes:
        return data
    strange = [one for one in data.classes if one not in own]
    if strange:
        raise MubinnError(
            f"{name} has the class {strange[0]!r}, the model was trained on {listed(own)}: call "
            "classes as it does."
        )
    places = {one: k for k, one in enumerate(own)}
    # The last one is what the number of no label, -1, picks.
    place = np.array([*(places[one] for one in data.classes), NO_LABEL], np.int64)
    return replace(data, y=place[data.y], classes=own)
