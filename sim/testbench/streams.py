"""Driver and monitor of Amaranth stream ports, pin by pin, with random pauses on both sides.

They run in the simulator. A stream port ``i`` is ``i__payload``, ``i__valid`` and ``i__ready`` in
Verilog; a structured payload is one packed vector (`mubinn.sim.testbench.payload` packs it).
Both wake Python at every clock edge, which limits a bench to tens of thousands of cycles a second:
long batches belong to the player of `mubinn.sim.runner.harness`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from cocotb.triggers import RisingEdge, Timer
from cocotb.utils import get_sim_time

from mubinn.sim.testbench.bench import CLOCK_NS
from mubinn.sim.testbench.compare import SimulationMismatch

# Cycles without a transfer after which a stream is taken to hang.
WATCHDOG = 10_000


class _Port:
    """The three signals of a stream, and the rules of when to pause.

    Parameters
    ----------
    dut : handle
        The design.
    name : str
        Of the port.
    pause : float
        Probability of pausing in a cycle in which this side could go on.
    seed : int
        Of the pauses.
    clock : str
        Name of the clock.
    watchdog : int
        Cycles without a transfer after which :exc:`SimulationMismatch` is raised.
    """

    def __init__(
        self,
        dut: Any,
        name: str,
        *,
        pause: float = 0.0,
        seed: int,
        clock: str = "clk",
        watchdog: int = WATCHDOG,
    ) -> None:
        if not 0 <= pause < 1:
            raise ValueError(f"pause is a probability below 1, not {pause}")
        self.name = name
        self.payload = getattr(dut, f"{name}__payload")
        self.valid = getattr(dut, f"{name}__valid")
        self.ready = getattr(dut, f"{name}__ready")
        self.clock = getattr(dut, clock)
        self.pause = pause
        self.watchdog = watchdog
        self.random = np.random.default_rng(seed)
        self.edge = RisingEdge(self.clock)
        # Clock cycle of each transfer, counted from the start of the simulation.
        self.cycles: list[int] = []

    def pauses(self, count: int) -> list[int]:
        """Return cycles to pause before each of `count` transfers: runs of independent draws."""
        if self.pause == 0:
            return [0] * count
        return list((self.random.geometric(1 - self.pause, count) - 1).tolist())

    async def idle(self, cycles: int) -> None:
        """Let cycles pass, and return just after the last one's edge."""
        if cycles > 1:
            await Timer((cycles - 1) * CLOCK_NS, unit="ns")
        if cycles:
            await self.edge

    def note(self) -> None:
        self.cycles.append(round(get_sim_time("ns") / CLOCK_NS))

    def hang(self, done: int, count: int, what: str) -> SimulationMismatch:
        return SimulationMismatch(
            f"stream {self.name}: {what} for {self.watchdog} cycles after {done} of {count} "
            "transfers."
        )


def _bit(handle: Any, name: str) -> bool:
    value = str(handle.value)
    if value not in ("0", "1"):
        raise SimulationMismatch(f"signal {name} is {value}, neither 0 nor 1.")
    return value == "1"


class Driver(_Port):
    """Sends payloads into an input stream.

    valid rises after the payload's pause and stays, with the payload, until the transfer. The
    payload is inverted while valid is low, so that a unit that looks at it then is found out.
    """

    def __init__(self, dut: Any, name: str = "i", *, seed: int = 0, **options: Any) -> None:
        super().__init__(dut, name, seed=seed, **options)
        self.valid.value = 0
        self.payload.value = 0
        self._mask = (1 << len(self.payload)) - 1

    async def send(self, payloads: Sequence[int]) -> None:
        """Send packed payloads (non-negative integers); return just after the last one's edge."""
        for done, (payload, pause) in enumerate(
            zip(payloads, self.pauses(len(payloads)), strict=True)
        ):
            if pause:
                self.valid.value = 0
                self.payload.value = payload ^ self._mask
                await self.idle(pause)
            self.valid.value = 1
            self.payload.value = payload
            for _ in range(self.watchdog):
                await self.edge
                if _bit(self.ready, f"{self.name}__ready"):
                    break
            else:
                raise self.hang(done, len(payloads), "ready is low")
            self.note()
        self.valid.value = 0


class Monitor(_Port):
    """Takes payloads from an output stream and holds it to the protocol.

    Its valid must stay, with the same payload, until the transfer; ready is low in a pause.
    """

    def __init__(self, dut: Any, name: str = "o", *, seed: int = 1, **options: Any) -> None:
        super().__init__(dut, name, seed=seed, **options)
        self.ready.value = 0

    async def receive(self, count: int) -> list[int]:
        """Take `count` payloads and return them packed; return just after the last one's edge."""
        taken: list[int] = []
        waiting: str | None = None
        idle = 0
        pauses = iter(self.pauses(count))
        pause = next(pauses, 0)
        while len(taken) < count:
            ready = pause == 0
            pause = max(pause - 1, 0)
            self.ready.value = int(ready)
            await self.edge
            valid = _bit(self.valid, f"{self.name}__valid")
            idle = 0 if valid and ready else idle + 1
            if idle > self.watchdog:
                raise self.hang(len(taken), count, "valid is low" if ready else "nothing moved")
            payload = str(self.payload.value) if valid else None
            self._check_held(waiting, payload, len(taken))
            waiting = None if ready else payload
            if payload is not None and ready:
                taken.append(self._number(payload, len(taken)))
                self.note()
                pause = next(pauses, 0)
        self.ready.value = 0
        return taken

    def _check_held(self, waiting: str | None, payload: str | None, done: int) -> None:
        if waiting is None or payload == waiting:
            return
        fault = "valid fell" if payload is None else f"the payload changed to {payload}"
        raise SimulationMismatch(
            f"stream {self.name}: transfer {done}: {fault} while {waiting} waited to be taken."
        )

    def _number(self, payload: str, done: int) -> int:
        try:
            return int(payload, 2)
        except ValueError:
            raise SimulationMismatch(
                f"stream {self.name}: transfer {done}: the payload {payload} has undefined bits."
            ) from None
