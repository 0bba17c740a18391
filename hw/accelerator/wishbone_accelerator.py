"""A model's accelerator on a Wishbone bus."""

from typing import Any

from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.hw.accelerator.accelerator import Accelerator
from mubinn.hw.accelerator.axi_accelerator import steps_of
from mubinn.hw.wishbone.wishbone_top import WishboneTop


def wishbone_top(model: QuantizedModel, *, depth: int = 64, **options: Any) -> WishboneTop:
    """Return a model's accelerator on a bus; its ``core`` is the `Accelerator`.

    Parameters
    ----------
    model : QuantizedModel
    depth : int
        Of `mubinn.hw.wishbone.wishbone_top.WishboneTop`.
    options
        Of `mubinn.hw.accelerator.accelerator.Accelerator`: ``lanes``, ``units``, ``adc_width``...

    Raises
    ------
    MubinnError
        On queues of another depth, or an option that is not for this model.
    """
    core = Accelerator(model, **options)
    return WishboneTop(core, depth=depth, **steps_of(core))
