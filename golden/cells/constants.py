"""What all recurrent layers share, float or quantized: names, and the format of the input."""

from typing import Literal, get_args

from mubinn.golden.ground.errors import MubinnError

Reset = Literal["after", "before"]
RESETS: tuple[Reset, ...] = get_args(Reset)
"""Where a GRU's reset gate meets h: after the recurrent product or before it."""

Datapath = Literal["figure3", "threshold"]
DATAPATHS: tuple[Datapath, ...] = get_args(Datapath)
"""What follows z: the units of Figure 3, or thresholds and tables over codes."""

INPUT_FRACTION = 12
"""Fraction bits of an input sample before its encoder; x scales have at most as many."""

INPUT_RANGE = 2.0**32
"""Input samples are clipped to this magnitude, which is beyond every threshold."""

MAX_BITS = 52
"""Every intermediate is smaller than 2**MAX_BITS.

So int64 never wraps and float64 holds every intermediate exactly: the reference and the bit-true
model agree exactly wherever nothing is rounded. Models that training or quantization makes stay
far below; the limit stops absurd numbers out of a file.
"""


def check_datapath(name: str) -> None:
    """Raise `MubinnError` on a datapath that is unknown."""
    if name not in DATAPATHS:
        raise MubinnError(f"unknown datapath {name!r}: give {' or '.join(DATAPATHS)}.")


def check_bounds(**bounds: float) -> None:
    """Raise `MubinnError` where an intermediate, by name, may need more than `MAX_BITS`."""
    for name, bound in bounds.items():
        if bound >= 2.0**MAX_BITS:
            raise MubinnError(
                f"{name} may need more than {MAX_BITS} bits: the scales are too large or too "
                "fine; rescale the model."
            )
