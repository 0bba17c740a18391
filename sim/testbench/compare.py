"""Exact comparison of hardware traces with golden traces."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError


class SimulationMismatch(MubinnError):
    """The hardware and the golden model disagree, or the hardware breaks its contract."""


Trace = Mapping[str, NDArray[np.generic]]

# Axis names of a trace unless the caller names others; further axes are called axis2, axis3, ...
AXES = ("step", "unit")


def _where(index: Sequence[int], axes: Sequence[str]) -> str:
    names = [axes[k] if k < len(axes) else f"axis{k}" for k in range(len(index))]
    return ", ".join(f"{name} {int(i)}" for name, i in zip(names, index, strict=True))


def _check_form(
    name: str, got: NDArray[np.generic], expected: NDArray[np.generic], prefix: str
) -> None:
    if got.shape != expected.shape:
        raise SimulationMismatch(
            f"{prefix}signal {name} has shape {got.shape}, the golden model's has shape "
            f"{expected.shape}; check that both ran the same steps and units."
        )
    for side, array in (("hardware", got), ("golden", expected)):
        if array.dtype.kind not in "biuO":
            raise SimulationMismatch(
                f"{prefix}signal {name} of the {side} trace has dtype {array.dtype}; traces hold "
                "integers or bits, for nothing else compares exactly."
            )


def compare_signal(
    name: str,
    got: NDArray[np.generic],
    expected: NDArray[np.generic],
    axes: Sequence[str] = AXES,
    context: str = "",
) -> None:
    """Demand that two arrays are equal, element for element.

    Parameters
    ----------
    name : str
        Signal name, for the message.
    got, expected : ndarray of integers or bits
        Hardware and golden values, the same shape; dtypes may differ, values may not.
    axes : sequence of str
        Names of the axes, outermost first.
    context : str
        Prefix of the message, such as the name of the design.

    Raises
    ------
    SimulationMismatch
        With the signal, the place, expected and got of the first difference in C order, and the
        number of differences; or with both shapes where they differ.
    """
    prefix = f"{context}: " if context else ""
    _check_form(name, got, expected, prefix)
    different = np.atleast_1d(got != expected)
    if not different.any():
        return
    first = np.argwhere(different)[0]
    index = tuple(int(i) for i in first) if got.ndim else ()
    place = f" at {_where(index, axes)}" if index else ""
    count = int(np.count_nonzero(different))
    others = f" ({count} of {got.size} values differ)" if got.size > 1 else ""
    raise SimulationMismatch(
        f"{prefix}signal {name}{place}: expected {int(expected[index])}, "
        f"got {int(got[index])}{others}."
    )


def compare_traces(
    got: Trace, expected: Trace, axes: Sequence[str] = AXES, context: str = ""
) -> int:
    """Demand that every golden signal is in the hardware trace and equal to it.

    Where several signals differ, the message names the one that differs at the earliest index of
    the first axis (the step), and among those the first in the order of `expected`: list the
    signals in the order of the data flow, and the message points at the cause, not at a
    consequence.

    Parameters
    ----------
    got, expected : mapping of str to ndarray
        Hardware and golden traces. Signals only in `got` are ignored.
    axes, context
        As in `compare_signal`.

    Returns
    -------
    int
        Number of values compared.

    Raises
    ------
    SimulationMismatch
        On the first difference, a missing signal, a wrong shape, or nothing to compare.
    """
    prefix = f"{context}: " if context else ""
    missing = [name for name in expected if name not in got]
    if missing:
        raise SimulationMismatch(
            f"{prefix}the hardware trace lacks {', '.join(missing)}; it holds "
            f"{', '.join(got) or 'nothing'}."
        )
    values = sum(array.size for array in expected.values())
    if values == 0:
        raise SimulationMismatch(f"{prefix}there is nothing to compare: the golden trace is empty.")
    earliest: tuple[int, str] | None = None
    for name, array in expected.items():
        _check_form(name, got[name], array, prefix)
        different = np.argwhere(np.atleast_1d(got[name] != array))
        if different.size and (earliest is None or different[0, 0] < earliest[0]):
            earliest = (int(different[0, 0]), name)
    if earliest is not None:
        compare_signal(earliest[1], got[earliest[1]], expected[earliest[1]], axes, context)
    return values
