"""Bench of an accelerator on a Wishbone bus: a driver's calls as accesses, and what is refused.

The stimulus is that of `mubinn.sim.axi.tb_driver`.
"""

import json
import random
from typing import Any

import cocotb
from cocotb.task import bridge, resume
from cocotb.triggers import RisingEdge

from mubinn.hw.axi.register_map import CONTROL, ID, QUEUES
from mubinn.hw.export.driver import Driver, WordPort
from mubinn.sim.axi.tb_driver import load, session
from mubinn.sim.testbench.bench import load_stimulus, start_clock

SEED = 1
LONGEST_PAUSE = 3
MOST_CYCLES = 64
"""That any access may take."""


class BusError(Exception):
    """An access ended with ``err``."""


class Bus:
    """A classic master: one access after the other, with pauses of random length."""

    def __init__(self, dut: Any, pauses: int = LONGEST_PAUSE) -> None:
        self.dut, self.pauses = dut, pauses
        self.random = random.Random(SEED)

    async def access(self, address: int, value: int | None = None, sel: int = 0xF) -> int:
        """Read a word, or write `value`; raise `BusError` where it is refused."""
        dut = self.dut
        dut.adr_i.value, dut.sel_i.value = address // 4, sel
        dut.we_i.value = value is not None
        dut.dat_i.value = value or 0
        dut.cyc_i.value = dut.stb_i.value = 1
        for _ in range(MOST_CYCLES):
            await RisingEdge(dut.clk_i)
            acknowledged, refused = int(dut.ack_o.value), int(dut.err_o.value)
            assert not (acknowledged and refused)
            if acknowledged or refused:
                break
        else:
            raise AssertionError(f"no answer at {address:#x}")
        word = int(dut.dat_o.value)
        dut.cyc_i.value = dut.stb_i.value = 0
        dut.adr_i.value = self.random.randrange(32)
        for _ in range(self.random.randint(0, self.pauses)):
            await RisingEdge(dut.clk_i)
            # Within a pause nothing is answered, even though the address goes on changing.
            assert not int(dut.ack_o.value)
            assert not int(dut.err_o.value)
        if refused:
            raise BusError(hex(address))
        return word

    async def refused(self, address: int, value: int | None = None, sel: int = 0xF) -> bool:
        """Return whether an access is refused."""
        try:
            await self.access(address, value, sel)
        except BusError:
            return True
        return False


async def started(dut: Any) -> Bus:
    """Start the clock and reset."""
    for name in ("cyc_i", "stb_i", "we_i", "adr_i", "dat_i", "sel_i"):
        getattr(dut, name).value = 0
    await start_clock(dut, "clk_i", "rst_i")
    return Bus(dut)


def port_of(bus: Bus, about: Any) -> WordPort:
    """Return a driver's port."""
    access: Any = resume(bus.access)
    return WordPort(access, access, about)


@cocotb.test(timeout_time=200, timeout_unit="ms")
async def used(dut: Any) -> None:
    """What a user's program does."""
    stimulus = load_stimulus()
    about = json.loads(bytes(stimulus["about"]))
    wanted = {k.removeprefix("result_"): v for k, v in stimulus.items() if k[:7] == "result_"}
    port = port_of(await started(dut), about)
    if "contents" in stimulus:
        await bridge(load)(port, about, bytes(stimulus["contents"]), bytes(stimulus["foreign"]))
    kept = stimulus["kept"].tolist() if "kept" in stimulus else None
    await bridge(session)(port, about, stimulus["x"].tolist(), wanted, kept)


@cocotb.test(timeout_time=200, timeout_unit="ms")
async def refuses(dut: Any) -> None:
    """What cannot be done ends in ``err`` and changes nothing."""
    bus = await started(dut)
    stimulus = load_stimulus()
    about = json.loads(bytes(stimulus["about"]))
    send, last, receive, queues = (register.offset for register in QUEUES.values())
    free = (await bus.access(queues)) & 0x7FFF
    control, ident = CONTROL["control"].offset, CONTROL["id"].offset
    assert await bus.access(ident) == ID
    for address, value in ((receive, None), (send, None), (last, None), (0x50, None), (0x30, None)):
        assert await bus.refused(address, value)
    for address in (receive, queues, 0x50, 0x7C, ident):
        assert await bus.refused(address, 7)
    for sel in (0x1, 0x3, 0xE):
        assert await bus.refused(send, 1, sel)
        assert await bus.refused(control, 1, sel)
        assert await bus.refused(queues, None, sel)
    assert await bus.access(queues) == free
    # Nothing is taken before the start, so that the queue fills up; a reset empties it.
    for count in range(free):
        assert not await bus.refused(send, count)
        assert await bus.access(queues) >= free - count - 2
    # The first word waits at the core's door.
    left = (await bus.access(queues)) & 0x7FFF
    for _ in range(left):
        assert not await bus.refused(send, 0)
    assert await bus.refused(send, 0)
    assert await bus.refused(last, 0)
    await bus.access(control, 4)
    assert await bus.access(queues) == free
    wanted = {k.removeprefix("result_"): v for k, v in stimulus.items() if k[:7] == "result_"}
    if "contents" not in stimulus:
        await bridge(_once)(port_of(bus, about), about, stimulus["x"].tolist()[0], wanted)


def _once(port: WordPort, about: Any, window: Any, wanted: dict[str, Any]) -> None:
    driver = Driver(port, about)
    driver.start()
    results = driver.run(window)
    last = results[-1] if isinstance(results, list) else results
    for name, values in wanted.items():
        own = values[0][-1] if isinstance(results, list) else values[0]
        assert last[name] == own.tolist(), name
