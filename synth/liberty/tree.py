"""Liberty text as a tree of groups, each read when it is first asked for.

One pass over the text pairs its braces; a group then reads its own level alone and steps over the
groups in it, so that what nobody asks for, most tables of a large library, costs nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

_BRACE = re.compile(r'"[^"]*"|([{}])')
_STATEMENT = re.compile(
    r"([^\s(){};:,\"]+)\s*"
    r'(?::\s*("[^"]*"|[^;{}"\n]*)'  # name : value
    r'|\(([^")]*(?:"[^"]*"[^")]*)*)\)\s*(\{)?)'  # name (values), or the head of a group
)
_VALUE = re.compile(r'"([^"]*)"|([^\s,"]+)')
_CONTINUED = re.compile(r"\\\s*\n")
_QUANTITY = re.compile(r"([-+]?[\d.]+(?:e[-+]?\d+)?)\s*([fpnum]?)(?:s|v|w|f)", re.IGNORECASE)
_EXPONENTS = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0}

TREES_KEPT = 8
"""Libraries whose trees are kept."""


@dataclass(frozen=True, eq=False)
class Group:
    """``kind (arguments) { ... }``.

    Attributes
    ----------
    kind : str
    arguments : tuple of str
    parent : Group or None
        The group around it.
    """

    kind: str
    arguments: tuple[str, ...]
    parent: "Group | None" = field(repr=False)
    _text: str = field(repr=False)
    _closing: Mapping[int, int] = field(repr=False)
    _begin: int = field(repr=False)
    _end: int = field(repr=False)

    @cached_property
    def _level(self) -> tuple[dict[str, tuple[str, ...]], list["Group"]]:
        attributes: dict[str, tuple[str, ...]] = {}
        groups = []
        at = self._begin
        while found := _STATEMENT.search(self._text, at, self._end):
            name, value, values, brace = found.groups()
            at = found.end()
            if value is not None:
                attributes[name] = (_joined(value).strip().strip('"'),)
                continue
            words = tuple(quoted or word for quoted, word in _VALUE.findall(_joined(values)))
            if brace:
                end = self._closing[at - 1]
                groups.append(Group(name, words, self, self._text, self._closing, at, end))
                at = end + 1
            else:
                attributes[name] = words
        return attributes, groups

    @property
    def groups(self) -> list["Group"]:
        """The groups in it, in the order of the text."""
        return self._level[1]

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of an attribute, ``name : value;`` or ``name (a, b);``."""
        return self._level[0].get(name, (default,))[0]

    def of(self, *kinds: str) -> Iterator["Group"]:
        """Return the groups of some kinds."""
        return (group for group in self.groups if group.kind in kinds)

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return the numbers of a complex attribute, such as ``values ("1, 2", "3, 4")``."""
        words = " ".join(self._level[0].get(name, ())).replace(",", " ").split()
        return tuple(float(word) for word in words)

    def unit(self, name: str, base: int, default: float) -> float:
        """Return a unit such as ``"10ps"`` or ``(1, pf)`` in powers of ten of ``10**base``."""
        found = _QUANTITY.fullmatch("".join(self._level[0].get(name, ())).replace(" ", ""))
        if found is None:
            return default
        return float(found[1]) * float(f"1e{_EXPONENTS[found[2].lower()] - base}")


def _joined(text: str) -> str:
    return _CONTINUED.sub(" ", text) if "\\" in text else text


@lru_cache(TREES_KEPT)
def parse(text: str) -> Group:
    """Return a Liberty text without comments as the groups of a nameless one.

    Raises
    ------
    ValueError
        If the braces do not balance.
    """
    opened: list[int] = []
    closing: dict[int, int] = {}
    for found in _BRACE.finditer(text):
        if found[1] == "{":
            opened.append(found.start())
        elif found[1] == "}":
            if not opened:
                raise ValueError("a brace closes what none has opened")
            closing[opened.pop()] = found.start()
    if opened:
        raise ValueError("the text ends within a group")
    return Group("", (), None, text, closing, 0, len(text))
