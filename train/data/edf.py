"""EDF, EDF+, BDF and BDF+ files, read by their specification (edfplus.info, biosemi.com).

A header of 256 bytes and 256 more for each signal states how integers of 16 bits (EDF) or 24 bits
(BDF) follow in records, and how they become physical values. In the "+" variants signals named
``EDF Annotations`` hold texts with times, the time of each record among them: between records of
``EDF+D`` there may be gaps.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import reason_of
from mubinn.golden.ground.fixed import Floats
from mubinn.train.data.signals import MICROVOLTS, Annotation, Channel, Signals, Stretch

BDF = b"\xffBIOSEMI"
"""How a file of 24 bits begins; one of 16 bits begins with a 0 and seven blanks."""

WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
"""Bytes of a signal's fields; each field stands for all signals before the next."""

_T = TypeVar("_T")
_INTEGER = re.compile(r"[+-]?\d+(\.0*)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LIST = re.compile(
    rb"(?P<onset>[+-]\d+(?:\.\d*)?)(?:\x15(?P<length>\d+(?:\.\d*)?))?\x14(?P<texts>.*)\x14",
    re.DOTALL,
)
"""A time-stamped annotation list."""


def is_edf(start: bytes) -> bool:
    """Return whether a file that begins with these eight bytes is EDF or BDF."""
    return start == BDF or (len(start) == 8 and start.rstrip(b" \0") == b"0")


@dataclass(frozen=True)
class _Signal:
    """A signal of the header; `begin` and `size` are its bytes in a record."""

    label: str
    unit: str
    physical: tuple[float, float]
    digital: tuple[int, int]
    count: int
    begin: int
    size: int

    @property
    def is_annotations(self) -> bool:
        return self.label.casefold() in ("edf annotations", "bdf annotations")


@dataclass(frozen=True)
class _Header:
    kind: str
    patient: str
    records: int
    seconds: float
    signals: tuple[_Signal, ...]
    size: int
    record_size: int
    width: int


def read_edf(path: Path) -> Signals:
    """Read the header and the annotations of a file that `is_edf`; samples are read on request.

    Raises
    ------
    MubinnError
        The file is damaged, or not as long as its header says.
    """
    try:
        length = path.stat().st_size
        with path.open("rb") as file:
            fixed = file.read(256)
            count = _number(path, "number of signals", fixed[252:256], _INTEGER, int)
            if not 0 < count <= (length - 256) // 256:
                raise MubinnError(_damaged(path, f"states {count} signals"))
            header = _header(path, fixed, file.read(256 * count), count)
        notes, records = _records(path, header, length)
        if not records:
            raise MubinnError(f"{path} holds no records: give a recording that was finished.")
        starts, annotations = _annotations(path, header, _mapped(path, header, records))
    except OSError as error:
        raise MubinnError(
            f"{path} cannot be read: {reason_of(error)}; give another path."
        ) from error
    parts = _stretches(path, header, starts)
    if len(parts) > 1 and header.kind.endswith("+C"):
        notes = (*notes, f"it says {header.kind}, but its records leave gaps")
    signals = [one for one in header.signals if not one.is_annotations]
    channels = tuple(
        Channel(one.label, one.unit, one.count / header.seconds if header.seconds else 0.0)
        for one in signals
    )

    def samples(number: int) -> list[Floats]:
        data = _mapped(path, header, records)
        return _physical(path, header, signals[number], data, parts)

    return Signals(
        path=path,
        kind=f"{header.kind}, {8 * header.width} bits",
        channels=channels,
        stretches=tuple(
            Stretch(starts[part[0]], len(part) * header.seconds) for part in parts if len(part)
        ),
        annotations=annotations,
        patient=header.patient,
        notes=notes,
        samples=samples,
    )


def _mapped(path: Path, header: _Header, records: int) -> NDArray[np.uint8]:
    """Return the bytes of the records, mapped anew: many files may be in use at once."""
    shape = (records, header.record_size)
    return np.memmap(path, np.uint8, "r", offset=header.size, shape=shape)


