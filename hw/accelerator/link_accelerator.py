"""A model's accelerator behind a UART or a SPI slave."""

from typing import Any

from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.hw.accelerator.accelerator import Accelerator
from mubinn.hw.link.link_top import LinkTop
from mubinn.hw.stream.packet import beats


def link_top(
    model: QuantizedModel, *, divisor: int | None = None, steps: int = 1, **options: Any
) -> LinkTop:
    """Return a model's accelerator behind a link; its ``core`` is the `Accelerator`.

    Parameters
    ----------
    model : QuantizedModel
    divisor : int or None
        Of `mubinn.hw.link.link_top.LinkTop`.
    steps : int
        Most time steps of a packet.
    options
        Of `mubinn.hw.accelerator.accelerator.Accelerator`, as ``adc_width``. With the state
        "register" it is no register that says what a window leaves: the first packet of the next
        one says whether it goes on from there.

    Raises
    ------
    MubinnError
        A step or a result does not fit into a packet; or an option is not for this model.
    """
    carries = options.get("state") == "register"
    core = Accelerator(model, **options | ({"state": "carried"} if carries else {}))
    return LinkTop(
        core,
        divisor=divisor,
        room=steps * core.per_step * beats(core.i.payload.shape(), 8),
        per_step=core.per_step,
        min_steps=model.least_steps,
        max_steps=core.max_steps,
        carries=carries,
    )
