"""Driver of an accelerator behind AXI. It stands alone: a generated folder holds a copy of it.

``Driver(port, about)`` needs a `port`, any object with these four calls, and `about`, what the
folder's parameters.json holds::

    port.read(address)         the 32-bit register at a byte address
    port.write(address, value)
    port.send(packet)          bytes to s_axis, TLAST with the last beat
    port.receive()             bytes from m_axis up to TLAST

On a Wishbone bus ``WordPort(read, write, about)`` makes all four of the first two.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

ID = 0x4D754269

WAITS = 1000
"""Reads after which a byte of the state should have been there."""


class Port(Protocol):
    """What carries registers and packets: DMA and memory-mapped I/O, a simulator, a wire."""

    def read(self, address: int) -> int:
        """Return the register at a byte address."""

    def write(self, address: int, value: int) -> None:
        """Write the register at a byte address."""

    def send(self, packet: bytes) -> None:
        """Send one packet to ``s_axis``."""

    def receive(self) -> bytes:
        """Return one packet of ``m_axis``."""


class AcceleratorError(Exception):
    """The accelerator is another one, or does not do what it was asked to."""


class WordPort:
    """The port of an accelerator on a Wishbone bus: packets pass through registers, word by word.

    Parameters
    ----------
    read : callable
        The 32-bit word at a byte address.
    write : callable
        Writes one: byte address, value.
    about : mapping
        ``interface`` of parameters.json.
    """

    def __init__(
        self,
        read: Callable[[int], int],
        write: Callable[[int, int], None],
        about: Mapping[str, Any],
    ) -> None:
        self.read, self.write = read, write
        self.registers = about["registers"]
        self._packets: list[bytes] = []
        self._part = b""

    def send(self, packet: bytes) -> None:
        """Send one packet; results that come meanwhile are taken and kept."""
        room = 0
        for start in range(0, len(packet), 4):
            while not room:
                room = self._queues()["room"]
                if not room:
                    self._take()
            name = "send" if start + 4 < len(packet) else "send_last"
            word = int.from_bytes(packet[start : start + 4], "little")
            self.write(self.registers[name]["offset"], word)
            room -= 1

    def receive(self) -> bytes:
        """Return one packet; wait for it."""
        while not self._packets:
            self._take()
        return self._packets.pop(0)

    def _queues(self) -> dict[str, int]:
        """Return the fields of register queues."""
        register = self.registers["queues"]
        word = self.read(register["offset"])
        return {
            name: word >> field["lowest_bit"] & (1 << field["width"]) - 1
            for name, field in register["fields"].items()
        }

    def _take(self) -> None:
        """Take a word of a result where one waits."""
        found = self._queues()
        if not found["waiting"]:
            return
        word = self.read(self.registers["receive"]["offset"])
        self._part += word.to_bytes(4, "little")
        if found["last"]:
            self._packets.append(self._part)
            self._part = b""


class Driver:
    """An accelerator and what it is asked to do.

    Parameters
    ----------
    port : Port
    about : mapping
        ``interface`` of parameters.json: streams and registers.

    Raises
    ------
    AcceleratorError
        If something else answers at the port.
    """

    def __init__(self, port: Port, about: Mapping[str, Any]) -> None:
        self.port = port
        self.input = about["input"]
        self.result = about["result"]
        self.registers = about["registers"]
        self.samples = self.input.get("samples", 1)
        self.min_steps = about.get("min_steps", 1)
        self.max_steps = about["max_steps"]
        self.state_bytes: int | None = about.get("state_bytes")
        if self.registers and (found := self.read("id")) != ID:
            raise AcceleratorError(f"register id reads {found:#x}, not {ID:#x}: check the address.")

    def read(self, name: str) -> int:
        """Return a register."""
        return self.port.read(self.registers[name]["offset"])

    def command(self, name: str) -> None:
        """Give the command ``start``, ``abort`` or ``reset``."""
        register = self.registers["control"]
        bit = register["fields"][name]["lowest_bit"]
        self.port.write(register["offset"], 1 << bit)

    def start(self) -> None:
        """Let windows in."""
        self.command("start")

    def abort(self) -> None:
        """Forget all windows under way; the rest of one that was sent in part is discarded."""
        self.command("abort")

    def reset(self) -> None:
        """Return to the state after reset; nothing is taken before the next start."""
        self.command("reset")

    def carry(self, on: bool) -> None:
        """Have each window that is sent from now on leave its state to the next one, or not.

        To be called while no window is under way. An abort or a reset forgets the state as well,
        and a reset switches this off.

        Raises
        ------
        AcceleratorError
            If the accelerator was generated without this register.
        """
        if "state" not in self.registers:
            raise AcceleratorError(
                "whether a state is carried on is not a register of this accelerator: generate "
                "one with --state register."
            )
        register = self.registers["state"]
        bit = register["fields"]["carry"]["lowest_bit"]
        self.port.write(register["offset"], int(on) << bit)

    def state(self) -> bytes:
        """Return the whole state, `state_bytes` of them, which stays as it is.

        To be called while no window is under way.

        Raises
        ------
        AcceleratorError
            If a window is under way, or the accelerator was generated without these registers.
        """
        return bytes(self._next_byte() for _ in range(self._begin_state("save")))

    def set_state(self, state: bytes) -> None:
        """Have the next window go on from a state that `state` has returned.

        To be called while no window is under way. Any accelerator of the same design takes it.

        Raises
        ------
        AcceleratorError
            If a window is under way, the state is of another size, or the accelerator was
            generated without these registers.
        """
        if self.state_bytes not in (None, len(state)):
            raise AcceleratorError(
                f"a state of {len(state)} bytes is another accelerator's: give the "
                f"{self.state_bytes} bytes that this one has given."
            )
        self._begin_state("restore")
        for byte in state:
            self._wait_state("room")
            self.port.write(self.registers["state_byte"]["offset"], byte)

    def _begin_state(self, way: str) -> int:
        """Have the state begin to go out or in; return its bytes."""
        if self.state_bytes is None:
            raise AcceleratorError(
                "the state of this accelerator does not go out or in: generate one with "
                "--state-port."
            )
        if self.status()["busy"]:
            raise AcceleratorError(
                "a window is under way, and changes the state: take all its results first."
            )
        self._write_state(way)
        return self.state_bytes

    def _next_byte(self) -> int:
        word = self._wait_state("out")
        self._write_state("taken")
        lowest: int = self.registers["whole_state"]["fields"]["byte"]["lowest_bit"]
        return word >> lowest & 0xFF

    def _write_state(self, field: str) -> None:
        register = self.registers["whole_state"]
        self.port.write(register["offset"], 1 << register["fields"][field]["lowest_bit"])

    def _wait_state(self, field: str) -> int:
        """Return register whole_state as soon as a bit of it is 1."""
        bit = self.registers["whole_state"]["fields"][field]["lowest_bit"]
        for _ in range(WAITS):
            if (word := self.read("whole_state")) >> bit & 1:
                return word
        raise AcceleratorError(
            "the state does not move: a window has begun, or another program aborts it."
        )

    def status(self) -> dict[str, bool]:
        """Return the bits of the status register by name."""
        word = self.read("status")
        fields = self.registers["status"]["fields"]
        return {name: bool(word >> f["lowest_bit"] & 1) for name, f in fields.items()}

    def cycles(self) -> int:
        """Return the clock cycles of the last window."""
        return self.read("cycles")

    def load(self, contents: bytes) -> None:
        """Load the weights, before any window: the bytes of the folder's load.hex.

        Raises
        ------
        AcceleratorError
            If the contents are those of another accelerator.
        """
        self.port.write(self.registers["loading"]["offset"], 1)
        register = self.registers["load"]["offset"]
        for start in range(0, len(contents), 4):
            word = int.from_bytes(contents[start : start + 4], "little")
            self.port.write(register, word)
        state, fields = self.read("loading"), self.registers["loading"]["fields"]
        if state >> fields["refused"]["lowest_bit"] & 1:
            raise AcceleratorError(
                "the contents are those of another model, whose scales, biases or thresholds are "
                "not the constants of this accelerator: load its own, or generate one for that."
            )
        if not state >> fields["loaded"]["lowest_bit"] & 1:
            raise AcceleratorError(f"{len(contents)} bytes are not all contents.")

    def run(self, window: Iterable[Sequence[int]]) -> Any:
        """Send a window and return its result; see `pack` and `unpack`.

        Of an accelerator that gives a result at every step, the list of all of them: ``end`` is 1
        in the last one.
        """
        self.port.send(self.pack(window))
        results = [self.unpack(self.port.receive())]
        if "end" not in results[0]:
            return results[0]
        while not results[-1]["end"]:
            results.append(self.unpack(self.port.receive()))
        return results

    def pack(self, window: Iterable[Sequence[int]]) -> bytes:
        """Return a window as the packet to send.

        Parameters
        ----------
        window : iterable of sequences of int
            For each time step one number per feature: a sample, or, where the accelerator reads
            level bits, a code whose bit k is the bit of level k. Where it makes a step of several
            samples of an ADC, one number per channel for each of them.

        Raises
        ------
        ValueError
            On another count of features, numbers that do not fit, samples that end within a step,
            fewer steps than layers read at once, or more than the logits hold.
        """
        rows, samples = [list(row) for row in window], self.samples
        if len(rows) % samples:
            raise ValueError(
                f"{len(rows)} samples end within a step: send a multiple of {samples}."
            )
        steps = [self._step(rows[t : t + samples]) for t in range(0, len(rows), samples)]
        if len(steps) < self.min_steps:
            raise ValueError(
                f"a window of {len(steps)} steps is shorter than the {self.min_steps} that the "
                "layers read at once: send longer ones."
            )
        if self.max_steps is not None and len(steps) > self.max_steps:
            raise ValueError(
                f"a window of {len(steps)} steps is longer than the {self.max_steps} that the "
                f"logits hold: generate the accelerator for {len(steps)} steps or more."
            )
        return b"".join(steps)

    def _step(self, rows: Sequence[Sequence[int]]) -> bytes:
        """Return one step of the rows that make it: a frame of elements, or a frame for each."""
        (field,) = self.input["fields"].values()
        count = field["count"] * self.input["per_step"] // self.samples
        numbers: list[int] = []
        for row in rows:
            own = [int(value) for value in row]
            if not field["signed"]:
                own = _planes(own, field["count"])
            if len(own) != count:
                raise ValueError(f"{len(own)} numbers in a step, not {count}.")
            numbers += own
        low = -(1 << field["bits"] - 1) if field["signed"] else 0
        for number in numbers:
            if not low <= number < low + (1 << field["bits"]):
                raise ValueError(f"{number} does not fit into {field['bits']} bits.")
        parts = [n.to_bytes(field["step"], "little", signed=field["signed"]) for n in numbers]
        frames = [parts] if self.input["per_step"] == 1 else [[part] for part in parts]
        return b"".join(b"".join(frame).ljust(self.input["bytes"], b"\0") for frame in frames)

    def pack_result(self, result: Mapping[str, Any]) -> bytes:
        """Return the packet that `unpack` makes `result` of."""
        packet = bytearray(self.result["bytes"])
        for name, field in self.result["fields"].items():
            numbers = result[name] if field["count"] > 1 else [result[name]]
            for k, number in enumerate(numbers):
                start = field["byte"] + k * field["step"]
                word = number.to_bytes(field["step"], "little", signed=field["signed"])
                packet[start : start + field["step"]] = word
        return bytes(packet)

    def unpack(self, packet: bytes) -> dict[str, Any]:
        """Return the fields of a result: an integer, or a list of them, each.

        Raises
        ------
        AcceleratorError
            On a packet of another length.
        """
        if len(packet) != self.result["bytes"]:
            raise AcceleratorError(f"a result of {len(packet)} bytes, not {self.result['bytes']}.")
        found: dict[str, Any] = {}
        for name, field in self.result["fields"].items():
            starts = (field["byte"] + k * field["step"] for k in range(field["count"]))
            numbers = [
                int.from_bytes(packet[s : s + field["step"]], "little", signed=field["signed"])
                for s in starts
            ]
            found[name] = numbers if field["count"] > 1 else numbers[0]
        return found


def _planes(codes: Sequence[int], levels: int) -> list[int]:
    """Return the level planes of codes: bit n of plane k is bit k of code n."""
    if any(not 0 <= code < 1 << levels for code in codes):
        raise ValueError(f"a code does not fit into {levels} level bits.")
    return [sum((code >> k & 1) << n for n, code in enumerate(codes)) for k in range(levels)]
