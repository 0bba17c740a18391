"""Windows cut from continuous recordings: of so many seconds, of one stretch, of one class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.arrays import memory_limit
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.train.data.naming import classes_of, subjects_of
from mubinn.train.data.recordings import LabelledSet, Recording, counted, folds_of, pieces_of
from mubinn.train.data.resample import band_passed, resample
from mubinn.train.data.signals import Annotation, Channel, Signals, Stretch, listed
from mubinn.train.data.sources import read_signals, recordings_of

NOBODY = {"", "x x x x", "x", "anonymous", "anonymized", "anonymised", "unknown", "0", "none"}
"""What stands where the name of a patient is left out, in small letters."""


@dataclass(frozen=True)
class Cutting:
    """How recordings become labelled windows.

    Parameters
    ----------
    window_s : float
        Seconds of a window.
    hop_s : float or None
        Seconds from the begin of one to that of the next; by default `window_s`.
    rate_hz : float or None
        Rate to bring all channels to; by default that of the files, which then is one.
    band_hz : (float, float) or None
        Band that is passed before; see `mubinn.train.data.resample.band_passed`.
    channels : tuple of str or None
        Names or patterns, in this order, or ``("all",)``; None for all, where all are voltages.
    labels : tuple of str
        ``CLASS=FILES`` or one pattern; see `mubinn.train.data.naming.classes_of`.
    events : tuple of str
        ``CLASS=TEXT``, or a text that names its class: windows lie in what is annotated so; one
        begins at each annotation without a duration, or of one sample. ``all`` takes every text.
    subjects : str or None
        Pattern whose ``{}`` says whose a file is; by default each file is another person's.
    lsb : float or None
        A step of the ADC whose whole numbers samples become, in their unit; none by default.
    """

    window_s: float
    hop_s: float | None = None
    rate_hz: float | None = None
    band_hz: tuple[float, float] | None = None
    channels: tuple[str, ...] | None = None
    labels: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    subjects: str | None = None
    lsb: float | None = None

    def __post_init__(self) -> None:
        for name, value in (
            ("window", self.window_s),
            ("hop", self.hop_s),
            ("rate", self.rate_hz),
            ("lsb", self.lsb),
        ):
            if value is not None and not (np.isfinite(value) and value > 0):
                raise MubinnError(f"--{name} is {value:g}; it must be a positive number.")
        if self.labels and self.events:
            raise MubinnError("Classes come from --labels or from --events: give one of them.")

    def steps(self, seconds: float, rate_hz: float) -> int:
        """Return seconds as whole samples, 1 at least; raise MubinnError for a part of one."""
        count = round(seconds * rate_hz)
        if count < 1 or abs(count - seconds * rate_hz) > 1e-3:
            raise MubinnError(
                f"{seconds:g} s are {seconds * rate_hz:g} samples at {rate_hz:g} Hz: choose a "
                f"window and a hop of whole samples, such as {max(count, 1) / rate_hz:g} s."
            )
        return count


Notes = list[tuple[Path, str]]
"""What is to be told of files."""

Plan = list[tuple[int, Annotation]]
"""Times that windows are cut from, each with its class."""


class _Run(NamedTuple):
    """Windows of one class in one stretch, by their first samples."""

    stretch: int
    label: int
    starts: NDArray[np.int64]


@dataclass(frozen=True)
class _Part:
    """What is taken of one file: windows float32 [n, steps, channels] and their classes."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    names: tuple[str, ...]
    units: tuple[str, ...]
    rate_hz: float


def load_recordings(
    paths: Path | Sequence[Path], how: Cutting, *, by_windows: bool = False
) -> LabelledSet:
    """Return labelled windows of recordings, given as files and folders.

    Voltages are in microvolts, other channels in the unit of their file. No window crosses a gap.
    With `by_windows` pseudo-subjects are cut as `mubinn.train.data.files.load_labelled` does.

    Raises
    ------
    MubinnError
        A file is missing or damaged, files differ in channels, units or rate, or something that
        decides classes or channels is not said.
    """
    if by_windows and how.hop_s is not None and how.hop_s < how.window_s:
        raise MubinnError(
            "--split windows needs windows that do not overlap, or folds would share samples: "
            "leave --hop out."
        )
    found, notes = _recordings(paths)
    if not (how.labels or how.events):
        raise MubinnError(
            f"{found[0]} is a recording, whose classes have to be named: give --labels "
            "CLASS=FILES for each class, or --events CLASS=TEXT for what is annotated."
        )
    opened, plans, names = _planned(found, how, notes)
    parts = _cut(opened, plans, how, notes)
    if by_windows:
        return _set_of(parts, names, None, None, notes)
    people, called = _subjects(opened, parts, how, notes)
    return _set_of(parts, names, people, tuple(called.tolist()), notes)


