"""EDF and BDF files, made in code: each field of the header may be set to anything."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Line:
    """A signal: its samples, in its unit, and the fields of its header."""

    name: str
    values: np.ndarray
    unit: str = "uV"
    rate: int = 160
    limit: float = 1000.0
    fields: dict = field(default_factory=dict)


WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
NAMES = ("name", "transducer", "unit", "low", "high", "first", "last", "filter", "count", "rest")


def tal(start, *texts):
    """Return a time-stamped list: its onset, and texts, or (text, onset, duration)."""
    lists = f"{start:+g}\x14\x14\0"
    for text, onset, length in texts:
        after = f"\x15{length:g}" if length else ""
        lists += f"{onset:+g}{after}\x14{text}\x14\0"
    return lists.encode()


def edf_bytes(lines, *, kind="EDF", seconds=1.0, starts=None, texts=(), room=120, head=None):
    """Return a file of records of `seconds`; `texts` are (text, onset, duration), `starts` times.

    `kind` is EDF, BDF or either with "+C" or "+D"; `head` replaces fields of the fixed header.
    """
    width = 3 if kind.startswith("BDF") else 2
    limit = 1 << (8 * width - 1)
    records = int(len(lines[0].values) / lines[0].rate / seconds) if lines else 1
    starts = [seconds * k for k in range(records)] if starts is None else starts
    plus = "+" in kind
    columns = [[] for _ in WIDTHS]
    for line in lines:
        given = {
            **{"name": line.name, "unit": line.unit, "low": -line.limit, "high": line.limit},
            **{"first": -limit, "last": limit - 1, "count": round(line.rate * seconds)},
            **line.fields,
        }
        for column, name in zip(columns, NAMES, strict=True):
            column.append(given.get(name, ""))
    if plus:
        own = {"name": f"{kind[:3]} Annotations", "low": -1, "high": 1, "first": -limit}
        own |= {"last": limit - 1, "count": room // width}
        for column, name in zip(columns, NAMES, strict=True):
            column.append(own.get(name, ""))
    count = len(columns[0])
    fixed = {
        "version": b"\xffBIOSEMI" if width == 3 else b"0",
        **{"patient": "X X X X", "recording": "Startdate X X X X", "date": "01.01.20"},
        **{"time": "00.00.00", "size": 256 * (count + 1)},
        **{"reserved": kind if plus else "24BIT" if width == 3 else "", "records": records},
        **{"seconds": f"{seconds:g}", "count": count, **(head or {})},
    }
    sizes = (8, 80, 80, 8, 8, 8, 44, 8, 8, 4)
    parts = [_field(value, size) for value, size in zip(fixed.values(), sizes, strict=True)]
    for column, size in zip(columns, WIDTHS, strict=True):
        parts += [_field(value, size) for value in column]
    for k in range(records):
        for line in lines:
            step = round(line.rate * seconds)
            parts.append(_samples(line, line.values[k * step : (k + 1) * step], width))
        if plus:
            own = [one for one in texts if int(one[1] // seconds) == k]
            parts.append(tal(starts[k], *own).ljust(room // width * width, b"\0"))
    return b"".join(parts)


def _field(value, size):
    raw = value if isinstance(value, bytes) else str(value).encode("latin-1")
    return raw[:size].ljust(size)


def _samples(line, values, width):
    limit = 1 << (8 * width - 1)
    scaled = (np.asarray(values, float) + line.limit) / (2 * line.limit) * (2 * limit - 1) - limit
    whole = np.clip(np.rint(scaled), -limit, limit - 1).astype("<i4")
    return whole.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
