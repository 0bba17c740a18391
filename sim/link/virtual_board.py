"""The Verilog of a link behind a virtual serial port, pin to pin: a board without a board."""

import json
import os
import pty
import subprocess
import tty
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.process import leashed
from mubinn.sim.runner.build import compile_design
from mubinn.sim.runner.toolchain import prepare

BENCH = Path(__file__).with_name("board.cpp")
_ENDING_S = 60


@dataclass(frozen=True)
class LineCount:
    """What went over the line in one direction, as it was sent.

    Attributes
    ----------
    bytes : int
    lost, flipped : int
        Bytes that did not arrive, or with one wrong bit.
    packets : int
    touched : int
        Packets with such a byte in them, or before their first 0x7E.
    """

    bytes: int
    lost: int
    flipped: int
    packets: int
    touched: int


@dataclass(frozen=True)
class BoardCount:
    """What a board and its line have done: clock cycles, and both directions.

    Attributes
    ----------
    cycles : int
    asleep : int
        Those in which the core had no clock.
    to_board, from_board : LineCount
    """

    cycles: int
    asleep: int
    to_board: LineCount
    from_board: LineCount


class VirtualBoard:
    """A design with the ports of `mubinn.hw.link.link_top.LinkTop`, running; a context manager.

    Verilator runs it. What the host writes to `port` is driven onto pin rx bit by bit, each of
    `divisor` clock cycles, and what comes back is sampled from tx; a SPI is clocked by a master
    that does so while the board has something to say. Time stands still while nothing is under way.

    Parameters
    ----------
    verilog, top : str
        The design, and which of its modules is the link.
    divisor : int or None
        Clock cycles of a bit of the UART; None for SPI.
    settle : int
        Cycles that the board may be at work without a sign of it at its pins.
    faults : float
        Probability that a byte is lost or has a bit flipped, either way.
    seed : int
        Of the faults.

    Attributes
    ----------
    port : str
        The path of the terminal that the host opens.
    reused : bool
        The compiled design was found.

    Raises
    ------
    MubinnError
        A tool is missing, or the design cannot be compiled.
    """

    def __init__(
        self,
        verilog: str,
        top: str,
        divisor: int | None,
        *,
        settle: int,
        faults: float = 0.0,
        seed: int = 0,
    ) -> None:
        env, versions = prepare("verilator")
        folder, self.reused = compile_design(verilog, top, "verilator", env, versions, main=BENCH)
        board, self._host = pty.openpty()
        tty.setraw(self._host)
        self.port = os.ttyname(self._host)
        words = (board, divisor or 0, settle, faults, seed)
        self._process = subprocess.Popen(
            leashed([str(folder / top), *map(str, words)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[board],
            start_new_session=True,
        )
        os.close(board)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._let_go()
        for end in (self._process.stdin, self._process.stdout):
            assert end is not None
            end.close()  # the leash ends what still runs
        self._process.wait()

    def close(self) -> BoardCount:
        """End the board, whose host has closed the port; return what was counted.

        Raises
        ------
        MubinnError
            The simulation has ended in another way.
        """
        assert self._process.stdout is not None
        self._let_go()
        text = self._process.stdout.read().decode(errors="replace")
        if status := self._process.wait(_ENDING_S):
            raise MubinnError(
                f"The simulated board has ended with status {status}: {text[-500:].strip()}"
            )
        found = json.loads(text)
        lines = [LineCount(**found[name]) for name in ("to_board", "from_board")]
        return BoardCount(found["cycles"], found["asleep"], *lines)

    def _let_go(self) -> None:
        if self._host >= 0:
            os.close(self._host)
            self._host = -1