def load_edf(
    paths: Sequence[str | Path],
    labels: Sequence[str],
    subjects: Sequence[int] | None = None,
    *,
    channels: Sequence[str] | None = None,
    window_s: float = 4.0,
    hop_s: float | None = None,
    fs_hz: float | None = 80.0,
    band_hz: tuple[float, float] | None = (0.5, 35.0),
) -> LabelledSet:
    """Return labelled windows of recordings of any format, one class a file.

    Parameters
    ----------
    paths : sequence of path
    labels : sequence of str
        Class of each file; classes are numbered as they sort.
    subjects : sequence of int, optional
        Subject of each file; by default every file is a subject of its own. Folds follow from
        the subjects.
    channels, window_s, hop_s, fs_hz, band_hz
        See `Cutting`; None leaves rate or band as they are.

    Raises
    ------
    MubinnError
        As `load_recordings` does, or the lists differ in length.
    """
    own = list(range(len(paths))) if subjects is None else list(subjects)
    if not paths or not len(paths) == len(labels) == len(own):
        raise MubinnError(
            f"{len(paths)} recordings come with {len(labels)} labels and {len(own)} subjects; "
            "give at least one file, and one label and one subject for each."
        )
    how = Cutting(window_s, hop_s, fs_hz, band_hz, None if channels is None else tuple(channels))
    names = sorted(set(labels))
    notes: Notes = []
    opened = [read_signals(Path(path)) for path in paths]
    plans = [_whole(one, names.index(label)) for one, label in zip(opened, labels, strict=True)]
    parts = _cut(opened, plans, how, notes)
    people = np.repeat(np.asarray(own, np.int64), [len(part.y) for part in parts])
    return _set_of(parts, names, people, None, notes)


def _set_of(
    parts: list[_Part],
    names: Sequence[str],
    people: NDArray[np.int64] | None,
    called: tuple[str, ...] | None,
    notes: Notes,
) -> LabelledSet:
    """Return the windows of files as a set; without people, by pieces of neighbours."""
    y = np.concatenate([part.y for part in parts])
    subject = pieces_of(y) if people is None else people
    return LabelledSet(
        x=np.concatenate([part.x for part in parts]),
        y=y,
        subject=subject,
        fold=folds_of(subject),
        scale_uv=None,
        fs_hz=parts[0].rate_hz,
        channels=parts[0].names,
        classes=tuple(names),
        people=people is not None,
        names=called,
        units=parts[0].units,
        notes=_told(notes),
    )


def cut_recordings(paths: Path | Sequence[Path], how: Cutting) -> Recording:
    """Return windows that need no classes, but have those that are named; else alike."""
    found, notes = _recordings(paths)
    opened, plans, classes = _planned(found, how, notes)
    parts = _cut(opened, plans, how, notes)
    subject, names = _subjects(opened, parts, how, notes)
    return Recording(
        x=np.concatenate([part.x for part in parts]),
        subject=names[subject],
        fold=folds_of(subject),
        fs_hz=parts[0].rate_hz,
        channels=parts[0].names,
        units=parts[0].units,
        y=np.concatenate([part.y for part in parts]) if classes else None,
        classes=tuple(classes),
        notes=_told(notes),
    )


def whole_stretches(paths: Path | Sequence[Path], how: Cutting) -> list[Recording]:
    """Return recordings from gap to gap, each as one window, however long `how` has them."""
    found, notes = _recordings(paths)
    wanted, parts = how.channels, list[_Part]()
    for path in found:
        signals = read_signals(path)
        taken = _taken(signals, wanted, notes)
        chosen = [signals.channels[k] for k in taken]
        rate = how.rate_hz or _one_rate(path, chosen)
        for one in zip(*(_series(signals, k, rate, how) for k in taken), strict=True):
            x = np.stack(one, axis=1)[None].astype(np.float32)
            parts.append(_Part(x, np.zeros(1, np.int64), *_about(chosen, how), rate))
            _check_alike(path, parts[0], parts[-1])
        wanted = _about(chosen, how)[0]
    if not any(part.x.size for part in parts):
        raise MubinnError(f"{found[0]} holds no samples: give a recording that has some.")
    return [
        Recording(
            x=part.x,
            subject=None,
            fold=None,
            fs_hz=part.rate_hz,
            channels=part.names,
            units=part.units,
            notes=_told(notes) if part is parts[0] else (),
        )
        for part in parts
        if part.x.size
    ]


