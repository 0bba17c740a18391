"""Liberty text as a tree of groups, each read when it is first asked for.

One pass over the text blanks comments, one pairs its braces; a group then reads its own level alone
and steps over the groups in it, so that what nobody asks for, most tables of a large library, costs
nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import NamedTuple

from mubinn.golden.ground.errors import MubinnError

# What stays as it is; then strings with escapes, comments and continued lines; a lone quote or an
# open comment is left to be told.
# Groups are never repeated possessively: CPython 3.11.0 to 3.11.4 match those wrongly (gh-106052).
_SPECIAL = re.compile(
    r'(?P<plain>(?:[^"/\\]++|"[^"\\]*+"|/(?![*/])|(?<=\S)//){1,1000})'
    r'|"[^"\\]*+(?:\\.[^"\\]*+)*"|/\*.*?\*/|(?<!\S)//[^\n]*|\\[ \t]*\n|(?P<open>"|/\*)',
    re.DOTALL,
)
_CONTINUED = re.compile(r"\\[ \t]*\n")
_BRACE = re.compile(r'[^"{}]*+(?:"[^"]*+"[^"{}]*+)*(?:([{}])|\Z)')
_BLANK = re.compile(r"[\s;]*")
_STATEMENT = re.compile(
    r"([^\s(){};:,\"]+)\s*"
    # name : value; where no semicolon ends it, the next name does
    r'(?::\s*("[^"]*"|[^;{}"\n]*?(?=\s+[A-Za-z_]\w*\s*:\s|[;{}"\n]|\Z))'
    r'|\(([^")]*(?:"[^"]*"[^")]*)*)\)\s*(\{)?)'  # name (values), or the head of a group
)
_VALUE = re.compile(r'"([^"]*)"|([^\s,"]+)')
_DIGITS = r"[-+]?(?:\d{1,60}(?:\.\d{0,60})?|\.\d{1,60})(?:[eE][-+]?0?\d{1,2})?"
_NUMBER = re.compile(_DIGITS, re.ASCII)
_LIST = re.compile(rf"\s*+(?:{_DIGITS}(?:\s*,\s*|\s+|$))*", re.ASCII)
_EXPONENTS = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3}
_UNITS = {
    "time_unit": "s",
    "capacitive_load_unit": "f",
    "voltage_unit": "v",
    "leakage_power_unit": "w",
}

TREES_KEPT = 8
"""Libraries whose trees are kept."""

DEEPEST = 64
"""Groups within each other; Liberty's own are at most a dozen."""


class Attribute(NamedTuple):
    """Values of ``name : value;`` (one) or of ``name (a, b);``, and where they stand."""

    values: tuple[str, ...]
    complex: bool
    at: int


