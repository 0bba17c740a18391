"""Structures of fields: those of a step, driving all at once, and constants."""

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.hdl import Cat, Module, ShapeLike, Signal, Value, unsigned
from amaranth.lib import data

from mubinn.golden.binarize.scales import Quantizer
from mubinn.hw.stream.component import FieldValue, View, view_const


def frame_layout(size: int, levels: int, name: str = "x") -> data.StructLayout:
    """Return {name: planes of `size` bits, last: 1}, the level bits of one step."""
    return data.StructLayout({name: data.ArrayLayout(unsigned(size), levels), "last": unsigned(1)})


def zero_planes(quantizer: Quantizer, size: int) -> list[int]:
    """Return the planes of the codes of 0 of `size` elements, element 0 in bit 0."""
    codes = quantizer.zero_code(size).tolist()
    return [
        sum((code >> level & 1) << place for place, code in enumerate(codes))
        for level in range(quantizer.levels)
    ]


def drive(m: Module, target: View, /, **fields: FieldValue) -> None:
    """Drive every field of the structure `target` in one assignment.

    Assigned one by one, fields become drivers of parts of a net in Verilog, whose strengths an
    event-driven simulator resolves bit by bit: Icarus then takes several times as long.

    Parameters
    ----------
    m : Module
    target : View
        Of a `data.StructLayout` without gaps.
    fields
        A value for each field; for a structure also a dict, for an array a list of values.
    """
    m.d.comb += target.as_value().eq(_joined(m, "", target.shape(), fields))


def _joined(m: Module, name: str, shape: ShapeLike, value: FieldValue) -> Value:
    """Return `value` in the width that `shape` has."""
    if isinstance(value, Mapping):
        assert isinstance(shape, data.StructLayout)
        layout = dict(shape)
        assert value.keys() == layout.keys(), f"{sorted(value)} are not the fields {list(layout)}"
        return Cat(_joined(m, field, layout[field].shape, value[field]) for field in layout)
    if isinstance(value, Sequence):
        assert isinstance(shape, data.ArrayLayout)
        assert len(value) == shape.length
        return Cat(_joined(m, f"{name}_{k}", shape.elem_shape, v) for k, v in enumerate(value))
    part = Value.cast(Signal(shape, name=name))
    m.d.comb += part.eq(value)
    return part


def constants(**fields: tuple[ShapeLike, Any]) -> View:
    """Return a structure of constants: for each field its shape and its content."""
    layout = data.StructLayout({name: shape for name, (shape, _) in fields.items()})
    return view_const(layout, {name: value for name, (_, value) in fields.items()})


def fields_of(view: View, *names: str) -> dict[str, Value | View]:
    """Return the fields `names` of a structure by their names."""
    return {name: getattr(view, name) for name in names}
