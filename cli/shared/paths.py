"""Paths on the command line: what is read, what is written, and that none of them is both."""

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import click

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import check_file, check_parent


class InputPath(click.Path):
    """A file or folder that is read."""

    def __init__(self, kind: type[Any] = Path) -> None:
        super().__init__(path_type=kind)


class InputWords(InputPath):
    """Words that may be the path of a file that is read, or a rule on paths."""

    def __init__(self) -> None:
        super().__init__(str)


class OutputPath(click.Path):
    """A path that is written; refused before anything is done where it cannot be.

    Parameters
    ----------
    parents : bool
        Folders above it are made where they are missing.
    """

    def __init__(self, *, parents: bool = False) -> None:
        super().__init__(path_type=Path)
        self.parents = parents

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if str(value) == "-":
            raise MubinnError("Output goes to a file or folder, not to -: give a path.")
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        self.check(path)
        return path

    def check(self, path: Path) -> None:
        """Raise `MubinnError` where nothing can be written there."""
        check_parent(path, parents=self.parents)


class OutputFile(OutputPath):
    """A file that is written whole."""

    def check(self, path: Path) -> None:
        """Raise `MubinnError` where no file can be written there."""
        check_file(path, parents=self.parents)


class OutputFolder(OutputPath):
    """A folder that is written.

    Parameters
    ----------
    replaced : bool
        An earlier one is replaced whole, else added to.
    parents : bool
        As `OutputPath` has it.
    """

    def __init__(self, *, replaced: bool, parents: bool = False) -> None:
        super().__init__(parents=parents)
        self.replaced = replaced


class Command(click.Command):
    """A command that overwrites nothing that its own command line names.

    Raises
    ------
    MubinnError
        Where an output is one of the inputs or another output, or is a folder to be replaced in
        which one lies.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, unless it would overwrite what it reads."""
        given = list(_paths(ctx))
        for (param, path), (other, there) in product(given, given):
            if isinstance(param.type, OutputPath) and param is not other:
                _check_apart(param.type, path, other, there)
        return super().invoke(ctx)


def _paths(ctx: click.Context) -> Iterator[tuple[click.Parameter, Path]]:
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        if isinstance(param.type, click.Path) and value is not None:
            for path in value if isinstance(value, tuple) else (value,):
                yield param, path


def _check_apart(kind: OutputPath, path: Path, other: click.Parameter, there: Path) -> None:
    real, taken = (Path(os.path.realpath(p)) for p in (path, there))
    option = isinstance(other, click.Option)
    name = max(other.opts, key=len) if option else other.human_readable_name
    same = real == taken or (_exists(real) and _exists(taken) and real.samefile(taken))
    if same and not (_is_kept(kind) and _is_kept(other.type)):
        raise MubinnError(
            f"The output {path} is what {name} names, and would replace it: give another path."
        )
    if isinstance(kind, OutputFolder) and kind.replaced and real in taken.parents:
        raise MubinnError(
            f"The output {path} would replace the folder of {there}, which {name} names: give "
            "another path."
        )


def _is_kept(kind: object) -> bool:
    return isinstance(kind, OutputFolder) and not kind.replaced


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # whoever opens it says what is wrong
        return False
