"""Tensors as files hold them: read when they are used, and checked only then.

A file may hold what no layer reads, masks, counters, an optimizer's state; its types do not matter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats

FLOATS = {"float64": "<f8", "float32": "<f4", "float16": "<f2", "bfloat16": "<u2"}
"""Types that weights may have, as NumPy reads their bytes."""

COUNTERS = {"int64", "int32", "int16", "int8", "uint8", "bool"}

MAX_NUMBERS = 1 << 25
"""Most numbers of one tensor that is used: an LSTM's recurrent weights with 2896 cells."""


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor, or another object, that a file holds under some name.

    Attributes
    ----------
    kind : str
        Type of its numbers, such as ``"float32"``; of another object what builds it.
    shape : tuple of int
        Empty for other objects.
    data : callable
        Returns the bytes, those of a whole storage perhaps.
    offset : int
        Where in them it begins, in numbers.
    strides : tuple of int or None
        Steps along each axis, in numbers; None where they follow each other.
    """

    kind: str
    shape: tuple[int, ...] = ()
    data: Callable[[], bytes] = bytes
    offset: int = 0
    strides: tuple[int, ...] | None = None

    @property
    def is_beside(self) -> bool:
        """Whether it is a lone integer, such as a counter of batches."""
        return not self.shape and self.kind in COUNTERS

    def floats(self, name: str) -> Floats:
        """Return the numbers as float64; raise `MubinnError` that calls the tensor `name`."""
        if self.kind not in FLOATS:
            raise MubinnError(
                f"the tensor {name} holds {self.kind}, not plain floating-point numbers "
                f"({', '.join(FLOATS)}): give the weights before any quantization, as float32."
            )
        if prod(self.shape) > MAX_NUMBERS:
            raise MubinnError(f"the tensor {name} is larger than any model's: give another file.")
        array = self._view(np.frombuffer(self.data(), FLOATS[self.kind]))
        if self.kind == "bfloat16":
            # The upper halves of float32.
            array = (array.astype(np.uint32) << 16).view(np.float32)
        return finite(name, array)

    def _view(self, flat: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the tensor in the numbers `flat`, checked to lie inside them."""
        shape, steps = self.shape, self.strides
        if steps is None:
            return flat.reshape(shape)
        count = prod(shape)
        last = self.offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
        if min((self.offset, *shape, *steps)) < 0 or (count and last >= flat.size):
            raise ValueError
        if count > flat.size:
            raise ValueError
        if not count:
            return np.zeros(shape, flat.dtype)
        wide = [step * flat.itemsize for step in steps]
        return np.lib.stride_tricks.as_strided(flat[self.offset :], shape, wide, writeable=False)


def finite(name: str, array: npt.NDArray[Any]) -> Floats:
    """Return `array` as float64; raise `MubinnError` that calls it `name` for NaN, infinity."""
    wide = np.array(array, np.float64)
    if not np.isfinite(wide).all():
        raise MubinnError(f"{name} holds NaN or infinite values: train or export the model again.")
    return wide
