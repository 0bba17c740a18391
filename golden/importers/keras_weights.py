"""Variables of Keras models: HDF5 files, read without trusting them."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.importers.archive import DAMAGED
from mubinn.golden.importers.stored import MAX_NUMBERS


def _check_heaps(data: bytes) -> None:
    """Raise `MubinnError` where texts lie in a damaged heap, in which HDF5 may search for ever.

    A heap is its size and then objects, each with a header of 16 bytes and a multiple of 8 bytes;
    object 0 is the free rest, whose size holds its header.
    """
    for match in re.finditer(rb"GCOL\x01", data):
        start = match.start()
        end = start + int.from_bytes(data[start + 8 : start + 16], "little")
        place = start + 16
        while place + 16 <= min(end, len(data)):
            index = int.from_bytes(data[place : place + 2], "little")
            size = int.from_bytes(data[place + 8 : place + 16], "little")
            if index == 0 and size < 16:
                raise MubinnError(DAMAGED)
            place += size if index == 0 else 16 + (size + 7) // 8 * 8
        if not start + 16 <= place <= end <= len(data):
            raise MubinnError(DAMAGED)


@contextmanager
def _damage_told() -> Iterator[None]:
    """Say of whatever HDF5's library raises that the file is damaged."""
    try:
        yield
    except (OSError, KeyError, ValueError, RuntimeError, TypeError):
        raise MubinnError(DAMAGED) from None


class Weights:
    """The variables in an HDF5 file.

    Raises
    ------
    MubinnError
        Where h5py is absent, or the file is no HDF5 file.
    """

    def __init__(self, data: bytes) -> None:
        try:
            import h5py
        except ImportError:
            raise MubinnError(
                "reading Keras models needs h5py: pip install 'mubinn[keras]'."
            ) from None
        _check_heaps(data)
        self._h5: Any = h5py
        with _damage_told():
            self._file = h5py.File(io.BytesIO(data), "r")

    def config(self) -> str | None:
        """Return the layers of a whole model as JSON, None where there are only weights."""
        return self.text("model_config")

    def text(self, name: str) -> str | None:
        """Return an attribute of the file, None where there is none."""
        found = self._attribute(self._file, name)
        return found if found is None or isinstance(found, str) else str(found, "utf-8")

    def has(self, place: str) -> bool:
        """Return whether something stands at `place`."""
        return self._node(place) is not None

    def numbered(self, place: str) -> list[Floats]:
        """Return the variables of the group `place`, whose names are numbers."""
        variables: list[Floats] = []
        while (array := self._array(f"{place}/{len(variables)}")) is not None:
            variables.append(array)
        return variables

    def named(self, layer: str) -> list[Floats]:
        """Return the variables of a layer of an ``.h5`` file, in the order that it states."""
        place = f"model_weights/{layer}"
        node = self._node(place)
        names = None if node is None else self._attribute(node, "weight_names")
        if names is None:
            raise MubinnError(f"its layer {layer} lacks weights: save the model again.")
        texts = [n if isinstance(n, str) else str(n, "utf-8") for n in np.ravel(names).tolist()]
        found = [self._array(f"{place}/{text}") for text in texts]
        return [array for array in found if array is not None]

    def _attribute(self, node: Any, name: str) -> Any:
        with _damage_told():
            return node.attrs.get(name)

    def _node(self, path: str) -> Any:
        """Return what stands at `path` of the file itself, not of another one it links to."""
        node: Any = self._file
        with _damage_told():
            for part in path.split("/"):
                if not isinstance(node, self._h5.Group) or part not in node:
                    return None
                if not isinstance(node.get(part, getlink=True), self._h5.HardLink):
                    raise MubinnError(f"its weights {path} are a link: save the model again.")
                node = node[part]
        return node

    def _array(self, path: str) -> Floats | None:
        """Return the dataset `path`, None where there is none."""
        node = self._node(path)
        if node is None:
            return None
        with _damage_told():
            if not isinstance(node, self._h5.Dataset) or node.external or node.is_virtual:
                raise MubinnError(f"its weights {path} are no plain numbers: save the model again.")
            if node.size is None or node.size > MAX_NUMBERS:
                raise MubinnError(f"its weights {path} are larger than any model's.")
            return parts.checked(path, np.asarray(node[()]))
