"""Values of a cell over all codes that they are made of."""

from collections.abc import Sequence

import numpy as np

from mubinn.golden.cells.lowering import Lowered
from mubinn.golden.ground.fixed import Ints


def values_of(lowered: Lowered, name: str, /, **codes: Ints) -> Ints:
    """Return the value `name`, int64, of codes by name; their shapes broadcast."""
    values = dict(codes)

    def made(wanted: str) -> Ints:
        if wanted not in values:
            unit = lowered[wanted]
            values[wanted] = unit.operation(*(made(operand) for operand in unit.operands))
        return values[wanted]

    return made(name)


def tabulated(lowered: Lowered, name: str, leaves: Sequence[str]) -> list[int]:
    """Return the value `name` for all codes of `leaves`, the first in the low bits of the index."""
    sizes = [lowered.formats[leaf].width for leaf in leaves]
    index, codes, shift = np.arange(1 << sum(sizes)), {}, 0
    for leaf, size in zip(leaves, sizes, strict=True):
        codes[leaf] = index >> shift & ((1 << size) - 1)
        shift += size
    found: list[int] = values_of(lowered, name, **codes).tolist()
    return found