def _damaged(path: Path, what: str) -> str:
    return f"{path} {what}: its header is damaged, or it is no EDF file; export it again."


def _text(path: Path, what: str, field: bytes) -> str:
    """Return a field as text: ASCII by the standard, UTF-8 or Latin-1 in practice."""
    field = field.strip(b" \0")
    try:
        text = field.decode()
    except UnicodeDecodeError:
        text = field.decode("latin-1")
    if not text.isprintable():
        raise MubinnError(_damaged(path, f"has a {what} {text[:20]!r}"))
    return text


def _number(
    path: Path, what: str, field: bytes, form: re.Pattern[str], kind: Callable[[float], _T]
) -> _T:
    text = _text(path, what, field)
    if not form.fullmatch(text) or not np.isfinite(float(text)):
        raise MubinnError(_damaged(path, f"has a {what} {text!r}, which is no number"))
    return kind(float(text))


def _header(path: Path, fixed: bytes, fields: bytes, count: int) -> _Header:
    """Return the header of a file, checked."""
    width = 3 if fixed[:8] == BDF else 2
    name = "BDF" if width == 3 else "EDF"
    plus = re.match(rb"(EDF|BDF)(\+[CD])", fixed[192:236])
    size = _number(path, "length of its header", fixed[184:192], _INTEGER, int)
    if size != 256 * (count + 1):
        raise MubinnError(_damaged(path, f"has {count} signals but a header of {size} bytes"))
    seconds = _number(path, "duration of a record", fixed[244:252], _NUMBER, float)
    if seconds < 0:
        raise MubinnError(_damaged(path, f"has records of {seconds:g} s"))
    columns = []
    begin = 0
    for field_width in WIDTHS:
        rows = [fields[begin + k * field_width :][:field_width] for k in range(count)]
        columns.append(rows)
        begin += count * field_width
    signals: list[_Signal] = []
    place = 0
    for row in zip(*columns, strict=True):
        signals.append(_signal(path, row, place, width))
        place += signals[-1].size
    if not seconds and not all(one.is_annotations for one in signals):
        raise MubinnError(_damaged(path, "has records of 0 s"))
    return _Header(
        kind=name + (plus[2].decode() if plus else ""),
        patient=fixed[8:88].decode("latin-1").strip(" \0"),
        records=_number(path, "number of records", fixed[236:244], _INTEGER, int),
        seconds=seconds,
        signals=tuple(signals),
        size=size,
        record_size=place,
        width=width,
    )


def _signal(path: Path, row: tuple[bytes, ...], begin: int, width: int) -> _Signal:
    label = _text(path, "label", row[0]).rstrip(".").rstrip()
    of = f"of {label or 'a signal without a label'}"
    low, high = (_number(path, f"physical range {of}", row[k], _NUMBER, float) for k in (3, 4))
    first, last = (_number(path, f"digital range {of}", row[k], _INTEGER, int) for k in (5, 6))
    count = _number(path, f"number of samples {of}", row[8], _INTEGER, int)
    if count < 1:
        raise MubinnError(_damaged(path, f"has {count} samples {of} in a record"))
    limit = 1 << (8 * width - 1)
    if not -limit <= first < last < limit:
        raise MubinnError(
            f"{path} has a digital range {of} from {first} to {last}, which is none of "
            f"{8 * width} bits: its header is damaged, or its data are of another width than "
            "it says; export it again."
        )
    return _Signal(
        label=label,
        unit=_text(path, f"unit {of}", row[2]),
        physical=(low, high),
        digital=(first, last),
        count=count,
        begin=begin,
        size=count * width,
    )


