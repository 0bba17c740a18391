"""What is put on an FPGA: a model's accelerator behind narrow AXI4-Streams."""

from dataclasses import dataclass
from typing import Any

from mubinn.golden.lstm_model import QuantizedModel
from mubinn.hw.accelerator import Accelerator
from mubinn.hw.axi_accelerator import accelerator_top
from mubinn.synth.flow import SynthJob, to_verilog

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


def fpga_design(model: QuantizedModel, *, width: int = 8, **options: Any) -> FpgaDesign:
    """Return the accelerator of a model behind AXI4-Streams of `width` bits, without registers.

    The wide ports of the core would not fit the pins of a package; in bytes, clock, reset and both
    streams take 24 pins, and 11 more where weights are loaded.

    Parameters
    ----------
    model : QuantizedModel
    width : int
        Bits of TDATA.
    options
        Of :class:`mubinn.hw.accelerator.Accelerator`: ``lanes``, ``units``, ``loadable``.
    """
    top = accelerator_top(model, width=width, registers=False, **options)
    core, beats = top.core, top.reader.beats * top.reader.per_step
    return FpgaDesign(SynthJob(to_verilog(top, TOP), TOP), core, beats)
