"""How far the bit-true model may lie from the float64 reference with the same stored numbers.

Both start a step from the same codes (teacher forcing). Then, with u = 2**-z_fraction of the
activations' input format:

========  =========================================================================================
z         equal: every term is a multiple of 2**-z_fraction (of the layer), fewer than 2**52 of them
y         apart by at most `activation_bound`: rounding z to u, saturating it at the format's ends,
          interpolating the table, rounding its nodes and its result
gate      codes equal wherever the reference's residuals (`margin`) all exceed the bound of y
c_raw, c  equal where the four gate codes are: products of dyadic numbers below 2**52
tanh_c    apart by at most `activation_bound`, where the codes of c are equal
h_raw     apart by at most that, times the largest value of o
h         codes equal wherever `margin` of h_raw exceeds its bound
========  =========================================================================================

A third source of error, the fixed-point scales against the real ones that they came from, is no
part of the reference with stored numbers; `scale_rounding_bound` bounds it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.place import stages, width
from mubinn.golden.ground.fixed import Floats, to_float
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.model.reference import FirstLevels, FloatQuantizer, LayerQuantizers
from mubinn.golden.units.activation import ActivationParams
from mubinn.golden.units.shapes import exact, shape_of

FLOAT_SLACK = 2.0**-45
"""More than float64 rounds in the reference's own activations and residuals."""


def dequantize(model: QuantizedModel) -> tuple[FloatModel, list[LayerQuantizers]]:
    """Return the reference with exactly the numbers that `model` stores.

    Weights become their values; the offsets of x and h are taken out of the biases that they were
    folded into. Every number is exact in float64. A layer above the first reads values that the
    layer below has already encoded, so its x has no quantizer: encoding such a value once more
    could give another code where scales do not fall fast enough, and hardware encodes it once.

    Returns
    -------
    FloatModel, list of LayerQuantizers
        Arguments of `reference.logits` and `reference.run_layer`.
    """
    layers: list[FloatLayer] = []
    quantizers = []
    # Words have codes that are looked up, not made of values.
    first = () if model.embedding is not None else stages(model.layers)[0]
    for layer in model.layers:
        layers.append(_float_layer(layer))
        own = {name: FloatQuantizer.of(quantizer) for name, quantizer in layer.quantizers.items()}
        x = FloatQuantizer.of(layer.x)
        signs = None
        if layer.read is not None:
            signs = FirstLevels(FloatQuantizer.of(layer.h), FloatQuantizer.of(layer.read))
        outside = x if layer in first else FloatQuantizer()
        quantizers.append(LayerQuantizers(outside, own, x, signs))
    top, dense = model.layers[-1], model.dense
    wd = dense.w.float_values
    bd = dense.b.float_values - wd @ np.broadcast_to(top.h.float_offset, width(model.top))
    about = model.readout, model.preprocessing, dict(model.meta), model.head
    codes, read = model.embedding, model.layers[0].x
    table = None if codes is None else to_float(read.decode(codes), read.fraction)
    floats = FloatModel(tuple(layers), wd, bd, *about, table)
    return floats, quantizers


def _float_layer(layer: QuantizedLayer) -> FloatLayer:
    wx, wh = layer.wx.float_values, np.where(layer.sizes.unused(), 0.0, layer.wh.float_values)
    bias = layer.b.float_values - wx @ layer.frames.spread(layer.x.float_offset, layer.inputs)
    for phase, state in enumerate(layer.states):
        rows = layer.phase_rows(phase)
        columns = layer.sizes.phase_columns(phase)
        bias[rows] -= wh[rows, :columns] @ layer.frames.spread_state(state.float_offset, columns)
    stored = {name: tensor.float_values for name, tensor in layer.stored.items()}
    return FloatLayer(
        layer.cell, wx, wh, bias, stored=stored, frames=layer.frames, place=layer.place
    )


