"""The registers of an accelerator: one description for hardware, C header, driver and page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

ID = 0x4D754269
"""What register ID reads: "MuBi" in ASCII."""

BYTES = 4
"""Registers are words of 32 bits."""


class Access(StrEnum):
    """Who may do what: reading a write-only register gives an error response, as does the rest."""

    READ = "read"
    WRITE = "write"
    BOTH = "read, write"


@dataclass(frozen=True)
class Bits:
    """A field of a register: lowest bit, width and meaning."""

    lowest: int
    width: int
    meaning: str


@dataclass(frozen=True)
class Register:
    """A register: byte offset, access, meaning, fields by name."""

    offset: int
    access: Access
    meaning: str
    fields: Mapping[str, Bits] = field(default_factory=dict)


CONTROL: dict[str, Register] = {
    "id": Register(0x00, Access.READ, f"always {ID:#x}"),
    "control": Register(
        0x04,
        Access.WRITE,
        "commands; a bit written 1 acts once",
        {
            "start": Bits(0, 1, "take input from now on"),
            "abort": Bits(
                1,
                1,
                "forget all windows under way; input is discarded up to the TLAST of a window of "
                "which a part has been taken",
            ),
            "reset": Bits(
                2,
                1,
                "return to the state after reset: no input is taken before the next start, the "
                "next one begins a window; loaded memories and a result being sent stay",
            ),
        },
    ),
    "status": Register(
        0x08,
        Access.READ,
        "state",
        {
            "started": Bits(0, 1, "input is taken"),
            "busy": Bits(1, 1, "a window is under way"),
            "discarding": Bits(2, 1, "input is discarded up to the next TLAST"),
            "result": Bits(3, 1, "a result waits to be taken, or is being sent"),
            "fault": Bits(
                4,
                1,
                "TLAST came before a step's last beat: the windows under way were dropped; "
                "cleared by abort and reset",
            ),
        },
    ),
    "cycles": Register(
        0x0C,
        Access.READ,
        "clock cycles of the last window, from its first beat or the last result of the window "
        "before it, whichever came later, to its own last result",
    ),
    "windows": Register(
        0x10, Access.READ, "windows since reset whose last result is out, modulo 2^32"
    ),
    "steps": Register(0x14, Access.READ, "steps of the window under way, or of the last one"),
}
"""What every build has."""

LOADING: dict[str, Register] = {
    "load": Register(
        0x18,
        Access.WRITE,
        "the next four bytes of the memories' contents, lowest first; bytes beyond the last are "
        "ignored",
    ),
    "loading": Register(
        0x1C,
        Access.BOTH,
        "loading; written 1, it starts again with the first byte",
        {
            "loaded": Bits(0, 1, "all contents have been written"),
            "refused": Bits(1, 1, "the contents are another model's, and were ignored"),
        },
    ),
}
"""What builds have besides whose weights are loaded."""

CARRYING: dict[str, Register] = {
    "state": Register(
        0x20,
        Access.BOTH,
        "what a window leaves; 0 after reset",
        {
            "carry": Bits(
                0,
                1,
                "the next window begins with the state that a window leaves whose last step goes "
                "in now, else as after a reset; after an abort it begins as after a reset",
            ),
        },
    ),
}
"""What builds have besides whose state is carried on where a register says so."""

PORTED: dict[str, Register] = {
    "whole_state": Register(
        0x24,
        Access.BOTH,
        "the whole state, byte by byte, out or in while no window is under way; no window begins "
        "before the last byte. An abort and a reset end it and clear the state",
        {
            "save": Bits(0, 1, "written 1: have the state go out, and stay as it is"),
            "restore": Bits(1, 1, "written 1: have a state come in"),
            "taken": Bits(
                2, 1, "written 1: the byte that is out is taken, and the next may follow"
            ),
            "out": Bits(3, 1, "reads 1 where a byte is out"),
            "room": Bits(4, 1, "reads 1 where the next byte may come in"),
            "byte": Bits(8, 8, "reads the byte that is out"),
        },
    ),
    "state_byte": Register(
        0x28,
        Access.WRITE,
        "the next byte of a state that comes in; lost where there is no room for it",
        {"byte": Bits(0, 8, "its value")},
    ),
}
"""What builds have besides whose state goes out and in."""

QUEUES: dict[str, Register] = {
    "send": Register(
        0x40,
        Access.WRITE,
        "the next four bytes of a window, lowest first; refused where the queue has no room",
    ),
    "send_last": Register(0x44, Access.WRITE, "the same, with the window's last bytes"),
    "receive": Register(
        0x48,
        Access.READ,
        "the next four bytes of a result, lowest first; refused where none wait",
    ),
    "queues": Register(
        0x4C,
        Access.READ,
        "how full both queues are",
        {
            "room": Bits(0, 15, "words that may be sent"),
            "waiting": Bits(16, 15, "words that may be received"),
            "last": Bits(31, 1, "the next of them is the last one of its result"),
        },
    ),
}
"""What builds have besides whose streams are registers, as words on a bus without streams."""
