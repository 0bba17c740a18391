"""Malformed files: good ones changed, before and behind their checksums and compression."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

NUMBERS = (
    *(b"0", b"-1", b"1e308", b"-1e308", b"1e-320", b"NaN", b"Infinity", b"1" * 20, b"9" * 400),
    *(b"true", b"null", b"2147483648", b"18446744073709551616", b"0.5", b"--", b"1e", b"0x10"),
)
TEXTS = (
    *(
        b'""',
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b"[" * 100,
        b"[" * 20000,
        b"\x00",
        b"\xff\xfe",
        b"\\u0000",
    ),
    *(
        "ü€𝄞".encode(),
        b"%s%n",
        b"../../x",
        b"/" * 300,
        b"\r\n",
        b"\t",
        b"//",
        b"/*",
        b"*/",
        b"a" * 3000,
    ),
)
SIZES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)

Rng = np.random.Generator
Change = Callable[[Rng, bytes], bytes]


def pick(rng: Rng, choices: Sequence[Any]) -> Any:
    """Return one of `choices`."""
    return choices[int(rng.integers(len(choices)))]


def place(rng: Rng, data: bytes) -> int:
    """Return where to change `data`: anywhere, more often in its first or last bytes."""
    end = len(data) + 1
    where = int(rng.integers(end))
    kind = rng.integers(4)
    if kind == 0:
        return where % min(end, 200)
    return len(data) - where % min(end, 200) if kind == 1 else where


def flip(rng: Rng, data: bytes) -> bytes:
    """Change some bits."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if changed:
            changed[place(rng, data) % len(changed)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def cut(rng: Rng, data: bytes) -> bytes:
    """End early."""
    return data[: place(rng, data)]


def drop(rng: Rng, data: bytes) -> bytes:
    """Leave out a piece."""
    start = place(rng, data)
    return data[:start] + data[start + int(rng.integers(1, 64)) :]


def double(rng: Rng, data: bytes) -> bytes:
    """Say a piece twice."""
    start = place(rng, data)
    piece = data[start : start + int(rng.integers(1, 300))]
    return data[:start] + piece + data[start:]


def insert(rng: Rng, data: bytes) -> bytes:
    """Put words or noise in."""
    start = place(rng, data)
    noise = rng.bytes(int(rng.integers(1, 30)))
    return data[:start] + pick(rng, (*NUMBERS, *TEXTS, noise)) + data[start:]


def count(rng: Rng, data: bytes) -> bytes:
    """Write another size over one."""
    width = pick(rng, (1, 2, 4, 8))
    size = pick(rng, SIZES) % (1 << 8 * width)
    start = place(rng, data)
    return data[:start] + size.to_bytes(width, pick(rng, ("little", "big"))) + data[start + width :]


def number(rng: Rng, data: bytes) -> bytes:
    """Write another number over one in digits."""
    digits = [k for k, byte in enumerate(data) if 48 <= byte <= 57]
    if not digits:
        return insert(rng, data)
    start = end = pick(rng, digits)
    while end < len(data) and data[end : end + 1] in b"0123456789.eE+-":
        end += 1
    return data[:start] + pick(rng, NUMBERS) + data[end:]


BYTES: tuple[Change, ...] = (flip, cut, drop, double, insert, count, number)


def altered(rng: Rng, data: bytes) -> bytes:
    """Return `data` changed in one to three ways, each at the level of its bytes."""
    for _ in range(int(rng.integers(1, 4))):
        data = pick(rng, BYTES)(rng, data)
    return data


def altered_json(rng: Rng, data: bytes) -> bytes:
    """Return a JSON document with one of its values changed, left out, or of another type."""
    try:
        value = json.loads(data)
    except ValueError:
        return altered(rng, data)
    for _ in range(int(rng.integers(1, 3))):
        value = _in_tree(rng, value)
    return json.dumps(value).encode()


def _in_tree(rng: Rng, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or rng.integers(8) == 0:
        return _other(rng, value)
    key = pick(rng, list(value) if isinstance(value, dict) else range(len(value)))
    kind = rng.integers(10)
    if kind == 0:
        del value[key]
    elif kind == 1 and isinstance(value, dict):
        value[pick(rng, ("x", "", "name", "\x00"))] = value.pop(key)
    elif kind == 1:
        value.append(value[key])
    else:
        value[key] = _in_tree(rng, value[key])
    return value


def _other(rng: Rng, value: Any) -> Any:
    if isinstance(value, int | float) and rng.integers(2):
        return pick(
            rng, (0, -1, 1, value + 1, -value, 1e308, 2**31, 2**64, 0.5, float("nan"), 10**30)
        )
    if isinstance(value, str) and rng.integers(2):
        return pick(rng, (value[:-1], value.upper(), value + "x", "", "\x00", "é" * 400, value * 3))
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    return pick(rng, (None, True, 3, -2.5, "text", [], {}, [[1]], {"a": 1}, [value], deep))


def unpacked(data: bytes) -> dict[str, bytes]:
    """Return the members of an archive by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive of members, with their checksums, the same whenever it is made."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            about = zipfile.ZipInfo(name)  # of 1980, not of now
            about.compress_type = method
            archive.writestr(about, content)
    return buffer.getvalue()


def altered_zip(rng: Rng, data: bytes) -> bytes:
    """Return an archive with a member changed behind its checksum, or damaged as packed."""
    members = unpacked(data)
    name = pick(rng, list(members))
    kind = int(rng.integers(8))
    if kind == 0:
        members.pop(name)
    elif kind == 1:
        members[pick(rng, ("x", "../x", "a/" * 200, " ", name + "\x00", name.upper()))] = (
            members.pop(name)
        )
    elif name.endswith(".json") and kind < 6:
        members[name] = altered_json(rng, members[name])
    else:
        members[name] = altered(rng, members[name])
    made = packed(members, pick(rng, METHODS))
    return altered(rng, made) if kind == 7 else made
