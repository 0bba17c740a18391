"""Liberty's boolean functions: their values, and their truth tables."""

import re
from collections.abc import Mapping
from typing import Any

_NAME = r"[A-Za-z_][\w\[\].]*|\d[\w\[\].]*[A-Za-z_][\w\[\].]*"  # some begin with a digit
_TOKEN = re.compile(rf"\s*({_NAME}|[01!'&*|+^()])")
_DEEPEST = 100  # operators within each other


class _Parser:
    """Recursive descent; lowest first: ``|`` ``+``; ``^``; ``&`` ``*`` or a blank; ``!`` and ``'``.

    Values may be whole words, `one` being the one of all ones. A text that is no function raises
    ValueError.
    """

    def __init__(self, text: str, values: Mapping[str, Any], one: Any = 1) -> None:
        self.tokens: list[str] = []
        position, text = 0, text.strip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise ValueError(text)
            self.tokens.append(found.group(1))
            position = found.end()
        self.values = values
        self.one = one
        self.depth = 0

    def peek(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def result(self) -> Any:
        value = self.either()
        if self.tokens:
            raise ValueError(self.peek())
        return value

    def either(self) -> Any:
        value = self.differ()
        while self.peek() in ("|", "+"):
            self.tokens.pop(0)
            value = value | self.differ()
        return value

    def differ(self) -> Any:
        value = self.both()
        while self.peek() == "^":
            self.tokens.pop(0)
            value = value ^ self.both()
        return value

    def both(self) -> Any:
        value = self.inverted()
        while self.peek() and self.peek() not in "|+^)":
            if self.peek() in "&*":
                self.tokens.pop(0)
            value = value & self.inverted()
        return value

    def inverted(self) -> Any:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise ValueError("nested too deeply")
        value = self.operand()
        self.depth -= 1
        return value

    def operand(self) -> Any:
        if self.peek() == "!":
            self.tokens.pop(0)
            return self.one ^ self.inverted()
        if not self.tokens:
            raise ValueError("ends early")
        token = self.tokens.pop(0)
        if token == "(":
            value = self.either()
            if not self.tokens or self.tokens.pop(0) != ")":
                raise ValueError("unbalanced")
        elif token in self.values:
            value = self.values[token]
        else:
            value = int(token) * self.one  # 0 or 1; anything else is no operand
        while self.peek() == "'":
            self.tokens.pop(0)
            value = self.one ^ value
        return value


def inputs(function: str) -> list[str]:
    """Return the names that a Liberty function reads, sorted."""
    return sorted(set(re.findall(_NAME, function)))


def evaluate(function: str, values: Mapping[str, Any], one: Any = 1) -> Any:
    """Return the value of a Liberty function.

    Parameters
    ----------
    function : str
    values : mapping
        By input name: 0 and `one`, or words of such bits, as Python's or NumPy's integers.
    one : int or NumPy integer
        All ones.

    Raises
    ------
    ValueError
        If the text is no function of these names.
    """
    return _Parser(function, values, one).result()


def truth_table(function: str, most: int = 2) -> tuple[int, int] | None:
    """Return the number of inputs of a Liberty function and its truth table.

    Bit ``r`` of the table is the output where input k (names sorted) has bit k of r. None where
    the function has no input, more than `most`, or is no function.
    """
    names = inputs(function)
    if not 0 < len(names) <= most:
        return None
    table = 0
    for row in range(2 ** len(names)):
        values = {name: row >> k & 1 for k, name in enumerate(names)}
        try:
            table |= evaluate(function, values) << row
        except ValueError:
            return None
    return len(names), table
