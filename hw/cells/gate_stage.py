"""A gate of its sum on the units of Figure 3: rounding, LUT and encoder."""

from typing import Any

from amaranth.hdl import Module, Mux, ValueLike

from mubinn.golden.cells.cell_params import CellParams
from mubinn.hw.stream.pipe import apply
from mubinn.hw.units.activation import Activation
from mubinn.hw.units.mlb_encoder import MlbEncoder
from mubinn.hw.units.requantize import Requantize


def activate(
    m: Module, params: CellParams, z: ValueLike, candidate: ValueLike, tanh: str
) -> tuple[Any, Any]:
    """Return z rounded to the LUTs' input, and its sigmoid, or its tanh where `candidate` is 1.

    `tanh` names the LUT of the candidate.
    """
    table = params.layer.formats.activation
    z_q = apply(m, "round_z", Requantize(params.z_requantize), value=z).value
    sigmoid = apply(m, "sigmoid", Activation(table("f")), z=z_q).y
    return z_q, Mux(candidate, apply(m, tanh, Activation(table("g")), z=z_q).y, sigmoid)


def encode(m: Module, name: str, params: CellParams, constants: Any, y: Any, gate: Any) -> Any:
    """Return the code of a gate from the encoder `name`, with the constants of number `gate`."""
    encoder = params.gate_encoder
    offset = {"offset": constants.gate_offset[gate]} if encoder.offset_width else {}
    scales = constants.gate_scales[gate]
    return apply(m, name, MlbEncoder(encoder), value=y, scales=scales, **offset).code
