"""Which units a cell of configuration (A, W) really has, with their real widths.

Binarized cells: a float model is quantized at (A, W), and the units of Figure 3 get the widths that
its scales ask for, as `mubinn.hw.cells.lstm_cell.LstmCell` builds them.

========  =======================================================================================
(A, W)    the units of Figure 3; words of x and of h go through XNOR multipliers side by side
(FP, FP)  one binary32 multiplier, one adder, and the two activation functions
(FP, W)   x W_x in binary32: per level of the weights a signed sum of x, times the level's scale;
          converted to z's format; from h W_h on the units of (W, W)
(A, FP)   x W_x in binary32: per level of x a signed sum of the weights, times the level's scale;
          from h W_h on the units of (FP, FP)
========  =======================================================================================

A mixed cell may instead decode its level bits to binary32, by a table of the 2^levels values, and
multiply (`decoded`). Which form is the faster depends on the level count.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

from mubinn.golden.baseline.float_activation import FloatActivationParams
from mubinn.golden.baseline.float_to_fixed import FloatToFixedParams
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.scale_form import ScaleForm
from mubinn.golden.cells.lstm_cell import LstmCellParams
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.quantize import quantize
from mubinn.golden.units.activation import ActivationParams
from mubinn.golden.units.level_table import LevelTableParams
from mubinn.golden.units.scaling_mult import ScalingMultParams
from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams
from mubinn.hw.baseline.float_activation import FloatActivation
from mubinn.hw.baseline.float_add import FloatAdd
from mubinn.hw.baseline.float_mult import FloatMult
from mubinn.hw.baseline.float_to_fixed import FloatToFixed
from mubinn.hw.baseline.signed_float_add import SignedFloatAdd
from mubinn.hw.units.activation import Activation
from mubinn.hw.units.bias_add import BiasAdd
from mubinn.hw.units.level_table import LevelTable
from mubinn.hw.units.mac import Mac
from mubinn.hw.units.mlb_decoder import MlbDecoder
from mubinn.hw.units.mlb_encoder import MlbEncoder
from mubinn.hw.units.pointwise import Pointwise
from mubinn.hw.units.requantize import Requantize
from mubinn.hw.units.scaling_mult import ScalingMult
from mubinn.hw.units.xnor_multiplier import XnorMultiplier

Config = tuple[int | None, int | None]
"""(A, W); None is full precision."""


@dataclass(frozen=True)
class CellUnit:
    """One unit of a cell.

    Attributes
    ----------
    kind : str
        Class of the hardware.
    parameters : tuple of (str, value)
        Its parameters; kind and parameters together decide the design.
    make : callable
        Returns the Amaranth component; picklable, for it is called in another process.
    """

    kind: str
    parameters: tuple[tuple[str, Any], ...]
    make: Callable[[], Any] = field(compare=False, repr=False)

    @classmethod
    def of(cls, unit: Callable[..., Any], params: Any = None) -> "CellUnit":
        """Return `unit` with the parameter object that its constructor takes, or without any."""
        if params is None:
            return cls(unit.__name__, (), unit)
        return cls(unit.__name__, tuple(asdict(params).items()), partial(unit, params))

    @property
    def text(self) -> str:
        """Return the parameters on one line."""
        return ", ".join(f"{name} {_short(value)}" for name, value in self.parameters)

    @property
    def key(self) -> str:
        """Return kind and parameters as JSON."""
        return json.dumps([self.kind, self.parameters])


def _short(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


@dataclass(frozen=True, eq=False)
class Start:
    """What all cells are quantized from.

    Attributes
    ----------
    model : FloatModel
    windows : float64 [windows, T, I]
        Prepared input, to which the scales are fitted.
    """

    model: FloatModel
    windows: Floats

    def quantized(self, a: int, w: int, scale_form: ScaleForm = "free") -> QuantizedModel:
        """Return the model at (A, W)."""
        return quantize(self.model, Levels.of(a, w), self.windows, scale_form=scale_form)


@lru_cache(maxsize=32)  # Table I and its variants ask for the same
def cell_params(start: Start, a: int, w: int) -> LstmCellParams:
    """Return the parameters of the first layer's cell, quantized at (A, W)."""
    return LstmCellParams(start.quantized(a, w).lstm_layers[0])


