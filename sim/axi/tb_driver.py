"""Bench of the driver: the calls that a user makes, against the accelerator's ports.

The stimulus holds ``about`` (JSON, as bytes), ``contents`` and another model's ``foreign`` (bytes)
where weights are loaded,
windows ``x`` [windows, T, features], and the fields of their results by name, after ``result_``;
those of a result at every step are arrays [windows, T, ...], ``end`` among them. ``kept``, where
the driver is to say so, of each window whether it leaves its state to the next. ``streams``, where
several share the accelerator, of each window whose it is; ``states`` then has the bytes of the
first state of all, and of what each window leaves, [windows + 1, bytes].
"""

import json
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.task import bridge, resume
from cocotbext.axi import AxiStreamFrame

from mubinn.hw.export.driver import AcceleratorError, Driver, Port
from mubinn.sim.axi.axi_ports import Ports, reset_ports
from mubinn.sim.testbench.bench import load_stimulus


class SimPort:
    """The driver's port in simulation: each call lets the simulation run until it is done."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self.read = resume(ports.lite.read_dword)
        self.write = resume(ports.lite.write_dword)
        self._receive = resume(ports.sink.recv)

    def send(self, packet: bytes) -> None:
        """Send one packet, in the background."""
        self._ports.source.send_nowait(AxiStreamFrame(packet))

    def receive(self) -> bytes:
        """Return one packet."""
        return bytes(self._receive().tdata)


@cocotb.test(timeout_time=200, timeout_unit="ms")
async def used(dut: Any) -> None:
    """All windows; one that is aborted; reset."""
    stimulus = load_stimulus()
    about = json.loads(bytes(stimulus["about"]))
    wanted = {k.removeprefix("result_"): v for k, v in stimulus.items() if k[:7] == "result_"}
    port = SimPort(await reset_ports(dut))
    if "contents" in stimulus:
        contents, foreign = bytes(stimulus["contents"]), bytes(stimulus["foreign"])
        await bridge(load)(port, about, contents, foreign)
    kept = stimulus["kept"].tolist() if "kept" in stimulus else None
    if "streams" in stimulus:
        states = [bytes(one) for one in stimulus["states"]]
        await bridge(shared)(
            port, about, stimulus["x"].tolist(), wanted, stimulus["streams"], states
        )
        return
    await bridge(session)(port, about, stimulus["x"].tolist(), wanted, kept)


def load(port: Port, about: Any, contents: bytes, foreign: bytes) -> None:
    """Load in part and what is another model's, which is told each time, then wholly."""
    driver = Driver(port, about)
    assert "not all contents" in _refused(lambda: driver.load(contents[:-5]))
    assert "another model" in _refused(lambda: driver.load(foreign))
    driver.load(contents)
    # What is refused changes nothing of what is there.
    assert "another model" in _refused(lambda: driver.load(foreign))


def session(
    port: Port,
    about: Any,
    windows: list[Any],
    wanted: dict[str, Any],
    kept: list[bool] | None,
) -> None:
    """What a user's program does."""
    driver = Driver(port, about)
    assert not any(driver.status().values())
    driver.start()
    for index, window in enumerate(windows):
        if kept is not None:
            driver.carry(kept[index])
            assert driver.read("state") == kept[index]
        result = driver.run(window)
        assert result == _expected(wanted, index), index
        assert driver.read("steps") * driver.samples == len(window)
        assert driver.cycles() >= len(window) // driver.samples
    assert driver.read("windows") == len(windows)
    first = _expected(wanted, 0)
    driver.abort()
    assert driver.run(windows[0]) == first
    assert driver.status() == {name: name == "started" for name in driver.status()}
    driver.reset()
    assert kept is None or driver.read("state") == 0
    assert not any(driver.status().values())
    driver.start()
    assert driver.run(windows[0]) == first


def shared(
    port: Port,
    about: Any,
    windows: list[Any],
    wanted: dict[str, Any],
    streams: Any,
    states: list[bytes],
) -> None:
    """Have several streams share an accelerator, each window given what its own has left."""
    driver = Driver(port, about)
    driver.start()
    first, *left = states
    assert driver.state() == first
    saved = dict.fromkeys(streams.tolist(), first)
    for index, (window, stream) in enumerate(zip(windows, streams.tolist(), strict=True)):
        driver.set_state(saved[stream])
        assert driver.run(window) == _expected(wanted, index), index
        saved[stream] = driver.state()
        assert saved[stream] == left[index]
    assert "another accelerator's" in _refused(lambda: driver.set_state(first + b"0"))
    port.send(driver.pack(windows[0])[: -about["input"]["bytes"]])
    while not driver.status()["busy"]:
        pass
    assert "a window is under way" in _refused(driver.state)
    driver.abort()
    assert driver.state() == first


def _refused(call: Callable[[], Any]) -> str:
    """Return what the driver says against a call."""
    try:
        call()
    except AcceleratorError as error:
        return str(error)
    return "nothing"


def _expected(wanted: dict[str, Any], index: int) -> Any:
    """Return the result of a window, or the list of those of its steps."""
    own = {name: values[index] for name, values in wanted.items()}
    if "end" not in own:
        return {name: value.tolist() for name, value in own.items()}
    steps = range(len(own["end"]))
    return [{name: value[step].tolist() for name, value in own.items()} for step in steps]
