"""A model's accelerator behind AXI."""

from typing import Any

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
    """
    check_width(width)
    core = Accelerator(model, **options)
    return AxiTop(
        core,
        width=width,
        per_step=core.per_step,
        samples=core.samples,
        min_steps=model.least_steps,
        max_steps=core.max_steps,
        registers=registers,
    )
