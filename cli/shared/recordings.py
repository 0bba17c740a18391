"""The data that a command works on: given files, the shared data set, or a synthetic stand-in."""

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
import numpy as np
from numpy.typing import NDArray

from mubinn.cli.shared.data_options import PLAIN, Reading, options_of
from mubinn.cli.shared.fitting import (
    RESAMPLED,
    check_channels,
    chosen,
    classified,
    fitted,
    folded,
    named,
    noted,
)
from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model import reference
from mubinn.golden.model.bit_true import layer_inputs, run_layer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.head import head_of
from mubinn.golden.model.layer_state import all_kept
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.train.data.cutting import Cutting, cut_recordings, load_recordings, whole_stretches
from mubinn.train.data.files import load_windows
from mubinn.train.data.naming import fits_all
from mubinn.train.data.recordings import Normalise, Recording, whole_numbers
from mubinn.train.data.sources import is_arrays, is_recording, read_signals, recordings_of
from mubinn.train.data.windows import LabelledSet, find_data, load_labelled, prepare, synthetic_eeg

if TYPE_CHECKING:
    from mubinn.hw.accelerator.accelerator import Accelerator
    from mubinn.synth.table1.cell_units import Start

SYNTHETIC = "synthetic EEG"

CUT = ("window", "hop", "rate", "band", "lsb")
"""Options that say how recordings become windows, and nothing of these."""


_CHUNK = 60
"""Windows of which the float model's intermediates are held at once."""


def open_labelled(
    data: Path | Sequence[Path] | None,
    reading: Reading = PLAIN,
    *,
    model: FloatModel | QuantizedModel | None = None,
    features: int | None = None,
    by_windows: bool = False,
    own_folds: bool = False,
    numbers: bool = False,
    of_steps: bool = False,
) -> tuple[LabelledSet, str]:
    """Return a labelled set and its name.

    Parameters
    ----------
    data : Path, sequence of Path, or None
        Files of windows, or the name of one in the shared data; or recordings, files and folders
        of them. Without it the shared data set is taken where it is there and has `features`
        channels, else synthetic EEG.
    reading : Reading
    model : FloatModel, QuantizedModel or None
        Whose channels, in its order, rate and classes the data are to have.
    features : int or None
        Channels that are asked for, where there is no model.
    by_windows : bool
        See `mubinn.train.data.files.load_labelled`.
    own_folds : bool
        Leave folds as the data have them, also where the model says whom its training held out.
    numbers : bool
        Take labels for the numbers of a regression, which files of windows alone have.
    of_steps : bool
        Take labels of steps as well.

    Raises
    ------
    MubinnError
        As the loaders do; where options do not belong to the data; where the data do not fit.
    """
    features = features if model is None else model.channels
    paths = _paths(data)
    if numbers and (not paths or not _holds_windows(paths, reading)):
        raise MubinnError(
            "A regression needs windows that are labelled with numbers: give an .npz with X and y."
        )
    if not paths:
        return _without_file(reading, features, by_windows)
    found: LabelledSet
    if _holds_windows(paths, reading):
        labels = reading.labels[0] if reading.labels else None
        found = load_labelled(
            paths,
            labels=labels,
            subjects=reading.subjects,
            by_windows=by_windows,
            numbers=numbers,
        )
    else:
        cutting = _cutting(paths[0], reading, _noted_cut(model), model)
        found = load_recordings(paths, cutting, by_windows=by_windows)
    if found.of_steps and not of_steps:
        raise MubinnError(
            f"{paths[0]} has labels of steps, and this command compares one label a window: give "
            "data of such, or use mubinn predict."
        )
    if model is not None and not own_folds:
        found = folded(found, model, trained_fold(model))
    return _fitted(found, paths, reading, model, features), _name(paths)


