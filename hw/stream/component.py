"""Amaranth's generic classes as they are used here: with any signature, of any layout."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from amaranth.hdl import Elaboratable, ShapeLike, Signal, ValueLike
from amaranth.lib import data, memory, wiring

# Amaranth's own classes take no parameters at run time.
if TYPE_CHECKING:
    Component = wiring.Component[wiring.Signature]
    View = data.View[data.Layout]
    Memory = memory.Memory[ShapeLike, Any]
    ReadPort = memory.ReadPort[ShapeLike, Any]
    WritePort = memory.WritePort[ShapeLike, Any]
else:
    Component, View = wiring.Component, data.View
    Memory, ReadPort, WritePort = memory.Memory, memory.ReadPort, memory.WritePort

FieldValue: TypeAlias = "ValueLike | Mapping[str, FieldValue] | Sequence[FieldValue]"
"""What drives a field: a value, by name those of a structure, or a list of those of an array."""


def asked_alone(part: Any) -> Any:
    """Return a design that is asked about its ports and cycles, and may never become hardware.

    Amaranth would warn of it, and of each of its parts, as of one that was forgotten.
    """
    if isinstance(part, Elaboratable):
        vars(part)["_MustUse__used"] = True
        own = vars(part).values()
    elif isinstance(part, list | tuple):
        own = part  # type: ignore[assignment]
    else:
        return part
    for value in own:
        if isinstance(value, Elaboratable | list | tuple):
            asked_alone(value)
    return part


def view_signal(layout: data.Layout, name: str, init: View | None = None) -> View:
    """Return a signal seen through `layout`."""
    # The stubs say Signal, whatever the shape, and an integer to begin with.
    return Signal(layout, name=name, init=init)  # type: ignore[return-value, arg-type]


def view_const(layout: data.Layout, content: Sequence[Any] | Mapping[Any, Any]) -> View:
    """Return a constant seen through `layout`."""
    # The stubs take data.Const, which has a view's fields, for hdl.Const.
    return layout.const(content)  # type: ignore[return-value]
