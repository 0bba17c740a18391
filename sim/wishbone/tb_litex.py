"""Bench of an accelerator in a system of LiteX, whose bus a host reads and writes over a UART.

The stimulus is that of `mubinn.sim.axi.tb_driver`, with ``bit`` the clock cycles of a bit and
``origin`` the accelerator's first byte.
"""

import json
from typing import Any

import cocotb
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, FallingEdge

from mubinn.hw.export.driver import WordPort
from mubinn.sim.axi.tb_driver import session
from mubinn.sim.testbench.bench import load_stimulus, start_clock

WRITE, READ = 1, 2


class UartBone:
    """A host of LiteX's UARTBone: a command, a count of words, an address in words, data."""

    def __init__(self, dut: Any, bit: int, origin: int) -> None:
        self.dut, self.bit, self.origin = dut, bit, origin

    async def write(self, address: int, value: int) -> None:
        """Write a word."""
        await self._ask(WRITE, address, value.to_bytes(4, "big"))

    async def read(self, address: int) -> int:
        """Return a word."""
        await self._ask(READ, address)
        return int.from_bytes([await self._byte() for _ in range(4)], "big")

    async def _ask(self, command: int, address: int, data: bytes = b"") -> None:
        place = ((self.origin + address) // 4).to_bytes(4, "big")
        for byte in bytes([command, 1]) + place + data:
            for k in range(10):
                self.dut.serial_rx.value = (byte << 1 | 1 << 9) >> k & 1
                await ClockCycles(self.dut.clk, self.bit)

    async def _byte(self) -> int:
        if int(self.dut.serial_tx.value):
            await FallingEdge(self.dut.serial_tx)
        await ClockCycles(self.dut.clk, self.bit // 2)
        found = 0
        for k in range(8):
            await ClockCycles(self.dut.clk, self.bit)
            found |= int(self.dut.serial_tx.value) << k
        await ClockCycles(self.dut.clk, self.bit)
        assert int(self.dut.serial_tx.value)
        return found


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def used(dut: Any) -> None:
    """What a user's program does."""
    stimulus = load_stimulus()
    about = json.loads(bytes(stimulus["about"]))
    wanted = {k.removeprefix("result_"): v for k, v in stimulus.items() if k[:7] == "result_"}
    dut.serial_rx.value = 1
    await start_clock(dut)
    bus = UartBone(dut, int(stimulus["bit"]), int(stimulus["origin"]))
    read: Any = resume(bus.read)
    write: Any = resume(bus.write)
    port = WordPort(read, write, about)
    await bridge(session)(port, about, stimulus["x"].tolist(), wanted, None)
