"""Liberty's boolean functions, as truth tables."""

import re
from collections.abc import Mapping

_TOKEN = re.compile(r"\s*([A-Za-z_][\w\[\]]*|[01!'&*|+^()])")


class _Parser:
    """Recursive descent; lowest first: ``|`` ``+``; ``^``; ``&`` ``*`` or a blank; ``!`` and ``'``.

    A text that is no function raises ValueError.
    """

    def __init__(self, text: str, values: Mapping[str, int]) -> None:
        self.tokens: list[str] = []
        position, text = 0, text.strip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise ValueError(text)
            self.tokens.append(found.group(1))
            position = found.end()
        self.values = values

    def peek(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def result(self) -> int:
        value = self.either()
        if self.tokens:
            raise ValueError(self.peek())
        return value

    def either(self) -> int:
        value = self.differ()
        while self.peek() in ("|", "+"):
            self.tokens.pop(0)
            value |= self.differ()
        return value

    def differ(self) -> int:
        value = self.both()
        while self.peek() == "^":
            self.tokens.pop(0)
            value ^= self.both()
        return value

    def both(self) -> int:
        value = self.inverted()
        while self.peek() and self.peek() not in "|+^)":
            if self.peek() in "&*":
                self.tokens.pop(0)
            value &= self.inverted()
        return value

    def inverted(self) -> int:
        if self.peek() == "!":
            self.tokens.pop(0)
            return 1 - self.inverted()
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
            value = int(token)  # 0 or 1; anything else is no operand
        while self.peek() == "'":
            self.tokens.pop(0)
            value = 1 - value
        return value


def truth_table(function: str, most: int = 2) -> tuple[int, int] | None:
    """Return the number of inputs of a Liberty function and its truth table.

    Bit ``r`` of the table is the output where input k (names sorted) has bit k of r. None where
    the function has no input, more than `most`, or is no function.
    """
    names = sorted(set(re.findall(r"[A-Za-z_][\w\[\]]*", function)))
    if not 0 < len(names) <= most:
        return None
    table = 0
    for row in range(2 ** len(names)):
        values = {name: row >> k & 1 for k, name in enumerate(names)}
        try:
            table |= _Parser(function, values).result() << row
        except ValueError:
            return None
    return len(names), table
