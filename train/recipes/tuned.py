"""Recipes that were found to work, by method and levels; every value can be set otherwise."""

from __future__ import annotations

from typing import Any

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.sweep import Sweep
from mubinn.train.recipes.method import METHODS, Method, Name
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import have_own_offsets

FEW_LEVELS: dict[str, Any] = {
    "x_offset": "learned",
    "h_offset": "learned",
    "damp_h": 0.3,
    "damp_c": 0.8,
}
"""At one or two levels thresholds off zero show amplitudes, and let the o gate have an effect."""

USUAL: dict[str, Any] = {"epochs": 4, "learning_rate": 1e-3}
"""From a float model, where little has to be learned anew."""

BY_LEVELS: dict[int, dict[str, Any]] = {
    1: {"epochs": 20, "learning_rate": 3e-3, "scale_rate": 6e-3},
    2: {"epochs": 12, "learning_rate": 3e-3},
}
"""Recipes of MuBiNN2 by the levels of h."""

WEIGHTS: dict[str, Any] = {"damp_h": 1.0, "damp_c": 1.0}
"""Of weights alone: gradients as those of the float model."""

XNOR: dict[str, Any] = {
    **WEIGHTS,
    "weight_scales": "fitted",
    "bias": "gate",
    "x_offset": "learned",
    "h_offset": "learned",
}
"""Of signs of weights, inputs and states; biases have signs and one magnitude a gate.

With thresholds of h at 0, as the paper has them, gate o of an LSTM says nothing: the sign of
o tanh(c) is that of c.
"""

AS_THEY_ARE: dict[str, Any] = {"normalise": "none", "decimate": 1}
"""Of data that are looked up, and of pixels."""

CALIBRATED: dict[str, Any] = {"batch": 60, "gain_spread": 0.2}
"""Trained for subject calibration: four groups of 15 windows; a recording of 30 makes two."""


def tuned(
    name: Name,
    levels: Levels | None = None,
    *,
    method: dict[str, Any] | None = None,
    **changes: Any,
) -> Recipe:
    """Return the recipe of a method.

    Parameters
    ----------
    name : str
        See `Method`.
    levels : Levels or None
    method : dict, optional
        Fields of `Method` to set otherwise.
    changes
        Fields of `Recipe` to set otherwise.
    """
    about: dict[str, Any] = {}
    usual = {} if name == "float" else USUAL
    if name == "weights":
        ruled = levels is not None and (levels.w == 1 or (method or {}).get("encoders"))
        about = {**WEIGHTS, **({"weight_scales": "fitted"} if ruled else {})}
    if name == "xnor":
        about = XNOR
    if name != "float" and METHODS[name].matrix:
        about = {"granularity": "matrix", **about}
    if name == "mubinn2" and levels is not None and levels.h in BY_LEVELS:
        about, usual = FEW_LEVELS, BY_LEVELS[levels.h]
    if changes.get("subject_calibration") == "trained":
        usual = {**CALIBRATED, **({"epochs": 8} if name == "float" else {}), **usual}
    shape = {name: changes[name] for name in ("cell", "layers") if name in changes}
    built = Recipe(decimate=1, **shape)
    swept = any(isinstance(form.frames, Sweep) for form in built.stack)
    kept = AS_THEY_ARE if changes.get("embedding") or swept else {}
    if name != "float" and (method or {}).get("batch_norm"):
        about = {**about, "granularity": "row"}
    if not have_own_offsets(built.stack):
        about = {name: value for name, value in about.items() if name != "h_offset"}
    made = Method(name, levels, **{**about, **(method or {})})
    return Recipe(method=made, **{**usual, **kept, **changes})
