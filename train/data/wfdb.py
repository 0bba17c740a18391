"""PhysioNet's WFDB records, as MIT-BIH has them: .hea headers, .dat of format 212, .atr beats."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import reason_of
from mubinn.golden.ground.fixed import Floats

LEAD = "MLII"
"""Signal that is taken where a record has it, else its first one."""

FORMAT = "212"

LARGEST_ZERO = 1 << 31
"""Bound of the value that stands for 0."""

SKIP, NUM, SUB, CHN, AUX = 59, 60, 61, 62, 63
"""Codes of an .atr file that are no annotations but about one."""

_GAIN = re.compile(r"([-+.\deE]+)(?:\((-?\d+)\))?(?:/(\S+))?")
_MILLIVOLTS = {"mV": 1.0, "uV": 1e-3, "V": 1e3}


@dataclass(frozen=True)
class Lead:
    """What a header says of a signal: its place, millivolts a unit, the value of 0, its name."""

    place: int
    gain: float
    zero: int
    checksum: int
    name: str


def read_record(path: Path) -> tuple[Floats, float, NDArray[np.int64], NDArray[np.int64]]:
    """Return a lead of a record in millivolts, its rate, and places and codes of annotations.

    Parameters
    ----------
    path : Path
        Its header, with .dat and .atr of the same stem beside it.

    Raises
    ------
    MubinnError
        A file is missing, or is cut, damaged or of another format.
    """
    rate, count, signals, leads = _header(path)
    lead = next((lead for lead in leads if lead.name == LEAD), leads[0])
    samples = _samples(signals, count, len(leads))[:, lead.place]
    if int(samples.sum()) % 65536 != lead.checksum % 65536:
        raise MubinnError(
            f"{signals} is not what its header sums up to: it is damaged; fetch it again."
        )
    places, codes = read_annotations(path.with_suffix(".atr"))
    if len(places) and (places[-1] >= count or (np.diff(places) < 0).any()):
        raise MubinnError(
            f"{path.with_suffix('.atr')} has annotations beyond its record or out of order: fetch "
            "it again."
        )
    millivolts = np.asarray((samples - lead.zero) * lead.gain, np.float64)
    return millivolts, rate, places, codes


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MubinnError(f"{path} cannot be read: {reason_of(error)}; fetch it.") from error


def _header(path: Path) -> tuple[float, int, Path, list[Lead]]:
    """Return rate, number of steps, the file of the signals, and these."""
    lines = _bytes(path).decode("latin-1").splitlines()
    words = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    try:
        _, signals, rate, count = words[0][:4]
        rows = words[1 : 1 + int(signals)]
        leads = [_lead(place, row) for place, row in enumerate(rows)]
        names = {(row[0], row[1]) for row in rows}
        hertz, steps = float(rate.split("/")[0].split("(")[0]), int(count)
        if len(rows) != int(signals) or not rows or not 0 < hertz < math.inf or steps <= 0:
            raise ValueError
    except (IndexError, ValueError, KeyError, ZeroDivisionError):
        raise MubinnError(f"{path} is no header of a WFDB record: fetch it again.") from None
    if len(names) > 1 or {kind for _, kind in names} != {FORMAT}:
        raise MubinnError(
            f"{path} has signals of another format than {FORMAT}, or in several files: give "
            "records as MIT-BIH has them."
        )
    return hertz, steps, path.with_name(Path(rows[0][0]).name), leads


def _lead(place: int, row: list[str]) -> Lead:
    """Return what a line of a header says of a signal; `ValueError` and such where it is none."""
    found = _GAIN.fullmatch(row[2])
    if found is None:
        raise ValueError
    zero, checksum = int(row[4]), int(row[6])
    gain = _MILLIVOLTS[found[3] or "mV"] / float(found[1])
    zero = int(found[2] or zero)
    if not 0 < abs(gain) < math.inf or abs(zero) > LARGEST_ZERO:
        raise ValueError
    return Lead(place, gain, zero, checksum, " ".join(row[8:]))


def _samples(path: Path, count: int, signals: int) -> NDArray[np.int64]:
    """Return the samples of a file of format 212, int64 [count, signals]: two in three bytes."""
    data = np.frombuffer(_bytes(path), np.uint8)
    needed = -(-count * signals * 3 // 2)
    if not needed <= len(data) <= needed + 2:
        raise MubinnError(
            f"{path} has {len(data)} bytes, and its header speaks of {needed}: fetch both again."
        )
    whole = np.zeros(-(-needed // 3) * 3, np.int64)
    whole[:needed] = data[:needed]
    low, middle, high = whole.reshape(-1, 3).T
    pairs = np.stack([low | (middle & 15) << 8, high | (middle >> 4) << 8], axis=1)
    flat = ((pairs + 2048) % 4096 - 2048).reshape(-1)
    return flat[: count * signals].reshape(count, signals)


def read_annotations(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places and the codes of a file of annotations in MIT's format.

    Raises
    ------
    MubinnError
        The file is missing, or does not end as such a file does.
    """
    data = _bytes(path)
    words = np.frombuffer(data[: len(data) // 2 * 2], "<u2").astype(np.int64).tolist()
    places: list[int] = []
    codes: list[int] = []
    time = at = 0
    about: dict[int, Callable[[int], int]] = {
        **dict.fromkeys((NUM, SUB, CHN), lambda _: 0),
        AUX: lambda length: (length + 1) // 2,
    }
    while at < len(words) and words[at]:
        code, value = words[at] >> 10, words[at] & 1023
        at += 1
        if code == SKIP and at + 2 <= len(words):
            step = words[at] << 16 | words[at + 1]  # the high word is first
            time += step - (1 << 32 if step >> 31 else 0)
            at += 2
        elif code in about:
            at += about[code](value)
        else:
            time += value
            places.append(time)
            codes.append(code)
    if at >= len(words):
        raise MubinnError(f"{path} is cut or no file of annotations: fetch it again.")
    return np.array(places, np.int64), np.array(codes, np.int64)
