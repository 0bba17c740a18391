"""Bench of the AXI shell: packets by the drivers and monitors of cocotbext-axi.

The stimulus holds packets one after the other: ``inputs`` and ``outputs`` (bytes) with their
lengths ``input_sizes`` and ``output_sizes``, as many outputs for each input; ``beat`` are the bytes
of TDATA, ``frame`` the beats of a time step.
"""

from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiResp, AxiStreamFrame

from mubinn.hw.axi.register_map import CONTROL, ID
from mubinn.sim.axi.axi_ports import Ports, reset_ports
from mubinn.sim.testbench.bench import CLOCK_NS, load_stimulus

COMMANDS = CONTROL["control"].fields
STATUS = CONTROL["status"].fields


class Shell:
    """The ports of a design, and the packets of the stimulus."""

    def __init__(self, ports: Ports) -> None:
        self.dut, self.reset = ports.dut, ports.reset
        self.source, self.sink, self.lite = ports.source, ports.sink, ports.lite
        stimulus = load_stimulus()
        self.inputs = cut(stimulus["inputs"], stimulus["input_sizes"])
        outputs = cut(stimulus["outputs"], stimulus["output_sizes"])
        self.each = len(outputs) // len(self.inputs)
        self.outputs = [outputs[k : k + self.each] for k in range(0, len(outputs), self.each)]
        self.beat, self.frame = int(stimulus["beat"]), int(stimulus["frame"])

    def pause(self, part: float, seed: int) -> None:
        """Let both sides pause at random in `part` of the cycles."""
        for index, port in enumerate((self.source, self.sink)):
            port.set_pause_generator(coin(part, seed + index))

    async def command(self, *names: str) -> None:
        """Write the control register."""
        word = sum(1 << COMMANDS[name].lowest for name in names)
        await self.lite.write_dword(CONTROL["control"].offset, word)

    async def read(self, name: str) -> int:
        """Read a register."""
        return int(await self.lite.read_dword(CONTROL[name].offset))

    async def flags(self) -> set[str]:
        """Return the names of the bits of the status register that are set."""
        word = await self.read("status")
        return {name for name, bits in STATUS.items() if word >> bits.lowest & 1}

    async def check(self, first: int, count: int) -> None:
        """Send packets and compare what comes back."""
        for packet in self.inputs[first : first + count]:
            self.send(packet)
        for index in range(first, first + count):
            for step, wanted in enumerate(self.outputs[index]):
                frame = await self.sink.recv()
                assert bytes(frame.tdata) == wanted, f"packet {index}, result {step}"
        assert self.sink.empty()

    def send(self, packet: bytes) -> None:
        """Send a packet, in the background."""
        self.source.send_nowait(AxiStreamFrame(packet))

    async def result(self) -> None:
        """Wait until the status register tells of a result."""
        while "result" not in await self.flags():
            await ClockCycles(self.dut.aclk, 5)

    async def part(self, index: int, beats: int) -> None:
        """Send the first beats of a packet, without TLAST."""
        taken = 0
        data = self.inputs[index]
        self.dut.s_axis_tlast.value = 0
        while taken < beats:
            self.dut.s_axis_tvalid.value = 1
            word = data[taken * self.beat :][: self.beat]
            self.dut.s_axis_tdata.value = int.from_bytes(word, "little")
            await RisingEdge(self.dut.aclk)
            taken += int(self.dut.s_axis_tready.value)
        self.dut.s_axis_tvalid.value = 0


async def started(dut: Any) -> Shell:
    """Start the clock, reset, and let input in."""
    shell = Shell(await reset_ports(dut))
    await shell.command("start")
    return shell


def cut(data: Any, sizes: Any) -> list[bytes]:
    """Return the packets that stand one after the other in an array."""
    ends = np.cumsum(sizes)[:-1]
    return [bytes(part) for part in np.split(data.astype(np.uint8), ends)]


