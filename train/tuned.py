"""Recipes that were found to work, by method and levels; every value can be set otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mubinn.golden.levels import Levels
from mubinn.train.method import Method, Name
from mubinn.train.recipe import Recipe

ONE_LEVEL: dict[str, Any] = {"x_offset": "learned", "h_offset": "learned"}
"""At one level thresholds off zero show amplitudes, and let the o gate have an effect."""

DAMPED: dict[str, Any] = {"damp_h": 0.3, "damp_c": 0.8}


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
    usual: dict[str, Any] = {}
    if name != "float":
        usual = {"epochs": 4, "learning_rate": 1e-3}
    if name == "mubinn2" and levels is not None and levels.h == 1:
        about = {**ONE_LEVEL, **DAMPED}
        usual = {"epochs": 12, "learning_rate": 2e-3}
    made = Method(name, levels, **{**about, **(method or {})})
    return replace(Recipe(method=made, **{**usual, **changes}))