def cell_units(
    config: Config, params: LstmCellParams | None, *, decoded: bool = False
) -> dict[str, CellUnit]:
    """Return the units of a cell by their role, each as often as the cell has it.

    Parameters
    ----------
    config : (A, W)
    params : LstmCellParams or None
        The cell at (A, W), at (W, W) where A is full precision; None where W is.
    decoded : bool
        Whether a mixed cell decodes and multiplies x W_x; has no meaning for others.
    """
    a, w = config
    if w is None:
        adder = FloatAdd if a is None or decoded else SignedFloatAdd
        return {
            **_decoder(a if decoded else None),
            "float_mult": CellUnit.of(FloatMult),
            "float_add": CellUnit.of(adder),
            "sigmoid": CellUnit.of(FloatActivation, FloatActivationParams("sigmoid")),
            "tanh": CellUnit.of(FloatActivation, FloatActivationParams("tanh")),
        }
    if params is None:
        raise ValueError(f"{config} needs the parameters of a cell")
    units = matrix_units(params, float_input=a is None) | _later_units(params)
    if a is None and decoded:
        units |= {**_decoder(w), "float_add": CellUnit.of(FloatAdd)}
    return units


def _decoder(levels: int | None) -> dict[str, CellUnit]:
    if levels is None:
        return {}
    return {"decode": CellUnit.of(LevelTable, LevelTableParams(levels))}


def matrix_units(p: LstmCellParams, float_input: bool = False) -> dict[str, CellUnit]:
    """Eq. (1)-(4) up to z."""
    mult = CellUnit.of(ScalingMult, ScalingMultParams(p.dot_width, p.gamma_width))
    hidden = {
        "xnor_h": CellUnit.of(XnorMultiplier, XnorMultiplierParams(p.layer.hidden)),
        "mult_h": mult,
    }
    if not float_input:
        features = CellUnit.of(XnorMultiplier, XnorMultiplierParams(p.layer.features))
        return {
            "xnor_x": features,
            "mult_x": mult,
            **hidden,
            "add": CellUnit.of(BiasAdd, p.bias_add),
        }
    # x W_x is added in the first pass, where another cell has the product of x: in z's format.
    add = replace(p.bias_add, product_width=max(p.bias_add.product_width, p.z_width))
    z = FloatToFixedParams(p.z_width, p.layer.z_fraction)
    return {
        "float_add": CellUnit.of(SignedFloatAdd),
        "float_mult": CellUnit.of(FloatMult),
        "to_fixed": CellUnit.of(FloatToFixed, z),
        **hidden,
        "add": CellUnit.of(BiasAdd, add),
    }


def _later_units(p: LstmCellParams) -> dict[str, CellUnit]:
    """Everything after z, as in the cell of Figure 3."""

    def table(gate: str) -> CellUnit:
        params: ActivationParams = p.layer.formats.activation(gate)
        return CellUnit.of(Activation, params)

    return {
        "round_z": CellUnit.of(Requantize, p.z_requantize),
        "sigmoid": table("f"),
        "tanh_g": table("g"),
        "encode_gate": CellUnit.of(MlbEncoder, p.encoder("gate")),
        "pointwise": CellUnit.of(Pointwise, p.pointwise),
        "encode_c": CellUnit.of(MlbEncoder, p.encoder("c")),
        "decode_c": CellUnit.of(MlbDecoder, p.c_decoder),
        "round_c": CellUnit.of(Requantize, p.c_requantize),
        "tanh_c": table("c"),
        "mac": CellUnit.of(Mac, p.mac),
        "encode_h": CellUnit.of(MlbEncoder, p.encoder("h")),
    }
