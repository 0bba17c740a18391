"""The port of a board: pyserial, on a serial port, a socket, or what a simulation offers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mubinn.golden.ground.errors import MubinnError

if TYPE_CHECKING:
    from mubinn.hw.link.session import Wire

READ_S = 0.05
"""How long a read waits for a first byte."""


def serial_package() -> Any:
    """Return pyserial; raise `MubinnError` where it is missing."""
    try:
        import serial
    except ImportError:
        raise MubinnError(
            "mubinn run needs the Python package pyserial; install it with "
            "`pip install 'mubinn[serial]'`."
        ) from None
    return serial


@contextmanager
def open_port(port: str, baud: int) -> Iterator[Wire]:
    """Open a path such as /dev/ttyUSB1, or a URL such as socket://host:4000.

    Raises
    ------
    MubinnError
        pyserial is missing; the port cannot be opened, or it goes away.
    """
    serial = serial_package()
    try:
        wire: Any = serial.serial_for_url(port, baud, timeout=READ_S)
    except (serial.SerialException, ValueError) as error:
        why = str(error).splitlines()[0]
        raise MubinnError(
            f"The port {port} cannot be opened ({why}): give that of the board, which you have "
            "rights to, and no other program has open."
        ) from error
    try:
        yield wire
    except serial.SerialException as error:
        raise MubinnError(f"The port {port} is gone ({error}): plug the board in again.") from error
    finally:
        wire.close()
