"""Liberty text as a tree of groups: attributes by name, groups by kind."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(r'"([^"]*)"|([A-Za-z0-9_.+\-!\'*\[\]]+)|([(){};:,])')
_CONTINUED = re.compile(r"\\\s*\n")


@dataclass
class Group:
    """``kind (arguments) { ... }``.

    Attributes
    ----------
    kind : str
    arguments : tuple of str
    attributes : dict of str to tuple of str
        Simple ones (``name : value;``) with one value, complex ones (``name (a, b);``) with all.
    groups : list of Group
        In the order of the text.
    """

    kind: str
    arguments: tuple[str, ...]
    attributes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: "list[Group]" = field(default_factory=list)

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of an attribute."""
        return self.attributes.get(name, (default,))[0]

    def of(self, kind: str) -> "Iterator[Group]":
        """Return the groups of one kind."""
        return (group for group in self.groups if group.kind == kind)

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return the numbers of a complex attribute, such as ``values ("1, 2", "3, 4")``."""
        words = " ".join(self.attributes.get(name, ())).replace(",", " ").split()
        return tuple(float(word) for word in words)


def parse_group(text: str) -> Group:
    """Return the first group of a Liberty text; comments are gone already.

    Raises
    ------
    ValueError
        If the text ends within the group.
    """
    tokens = _tokens(_CONTINUED.sub(" ", text))
    kind, _ = next(tokens)
    group = _rest(tokens, kind)
    if not isinstance(group, Group):
        raise ValueError(f"{kind} is no group")
    return group


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Return the words, and whether each is punctuation."""
    for quoted, word, mark in _TOKEN.findall(text):
        yield (mark, True) if mark else (word or quoted, False)


def _rest(tokens: Iterator[tuple[str, bool]], name: str) -> Group | tuple[str, ...]:
    """Return what follows ``name``: the group, or the values of an attribute."""
    mark, _ = _following(tokens)
    if mark == ":":
        words = []
        for word, punctuation in tokens:
            if punctuation and word in ";}":
                break
            words.append(word)
        return (" ".join(words),)
    arguments = []
    for word, punctuation in tokens:
        if punctuation and word == ")":
            break
        if not punctuation:
            arguments.append(word)
    mark, _ = _following(tokens)
    if mark != "{":
        return tuple(arguments)
    group = Group(name, tuple(arguments))
    while (word := _following(tokens)[0]) != "}":
        if word == ";":
            continue
        found = _rest(tokens, word)
        if isinstance(found, Group):
            group.groups.append(found)
        else:
            group.attributes[word] = found
    return group


def _following(tokens: Iterator[tuple[str, bool]]) -> tuple[str, bool]:
    found = next(tokens, None)
    if found is None:
        raise ValueError("the text ends within a group")
    return found
