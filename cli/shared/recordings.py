"""The EEG that a command works on: a given file, the shared data set, or a synthetic stand-in."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.cells.cell import QuantizedLayer
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.bit_true import run_layer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.train.data.eeg import EegSet, find_data, load_eeg, prepare, synthetic_eeg
from mubinn.train.data.files import load_windows
from mubinn.train.data.recordings import Normalise, Recording

if TYPE_CHECKING:
    from mubinn.synth.table1.cell_units import Start

SYNTHETIC = "synthetic EEG"


def open_eeg(
    path: Path | None,
    *,
    labels: Path | None = None,
    subjects: Path | None = None,
    features: int | None = None,
    by_windows: bool = False,
) -> tuple[EegSet, str]:
    """Return a labelled set and its name.

    Parameters
    ----------
    path : Path or None
        A file, or the name of one in the shared data; without it the shared data set is taken
        where it is there and has `features` channels, else synthetic EEG.
    labels, subjects : Path or None
        See `mubinn.train.data.files.load_eeg`.
    features : int or None
        Channels that a model asks for.
    by_windows : bool
        See `mubinn.train.data.files.load_eeg`.

    Raises
    ------
    MubinnError
        As `load_eeg` does, or where the file has other channels.
    """
    if path is not None:
        data = load_eeg(_found(path), labels=labels, subjects=subjects, by_windows=by_windows)
        _check_channels(path, data, features)
        return data, path.name
    if labels is not None or subjects is not None:
        raise MubinnError("labels and subjects belong to a data file: name it as well.")
    if by_windows:
        raise MubinnError("--split windows is for data of your own: name their file as well.")
    shared = find_data()
    if shared is not None:
        data = load_eeg(shared)
        if features in (None, data.features):
            return data, shared.name
    return synthetic_eeg(channels=features or 32), SYNTHETIC


def open_windows(
    path: Path | None, *, labels: Path | None = None, features: int | None = None
) -> tuple[EegSet | Recording, str]:
    """Return windows that need no labels, and their name; else as `open_eeg`."""
    if path is None:
        return open_eeg(None, labels=labels, features=features)
    data = load_windows(_found(path), labels=labels)
    _check_channels(path, data, features)
    return data, path.name


def _found(path: Path) -> Path:
    """Return the path of a file, or of one of that name in the shared data."""
    try:
        there = path.exists()
    except (OSError, ValueError):  # a name too long, or with a NUL: who opens it says so
        there = True
    return path if there else find_data(str(path)) or path


def _check_channels(path: Path, data: EegSet | Recording, features: int | None) -> None:
    if features is not None and data.features != features:
        raise MubinnError(
            f"{path} has {data.features} channels, the model reads {features}: give data of "
            "the channels that it was trained on."
        )


def spread(count: int, pool: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `count` window numbers, evenly spread over `pool`; all of it where it has fewer."""
    places = np.linspace(0, len(pool) - 1, min(count, len(pool)))
    return pool[places.round().astype(np.int64)]


def calibrated(model: FloatModel, steps: int = 320) -> "Start":
    """Return a float model with four windows of synthetic EEG, to which scales are fitted."""
    from mubinn.synth.table1.cell_units import Start

    eeg = synthetic_eeg(4, steps, model.features, seed=0, subjects=2)
    return Start(model, prepared(model, eeg.x).astype(np.float64))


def held_out(model: FloatModel | QuantizedModel, eeg: EegSet | Recording, name: str) -> int | None:
    """Return the fold that training held out.

    None where the EEG, `name`, is synthetic, or the model names no fold that it has.
    """
    try:
        fold = json.loads(model.meta.get("recipe", "{}"))["fold"]
    except (ValueError, KeyError, TypeError):
        return None
    if eeg.fold is None:
        return None
    outside = eeg.fold != fold
    usable = name != SYNTHETIC and isinstance(fold, int) and outside.any() and not outside.all()
    return fold if usable else None


def input_codes(
    model: QuantizedModel, x: NDArray[np.generic], windows: int, steps: int | None
) -> list[Ints]:
    """Return the input codes of every layer, int64 [windows, T, I], from raw windows."""
    chosen = x[spread(windows, np.arange(len(x)))]
    codes = [model.encode_input(prepared(model, chosen))[:, :steps]]
    for layer in model.layers[:-1]:
        codes.append(np.moveaxis(run_layer(layer, codes[-1])["h"], 0, -2))
    return codes


def values(layer: QuantizedLayer, steps: int) -> dict[str, int]:
    """Return how many values each signal of the golden trace has in so many steps."""
    step = run_layer(layer, np.zeros((1, layer.features), np.int64))
    return {name: array.size * steps for name, array in step.items()}


def prepared(model: FloatModel | QuantizedModel, x: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return raw windows as the model's input wants them: float32 [windows, T, I]."""
    how = model.preprocessing
    if how.normalise.endswith("subject"):
        raise MubinnError(
            "The model's input is normalised over each subject's whole recording, which this "
            "command does not do: give a model that was trained with --normalise window or "
            "referenced-window."
        )
    if how.normalise not in get_args(Normalise):
        raise MubinnError(
            f"the model asks for the preprocessing {how.normalise!r}, which this program does not "
            "know: update the program."
        )
    normalise: Any = how.normalise
    return prepare(x, normalise=normalise, decimate=how.decimate)