def _records(path: Path, header: _Header, length: int) -> tuple[tuple[str, ...], int]:
    """Return notes and the number of records, to which the file has to be as long."""
    held, rest = divmod(length - header.size, header.record_size)
    if header.records == -1 and not rest:
        return ("its header leaves the number of records open",), held
    if header.records < -1:
        raise MubinnError(_damaged(path, f"states {header.records} records"))
    if held < header.records or header.records == -1:
        raise MubinnError(f"{path} is shorter than its EDF header says; fetch it again.")
    if held > header.records or rest:
        raise MubinnError(
            f"{path} is longer than its EDF header says: it states {header.records} records and "
            f"holds {held}; export it again."
        )
    return (), held


def _annotations(
    path: Path, header: _Header, data: NDArray[np.uint8]
) -> tuple[list[float], tuple[Annotation, ...]]:
    """Return the time at which each record begins, and the annotations."""
    holders = [one for one in header.signals if one.is_annotations]
    if not holders or ("+" not in header.kind and header.seconds):
        if header.kind.endswith("D"):
            raise MubinnError(
                f"{path} is {header.kind}, whose records may have gaps between them, but has no "
                "annotations that say when they begin: export it again."
            )
        return [k * header.seconds for k in range(len(data))], ()
    starts: list[float] = []
    found: list[Annotation] = []
    for number, record in enumerate(data):
        for holder in holders:
            field = record[holder.begin : holder.begin + holder.size].tobytes()
            lists = [_parsed(path, number, part) for part in field.split(b"\0") if part]
            if holder is holders[0]:
                if not lists or lists[0][2][0]:
                    raise MubinnError(
                        f"{path} does not say when record {number} begins: it is damaged, or "
                        f"no {header.kind}; export it again."
                    )
                starts.append(lists[0][0])
            for onset, length, texts in lists:
                found += [Annotation(onset, length, text) for text in texts if text]
    return starts, tuple(sorted(found, key=lambda one: one.start_s))


def _parsed(path: Path, number: int, part: bytes) -> tuple[float, float, list[str]]:
    match = _LIST.fullmatch(part)
    if not match:
        raise MubinnError(
            f"{path} has damaged annotations in record {number}: fetch or export it again."
        )
    texts = [text.decode(errors="replace").strip() for text in match["texts"].split(b"\x14")]
    return float(match["onset"]), float(match["length"] or 0), texts


def _stretches(path: Path, header: _Header, starts: list[float]) -> list[range]:
    """Return the records of each part without a gap; half a sample is none."""
    most = max((one.count for one in header.signals if not one.is_annotations), default=1)
    slack = header.seconds / most / 2
    late = np.diff(starts) - header.seconds
    if (late < -slack).any():
        number = int(np.argmax(late < -slack)) + 1
        raise MubinnError(
            f"{path} has a record, {number}, that begins before the one before it ends: it is "
            "damaged; export it again."
        )
    cuts = [0, *(np.flatnonzero(late > slack) + 1).tolist(), len(starts)]
    return [range(begin, end) for begin, end in itertools.pairwise(cuts)]


def _physical(
    path: Path, header: _Header, signal: _Signal, data: NDArray[np.uint8], parts: list[range]
) -> list[Floats]:
    """Return a signal in its unit, voltages in microvolts, float64 [n] for each part."""
    low, high = signal.physical
    first, last = signal.digital
    if low == high:
        raise MubinnError(
            f"{path} gives {signal.label} the physical range {low:g} to {high:g}, which has no "
            "scale: leave the channel out, or export it again."
        )
    factor = MICROVOLTS.get(signal.unit, 1.0)
    found = []
    for part in parts:
        cut = data[part.start : part.stop, signal.begin : signal.begin + signal.size]
        whole = _integers(np.ascontiguousarray(cut).reshape(-1), header.width)
        values = low + (whole - float(first)) * ((high - low) / (last - first))
        found.append(np.asarray(values * factor, np.float64))
    return found


def _integers(raw: NDArray[np.uint8], width: int) -> NDArray[np.int32]:
    if width == 2:
        return raw.view("<i2").astype(np.int32)
    wide = np.zeros((len(raw) // 3, 4), np.uint8)
    wide[:, 1:] = raw.reshape(-1, 3)
    return wide.view("<i4").reshape(-1) >> 8
