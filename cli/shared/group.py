"""The command group: imports a command when it is called, and turns faults into exit codes."""

import contextlib
import errno
import keyword
import os
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import reason_of

FAULT = 2
"""Exit code of every fault in what the user gave."""

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes after Ctrl-C and SIGTERM, as shells have them: 128 and the signal."""


_SPACE = "free some space, or set TMPDIR and MUBINN_CACHE to folders of another disk"
_RIGHTS = "give a path that you have rights to"
_MEMORY = "free some memory, or work on fewer windows at once"

SURROUNDINGS = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: _RIGHTS,
    errno.ENAMETOOLONG: "give a shorter path",
    errno.ELOOP: "give a path without a circle of links",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs, which hold too many files open",
    errno.ENOMEM: _MEMORY,
    errno.EIO: "look after the disk or its connection",
}
"""What to do about the faults of what the program runs on; those of all else are its own."""


class Terminated(BaseException):
    """The program was told to end: what it has begun, other programs as well, is to end first."""


def identifier(name: str) -> str:
    """Return what a command is called in Python.

    >>> identifier("import"), identifier("train")
    ('import_', 'train')
    """
    return f"{name}_" if keyword.iskeyword(name) else name


class LazyGroup(click.Group):
    """A group whose commands are imported on use, so that ``--help`` answers at once.

    Parameters
    ----------
    modules : mapping of str to (str, str)
        For each command the module that holds it, as a variable of the command's `identifier`, and
        its one line of help.
    aliases : mapping of str to str
        Former names of commands, which no help shows.
    """

    def __init__(
        self,
        *args: Any,
        modules: Mapping[str, tuple[str, str]],
        aliases: Mapping[str, str],
        **extra: Any,
    ) -> None:
        super().__init__(*args, **extra)
        self.modules = dict(modules)
        self.aliases = dict(aliases)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order they were given, the order of the work."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        name = self.aliases.get(cmd_name, cmd_name)
        if name not in self.modules:
            return None
        found: click.Command = getattr(import_module(self.modules[name][0]), identifier(name))
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.modules.items()])

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> NoReturn:
        """Run, and leave with 0, with 2 and one sentence for a fault, or as a signal asks."""
        arguments = list(sys.argv[1:] if args is None else args)
        extra |= {"standalone_mode": False, "obj": shlex.join(["mubinn", *arguments])}
        try:
            with _nothing_of_what_is_half_made():
                status = super().main(arguments, *more, **extra)
            _flush()
        except MubinnError as error:
            _say(str(error))
            status = FAULT
        except MemoryError:
            _say(f"Out of memory: {_MEMORY}.")
            status = FAULT
        except click.UsageError as error:
            error.show()
            status = FAULT
        except click.ClickException as error:
            _say(error.format_message())
            status = FAULT
        except (click.Abort, KeyboardInterrupt):
            _say("interrupted.")
            status = INTERRUPTED
        except Terminated:
            _say("terminated.")
            status = TERMINATED
        except BrokenPipeError:
            # The reader, such as head, has enough.
            _silence()
            status = 0
        except OSError as error:
            _say(_sentence(error))
            _silence()
            status = FAULT
        sys.exit(status if isinstance(status, int) else 0)


@contextlib.contextmanager
def _nothing_of_what_is_half_made() -> Iterator[None]:
    """Keep quiet about hardware that nothing has read yet when a command ends early."""
    try:
        yield
    except BaseException:
        warnings.simplefilter("ignore")
        raise


def _flush() -> None:
    if sys.stdout is not None:  # None where it was closed before the start
        sys.stdout.flush()


def _silence() -> None:
    """Have what Python flushes when it leaves go nowhere, where standard output takes no more."""
    try:
        _flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(error: OSError) -> str:
    """Return what the system says and what to do; raise `error` where it is a fault of ours."""
    if "temporary directory" in str(error):
        return f"{error.strerror}: set TMPDIR to a folder that can be written to."
    if error.errno not in SURROUNDINGS:
        raise error
    where = "" if error.filename is None else f"{str(error.filename)[:200]}: "
    return f"{where}{reason_of(error)}; {SURROUNDINGS[error.errno]}."


def _say(text: str) -> None:
    """Print one line, whatever the sentence quotes."""
    click.echo(f"mubinn: {' '.join(text.split())}", err=True)


def command_line(ctx: click.Context) -> str:
    """Return the command as it was typed, for notes in what it makes."""
    return str(ctx.find_root().obj)