def rounding_bound(params: ActivationParams, fraction: int) -> float:
    """Return the largest change of the exact function when z of `fraction` bits is requantized.

    Half a unit of the input format times the largest slope, where bits are dropped; or, where z
    lies beyond the format, what the function still gains from the format's end to infinity.
    """
    unit = 2.0**-params.in_fraction
    half = unit / 2 if fraction > params.in_fraction else 0.0
    low = -(2.0 ** (params.in_width - 1)) * unit
    shape = shape_of(params.kind)
    tail_low = float(exact(params.kind, low)) - shape.low
    tail_high = shape.high - float(exact(params.kind, -low - unit))
    return max(shape.slope * half, tail_low, tail_high)


def activation_bound(params: ActivationParams, fraction: int) -> float:
    """Return a bound on the distance between the unit's y and the exact function of z.

    z has `fraction` bits before it is requantized to the unit's input.
    """
    return rounding_bound(params, fraction) + params.error_bound + FLOAT_SLACK


@dataclass(frozen=True)
class StepBounds:
    """Bounds on abs(bit-true - reference) in one step from equal codes.

    Attributes
    ----------
    y : mapping of gate name to float
    tanh_c : float
        Where the codes of c are equal.
    h_raw : float
        Where the codes of c and o are equal.
    """

    y: Mapping[str, float]
    tanh_c: float
    h_raw: float


def step_bounds(layer: QuantizedLayer) -> StepBounds:
    """Return the bounds of one step of `layer`, from its formats and the values of o alone."""
    formats, o = layer.formats, layer.gates["o"]
    tanh_c = activation_bound(formats.activation("tanh"), layer.quantizers["c"].fraction)
    y = gate_bounds(layer)
    return StepBounds(y, tanh_c, float(np.ldexp(o.peak, -o.fraction)) * tanh_c)


def gate_bounds(layer: QuantizedLayer) -> Mapping[str, float]:
    """Return bounds on abs(bit-true - reference) of y of every gate, in one step from equal codes.

    That of a gate that reads codes of the same step holds where those are equal, of all cells where
    a row reads them: what their sums are made of are products of dyadic numbers below 2**52.
    """
    return {
        node.name: activation_bound(
            layer.formats.activation(node.operands[0].kind),
            layer.fraction(node.operands[0].operands[0]),
        )
        for node in layer.cell.gates
    }


def margin(value: npt.ArrayLike, quantizer: FloatQuantizer) -> Floats:
    """Return how far `value` may move before its code changes: the smallest abs(residual).

    That is, float64 like `value`, the min over k of abs(r_k), with r_k the residual that level k of
    Algorithm 1 compares with 0, or the distance to the nearest threshold. The quantizer has scales.
    """
    residual = np.asarray(value, np.float64) - np.asarray(quantizer.offset, np.float64)
    if quantizer.thresholds is not None:
        return np.asarray(np.abs(residual[..., None] - quantizer.thresholds).min(axis=-1))
    smallest = np.full(residual.shape, np.inf)
    for scale in np.asarray(quantizer.scales, np.float64):
        smallest = np.minimum(smallest, np.abs(residual))
        residual = residual - np.where(residual >= 0, scale, -scale)
    return smallest


def scale_rounding_bound(layer: QuantizedLayer) -> Floats:
    """Return a bound on abs(z_fixed - z_float) for equal level bits and codes, float64 [4H].

    z_float has real scales that lie within half a unit of the stored ones: ux of x, uh of h, uw of
    the weights, ub of the bias. A product a w then differs from the stored one by at most
    ``a uw + w ux + ux uw``, stands n times in z at most, and each level of the bias adds ub.
    """
    half = {name: 2.0 ** -(getattr(layer, name).fraction + 1) for name in ("x", "wx", "wh", "b")}
    state = layer.read or layer.h
    half["h"] = 2.0 ** -(state.fraction + 1)
    total = np.full(layer.wx.rows, layer.b.levels * half["b"])
    counts = (layer.x, "x", "wx", layer.features), (state, "h", "wh", layer.sizes.row_columns)
    for own, left, right, n in counts:
        a = np.asarray(own.float_scales)[None, :, None]
        weights = getattr(layer, right)
        w = np.ldexp(weights.row_scales.astype(np.float64), -weights.fraction)[:, None, :]
        error = a * half[right] + w * half[left] + half[left] * half[right]
        total = total + n * error.sum(axis=(1, 2))
    return np.asarray(total, np.float64)
