"""Cells of a library read one by one, each when it is asked for."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from mubinn.synth.liberty.library import Library
from mubinn.synth.liberty.tree import Group

T = TypeVar("T")


class CellReader(ABC, Generic[T]):
    """What a library says of its cells, each read once.

    Parameters
    ----------
    library : Library
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._known: dict[str, T] = {}

    def cell(self, name: str) -> T:
        """Return what is known of a cell.

        Raises
        ------
        MubinnError
            If the library has no such cell, or a table of it cannot be read.
        """
        if name not in self._known:
            self._known[name] = self._read(self._library.cell(name).group)
        return self._known[name]

    @abstractmethod
    def _read(self, cell: Group) -> T:
        """Return what a cell's group says."""
