"""Cells of a library read one by one, each when it is asked for."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.library import Library
from mubinn.synth.liberty.tree import Group, parse_group

T = TypeVar("T")


class CellReader(ABC, Generic[T]):
    """What a library says of its cells, each read once.

    Parameters
    ----------
    library : Library
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._cells = {cell.name: cell for cell in library.cells}
        self._known: dict[str, T] = {}

    def cell(self, name: str) -> T:
        """Return what is known of a cell.

        Raises
        ------
        MubinnError
            If the library has no such cell, or a table of it cannot be read.
        """
        if name not in self._known:
            if name not in self._cells:
                raise MubinnError(f"The library has no cell {name}: map the design to it first.")
            text = self._cells[name].text
            source = next(k for k, whole in enumerate(self._library.texts) if text in whole)
            self._known[name] = self._read(parse_group(text), source)
        return self._known[name]

    @abstractmethod
    def _read(self, cell: Group, source: int) -> T:
        """Return what a cell's group in the text of that number says."""
