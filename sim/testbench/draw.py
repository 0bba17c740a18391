"""Random stimulus that visits the corners of a format often."""

import numpy as np
from numpy.typing import NDArray

CORNER_SHARE = 0.3


def draw(
    random: np.random.Generator, shape: int | tuple[int, ...], width: int, *, signed: bool = False
) -> NDArray[np.int64]:
    """Return integers of `width` bits: all 0, all lowest, all highest, then a mixture.

    In the mixture each element is, independently, with probability `CORNER_SHARE` one of the
    lowest, highest, -1, 0 and 1 of the format, and else uniform. The first axis counts transfers.
    """
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    values = random.integers(low, high, shape, endpoint=True, dtype=np.int64)
    corners = np.array([v for v in (low, high, -1, 0, 1) if low <= v <= high])
    special = random.random(shape) < CORNER_SHARE
    values[special] = random.choice(corners, int(special.sum()))
    for row, value in enumerate((0, low, high)[: len(values)]):
        values[row] = value
    return values


def draw_bits(
    random: np.random.Generator, shape: int | tuple[int, ...], width: int
) -> NDArray[np.uint8]:
    """Return bits uint8 ``(*shape, width)``: rows of zeros, of ones, then of random density."""
    lead = (shape,) if isinstance(shape, int) else shape
    density = random.random((*lead, 1))
    bits = (random.random((*lead, width)) < density).astype(np.uint8)
    for row, value in enumerate((0, 1)[: len(bits)]):
        bits[row] = value
    return bits