def open_windows(
    data: Path | Sequence[Path] | None,
    reading: Reading = PLAIN,
    *,
    model: FloatModel | QuantizedModel | None = None,
    features: int | None = None,
    people: bool = False,
    resampled: str = RESAMPLED,
) -> tuple[LabelledSet | Recording, str]:
    """Return windows that need no labels, and their name; else as `open_labelled`.

    Whose recordings are is told by the model's own pattern where it fits their paths; with `people`
    it has to, so that folds are those of training.
    """
    paths = _paths(data)
    if not paths:
        return open_labelled(None, reading, model=model, features=features)
    found: LabelledSet | Recording
    if _holds_windows(paths, reading):
        labels = Path(reading.labels[0]) if reading.labels else None
        subjects = Path(reading.subjects) if reading.subjects else None
        numbers = model is not None and head_of(model.head).decision is None
        found = load_windows(paths, labels=labels, subjects=subjects, numbers=numbers)
    else:
        noted_cut = _noted_cut(model)
        own = {name: value for name, value in noted_cut.items() if name in CUT}
        pattern = noted_cut.get("subjects")
        fits = pattern is not None and fits_all(recordings_of(paths)[0], pattern)
        own |= {"subjects": pattern} if (people and pattern is not None) or fits else {}
        found = cut_recordings(paths, _cutting(paths[0], reading, own, model))
    if model is not None:
        found = folded(found, model, trained_fold(model))
    features = features if model is None else model.channels
    return _fitted(found, paths, reading, model, features, resampled), _name(paths)


def open_stretches(
    data: Path, reading: Reading, model: QuantizedModel, resampled: str
) -> tuple[list[Recording], str]:
    """Return recordings from gap to gap, each as one window, and their name; as `open_windows`.

    Rate, band and steps of the ADC are those that the model notes, where it does.
    """
    paths = _paths(data)
    own = {name: value for name, value in _noted_cut(model).items() if name in CUT}
    # Stretches are as long as they are, whatever a window is.
    how = _cutting(paths[0], replace(reading, window=1.0), own, model)
    found = whole_stretches(paths, how)
    return [_fitted(one, paths, reading, model, None, resampled) for one in found], _name(paths)


def _without_file(
    reading: Reading, features: int | None, by_windows: bool
) -> tuple[LabelledSet, str]:
    given = next(iter(reading.given), None)
    if by_windows:
        given = "split windows"
    if given is not None:
        raise MubinnError(f"--{given} is for data of your own: name it as well.")
    shared = find_data()
    if shared is not None:
        data = load_labelled(shared)
        if features in (None, data.features):
            return data, shared.name
    return synthetic_eeg(channels=features or 32), SYNTHETIC


def _paths(data: Path | Sequence[Path] | None) -> list[Path]:
    return [located(path) for path in ([data] if isinstance(data, Path) else data or ())]


def _name(paths: list[Path]) -> str:
    more = "" if len(paths) == 1 else f" and {len(paths) - 1} more"
    return f"{paths[0].name or paths[0].absolute().name}{more}"


def _holds_windows(paths: list[Path], reading: Reading) -> bool:
    """Return whether the data are windows in an array, and not recordings.

    Raises
    ------
    MubinnError
        A path is neither, or options are not for such data.
    """
    arrays = [path for path in paths if is_arrays(path)]
    if not arrays:
        for path in paths:
            if not path.is_dir() and not is_recording(path):
                read_signals(path)  # which says what is wrong with it
        return False
    if len(arrays) < len(paths):
        raise MubinnError(
            f"{arrays[0]} holds windows, and {next(p for p in paths if p not in arrays)} does not: "
            "give windows alone, or recordings alone."
        )
    for name in (*CUT, "events"):
        if name in reading.given:
            raise MubinnError(
                f"--{name} is for recordings, and {paths[0]} holds windows: leave it out."
            )
    if len(reading.labels) > 1:
        raise MubinnError(f"{paths[0]} takes one file of labels: give --labels once.")
    return True