def _planned(
    paths: list[Path], how: Cutting, notes: Notes
) -> tuple[list[Signals], list[Plan], list[str]]:
    """Return recordings, what is to be cut of each, and the names of the classes, if any."""
    if how.labels:
        classes, names = classes_of(paths, how.labels)
        notes += [
            (path, "left out, of no class")
            for path, one in zip(paths, classes, strict=True)
            if one is None
        ]
        kept = {path: one for path, one in zip(paths, classes, strict=True) if one is not None}
        opened = [read_signals(path) for path in kept]
        return opened, [_whole(one, k) for one, k in zip(opened, kept.values(), strict=True)], names
    opened = [read_signals(path) for path in paths]
    if how.events:
        names, texts = _event_classes(opened, how.events)
        return opened, [_annotated(one, texts) for one in opened], names
    return opened, [_whole(one, 0) for one in opened], []


def _recordings(paths: Path | Sequence[Path]) -> tuple[list[Path], Notes]:
    return recordings_of([paths] if isinstance(paths, Path) else list(paths))


def _told(notes: Notes) -> tuple[str, ...]:
    """Return notes as sentences, one for all files of which the same is to be told."""
    files: dict[str, list[Path]] = {}
    for path, text in notes:
        files.setdefault(text, []).append(path)
    return tuple(
        f"{own[0]}: {text}" if len(own) == 1 else f"{own[0]} and {len(own) - 1} more: {text}"
        for text, own in files.items()
    )


def _subjects(
    opened: list[Signals], parts: list[_Part], how: Cutting, notes: Notes
) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Return whose each window is, by number, and the names by number.

    Files that name one patient but count as several people are noted.
    """
    paths = [one.path for one in opened]
    names, codes = np.unique(subjects_of(paths, how.subjects), return_inverse=True)
    if how.subjects is None:
        seen: set[str] = set()
        for one in opened:
            name = one.patient.casefold()
            if name in seen:
                text = "names the patient of another file, but counts as another person: say "
                notes.append((one.path, f"{text}whose each file is with --subjects"))
            seen |= {name} - NOBODY
    counts = [len(part.y) for part in parts]
    return np.repeat(codes.reshape(-1).astype(np.int64), counts), names


def _event_classes(
    opened: list[Signals], events: Sequence[str]
) -> tuple[list[str], dict[str, int]]:
    """Return the names of the classes, and the class of each text."""
    present = sorted({one.text for signals in opened for one in signals.annotations})
    if not present:
        raise MubinnError(f"{opened[0].path} has no annotations: name classes with --labels.")
    if list(events) == ["all"] and "all" not in present:
        events = present
    names: list[str] = []
    texts: dict[str, int] = {}
    for event in events:
        name, sign, text = event.partition("=")
        if event in present or not (sign and name):
            name = text = event
        if text not in present:
            raise MubinnError(
                f"{opened[0].path} has no annotation {text!r}: there are {listed(present)}."
            )
        if text in texts and names[texts[text]] != name:
            raise MubinnError(f"--events gives {text!r} to two classes: give it to one.")
        if name not in names:
            names.append(name)
        texts[text] = names.index(name)
    return names, texts


def _whole(signals: Signals, label: int) -> Plan:
    return [(label, Annotation(one.start_s, one.length_s, "")) for one in signals.stretches]


def _annotated(signals: Signals, texts: dict[str, int]) -> Plan:
    """Return what is annotated with one of `texts`; two classes at once are refused."""
    found = [(texts[one.text], one) for one in signals.annotations if one.text in texts]
    end, before = -np.inf, -1
    for label, one in found:
        if one.length_s and one.start_s < end - 1e-6 and label != before:
            raise MubinnError(
                f"{signals.path} has annotations of two classes at once, {one.text!r} at "
                f"{one.start_s:g} s among them: name others with --events."
            )
        end, before = max(end, one.start_s + one.length_s), label
    return found


def _cut(opened: list[Signals], plans: list[Plan], how: Cutting, notes: Notes) -> list[_Part]:
    """Return what is taken of each file; files agree in channels, units and rate."""
    wanted = how.channels
    parts: list[_Part] = []
    room = memory_limit()
    for signals, plan in zip(opened, plans, strict=True):
        taken = _taken(signals, wanted, notes)
        part = _of_one(signals, taken, plan, how, room, notes)
        room -= part.x.nbytes
        if parts:
            _check_alike(signals.path, parts[0], part)
        wanted = part.names
        parts.append(part)
    if not sum(len(part.y) for part in parts):
        raise MubinnError(
            f"{opened[0].path} holds no window of {how.window_s:g} s without a gap"
            f"{', nor do the others' if len(opened) > 1 else ''}: give a shorter --window, or "
            "longer recordings."
        )
    return parts


def _taken(signals: Signals, wanted: Sequence[str] | None, notes: Notes) -> tuple[int, ...]:
    """Return the numbers of the channels to take, and note what is to be told of the file."""
    taken = signals.chosen(wanted)
    left = signals.left_out(taken)
    notes += [(signals.path, f"channels left out: {listed(left)}")] if left else []
    notes += [(signals.path, note) for note in signals.notes]
    return taken


def _about(chosen: Sequence[Channel], how: Cutting) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return names and units of channels: of an ADC's steps, how much one is."""
    step = "" if how.lsb in (None, 1) else f"{how.lsb:g} "
    units = tuple(f"{step}{one.taken_unit}" for one in chosen)
    return tuple(one.name for one in chosen), units


