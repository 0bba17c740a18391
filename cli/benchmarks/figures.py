"""What measurements by synthesis share: what they are of, and the form of their figures."""

from typing import Any

from mubinn.cli.shared.common import FLOAT_MODEL, bundled
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.model_file import load_float
from mubinn.synth.liberty.library import Library, builtin_library


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


def figure(name: str, value: float, unit: str, goal: str = "") -> dict[str, Any]:
    """Return a figure of a measurement."""
    return {"name": name, "value": value, "unit": unit, "goal": goal}
