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
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.lowering import Lowered
from mubinn.golden.cells.operations import Add
from mubinn.golden.ground.fixed import Floats, unsigned_width
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.quantize import quantize
from mubinn.golden.units.bias_add import BiasAddParams
from mubinn.golden.units.level_table import LevelTableParams
from mubinn.golden.units.scaling_mult import ScalingMultParams
from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams
from mubinn.hw.baseline.float_activation import FloatActivation
from mubinn.hw.baseline.float_add import FloatAdd
from mubinn.hw.baseline.float_mult import FloatMult
from mubinn.hw.baseline.float_to_fixed import FloatToFixed
from mubinn.hw.baseline.signed_float_add import SignedFloatAdd
from mubinn.hw.cells.operations import UNITS
from mubinn.hw.units.bias_add import BiasAdd
from mubinn.hw.units.level_table import LevelTable
from mubinn.hw.units.scaling_mult import ScalingMult
from mubinn.hw.units.sum_of_words import SumOfWords
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
def first_layer(start: Start, a: int, w: int) -> QuantizedLayer:
    """Return the first layer, quantized at (A, W)."""
    return start.quantized(a, w).lstm_layers[0]


def cell_units(
    config: Config, layer: QuantizedLayer | None, *, decoded: bool = False
) -> dict[str, CellUnit]:
    """Return the units of a cell by their role, each as often as the cell has it.

    Parameters
    ----------
    config : (A, W)
    layer : QuantizedLayer or None
        Of the cell at (A, W), at (W, W) where A is full precision; None where W is.
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
    if layer is None:
        raise ValueError(f"{config} needs the layer of a cell")
    units = matrix_units(layer, float_input=a is None) | later_units(layer.on("figure3"))
    if a is None and decoded:
        units |= {**_decoder(w), "float_add": CellUnit.of(FloatAdd)}
    return units


def _decoder(levels: int | None) -> dict[str, CellUnit]:
    if levels is None:
        return {}
    return {"decode": CellUnit.of(LevelTable, LevelTableParams(levels))}


def matrix_units(layer: QuantizedLayer, float_input: bool = False) -> dict[str, CellUnit]:
    """Return the units of Eq. (1)-(4) up to z."""
    mult = CellUnit.of(ScalingMult, ScalingMultParams(layer.dot_width, layer.gamma_width))
    hidden = {
        "xnor_h": CellUnit.of(XnorMultiplier, XnorMultiplierParams(layer.hidden)),
        "mult_h": mult,
    }
    if not float_input:
        features = CellUnit.of(XnorMultiplier, XnorMultiplierParams(layer.features))
        return {
            "xnor_x": features,
            "mult_x": mult,
            **hidden,
            "add": CellUnit.of(BiasAdd, bias_add(layer)),
        }
    # x W_x is added in the first pass, where another cell has the product of x: in z's format.
    add = bias_add(layer)
    add = replace(add, product_width=max(add.product_width, layer.z_width))
    z = FloatToFixedParams(layer.z_width, layer.z_fraction)
    return {
        "float_add": CellUnit.of(SignedFloatAdd),
        "float_mult": CellUnit.of(FloatMult),
        "to_fixed": CellUnit.of(FloatToFixed, z),
        **hidden,
        "add": CellUnit.of(BiasAdd, add),
    }


def bias_add(layer: QuantizedLayer) -> BiasAddParams:
    """Return the parameters of the Add unit of Figure 3, which takes one product a cycle."""
    return BiasAddParams(
        levels=layer.b.levels,
        product_width=layer.dot_width + layer.gamma_width,
        scale_width=unsigned_width(int(layer.b.scales.max())),
        sum_width=layer.z_width,
    )


def later_units(lowered: Lowered) -> dict[str, CellUnit]:
    """Return everything after z by role, as in the hardware of a cell."""
    found: dict[str, CellUnit] = {}
    for unit in lowered.units:
        operation = unit.operation
        if isinstance(operation, Add):
            width = operation.format.width
            made = CellUnit("SumOfWords", (("width", width),), partial(SumOfWords, width))
        else:
            made = CellUnit.of(UNITS[type(operation)], operation.params)
        found.setdefault(unit.role, made)
    return found