@dataclass(frozen=True, eq=False)
class Source:
    """A text without comments, of the length that it has with them.

    Attributes
    ----------
    name : str
        For messages.
    text : str
    closing : mapping of int to int
        Position of the closing brace by that of the opening one.
    include : callable or None
        Returns the tree of a file that the text names.
    """

    name: str
    text: str
    closing: Mapping[int, int]
    include: "Callable[[str], Group] | None"

    def fault(self, at: int, what: str) -> MubinnError:
        """Return the error `what` at a position."""
        return MubinnError(f"{self.name}, line {_line(self.text, at)}: {what}")


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
    _source: Source = field(repr=False)
    _head: int = field(repr=False)
    _begin: int = field(repr=False)
    _end: int = field(repr=False)

    @cached_property
    def _level(self) -> tuple[dict[str, Attribute], list["Group"]]:
        attributes: dict[str, Attribute] = {}
        groups: list[Group] = []
        source = self._source
        at = _past_blanks(source.text, self._begin, self._end)
        while at < self._end:
            found = _STATEMENT.match(source.text, at, self._end)
            if found is None:
                near = source.text[at : min(at + 30, self._end)].split("\n")[0].strip()
                raise source.fault(at, f"{near!r} is no Liberty statement: correct it.")
            name, value, values, brace = found.groups()
            head, at = at, found.end()
            if value is not None:
                attributes[name] = Attribute(
                    (" ".join(value.strip(' \t\r"').split()),), False, head
                )
            else:
                words = tuple(quoted or word for quoted, word in _VALUE.findall(values))
                if brace:
                    end = source.closing[at - 1]
                    groups.append(Group(name, words, self, source, head, at, end))
                    at = end + 1
                elif name == "include_file":
                    self._include(words, head, attributes, groups)
                else:
                    attributes[name] = Attribute(words, True, head)
            at = _past_blanks(source.text, at, self._end)
        return attributes, groups

    def _include(
        self,
        words: tuple[str, ...],
        head: int,
        attributes: dict[str, Attribute],
        groups: list["Group"],
    ) -> None:
        """Put what a file holds in the place of ``include_file (name);``."""
        if self._source.include is None or len(words) != 1:
            raise self._source.fault(
                head, "include_file needs the name of a file beside a file: put its text here."
            )
        try:
            more = self._source.include(words[0])
        except MubinnError as error:
            raise self._source.fault(head, f"include_file: {error}") from error
        attributes.update(more.attributes)
        groups.extend(replace(group, parent=self) for group in more.groups)

    @property
    def groups(self) -> list["Group"]:
        """The groups in it, in the order of the text."""
        return self._level[1]

    @property
    def attributes(self) -> dict[str, Attribute]:
        """The attributes in it, in the order of the text; of equal names the last counts."""
        return self._level[0]

    def fault(self, what: str, attribute: str = "") -> MubinnError:
        """Return the error `what`, with file and line of the group or an attribute of it."""
        found = self._level[0].get(attribute)
        return self._source.fault(found.at if found else self._head, what)

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of an attribute, ``name : value;`` or ``name (a, b);``."""
        found = self._level[0].get(name)
        return found.values[0] if found and found.values else default

    def of(self, *kinds: str) -> Iterator["Group"]:
        """Return the groups of some kinds."""
        return (group for group in self.groups if group.kind in kinds)

    def words(self, name: str) -> list[str]:
        """Return the words of a list of numbers, such as ``values ("1, 2", "3, 4")``."""
        found = self._level[0].get(name)
        return " ".join(found.values).replace(",", " ").split() if found else []

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return the numbers of an attribute, such as ``values ("1, 2", "3, 4")``.

        Raises
        ------
        MubinnError
            If one of them is no number.
        """
        self.check_numbers(name)
        return tuple(map(float, self.words(name)))

    def check_numbers(self, name: str) -> None:
        """Raise as `numbers` does."""
        found = self._level[0].get(name)
        if found is None or _LIST.fullmatch(" ".join(found.values)):
            return
        if wrong := next((word for word in self.words(name) if not is_number(word)), ""):
            raise self.fault(f"{name} holds {wrong!r}, which is no number: correct it.", name)

    def number(self, name: str) -> float:
        """Return the number that an attribute is.

        Raises
        ------
        MubinnError
            If it is none, or missing.
        """
        numbers = self.numbers(name)
        if not numbers:
            what = " ".join((self.kind, *self.arguments))
            raise self.fault(f"the {what} states no {name}: complete the library.")
        return numbers[0]

    def unit(self, name: str, base: int, default: float | None = None) -> Decimal:
        """Return a unit such as ``"10ps"`` or ``(1, pf)`` in powers of ten of ``10**base``.

        Raises
        ------
        MubinnError
            If it is no quantity of its kind, or missing and without a default.
        """
        text = "".join(self.words(name)).lower()
        if not text:
            if default is None:
                raise self.fault(f"the library states no {name}: complete it.")
            return Decimal(default)
        number = _NUMBER.match(text)
        amount = Decimal(number[0]) if number else Decimal(1)
        prefix = text[number.end() if number else 0 :].removesuffix(_UNITS[name])
        if not text.endswith(_UNITS[name]) or prefix not in _EXPONENTS or amount <= 0:
            raise self.fault(f"{name} is {text!r}, which is no such unit: correct it.", name)
        return amount * Decimal(10) ** (_EXPONENTS[prefix] - base)


def is_number(word: str) -> bool:
    """Return whether a word is a number as Liberty writes it."""
    return _NUMBER.fullmatch(word) is not None


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + text.count("\r", 0, at) + 1


def _past_blanks(text: str, at: int, end: int) -> int:
    found = _BLANK.match(text, at, end)
    return found.end() if found else at


def _blanked(found: re.Match[str]) -> str:
    """Return a string as one without escapes, all else as blanks; "\\r" is a continued line's end.

    Quotes within a string, about names that begin with digits, become blanks.
    """
    text = found[0]
    if text[0] == '"':
        text = _CONTINUED.sub(lambda end: " " * (len(end[0]) - 1) + "\r", text)
        return text.replace('\\"', "  ")
    if text[0] == "\\":
        return " " * (len(text) - 1) + "\r"
    return "\n".join(" " * len(line) for line in text.split("\n"))


def read_tree(text: str, name: str, include: Callable[[str], Group] | None = None) -> Group:
    """Return a Liberty text as the groups of a nameless one.

    Parameters
    ----------
    text : str
    name : str
        For messages.
    include : callable, optional
        Returns the tree of a file that the text names.

    Raises
    ------
    MubinnError
        If the braces do not balance, or a string or a comment does not end.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")

    def special(found: re.Match[str]) -> str:
        if found["plain"]:
            return found[0]
        if found["open"]:
            what = "string" if found[0] == '"' else "comment"
            raise MubinnError(
                f"{name}, line {_line(text, found.start())}: the {what} that begins here does not "
                "end; the file is truncated or damaged."
            )
        return _blanked(found)

    plain = _SPECIAL.sub(special, text)
    opened: list[int] = []
    closing: dict[int, int] = {}
    source = Source(name, plain, closing, include)
    for found in _BRACE.finditer(plain):
        if not found[1]:
            break
        if found[1] == "{":
            opened.append(found.start(1))
            if len(opened) > DEEPEST:
                raise source.fault(found.start(1), "groups are nested too deeply: correct it.")
        else:
            if not opened:
                raise source.fault(
                    found.start(1),
                    "a brace closes what none has opened: its braces do not balance; correct it.",
                )
            closing[opened.pop()] = found.start(1)
    if opened:
        raise source.fault(
            opened[-1],
            "the text ends within the group that begins here: it is truncated or its braces do not "
            "balance.",
        )
    return Group("", (), None, source, 0, 0, len(plain))


@lru_cache(TREES_KEPT)
def parse(text: str) -> Group:
    """Return a text as `read_tree`, the same tree for the same text."""
    return read_tree(text, "the library")
