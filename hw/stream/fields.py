"""Driving all fields of a structure at once."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data


def drive(m: Module, target: Any, **fields: Any) -> None:
    """Drive every field of the structure `target` in one assignment.

    Assigned one by one, fields become drivers of parts of a net in Verilog, whose strengths an
    event-driven simulator resolves bit by bit: Icarus then takes several times as long.

    Parameters
    ----------
    m : Module
    target : data.View
        Of a `data.StructLayout` without gaps.
    fields
        A value for each field; for a structure also a dict, for an array a list of values.
    """
    m.d.comb += target.as_value().eq(_joined(m, "", target.shape(), fields))


def _joined(m: Module, name: str, shape: Any, value: Any) -> Any:
    """Return `value` in the width that `shape` has."""
    if isinstance(value, dict):
        layout = dict(shape)
        assert value.keys() == layout.keys(), f"{sorted(value)} are not the fields {list(layout)}"
        return Cat(_joined(m, field, layout[field].shape, value[field]) for field in layout)
    if isinstance(value, list):
        assert isinstance(shape, data.ArrayLayout)
        assert len(value) == shape.length
        return Cat(_joined(m, f"{name}_{k}", shape.elem_shape, v) for k, v in enumerate(value))
    part: Any = Signal(shape, name=name)
    m.d.comb += Value.cast(part).eq(value)
    return part
