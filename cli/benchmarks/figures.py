"""What measurements by synthesis share: what they are of, and the form of their figures."""

import math
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from time import perf_counter, sleep
from typing import Any

import numpy as np

from mubinn.cli.shared.common import FLOAT_MODEL, bundled
from mubinn.cli.shared.recordings import open_labelled, prepared
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.model_file import load_float
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.quantize import quantize
from mubinn.synth.liberty.library import Library, builtin_library

PAUSE = 0.2
"""Seconds before what is timed."""


def subject(library: Library | None, model: FloatModel | None) -> tuple[Library, FloatModel]:
    """Return library and float model: the built-in one and the bundled one for None."""
    return library or builtin_library(), subject_model(model)


def subject_model(model: FloatModel | None) -> FloatModel:
    """Return the float model: the bundled one for None."""
    return model or load_float(bundled(FLOAT_MODEL))


def subject_about(library: Library, model: FloatModel) -> dict[str, Any]:
    """Return what names library and model among the parameters of a measurement."""
    return {
        "library": library.name,
        "fo4_ps": library.fo4_ps,
        "features": model.features,
        "hidden": model.layers[0].hidden,
    }


def threshold_models(
    model: FloatModel, windows: int
) -> tuple[Callable[[Levels], QuantizedModel], dict[str, Any]]:
    """Return what quantizes a model without training after it, for thresholds, and its parameters.

    Scales are powers of two of each other, fitted to the first `windows` of the data at hand.
    """
    recorded, name = open_labelled(None, features=model.features)
    x = prepared(model, recorded.x[:windows]).astype(np.float64)

    def made(levels: Levels) -> QuantizedModel:
        return quantize(model, levels, x, scale_form="shift").with_datapath("threshold")

    return made, {
        "features": model.features,
        "hidden": model.layers[0].hidden,
        "calibration": name,
        "datapath": "threshold",
        "scale_form": "shift",
    }


def figure(name: str, value: float, unit: str, goal: str = "") -> dict[str, Any]:
    """Return a figure of a measurement."""
    return {"name": name, "value": value, "unit": unit, "goal": goal}


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of packages."""
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def best_seconds(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the best time of each; the runs alternate, so that all see the same machine.

    Before each there is a pause of `PAUSE` seconds: the threads of a library's pool go on looking
    for work for a while after its run, on cores that the next one is to have.
    """
    best = dict.fromkeys(runs, math.inf)
    for index in range(rounds + 1):
        for name, run in runs.items():
            sleep(PAUSE)
            start = perf_counter()
            run()
            if index:  # the first round warms up, or compiles
                best[name] = min(best[name], perf_counter() - start)
    return best
