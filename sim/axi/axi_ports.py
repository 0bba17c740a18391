"""Drivers and monitors of cocotbext-axi on the ports of `mubinn.hw.axi.axi_top.AxiTop`."""

import warnings
from typing import Any

from cocotb.triggers import ClockCycles
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamSink,
    AxiStreamSource,
)

from mubinn.sim.testbench.bench import start_clock

# cocotbext-axi calls cocotb by names that have newer ones.
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"cocotbext\.")


class Ports:
    """Drivers and monitors on all ports of a design that is in reset, its clock running."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        reset = (dut.aclk, dut.aresetn, False)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), *reset)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), *reset)
        self.lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), *reset)

    async def reset(self) -> None:
        """Hold reset for a few cycles."""
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 3)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 2)


async def reset_ports(dut: Any) -> Ports:
    """Start the clock and reset. Nobody looks at the ports before the reset has done its work."""
    dut.aresetn.value = 0
    await start_clock(dut, "aclk", "no_reset")
    ports = Ports(dut)
    await ports.reset()
    return ports
