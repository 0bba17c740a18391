"""How a model's layers are laid out, and what steps are made of samples by."""

from typing import Any

from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.folding.layer_plan import MAX_STEPS, LayerPlan
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.front_end import FrontEnd
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.model.sample_format import SampleFormat


def plans(
    model: QuantizedModel,
    lanes: int | None = None,
    units: int = 1,
    *,
    max_steps: int = MAX_STEPS,
    **options: Any,
) -> list[LayerPlan]:
    """Return the plans of a model's layers; those on top have the classifier, or its parts.

    Raises
    ------
    MubinnError
        No window of `max_steps` steps has a step of every layer; a plan is refused.
    """
    model.steps(max_steps)
    options["max_steps"] = max_steps
    found = []
    for k, layer in enumerate(model.layers):
        dense, readout = model.dense_of(k)
        found.append(LayerPlan(layer, dense, lanes, units, readout=readout, **options))
    return found


def entry(
    model: QuantizedModel, sample_width: int | None = None, adc_width: int | None = None
) -> tuple[FrontEnd | None, SampleFormat | None]:
    """Return what steps are made of samples by, if they are, see `Accelerator`.

    Raises
    ------
    MubinnError
        Both widths are given, or one that the model's input does not have.
    """
    if adc_width is None:
        return None, None if sample_width is None else SampleFormat.of(model, sample_width)
    if sample_width is not None:
        raise MubinnError(
            "samples are either those of a layer or those of an ADC: give the bits of one of them."
        )
    front_end = FrontEnd.of(model, adc_width)
    width = max(front_end.sample_width, SampleFormat.least_width(model.layers[0].x))
    return front_end, SampleFormat.of(model, width)


def check_sleeps(model: QuantizedModel) -> None:
    """Raise `MubinnError` on a model whose accelerator's clock may not be stopped."""
    for layer in model.layers:
        if layer.place.backward or isinstance(layer.frames, Sweep):
            raise MubinnError(
                "The clock of an accelerator with layers that sweep frames or run backward may not "
                "be stopped: leave out sleeps (--sleep)."
            )
