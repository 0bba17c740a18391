"""Typed reading of a model file's structure: nothing in it is trusted before it is checked."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.ground.errors import MubinnError

MAX_NUMBER = 1e30
"""Largest number that stands outside the tensors."""


class Reader:
    """Reads fields and tensors by name; every fault is a `MubinnError` that names the field.

    Parameters
    ----------
    fields : mapping
        One JSON object.
    tensors : mapping of str to array
    where : str
        Path of the object, for messages.
    used : set of str or None
        Names of the tensors read so far, shared with the parts.
    """

    def __init__(
        self,
        fields: Mapping[str, Any],
        tensors: Mapping[str, npt.NDArray[Any]],
        where: str = "",
        used: set[str] | None = None,
    ) -> None:
        self._fields = fields
        self._tensors = tensors
        self._where = where
        self._used: set[str] = set() if used is None else used

    def tensor(self, name: str, dtype: str) -> npt.NDArray[Any]:
        """Return the tensor `name` of the NumPy type `dtype`."""
        array = self._tensors.get(name)
        if array is None:
            raise MubinnError(f"the tensor {name} is missing: make the file anew.")
        if array.dtype != np.dtype(dtype):
            raise MubinnError(f"the tensor {name} is {array.dtype}, not {np.dtype(dtype)}.")
        self._used.add(name)
        return array

    def part(self, name: str) -> "Reader":
        """Return the object `name`."""
        return self._reader(self._get(name, dict, "an object"), name)

    def parts(self, name: str) -> Iterator["Reader"]:
        """Return the objects of the list `name`."""
        for index, fields in enumerate(self._get(name, list, "a list")):
            if not isinstance(fields, dict):
                raise self._fault(f"{name}.{index}", "an object")
            yield self._reader(fields, f"{name}.{index}")

    def text(self, name: str, default: str | None = None) -> str:
        """Return the text `name`; `default` where there is one and the field is missing."""
        if default is not None and name not in self._fields:
            return default
        return str(self._get(name, str, "a text"))

    def choice(self, name: str, options: tuple[str, ...]) -> str:
        """Return the text `name`, one of `options`; the first one where the field is absent."""
        value = self._fields.get(name, options[0])
        if value not in options:
            raise self._fault(name, f"one of {', '.join(options)}")
        return str(value)

    def any(self, name: str) -> object:
        """Return the field `name` unchecked, None where it is absent."""
        return self._fields.get(name)

    def texts(self, name: str) -> dict[str, str]:
        """Return the mapping of texts to texts `name`."""
        found = self._get(name, dict, "an object")
        if not all(isinstance(value, str) for value in found.values()):
            raise self._fault(name, "an object of texts")
        return dict(found)

    def integer(self, name: str, low: int, high: int) -> int:
        """Return the integer `name` in [low, high]."""
        value = self._get(name, int, "an integer")
        if isinstance(value, bool) or not low <= value <= high:
            raise self._fault(name, f"an integer from {low} to {high}")
        return int(value)

    def truth(self, name: str) -> bool:
        """Return whether `name` is true."""
        return bool(self._get(name, bool, "true or false"))

    def integers(self, name: str) -> list[int]:
        """Return the list of integers `name`."""
        found = self._get(name, list, "a list")
        if not all(type(value) is int for value in found):
            raise self._fault(name, "a list of integers")
        return list(found)

    def positive_or_none(self, name: str) -> float | None:
        """Return the positive number `name`, or None."""
        value = self._get(name, object, "a number")
        if value is None:
            return None
        if type(value) not in (int, float) or not 0 < value <= MAX_NUMBER:
            raise self._fault(name, "a positive number or null")
        return float(value)

    def finish(self) -> None:
        """Raise `MubinnError` where the file holds a tensor that nothing has read."""
        left = sorted(set(self._tensors) - self._used)
        if left:
            raise MubinnError(f"the tensor {left[0]} has no place in the model: make it anew.")

    def _reader(self, fields: Mapping[str, Any], name: str) -> "Reader":
        return Reader(fields, self._tensors, f"{self._where}{name}.", self._used)

    def _get(self, name: str, kind: type, what: str) -> Any:
        value = self._fields.get(name, self)
        if value is self or not isinstance(value, kind):
            raise self._fault(name, what)
        return value

    def _fault(self, name: str, what: str) -> MubinnError:
        return MubinnError(f"its field {self._where}{name} is not {what}: make the file anew.")
