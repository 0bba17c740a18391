"""What a line of a UART is, for boards and for hosts that have no hardware."""

from mubinn.golden.ground.errors import MubinnError

LEAST_DIVISOR = 6
"""Clock cycles of the shortest bit: the line is seen as the majority of three of them."""

BAUD = 115200
"""bit/s, where nothing else is asked for."""


def check_divisor(divisor: int) -> int:
    """Return the clock cycles of a bit; raise `MubinnError` where they are too few to be sampled.

    >>> check_divisor(104)
    104
    """
    if divisor < LEAST_DIVISOR:
        raise MubinnError(
            f"{divisor} clock cycles a bit are too few for the UART: give {LEAST_DIVISOR} or more, "
            "a slower line or a faster clock."
        )
    return divisor