def coin(part: float, seed: int) -> Iterator[bool]:
    """Yield True in `part` of the draws."""
    random = np.random.default_rng(seed)
    while True:
        yield bool(random.random() < part)


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def at_speed(dut: Any) -> None:
    """All packets without pauses; the counters; a window's cycles do not depend on the past."""
    shell = await started(dut)
    assert await shell.read("id") == ID
    for _ in range(2):
        shell.send(shell.inputs[0])
        await RisingEdge(dut.s_axis_tvalid)
        driven = get_sim_time("ns")
        for _ in range(shell.each):
            await RisingEdge(dut.m_axis_tvalid)
            left = get_sim_time("ns")
            await shell.sink.recv()
        # The first beat is taken at the edge after the one that it is driven at.
        assert await shell.read("cycles") == (left - driven) // CLOCK_NS - 1 > 0
    await shell.check(0, len(shell.inputs))
    assert await shell.read("windows") == len(shell.inputs) + 2
    assert await shell.flags() == {"started"}


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def stalled(dut: Any) -> None:
    """All packets with both sides pausing at random."""
    shell = await started(dut)
    for seed, part in enumerate((0.2, 0.6, 0.9)):
        shell.pause(part, 2 * seed)
        await shell.check(0, len(shell.inputs))


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def ended_early(dut: Any) -> None:
    """Reset by the pin and by command after any number of beats leaves no trace."""
    shell = await started(dut)
    beats = len(shell.inputs[0]) // shell.beat
    for index, stop in enumerate(range(1, beats, max(1, beats // 7))):
        await shell.part(1, stop)
        await ClockCycles(dut.aclk, index)
        if index % 2:
            await shell.reset()
        else:
            await shell.command("reset")
        assert await shell.flags() == set()
        assert await shell.read("windows") == await shell.read("steps") == 0
        await shell.command("start")
        await shell.check(0, 1)


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def aborted(dut: Any) -> None:
    """The rest of an aborted window is discarded, and the next one is whole."""
    shell = await started(dut)
    data = shell.inputs[0]
    beats = len(data) // shell.beat
    for stop in range(1, beats, max(1, beats // 5)):
        await shell.part(0, stop)
        await shell.command("abort")
        assert await shell.flags() == {"started", "discarding"}
        shell.send(data[stop * shell.beat :])
        await shell.check(1, 2)
    await shell.command("abort")
    assert await shell.flags() == {"started"}
    await shell.check(0, 1)


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def outlives(dut: Any) -> None:
    """A result that is being sent is sent to its end, whatever is aborted or reset."""
    shell = await started(dut)
    for name in ("abort", "reset"):
        shell.sink.pause = True
        shell.send(shell.inputs[0])
        await shell.result()
        await shell.command(name)
        assert "result" in await shell.flags()
        shell.sink.pause = False
        assert bytes((await shell.sink.recv()).tdata) == shell.outputs[0][0]
        await shell.command("start")
        await shell.check(1, 1)


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def cut_short(dut: Any) -> None:
    """TLAST within a frame is told, and the next window is whole."""
    shell = await started(dut)
    for beats in range(1, shell.frame):
        shell.send(shell.inputs[0][: beats * shell.beat])
        await shell.check(1, 1)
        assert await shell.flags() == {"started", "fault"}
    await shell.command("abort")
    assert await shell.flags() == {"started"}


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def waits_for_start(dut: Any) -> None:
    """No beat is taken before the start; the state is told."""
    shell = Shell(await reset_ports(dut))
    shell.send(shell.inputs[0])
    await ClockCycles(dut.aclk, 50)
    assert await shell.flags() == set()
    shell.sink.pause = True
    await shell.command("start")
    await shell.result()
    shell.sink.pause = False
    assert bytes((await shell.sink.recv()).tdata) == shell.outputs[0][0]


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def refuses(dut: Any) -> None:
    """Accesses that a register does not allow have an error response and no effect."""
    shell = await started(dut)
    control, windows = CONTROL["control"].offset, CONTROL["windows"].offset
    top = 4 * max(1, 1 << len(dut.s_axi_awaddr) - 2) - 4
    for address in (control, top):
        assert (await shell.lite.read(address, 4)).resp == AxiResp.SLVERR
    assert (await shell.lite.read(windows, 4)).resp == AxiResp.OKAY
    for address, data in ((windows, bytes(4)), (top, bytes(4)), (control, b"\x04")):
        assert (await shell.lite.write(address, data)).resp == AxiResp.SLVERR
    assert await shell.flags() == {"started"}
    await shell.check(0, 1)
