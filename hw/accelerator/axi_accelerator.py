"""A model's accelerator behind AXI."""

from typing import Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.hw.accelerator.accelerator import Accelerator
from mubinn.hw.axi.axi_top import AxiTop
from mubinn.hw.stream.packet import check_width


def accelerator_top(
    model: QuantizedModel, *, width: int = 32, registers: bool = True, **options: Any
) -> AxiTop:
    """Return a model's accelerator behind AXI; its ``core`` is the `Accelerator`.

    A time step is one frame of level bits, or, with raw samples, one frame for each of them.

    Parameters
    ----------
    model : QuantizedModel
    width, registers
        Of `mubinn.hw.axi.axi_top.AxiTop`.
    options
        Of `mubinn.hw.accelerator.accelerator.Accelerator`: ``lanes``, ``units``,
        ``sample_width``, ``adc_width``...

    Raises
    ------
    MubinnError
        The state is that of a register, or goes out and in, and there are no registers; or an
        option is not for this model.
    """
    check_width(width)
    if options.get("state") == "register" and not registers:
        raise MubinnError(
            "the accelerator has no register to say whether a state is carried on: give it "
            "registers, or let the state be carried or cleared for good."
        )
    if options.get("state_port") and not registers:
        raise MubinnError(
            "the accelerator has no registers by which its state could go out or in: give it "
            "registers, or leave out the port of the state (--state-port)."
        )
    core = Accelerator(model, **options)
    return AxiTop(core, width=width, registers=registers, **steps_of(core))


def steps_of(core: Accelerator) -> dict[str, Any]:
    """Return how an accelerator's frames make steps and windows, as what is around it wants it."""
    return {
        "per_step": core.per_step,
        "samples": core.samples,
        "min_steps": core.model.least_steps,
        "max_steps": core.max_steps,
    }
