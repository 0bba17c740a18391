"""What is put on an FPGA: a model's accelerator behind narrow AXI4-Streams."""

from dataclasses import dataclass
from typing import Any

from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.hw.accelerator.accelerator import Accelerator
from mubinn.hw.accelerator.axi_accelerator import accelerator_top
from mubinn.hw.layer.loadable_memory import without_contents
from mubinn.synth.flow.flow import SynthJob, to_verilog

TOP = "mubinn"


@dataclass(frozen=True)
class FpgaDesign:
    """A design and what its user asks of it.

    Attributes
    ----------
    job : SynthJob
    core : Accelerator
        What the job was made from.
    beats_per_step : int
        Transfers on ``s_axis`` for one step.
    """

    job: SynthJob
    core: Accelerator
    beats_per_step: int

    def window_cycles(self, steps: int) -> int:
        """Return the cycles from a window's begin to the next one's, input running ahead."""
        return max(self.core.cycles_per_window(steps), steps * self.beats_per_step)


def fpga_design(
    model: QuantizedModel, *, width: int = 8, single_port: bool = False, **options: Any
) -> FpgaDesign:
    """Return the accelerator of a model behind AXI4-Streams of `width` bits, without registers.

    The wide ports of the core would not fit the pins of a package; in bytes, clock, reset and both
    streams take 24 pins, and 11 more where weights are loaded.

    Parameters
    ----------
    model : QuantizedModel
    width : int
        Bits of TDATA.
    single_port : bool
        Put weights that are loaded into the large single-port RAMs of an iCE40 UP5K.
    options
        Of `mubinn.hw.accelerator.accelerator.Accelerator`, such as ``lanes``, ``units``,
        ``loadable``.
    """
    top = accelerator_top(model, width=width, registers=False, **options)
    core, beats = top.core, top.reader.beats * top.reader.per_step
    text = to_verilog(top, TOP)
    if options.get("loadable"):
        text = without_contents(text, single_port=single_port)
    return FpgaDesign(SynthJob(text, TOP), core, beats)
