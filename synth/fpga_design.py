"""What is put on an FPGA: a model's accelerator behind narrow AXI4-Streams."""

from dataclasses import dataclass

from mubinn.golden.layer_plan import LayerPlan
from mubinn.golden.lstm_model import QuantizedModel
from mubinn.hw.axi_top import AxiTop
from mubinn.hw.lstm_layer import LstmLayer, cycles_per_step
from mubinn.synth.flow import SynthJob, to_verilog

TOP = "mubinn"


@dataclass(frozen=True)
class FpgaDesign:
    """A design and what its user asks of it.

    Attributes
    ----------
    job : SynthJob
    cycles_per_step : int
        With neither side pausing.
    beats_per_step : int
        Transfers on ``s_axis`` for one step.
    """

    job: SynthJob
    cycles_per_step: int
    beats_per_step: int

    def window_cycles(self, steps: int) -> int:
        """Return the cycles from a window's begin to the next one's, input running ahead."""
        return steps * max(self.cycles_per_step, self.beats_per_step)


def fpga_design(model: QuantizedModel, *, width: int = 8) -> FpgaDesign:
    """Return the accelerator of a model behind AXI4-Streams of `width` bits, without registers.

    The wide ports of the core would not fit the pins of a package; in bytes, clock, reset and both
    streams take 24 pins.
    """
    core = LstmLayer(LayerPlan(model.lstm_layers[0]))
    cycles = cycles_per_step(core.plan)
    top = AxiTop(core, width=width, registers=False)
    beats = top.reader.beats
    return FpgaDesign(SynthJob(to_verilog(top, TOP), TOP), cycles, beats)
