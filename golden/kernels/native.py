"""The native code of the kernels: compiled by g++ at first use, kept by what it is made of."""

import ctypes
import hashlib
import os
import platform
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import cache_root, write_file
from mubinn.golden.ground.process import cause_outside, leashed, require, run_process

SETS = ("portable", "avx2", "avx512")
"""Instruction sets, the slowest first; avx512 is AVX-512 with VPOPCNTDQ."""

SOURCE = Path(__file__).with_name("xnor.cpp")
FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-pthread")

_WORD, _PLACE = ctypes.c_int64, ctypes.c_void_p
_ARGUMENTS = [ctypes.c_int, _PLACE, *[_WORD] * 3, *[_PLACE] * 3, *[_WORD] * 2, *[_PLACE] * 2, _WORD]


@cache
def library() -> Any:
    """Return the compiled code; raise `MubinnError` where it cannot be compiled."""
    loaded: Any = compiled(SOURCE.read_text(), FLAGS, "the XNOR kernels")
    loaded.xnor_product.argtypes = _ARGUMENTS
    return loaded


def compiled(source: str, flags: tuple[str, ...], what: str) -> ctypes.CDLL:
    """Return C++ as a library that is loaded, kept by what it is made of.

    Parameters
    ----------
    source : str
    flags : tuple of str
        Of g++, for a shared object.
    what : str
        What it is, in the plural, for messages.

    Raises
    ------
    MubinnError
        Where it cannot be compiled.
    """
    require({"g++": "g++"}, f"Compiling {what}")
    compiler = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=False)
    made_of = [source, *flags, compiler.stdout, platform.machine()]
    digest = hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:32]
    root = cache_root(room="kernels")
    found = root / f"{digest}.so"
    if not found.exists():
        _compile(source, flags, what, root, found)
    return ctypes.CDLL(str(found))


def _compile(source: str, flags: tuple[str, ...], what: str, root: Path, target: Path) -> None:
    """Compile into `target`, which is there whole or not at all."""
    with tempfile.TemporaryDirectory(dir=root) as folder:
        text, made = Path(folder) / "source.cpp", Path(folder) / target.name
        text.write_text(source)
        log = Path(folder) / "build.log"
        status = run_process(leashed(["g++", *flags, "-o", str(made), str(text)]), log, os.environ)
        if status:
            first = log.read_text(errors="replace").strip().partition("\n")[0]
            why = cause_outside(log, status) or first
            raise MubinnError(
                f"g++ could not compile {what}: {why}; install all of it with "
                "`apt-get install g++`."
            )
        write_file(target, made.read_bytes())


@cache
def instruction_sets() -> tuple[str, ...]:
    """Return those of `SETS` that this machine has, the slowest first."""
    return tuple(name for place, name in enumerate(SETS) if library().xnor_supported(place))


def chosen(name: str | None) -> str:
    """Return the instruction set `name`, or the fastest one for None.

    Raises
    ------
    MubinnError
        Where there is no such set, or this machine lacks it.
    """
    own = instruction_sets()
    if name is None:
        return own[-1]
    if name not in SETS:
        raise MubinnError(f"unknown instruction set {name}: choose from {', '.join(SETS)}.")
    if name not in own:
        raise MubinnError(f"this machine lacks {name}: choose from {', '.join(own)}.")
    return name
