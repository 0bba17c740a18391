"""What files of data hold, as JSON types: channels with their units and ranges, times, classes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from mubinn.golden.ground.fixed import Floats
from mubinn.train.data.files import load_windows
from mubinn.train.data.recordings import labelled
from mubinn.train.data.signals import VOLTAGE
from mubinn.train.data.sources import is_arrays, read_signals


def describe(path: Path) -> dict[str, Any]:
    """Return what a file of windows or a recording holds.

    Raises
    ------
    MubinnError
        It cannot be read.
    """
    return _windows(path) if is_arrays(path) else _recording(path)


def _recording(path: Path) -> dict[str, Any]:
    signals = read_signals(path)
    channels = []
    for number, one in enumerate(signals.channels):
        samples = np.concatenate(signals.samples(number))
        channels.append(
            {
                **{"name": one.name, "unit": one.taken_unit, "rate_hz": one.rate_hz},
                **_range(samples),
                "triggers": one.is_marks,
            }
        )
    texts = Counter(one.text for one in signals.annotations)
    return {
        "kind": f"recording, {signals.kind}",
        "duration_s": signals.length_s,
        "parts": [[one.start_s, one.start_s + one.length_s] for one in signals.stretches],
        "channels": channels,
        "annotations": dict(sorted(texts.items())),
        "notes": list(signals.notes),
    }


def _windows(path: Path) -> dict[str, Any]:
    data = load_windows(path)
    steps = data.x.shape[1]
    unit = "" if data.scale_uv is None else VOLTAGE
    scale = data.scale_uv or 1.0
    found: dict[str, Any] = {
        "kind": f"windows, {data.x.dtype}",
        "windows": len(data.x),
        "steps": steps,
        "window_s": None if data.fs_hz is None else steps / data.fs_hz,
        "channels": [
            {
                **{"name": name, "unit": unit, "rate_hz": data.fs_hz},
                **_range(data.x[..., number].astype(np.float64) * scale),
            }
            for number, name in enumerate(data.channels)
        ],
        "subjects": None if data.subject is None else len(np.unique(data.subject)),
    }
    if data.y is not None:
        counts = np.bincount(labelled(data.y), minlength=len(data.classes)).tolist()
        found["classes"] = dict(zip(data.classes, counts, strict=False))
    return found


def _range(samples: Floats) -> dict[str, float | None]:
    """Return the least and the largest sample; None where there are none."""
    if not samples.size:
        return {"least": None, "largest": None}
    return {"least": float(samples.min()), "largest": float(samples.max())}
