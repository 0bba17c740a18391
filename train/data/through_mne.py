"""Recordings of other formats, read through MNE (extra ``mubinn[mne]``)."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.train.data.signals import MICROVOLTS, Annotation, Channel, Signals, Stretch

ENDINGS = (
    *(".vhdr", ".set", ".fif", ".fif.gz", ".gdf", ".cnt", ".mff", ".ds", ".egi", ".nxe"),
    *(".lay", ".snirf", ".con", ".sqd", ".cdt", ".eeg", ".mefd"),
)
"""How files and folders are called that MNE reads, those among them that people have."""

FOLDERS = (".mff", ".ds", ".mefd")
"""Endings of recordings that are folders."""

SKIPPED = ("bad_acq_skip", "edge boundary", "bad boundary", "boundary", "new segment/")
"""How annotations begin by which MNE marks a gap or a cut."""

_UNITS = {112: "T", 201: "T/m", 107: "V"}
"""Units of FIFF's constants; of others nothing is known."""


def read_mne(path: Path) -> Signals:
    """Read a recording of whatever format MNE knows; samples are read on request.

    Raises
    ------
    MubinnError
        MNE is missing, or does not read the file.
    """
    try:
        import mne
    except ImportError as error:
        raise MubinnError(
            f"{path} is neither .npz nor .npy, nor EDF or BDF; other formats are read through "
            "MNE, which is not installed: run pip install 'mubinn[mne]', or convert it."
        ) from error
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            raw = mne.io.read_raw(path, verbose="warning")
        except Exception as error:  # MNE raises many kinds, assertions among them
            words = " ".join(str(error).split()) or type(error).__name__
            raise MubinnError(
                f"{path} is neither .npz nor .npy, nor EDF or BDF, and MNE cannot read it: "
                f"{words[:160].rstrip('.')}."
            ) from error
    rate = float(raw.info["sfreq"])
    texts, parts = _annotated(raw, rate)
    channels = tuple(_channel(raw, number, rate) for number in range(len(raw.ch_names)))
    kinds = raw.get_channel_types()
    signals = [k for k, kind in enumerate(kinds) if kind not in ("stim", "syst", "exci")]
    noted = [k for k, kind in enumerate(kinds) if kind in ("stim", "syst", "exci")]
    names = ", ".join(raw.ch_names[k] for k in noted)

    def samples(number: int) -> list[Floats]:
        values = np.asarray(raw.get_data(picks=[signals[number]])[0], np.float64)
        factor = MICROVOLTS.get(channels[signals[number]].unit, 1.0)
        return [values[part.start : part.stop] * factor for part in parts]

    subject = raw.info.get("subject_info") or {}
    return Signals(
        path=path,
        kind=f"{type(raw).__name__.removeprefix('Raw')}, through MNE {mne.__version__}",
        channels=tuple(channels[k] for k in signals),
        stretches=tuple(Stretch(part.start / rate, len(part) / rate) for part in parts),
        annotations=texts,
        patient=str(subject.get("his_id") or ""),
        notes=(
            *(f"MNE says: {' '.join(str(one.message).split())}" for one in said),
            *((f"its channels of triggers are left out: {names}",) if noted else ()),
        ),
        samples=samples,
    )


def _channel(raw: Any, number: int, rate: float) -> Channel:
    """Return a channel with the unit that MNE hands it on in, or the file's where it knows none."""
    name = raw.ch_names[number]
    unit = _UNITS.get(int(raw.info["chs"][number]["unit"]), "")
    stated = raw._orig_units.get(name) if isinstance(raw._orig_units, dict) else None
    if unit == "V" and stated is not None and stated not in MICROVOLTS:
        unit = "" if stated == "n/a" else stated
    return Channel(name.strip().rstrip(".").rstrip(), unit, rate)


def _annotated(raw: Any, rate: float) -> tuple[tuple[Annotation, ...], list[range]]:
    """Return the annotations, and the samples of each part without a gap."""
    first = raw.first_time if raw.annotations.orig_time is not None else 0.0
    texts: list[Annotation] = []
    cuts = {0: 0, raw.n_times: raw.n_times}  # where a part ends: where the next one begins
    for one in raw.annotations:
        start, length = float(one["onset"]) - first, float(one["duration"])
        text = str(one["description"]).strip()
        if not text.casefold().startswith(SKIPPED):
            texts.append(Annotation(start, length, text))
            continue
        end = round(start * rate)
        if 0 < end < raw.n_times:
            skipped = round(length * rate) if text.casefold().startswith("bad_acq_skip") else 0
            cuts[end] = max(cuts.get(end, 0), min(end + skipped, raw.n_times))
    ends = sorted(cuts)
    parts = [range(cuts[a], b) for a, b in itertools.pairwise(ends)]
    return tuple(sorted(texts, key=lambda one: one.start_s)), [part for part in parts if part]
