"""What the paths of files say: classes and subjects by patterns."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Sequence
from pathlib import Path

from mubinn.golden.ground.errors import MubinnError

HOLE = "{}"
"""What stands in a pattern for the part of a path that is meant."""


def part_of(path: Path, pattern: str) -> str | None:
    """Return what stands in `path` where `pattern` has its hole; None where it does not fit.

    A pattern is held against as many parts of the path, from the right, as it has itself; ``*``,
    ``?`` and ``[...]`` are those of a shell, and stop at a slash. The ending of the file may be
    left out.

    Examples
    --------
    >>> part_of(Path("data/S007R02.edf"), "S{}R*")
    '007'
    >>> part_of(Path("data/open/anna.edf"), "{}/*")
    'open'
    """
    if pattern.count(HOLE) != 1:
        raise MubinnError(
            f"The pattern {pattern!r} has {pattern.count(HOLE)} places {HOLE}: write one, where "
            "the path of a file says what is meant, as in 'S{}R*.edf'."
        )
    before, after = pattern.split(HOLE)
    found = _match(path, f"{_regular(before)}([^/]+){_regular(after)}", pattern)
    return found[1] if found else None


def fits(path: Path, pattern: str) -> bool:
    """Return whether a pattern without a hole fits the end of `path`."""
    return _match(path, _regular(pattern), pattern) is not None


def fits_all(paths: Sequence[Path], pattern: str) -> bool:
    """Return whether a pattern with a hole fits every path."""
    return pattern.count(HOLE) == 1 and all(part_of(path, pattern) is not None for path in paths)


def _match(path: Path, form: str, pattern: str) -> re.Match[str] | None:
    absolute = path.absolute()
    depth = pattern.count("/") + 1
    for last in (absolute.stem, absolute.name):
        parts = [*absolute.parts[:-1], last][-depth:]
        found = re.fullmatch(form, "/".join(parts))
        if found:
            return found
    return None


def _regular(pattern: str) -> str:
    """Return a shell's pattern as a regular expression that stops at slashes."""
    words = {"*": "[^/]*", "?": "[^/]"}
    parts = re.findall(r"\[!?\]?[^\]]*\]|.", pattern, re.DOTALL)
    # A set of characters is translated alone, of "(?s:...)\Z" what stands in the middle.
    return "".join(words.get(part, fnmatch.translate(part)[4:-3]) for part in parts)


def classes_of(paths: Sequence[Path], rules: Sequence[str]) -> tuple[list[int | None], list[str]]:
    """Return the class of each file and the names of the classes.

    Parameters
    ----------
    paths : sequence of Path
    rules : sequence of str
        ``CLASS=PATTERN``, each for the files that fit; classes are numbered in this order. Or one
        pattern with ``{}`` for the class: they are numbered as they sort.

    Returns
    -------
    classes : list of int or None
        None for files of no class.
    names : list of str

    Raises
    ------
    MubinnError
        A rule is none, or fits no file, or a file has two classes.
    """
    if len(rules) == 1 and HOLE in rules[0] and "=" not in rules[0]:
        found = [part_of(path, rules[0]) for path in paths]
        names = sorted({name for name in found if name is not None})
        if not names:
            raise MubinnError(f"{rules[0]!r} fits none of the files, such as {paths[0]}.")
        return [None if name is None else names.index(name) for name in found], names
    names = []
    classes: list[int | None] = [None] * len(paths)
    for rule in rules:
        name, sign, pattern = rule.partition("=")
        if not (name and sign and pattern):
            raise MubinnError(
                f"--labels {rule!r} is not understood for recordings: give CLASS=FILES, such as "
                "open=*R01.edf, for each class, or one pattern such as '*_{}.edf'."
            )
        if name not in names:
            names.append(name)
        own = [k for k, path in enumerate(paths) if fits(path, pattern)]
        if not own:
            raise MubinnError(f"--labels {rule!r} fits none of the files, such as {paths[0]}.")
        for k in own:
            if classes[k] not in (None, names.index(name)):
                raise MubinnError(f"{paths[k]} is of two classes by --labels: let one pattern fit.")
            classes[k] = names.index(name)
    return classes, names


def subjects_of(paths: Sequence[Path], pattern: str | None) -> list[str]:
    """Return the subject of each file: what the hole of `pattern` holds, else each its own.

    Files that are people of their own are called by their names, with the folders that tell them
    apart.

    Raises
    ------
    MubinnError
        The pattern does not fit a file.
    """
    if pattern is None:
        whole = [path.absolute() for path in paths]
        common = os.path.commonpath([path.parent for path in whole])
        return [path.relative_to(common).as_posix() for path in whole]
    found = []
    for path in paths:
        one = part_of(path, pattern)
        if one is None:
            raise MubinnError(
                f"--subjects {pattern!r} does not fit {path}: give one that fits all."
            )
        found.append(one)
    return found
