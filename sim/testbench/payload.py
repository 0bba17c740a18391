"""Named fields of a stream's payload: their places, and packing between NumPy and bits.

A payload is one packed vector in Verilog. A :class:`Field` says where a named leaf of its layout
lies; nested structures are named ``a.b``, and the elements of an array layout are further axes of
the field's array. The description is plain JSON, since the bench runs in another process.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mubinn.golden.ground.errors import MubinnError

Bits = NDArray[np.uint8]
Fields = dict[str, NDArray[Any]]

# Widest field that an int64 array holds, signed or not.
_INT_WIDTH = 63

# Widest field whose values and partial sums float32 holds exactly.
_EXACT_WIDTH = 24


@dataclass(frozen=True)
class Field:
    """One leaf of a payload's layout.

    Parameters
    ----------
    name : str
        Dotted name; ``payload`` where the payload is a plain value.
    offset, width : int
        Place of its first element in the payload, bits.
    signed : bool
        Two's complement if true.
    lengths, strides : tuple of int
        Axes of the enclosing array layouts: number of elements, and bits from one to the next.
    """

    name: str
    offset: int
    width: int
    signed: bool
    lengths: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()

    @property
    def is_wide(self) -> bool:
        """True where values are rows of bits, least significant first, not integers."""
        return self.width > _INT_WIDTH

    def positions(self) -> NDArray[np.int64]:
        """Return the place in the payload of each bit, shape ``(*lengths, width)``."""
        where = self.offset + np.arange(self.width)
        for length, stride in zip(reversed(self.lengths), reversed(self.strides), strict=True):
            steps = stride * np.arange(length)
            where = steps.reshape(-1, *([1] * where.ndim)) + where
        return where


def fields_of(shape: Any) -> list[Field]:
    """Return the leaves of an Amaranth shape, in the order of its layout.

    Raises
    ------
    TypeError
        If the layout holds a union, whose fields overlap and cannot be driven one by one.
    """
    # Amaranth stays out of the bench's process, which imports this module for packing alone.
    from amaranth.hdl import Shape
    from amaranth.lib import data

    def leaves(
        shape: Any, name: str, offset: int, lengths: tuple[int, ...], strides: tuple[int, ...]
    ) -> Iterable[Field]:
        try:
            layout = data.Layout.cast(shape)
        except TypeError:
            cast = Shape.cast(shape)
            if cast.width:
                yield Field(name or "payload", offset, cast.width, cast.signed, lengths, strides)
            return
        if isinstance(layout, data.UnionLayout):
            raise TypeError(f"field {name or 'payload'} is a union and cannot be packed by name")
        if isinstance(layout, data.ArrayLayout):
            stride = Shape.cast(layout.elem_shape).width
            yield from leaves(
                layout.elem_shape, name, offset, (*lengths, layout.length), (*strides, stride)
            )
            return
        for key, field in layout:
            inner = f"{name}.{key}" if name else str(key)
            yield from leaves(field.shape, inner, offset + field.offset, lengths, strides)

    return list(leaves(shape, "", 0, (), ()))


def fields_to_json(fields: Sequence[Field]) -> list[dict[str, Any]]:
    """Return the description as JSON values."""
    return [asdict(field) for field in fields]


def fields_from_json(values: Iterable[Mapping[str, Any]]) -> list[Field]:
    """Return the description that :func:`fields_to_json` wrote."""
    return [
        Field(**{**value, "lengths": tuple(value["lengths"]), "strides": tuple(value["strides"])})
        for value in values
    ]


def _to_bits(field: Field, values: ArrayLike) -> Bits:
    """Return values as bits, shape (transfers, *lengths, width)."""
    array = np.asarray(values)
    axes = 1 + len(field.lengths)
    if array.shape[1:] == (*field.lengths, field.width) and array.ndim == axes + 1:
        if array.size and not np.isin(array, (0, 1)).all():
            raise MubinnError(f"Field {field.name} is given as bits, which must be 0 or 1.")
        return array.astype(np.uint8)
    if array.ndim != axes or array.shape[1:] != field.lengths:
        raise MubinnError(
            f"Field {field.name} has shape {array.shape}; give (transfers, "
            f"{''.join(f'{n}, ' for n in field.lengths)}) integers or the same with "
            f"{field.width} bits as last axis."
        )
    if array.dtype.kind not in "biuO":
        raise MubinnError(f"Field {field.name} has dtype {array.dtype}; give integers.")
    low = -(1 << (field.width - 1)) if field.signed else 0
    high = low + (1 << field.width) - 1
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        bad = int(array.min()) if int(array.min()) < low else int(array.max())
        kind = "signed" if field.signed else "unsigned"
        raise MubinnError(
            f"Field {field.name} has the value {bad}, which does not fit in {field.width} {kind} "
            "bits."
        )
    if field.is_wide or array.dtype.kind == "O":
        mask = (1 << field.width) - 1
        rows = ints_to_bits((int(v) & mask for v in array.flat), field.width)
        return rows.reshape(*array.shape, field.width)
    words = array.astype(np.int64 if array.dtype.kind != "u" else np.uint64)
    shifts = np.arange(field.width, dtype=words.dtype)
    return ((words[..., None] >> shifts) & words.dtype.type(1)).astype(np.uint8)


def _from_bits(field: Field, bits: Bits) -> NDArray[Any]:
    if field.is_wide:
        return bits
    weights = np.left_shift(np.int64(1), np.arange(field.width, dtype=np.int64))
    if field.signed:
        weights[-1] = -weights[-1]
    if field.width <= _EXACT_WIDTH:
        # Exact, and a product of float matrices is several times as fast as one of integers.
        return (bits.astype(np.float32) @ weights.astype(np.float32)).astype(np.int64)
    return bits.astype(np.int64) @ weights


def pack_bits(fields: Sequence[Field], width: int, values: Mapping[str, ArrayLike]) -> Bits:
    """Pack named fields into payloads.

    Parameters
    ----------
    fields : sequence of Field
        The layout; every one of them must be given.
    width : int
        Width of the payload, bits.
    values : mapping of str to array
        For each field integers ``(transfers, *lengths)``, or bits, a further axis of `width` with
        the least significant first, which is what fields wider than 63 bits are read as.

    Returns
    -------
    ndarray of uint8, shape (transfers, width)
        Bit k of a payload in column k.

    Raises
    ------
    MubinnError
        If a field is missing or unknown, a shape is wrong, or a value does not fit.
    """
    names = [field.name for field in fields]
    if set(names) != set(values):
        raise MubinnError(
            f"The payload has the fields {', '.join(names)}; given were "
            f"{', '.join(values) or 'none'}."
        )
    columns = {field.name: _to_bits(field, values[field.name]) for field in fields}
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) > 1:
        raise MubinnError(
            "All fields need the same number of transfers; given were "
            f"{', '.join(f'{count} of {name}' for name, count in counts.items())}."
        )
    transfers = next(iter(counts.values()), 0)
    bits = np.zeros((transfers, width), np.uint8)
    for field in fields:
        places = field.positions().reshape(-1)
        bits[:, places] = columns[field.name].reshape(transfers, len(places))
    return bits


def unpack_bits(fields: Sequence[Field], bits: Bits) -> Fields:
    """Return the named fields of payloads: int64, or uint8 bits where wider than 63 bits."""
    return {field.name: _from_bits(field, bits[:, field.positions()]) for field in fields}


def bits_to_int(bits: Bits) -> int:
    """Return the integer whose bit k is element k of the flattened array."""
    return bits_to_ints(bits.reshape(1, -1))[0]


def bits_to_ints(bits: Bits) -> list[int]:
    """Return one integer for each row."""
    return [
        int.from_bytes(row.tobytes(), "little")
        for row in np.packbits(bits, axis=-1, bitorder="little")
    ]


def int_to_bits(value: int, width: int) -> Bits:
    """Return the lowest `width` bits of a non-negative integer, least significant first."""
    bits: Bits = ints_to_bits([value], width)[0]
    return bits


def ints_to_bits(values: Iterable[int], width: int) -> Bits:
    """Return one row of bits for each integer."""
    size = -(-width // 8)
    raw = b"".join(value.to_bytes(size, "little") for value in values)
    rows = np.frombuffer(raw, np.uint8).reshape(-1, size)
    return np.unpackbits(rows, axis=-1, count=width, bitorder="little")
