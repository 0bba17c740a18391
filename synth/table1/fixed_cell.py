"""Integer cells of 8 and 16 bits: baselines of the full-precision cell's architecture.

One multiply-accumulate for all products, like (FP, FP): the accumulator begins with the bias,
every other word has `bits` bits, and the activations are the piecewise-linear tables of Figure 3.
Sums are exact; each is rounded to z, to c or to h where it is complete.

Formats: z spans [-8, 8), all other words [-2, 2); c is clipped to [-1, 1] in training.

For the least delay every unit of the delay model is its own. For the least area they are shared:
one rounding of the accumulator, to the fraction of c in the range of z, and one table for sigmoid
and tanh, interpolated on the multiply-accumulate.
"""

from mubinn.golden.baseline.fixed_mac import FixedMacParams
from mubinn.golden.units.activation import ActivationParams
from mubinn.golden.units.requantize import RequantizeParams
from mubinn.golden.units.shapes import Kind
from mubinn.hw.baseline.fixed_mac import FixedMac
from mubinn.hw.units.activation import Activation
from mubinn.hw.units.fixed_segment import FixedSegment
from mubinn.hw.units.requantize import Requantize
from mubinn.synth.table1.cell_units import CellUnit
from mubinn.synth.table1.delay_model import ACTIVATE, MULTIPLY, STATE, DelayModel, Step, Workload

GATES = 4
STATE_PRODUCTS = 3
"""f c and i g, which meet in one accumulator, and o tanh(c)."""

TABLE_BITS = 7
"""2**TABLE_BITS segments of an activation, which 16 bits interpolate."""


def _mac(bits: int, load: Workload) -> FixedMacParams:
    """Return the multiply-accumulate, with room for the products of x and h, and the bias."""
    return FixedMacParams(bits, bits - 2, guard=(load.features + load.hidden).bit_length())


def _rounded(mac: FixedMacParams, bits: int, fraction: int) -> CellUnit:
    params = RequantizeParams(mac.sum_width, mac.sum_fraction, bits, fraction)
    return CellUnit.of(Requantize, params)


def fixed_units(bits: int, load: Workload) -> dict[str, CellUnit]:
    """Return the units of the cell of `bits`-bit integers by their role, for the least delay."""
    words, z = bits - 2, bits - 4
    mac = _mac(bits, load)

    def table(kind: Kind, fraction: int) -> CellUnit:
        return CellUnit.of(Activation, ActivationParams(kind, bits, fraction, words, TABLE_BITS))

    return {
        "mac": CellUnit.of(FixedMac, mac),
        "round_z": _rounded(mac, bits, z),
        "sigmoid": table("sigmoid", z),
        "tanh_g": table("tanh", z),
        "round_c": _rounded(mac, bits, words),
        "tanh_c": table("tanh", words),
        "round_h": _rounded(mac, bits, words),
    }


def shared_units(bits: int, load: Workload) -> dict[str, CellUnit]:
    """Return the units of the cell of `bits`-bit integers by their role, for the least area."""
    words, wide = bits - 2, bits + 2
    mac = _mac(bits, load)
    table = ActivationParams("tanh", wide, words, words, TABLE_BITS)
    return {
        "mac": CellUnit.of(FixedMac, mac),
        "round": _rounded(mac, wide, words),
        "clip": CellUnit.of(Requantize, RequantizeParams(wide, words, bits, words)),
        "segment": CellUnit.of(FixedSegment, table),
    }


def fixed_delay_model(load: Workload) -> DelayModel:
    """Return the delay model of a cell, one unit after the other, as of (FP, FP).

    ``4 ((I + H) t_mac + t_round_z) + 3 t_sigmoid + t_tanh_g + 2 t_mac + t_round_c + t_tanh_c
    + t_mac + t_round_h``; biases cost nothing.
    """
    steps = (
        Step(("mac",), GATES * (load.features + load.hidden), MULTIPLY),
        Step(("round_z",), GATES, ACTIVATE),
        Step(("sigmoid",), GATES - 1, ACTIVATE),
        Step(("tanh_g",), 1, ACTIVATE),
        Step(("mac",), STATE_PRODUCTS, STATE),
        Step(("round_c",), 1, ACTIVATE),
        Step(("tanh_c",), 1, ACTIVATE),
        Step(("round_h",), 1, ACTIVATE),
    )
    series = ("mac", "round_z", "sigmoid", "round_c", "tanh_c", "round_h")
    return DelayModel(steps, tuple((unit,) for unit in series))