def _cutting(
    path: Path,
    reading: Reading,
    own: dict[str, Any],
    model: FloatModel | QuantizedModel | None,
) -> Cutting:
    """Return how recordings are cut: as the options say, else as `own` has it, which is said."""
    given = reading.given
    taken = {name: value for name, value in own.items() if name not in given}
    if "labels" in given or "events" in given:
        taken = {name: value for name, value in taken.items() if name not in ("labels", "events")}
    if "window" in given:
        taken.pop("hop", None)
    said = replace(reading, **taken)
    if said.window is None:
        raise MubinnError(
            f"{path} is no array of windows but to be cut: give --window, the seconds of one."
        )
    if taken:
        words = shlex.join(options_of(Reading(**taken)))
        click.echo(f"note: recordings are cut as the model was trained: {words}.", err=True)
    return Cutting(
        window_s=said.window,
        hop_s=said.hop,
        rate_hz=said.rate,
        band_hz=_band(said.band),
        channels=said.names or named(noted(model, "channels", list)),
        labels=said.labels,
        events=said.events,
        subjects=said.subjects,
        lsb=said.lsb,
    )


def _noted_cut(model: FloatModel | QuantizedModel | None) -> dict[str, Any]:
    """Return how a model notes that its recordings were cut, what of it is as it should be."""
    found: dict[str, Any] = {}
    for name, value in noted(model, "recordings", dict).items():
        if name in ("window", "hop", "rate", "lsb") and isinstance(value, float | int):
            found[name] = float(value)
        elif name in ("band", "subjects") and isinstance(value, str):
            found[name] = value
        elif name in ("labels", "events") and isinstance(value, list):
            found[name] = tuple(map(str, value))
    return found


def _band(text: str | None) -> tuple[float, float] | None:
    """Return both edges of a band."""
    if text is None:
        return None
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise MubinnError(f"--band {text!r} is no band: give --band LOW,HIGH in hertz.") from None
    return low, high


def notes_of(data: LabelledSet, reading: Reading) -> dict[str, str]:
    """Return what a model notes of the recordings that it is trained on; nothing for arrays."""
    if data.units is None or data.scale_uv is not None:
        return {}
    said = {name: value for name, value in reading.given.items() if name != "channels"}
    return {"recordings": json.dumps(said)}


def _fitted(
    data: Any,
    paths: list[Path],
    reading: Reading,
    model: FloatModel | QuantizedModel | None,
    features: int | None,
    resampled: str = RESAMPLED,
) -> Any:
    """Return data with the channels that are asked for, else those of the model; tell notes."""
    name, said = str(paths[0]), reading.names
    if said is not None and is_arrays(paths[0]) and said != ("all",):
        data = chosen(data, said, name)
    if model is not None:
        data = fitted(data, name, model, channels_said=said is not None, resampled=resampled)
        data = classified(data, name, model) if isinstance(data, LabelledSet) else data
    check_channels(data, name, features)
    for note in data.notes:
        click.echo(f"note: {note}.", err=True)
    return data


def located(path: Path) -> Path:
    """Return the path of a file, or of one of that name in the shared data."""
    try:
        there = path.exists()
    except (OSError, ValueError):  # a name too long, or with a NUL: who opens it says so
        there = True
    return path if there else find_data(str(path)) or path


