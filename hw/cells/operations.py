"""The hardware of every operation of `mubinn.golden.cells.operations`."""

from collections.abc import Callable, Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value, ValueLike, signed
from amaranth.lib import data

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.operations import (
    Activate,
    Add,
    Decode,
    Encode,
    Operation,
    Products,
    Round,
    Scale,
    Search,
    Table,
    Wide,
)
from mubinn.golden.ground.fixed import Ints
from mubinn.hw.arith.prefix_adder import prefix_add
from mubinn.hw.cells.cell_layout import scale_array
from mubinn.hw.stream.component import View, view_const
from mubinn.hw.stream.pipe import apply
from mubinn.hw.stream.unit import StreamUnit
from mubinn.hw.units.activation import Activation
from mubinn.hw.units.code_table import CodeTable
from mubinn.hw.units.mac import Mac
from mubinn.hw.units.mlb_decoder import MlbDecoder
from mubinn.hw.units.mlb_encoder import MlbEncoder
from mubinn.hw.units.pointwise import Pointwise
from mubinn.hw.units.requantize import Requantize
from mubinn.hw.units.threshold_search import ThresholdSearch

UNITS: dict[type[Operation], Callable[[Any], StreamUnit]] = {
    Round: Requantize,
    Activate: Activation,
    Encode: MlbEncoder,
    Decode: MlbDecoder,
    Products: Pointwise,
    Scale: Mac,
    Search: ThresholdSearch,
    Table: CodeTable,
}
"""The unit of each operation that has one, made of the operation's parameters."""


def operate(
    m: Module, role: str, operation: Operation, values: Sequence[Value], offset: Value | None = None
) -> Value:
    """Add the unit `role` to `m` and return what it makes of `values`.

    `offset` is that of a cell, in the fraction of the value, for the encoder of h and its search;
    others have theirs as constants.
    """
    made: Value
    match operation:
        case Round(params):
            made = apply(m, role, Requantize(params), value=values[0]).value
        case Activate(params):
            made = apply(m, role, Activation(params), z=values[0]).y
        case Encode():
            made = _encoded(m, role, operation, values[0], offset)
        case Decode(params, quantizer):
            scales = _scales(quantizer.scales, params.scale_width)
            own = {"offset": int(quantizer.offset.reshape(1)[0])} if params.offset_width else {}
            unit = MlbDecoder(params)
            made = apply(m, role, unit, code=values[0], scales=scales, **own).value
        case Products():
            made = _products(m, role, operation, values)
        case Scale(params, quantizer):
            made = apply(
                m,
                role,
                Mac(params),
                code=values[0],
                factor=values[1],
                offset=int(quantizer.offset),
                scales=_scales(quantizer.scales, params.scale_width),
            ).product
        case Add():
            made = _added(m, role, operation, values)
        case Search():
            made = _searched(m, role, operation, values[0], offset)
        case Table(params):
            made = apply(m, role, CodeTable(params), index=Cat(*values)).word
    return made


def _scales(scales: Ints, width: int) -> View:
    return view_const(scale_array(width, len(scales)), scales.tolist())


def scales_of(quantizer: Quantizer, fraction: int) -> list[int]:
    """Return the scales in `fraction` bits."""
    scales: list[int] = (quantizer.scales << fraction - quantizer.fraction).tolist()
    return scales


def _encoded(m: Module, role: str, own: Encode, value: Value, offset: Value | None) -> Value:
    params, quantizer = own.params, own.quantizer
    scales = view_const(
        scale_array(params.scale_width, params.levels), scales_of(quantizer, own.fraction)
    )
    if offset is None:
        constant = int(quantizer.offset.reshape(-1)[0]) << own.fraction - quantizer.fraction
        offset = Const(constant, signed(max(1, params.offset_width)))
    return encode(m, role, own, value, scales, offset)


def encode(
    m: Module, role: str, own: Encode, value: Value, scales: View, offset: ValueLike
) -> Value:
    """Return the code of `value`; `offset` counts where the encoder has one."""
    fields: dict[str, Any] = {"offset": offset} if own.params.offset_width else {}
    made: Value = apply(m, role, MlbEncoder(own.params), value=value, scales=scales, **fields).code
    return made


def _products(m: Module, role: str, own: Products, values: Sequence[Value]) -> Value:
    factors = [
        ~value if inverted else value for value, inverted in zip(values, own.inverted, strict=True)
    ]
    a, b, c, d = factors if len(factors) == 4 else factors * 2
    gammas = [
        view_const(
            data.ArrayLayout(signed(own.params.gamma_width), gamma.size), gamma.ravel().tolist()
        )
        for gamma in own.gammas
    ]
    unit = Pointwise(own.params)
    fields = {"gamma_ab": gammas[0], "gamma_cd": gammas[1]}
    made: Value = apply(m, role, unit, a=a, b=b, c=c, d=d, **fields).sum
    return made


def _added(m: Module, role: str, own: Add, values: Sequence[Value]) -> Signal:
    total = Signal(signed(own.format.width), name=role)
    if any(own.shifts) or len(values) != 2:
        shifted = [value << shift for value, shift in zip(values, own.shifts, strict=True)]
        m.d.comb += total.eq(sum(shifted[1:], start=shifted[0]))
        return total
    left, right = (extended(value, len(total)) for value in values)
    m.d.comb += total.eq(prefix_add(m, left, right, name=role))
    return total


def extended(value: Value, width: int) -> Value:
    """Return `value` with its sign, or zeros, up to `width` bits."""
    top = value[-1] if value.shape().signed else Const(0, 1)
    return Cat(value, top.replicate(width))[:width]


def _searched(m: Module, role: str, own: Search, value: Value, offset: Value | None) -> Value:
    """Search, of the difference to the offset where every cell has one of its own."""
    if own.offset is not None:
        assert offset is not None
        difference = Signal(signed(own.params.width), name=f"{role}_difference")
        minus = Signal.like(difference, name=f"{role}_minus")
        m.d.comb += minus.eq(~offset)
        left = extended(value, len(difference))
        m.d.comb += difference.eq(prefix_add(m, left, minus, 1, name=f"{role}_sum"))
        value = difference
    made: Value = apply(m, role, ThresholdSearch(own.params), value=value).code
    return made


def shape_of(operation: Operation) -> Any:
    """Return the shape of what an operation makes."""
    made = operation.format
    return signed(made.width) if isinstance(made, Wide) else made.width