def _series(signals: Signals, number: int, rate: float, how: Cutting) -> list[Floats]:
    """Return a channel's samples of each stretch, in the band, at the rate, by the ADC's steps."""
    old = signals.channels[number].rate_hz
    series = signals.samples(number)
    if how.band_hz is not None:
        series = [band_passed(one, old, how.band_hz) for one in series]
    series = [resample(one, old, rate) for one in series]
    return series if how.lsb is None else [counted(one, how.lsb) for one in series]


def _check_alike(path: Path, first: _Part, part: _Part) -> None:
    if part.rate_hz != first.rate_hz:
        raise MubinnError(
            f"{path} has {part.rate_hz:g} Hz, the files before it {first.rate_hz:g} Hz: bring "
            "all to one rate with --rate."
        )
    for name, unit, other in zip(part.names, part.units, first.units, strict=True):
        if unit != other:
            raise MubinnError(
                f"{path} has {name} in {unit or 'no unit'}, the files before it in "
                f"{other or 'no unit'}: leave the channel out, or convert it."
            )


def _of_one(
    signals: Signals, taken: Sequence[int], plan: Plan, how: Cutting, room: int, notes: Notes
) -> _Part:
    """Return the windows of one file, which take no more than `room` bytes."""
    chosen = [signals.channels[k] for k in taken]
    rate = how.rate_hz or _one_rate(signals.path, chosen)
    steps = how.steps(how.window_s, rate)
    hop = how.steps(how.hop_s or how.window_s, rate)
    by_place = [list(_runs(signals.stretches, [place], rate, steps, hop)) for place in plan]
    runs = [run for own in by_place for run in own]
    count = sum(len(run.starts) for run in runs)
    empty = sum(not sum(len(run.starts) for run in own) for own in by_place)
    if empty or not plan:
        what = "annotations" if how.events else "parts without a gap"
        notes.append((signals.path, f"{empty} of {len(plan)} {what} hold no window"))
    if count * steps * len(taken) * 4 > room:
        raise MubinnError(
            f"{signals.path} gives {count} windows, too many for half of this machine's memory: "
            "give a longer --hop, or fewer recordings."
        )
    x = np.empty((count, steps, len(taken)), np.float32)
    for place, number in enumerate(taken):
        series = _series(signals, number, rate, how)
        begin = 0
        for run in runs:
            if len(run.starts):
                whole = np.lib.stride_tricks.sliding_window_view(series[run.stretch], steps)
                x[begin : begin + len(run.starts), :, place] = whole[run.starts]
            begin += len(run.starts)
    labels = np.repeat([run.label for run in runs], [len(run.starts) for run in runs])
    return _Part(x, labels.astype(np.int64), *_about(chosen, how), rate)


def _one_rate(path: Path, chosen: Sequence[Channel]) -> float:
    """Return the rate of channels; raise MubinnError where they have several."""
    odd = next((one for one in chosen if one.rate_hz != chosen[0].rate_hz), None)
    if odd is not None:
        raise MubinnError(
            f"{path} has channels of different rates, {chosen[0].name} of "
            f"{chosen[0].rate_hz:g} Hz and {odd.name} of {odd.rate_hz:g} Hz: choose those of one "
            "rate with --channels, or bring them to one with --rate."
        )
    return chosen[0].rate_hz


def _runs(
    stretches: Iterable[Stretch], plan: Plan, rate: float, steps: int, hop: int
) -> Iterator[_Run]:
    """Yield the windows that lie in the parts of a plan and in one stretch."""
    for label, one in plan:
        for number, stretch in enumerate(stretches):
            samples = round(stretch.length_s * rate)
            begin = round((one.start_s - stretch.start_s) * rate)
            length = round(one.length_s * rate)
            point = length <= 1  # BrainVision gives markers the length of a sample
            end = begin + (steps if point else length)
            if (begin < 0 and point) or begin >= samples or end <= 0:
                continue
            starts = np.arange(max(begin, 0), min(end, samples) - steps + 1, hop)
            yield _Run(number, label, starts)
