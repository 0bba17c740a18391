"""A gate of its sum on the units of Figure 3: rounding, LUT and encoder."""

from typing import Any

from amaranth.hdl import Module, Mux, ShapeLike, Value, ValueLike, signed, unsigned
from amaranth.lib import data

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.cell_params import CellParams
from mubinn.golden.units.mac import MacParams
from mubinn.golden.units.mlb_encoder import MlbEncoderParams
from mubinn.hw.cells.cell_layout import scale_array
from mubinn.hw.stream.component import View, view_signal
from mubinn.hw.stream.fields import drive
from mubinn.hw.stream.pipe import apply
from mubinn.hw.units.activation import Activation
from mubinn.hw.units.mlb_encoder import MlbEncoder
from mubinn.hw.units.requantize import Requantize

Constant = tuple[ShapeLike, Any]
"""Shape and content of a field of constants."""


def gate_layout(params: CellParams) -> data.StructLayout:
    """Return the layout of what one gate computes on the units of Figure 3."""
    table = params.layer.formats.activation("f")
    return data.StructLayout(
        {
            "z_q": signed(table.in_width),
            "y": signed(table.out_width),
            "gate": unsigned(params.layer.levels.count("gate")),
        }
    )


def encoder_constants(params: CellParams) -> dict[str, Constant]:
    """Return the scales and offsets of the gates' encoder, in the fraction of y."""
    encoder, y = params.gate_encoder, params.layer.formats.y_fraction
    quantizers = params.layer.gates.values()
    scales = scale_array(encoder.scale_width, encoder.levels)
    offset = signed(max(1, encoder.offset_width))
    return {
        "gate_scales": (
            data.ArrayLayout(scales, len(quantizers)),
            [scales_of(q, y) for q in quantizers],
        ),
        "gate_offset": (
            data.ArrayLayout(offset, len(quantizers)),
            [int(q.offset) << (y - q.fraction) for q in quantizers],
        ),
    }


def scales_of(quantizer: Quantizer, fraction: int) -> list[int]:
    """Return the scales in `fraction` bits."""
    scales: list[int] = (quantizer.scales << fraction - quantizer.fraction).tolist()
    return scales


def mac_constants(name: str, params: MacParams, quantizer: Quantizer) -> dict[str, Constant]:
    """Return the scales and the offset with which a MAC takes gate `name`."""
    return {
        f"{name}_scales": (
            scale_array(params.scale_width, params.levels),
            quantizer.scales.tolist(),
        ),
        f"{name}_offset": (signed(params.scale_width + 1), int(quantizer.offset)),
    }


def activate(
    m: Module, params: CellParams, z: ValueLike, candidate: ValueLike, tanh: str
) -> tuple[Value, Value]:
    """Return z rounded to the LUTs' input, and its sigmoid, or its tanh where `candidate` is 1.

    `tanh` names the LUT of the candidate.
    """
    table = params.layer.formats.activation
    z_q = apply(m, "round_z", Requantize(params.z_requantize), value=z).value
    sigmoid = apply(m, "sigmoid", Activation(table("f")), z=z_q).y
    return z_q, Mux(candidate, apply(m, tanh, Activation(table("g")), z=z_q).y, sigmoid)


def encode_gate(
    m: Module, name: str, params: CellParams, constants: View, y: Value, gate: Value | int
) -> Value:
    """Return the code of a gate from the encoder `name`, with the constants of number `gate`."""
    scales, offset = constants.gate_scales[gate], constants.gate_offset[gate]
    return encode(m, name, params.gate_encoder, y, scales, offset)


def encode(
    m: Module, name: str, params: MlbEncoderParams, value: Value, scales: View, offset: ValueLike
) -> Value:
    """Return the code of `value` from the encoder `name`; `offset` counts where it has one."""
    own = {"offset": offset} if params.offset_width else {}
    code: Value = apply(m, name, MlbEncoder(params), value=value, scales=scales, **own).code
    return code


def gate_record(m: Module, params: CellParams, s: View, code: Value) -> View:
    """Return what the gate in a stage computed, for the trace."""
    record = view_signal(gate_layout(params), "record")
    drive(m, record, z_q=s.z_q, y=s.y, gate=code)
    return record
