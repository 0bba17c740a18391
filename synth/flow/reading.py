"""Whether ABC reads a library as this program does: its count of cells and its warnings."""

import re
import subprocess
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.library import Library

_COUNTS = re.compile(r'Library ".*" from ".*" has (\d+) cells \((\d+) skipped')
# ABC maps to cells of one output; those of several are used by what stands around it.
_HARMLESS = re.compile(r"Warning: Detected \d+ multi-output cells")
_TELLING = re.compile(r"warning|error|cannot|fail|unsupported", re.IGNORECASE)


@cache
def _program() -> Path:
    spec = find_spec("pyosys")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "yosys-abc"


@lru_cache(4)
def check_reading(library: Library) -> None:
    """Demand that ABC reads every cell of `library` and has nothing to say of any.

    Raises
    ------
    MubinnError
        With ABC's words, or with both counts of cells.
    """
    found = 0
    for text in library.texts:
        with TemporaryDirectory(prefix="mubinn-abc-") as folder:
            # By a name of its own: ABC takes no path with a blank.
            (Path(folder) / "cells.lib").write_text(text)
            command = [str(_program()), "-q", "read_lib cells.lib"]
            run = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, errors="replace"
            )
        counts = _COUNTS.search(run.stdout)
        words = [
            line.strip()
            for line in (run.stdout + run.stderr).splitlines()
            if _TELLING.search(line) and not _HARMLESS.match(line) and not _COUNTS.match(line)
        ]
        if words or counts is None:
            told = words[0] if words else "it names no cells"
            raise MubinnError(
                f"ABC cannot use the library {library.name} as it is ({told}): correct the file."
            )
        found += int(counts[1]) + int(counts[2])
    if found != len(library.gates):
        raise MubinnError(
            f"ABC reads {found} cells in the library {library.name}, which has "
            f"{len(library.gates)}: correct the file."
        )
