"""Limits that keep every integer of the bit-true model inside 52 bits.

Within them int64 never wraps and float64 holds every intermediate exactly, so that the reference
and the bit-true model agree exactly wherever nothing is rounded. Models that training or
quantization makes stay far below; the limits stop absurd numbers out of a file.
"""

from typing import TYPE_CHECKING

import numpy as np

from mubinn.golden.ground.errors import MubinnError

if TYPE_CHECKING:
    from mubinn.golden.binarize.scales import LevelTensor, Quantizer
    from mubinn.golden.cells.formats import Formats
    from mubinn.golden.cells.gru_before_model import QuantizedGruBefore
    from mubinn.golden.cells.gru_model import GruLayer, QuantizedGru
    from mubinn.golden.cells.recurrent_layer import RecurrentLayer
    from mubinn.golden.model.quantized_model import QuantizedDense, QuantizedLstm

MAX_BITS = 52
"""Every intermediate is smaller than 2**MAX_BITS."""

MAX_FORMAT_BITS = 24
"""Widest input and finest output of an activation."""

MAX_SEGMENT_BITS = 16
"""Largest table: 2**16 segments."""


def check_formats(formats: "Formats") -> None:
    """Raise `MubinnError` where `formats` make no activation table, or an absurd one."""
    width, most = formats.z_width, MAX_FORMAT_BITS
    if not (
        2 <= width <= most
        and 0 <= formats.z_fraction <= most
        and 1 <= formats.y_fraction <= most
        and 1 <= formats.segment_bits <= min(width, MAX_SEGMENT_BITS)
    ):
        raise MubinnError(f"the activation formats {formats} make no table of usable size.")


def check_layer(layer: "QuantizedLstm") -> None:
    """Raise `MubinnError` for an unknown level count, or where an intermediate may be too large."""
    _ = layer.levels
    gates, y_bits = layer.gates, layer.formats.y_fraction
    c_raw = 2.0**layer.c_raw_fraction * (
        _peak(gates["f"]) * _peak(layer.c) + _peak(gates["i"]) * _peak(gates["g"])
    )
    bounds = {
        "z": _sum(layer),
        "c_raw": c_raw + 2.0**layer.c_raw_fraction * _peak(layer.c),
        "h_raw": 2.0**layer.h_raw_fraction * (_peak(gates["o"]) + _peak(layer.h)),
        "y": 2.0**y_bits * (1 + max(_peak(quantizer) for quantizer in gates.values())),
    }
    _check(bounds)


def check_gru(layer: "QuantizedGru") -> None:
    """Raise `MubinnError` for an unknown level count, or where an intermediate may be too large."""
    r = layer.gates["r"]
    n_raw = _sum(layer) * 2.0**r.fraction * (1 + _peak(r))
    _check({"n_raw": n_raw, "h_raw": _new_state(layer), "y": _gate(layer)})


def check_gru_before(layer: "QuantizedGruBefore") -> None:
    """Raise `MubinnError` for an unknown level count, or where an intermediate may be too large."""
    s_raw = _peak(layer.gates["r"]) * _peak(layer.h) + _peak(layer.s)
    s_bound = 2.0**layer.h_raw_fraction * s_raw
    bounds = {"z": _sum(layer), "s_raw": s_bound, "h_raw": _new_state(layer)}
    _check({**bounds, "y": _gate(layer)})


def _new_state(layer: "QuantizedGru | QuantizedGruBefore") -> float:
    """Bound (1 - z) h + z n and the steps of its encoder."""
    _ = layer.levels
    h, gates = _peak(layer.h), layer.gates
    h_raw = (1 + 2 * _peak(gates["z"])) * (h + _peak(gates["n"])) + h
    return 2.0**layer.h_raw_fraction * h_raw


def _gate(layer: "GruLayer") -> float:
    """Bound the steps of a gate's encoder."""
    return 2.0**layer.formats.y_fraction * (1 + max(_peak(q) for q in layer.gates.values()))


def check_dense(dense: "QuantizedDense", h: "Quantizer", hidden: int) -> None:
    """Raise `MubinnError` where a logit of one step may be too large."""
    logit = hidden * _product(h, dense.w, dense.b.fraction)
    _check({"a logit": logit + float(dense.b.scales.sum(axis=1).max())})


def _sum(layer: "RecurrentLayer") -> float:
    return (
        layer.features * _product(layer.x, layer.wx, layer.z_fraction)
        + layer.hidden * max(_product(h, layer.wh, layer.z_fraction) for h in layer.states)
        + float(layer.b.scales.sum(axis=1).max())
    )


def _peak(quantizer: "Quantizer") -> float:
    return float(np.ldexp(float(quantizer.peak), -quantizer.fraction))


def _product(left: "Quantizer", right: "LevelTensor", fraction: int) -> float:
    """Largest product of a value of `left` and one of `right`, in units of `fraction` bits."""
    largest = float(left.peak) * float(right.scales.sum(axis=1).max())
    return float(np.ldexp(largest, fraction - left.fraction - right.fraction))


def _check(bounds: dict[str, float]) -> None:
    for name, bound in bounds.items():
        if bound >= 2.0**MAX_BITS:
            raise MubinnError(
                f"{name} may need more than {MAX_BITS} bits: the scales are too large or too "
                "fine; rescale the model."
            )