def spread(count: int, pool: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `count` window numbers, evenly spread over `pool`; all of it where it has fewer."""
    places = np.linspace(0, len(pool) - 1, min(count, len(pool)))
    return pool[places.round().astype(np.int64)]


def calibrated(model: FloatModel, steps: int = 320) -> "Start":
    """Return a float model with four windows of synthetic EEG, to which scales are fitted."""
    from mubinn.synth.table1.cell_units import Start

    recorded = synthetic_eeg(4, steps, model.features, seed=0, subjects=2)
    return Start(model, prepared(model, recorded.x).astype(np.float64))


def held_out(
    model: FloatModel | QuantizedModel, recorded: LabelledSet | Recording, name: str
) -> int | None:
    """Return the fold that training held out.

    None where the data, `name`, are synthetic, or the model names no fold that it has.
    """
    fold = trained_fold(model)
    if fold is None or recorded.fold is None:
        return None
    outside = recorded.fold != fold
    usable = name != SYNTHETIC and outside.any() and not outside.all()
    return fold if usable else None


def trained_fold(model: FloatModel | QuantizedModel) -> int | None:
    """Return the number of the fold that training held out, as the model notes it."""
    fold = noted(model, "recipe", dict).get("fold")
    return fold if isinstance(fold, int) and fold >= 0 else None


def input_codes(
    model: QuantizedModel,
    x: NDArray[np.generic],
    windows: int,
    steps: int | None,
    kept: Sequence[bool] | None = None,
) -> list[Ints]:
    """Return the frames of codes of every layer, int64 [windows, T, I], from raw windows.

    `kept` says of each whether the next one begins with the state that it leaves.
    """
    chosen = x[spread(windows, np.arange(len(x)))]
    codes = model.encode_input(prepared(model, chosen))[:, :steps]
    return layer_inputs(model, codes, kept and kept[: len(codes)])


def sent(
    core: "Accelerator", x: NDArray[np.generic], windows: int, steps: int | None
) -> tuple[Ints, Ints]:
    """Return raw windows as an accelerator takes them, and the codes that they become.

    Both are int64 [windows, T, I], of the samples of an ADC so many more T as make a step.
    """
    model, samples = core.model, core.samples
    chosen = x[spread(windows, np.arange(len(x)))]
    if core.front_end is not None:
        whole = chosen.shape[1] // samples
        own = whole_numbers(chosen[:, : samples * min(whole, steps or whole)])
        found = core.front_end.front_end.windows(own, all_kept(core.state, len(own)))
        return own, model.encode_input(found / (1 << INPUT_FRACTION))
    made = prepared(model, chosen)[:, :steps]
    codes = model.encode_input(made)
    return (codes if core.encoder is None else core.encoder.params.quantize(made)), codes


def values(layer: QuantizedLayer, steps: int) -> dict[str, int]:
    """Return how many values each signal of the golden trace has in so many steps."""
    count = layer.frames.pixels if isinstance(layer.frames, Sweep) else 1
    found = run_layer(layer, np.zeros((count, layer.features), np.int64))
    return {name: array.size // count * steps for name, array in found.items()}


def float_scores(
    model: FloatModel,
    x: NDArray[Any],
    show: Callable[[str, int, int], None] | None = None,
    quantizers: Sequence[reference.LayerQuantizers] | None = None,
) -> NDArray[np.float64]:
    """Return the logits of prepared windows; `show` is told of windows done, and of all."""
    parts = []
    for begin in range(0, len(x), _CHUNK):
        parts.append(reference.logits(model, x[begin : begin + _CHUNK], quantizers))
        if show is not None:
            show("", min(begin + _CHUNK, len(x)), len(x))
    return np.concatenate(parts)


def prepared(
    model: FloatModel | QuantizedModel,
    x: NDArray[np.generic],
    subject: NDArray[Any] | None = None,
) -> NDArray[np.float32]:
    """Return raw windows as the model's input wants them: float32 [windows, T, I].

    `subject` says whose whole recording each window of `x` belongs to, where a command knows it.
    """
    how = model.preprocessing
    if how.normalise.endswith("subject") and subject is None:
        raise MubinnError(
            "The model's input is normalised over each subject's whole recording, which is not "
            "known here: give a model that was trained with --normalise window or "
            "referenced-window, or to mubinn predict data that name their subjects."
        )
    if how.normalise not in get_args(Normalise):
        raise MubinnError(
            f"the model asks for the preprocessing {how.normalise!r}, which this program does not "
            "know: update the program."
        )
    normalise: Any = how.normalise
    codes = None if subject is None else np.unique(subject, return_inverse=True)[1]
    return prepare(
        x,
        normalise=normalise,
        decimate=how.decimate,
        subject=codes,
        constants=how.constants,
    )
