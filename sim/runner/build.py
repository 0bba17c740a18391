"""Compiling a design for simulation, once for each content."""

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import cocotb_tools.config

from mubinn.golden.ground import files
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.process import cause_outside, leashed, run_process
from mubinn.sim.runner.commands import TIMESCALE, compile_commands
from mubinn.sim.runner.toolchain import cause_of_failure

# Verilator's runtime is the same for every design: its objects are kept. Where nothing is optimised
# its headers, which take the compiler longer to read than a small design, are precompiled.
_OBJECTS = "verilated*.o"
_HEADER = "mubinn_verilated.h"
_INCLUDES = "".join(f'#include "{name}.h"\n' for name in ("verilated_dpi", "verilated_vpi"))
_RULE = "%.gch: %\n\t$(CXX) $(OPT_FAST) $(CXXFLAGS) $(CPPFLAGS) -x c++-header -o $@ $<\n"
_EMPTY = "module runtime(clk);\n  input clk;\nendmodule\n"
_AHEAD_S = 86_400

_MAKING = "making-"
_PORTS = "ports.vlt"

# Part of the hash: to be changed with anything here that changes what is compiled.
_COMPILED = "only the ports of the top are public, one file of C++ where nothing is optimised"


def cache_root(cache_dir: Path | None = None) -> Path:
    """Return the folder of compiled simulations, by default ``sim`` in that of all caches.

    Raises
    ------
    MubinnError
        If make cannot work there, or it cannot be written.
    """
    root = files.cache_root(cache_dir, "sim").resolve()
    files.demand_no_blank(root, "compiled simulations", "make", "MUBINN_CACHE")
    return root


def run_commands(
    commands: Sequence[Sequence[str]],
    folder: Path,
    env: Mapping[str, str],
    log: Path,
    timeout_s: float = 3600,
) -> int:
    """Run commands in `folder` in turn; return the exit status of the first that fails, or 0.

    They and all they print go to `log`. What runs is ended where a command takes more than
    `timeout_s` seconds or the caller is gone.

    Raises
    ------
    MubinnError
        If the time is up.
    """
    status = 0
    for command in commands:
        with log.open("a") as text:
            text.write(f"{shlex.join(command)}\n")
        try:
            status = run_process(leashed(command), log, env, cwd=folder, timeout_s=timeout_s)
        except subprocess.TimeoutExpired:
            raise MubinnError(
                f"{Path(command[0]).name} took more than {timeout_s:g} s and was ended; its "
                f"messages are in {log}."
            ) from None
        if status:
            break
    return status


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


_PORT = re.compile(
    r"^  (?:input|output|inout)\s+(?:wire\s+|reg\s+)?(?:\[[^]]*\]\s*)?([^;\s]+)\s*;", re.M
)


_TRACE = re.compile(r"^  reg \[[^]]*\] (trace_\w+) \[", re.M)


def public_ports(verilog: str, top: str) -> str:
    """Return the Verilator configuration that opens the ports of `top` to the bench.

    The memories whose names begin with ``trace_`` are opened too, wherever they are.

    Raises
    ------
    ValueError
        If the text has no such module, or the module no port.
    """
    module = re.search(rf"^module {re.escape(top)}\b.*?^endmodule", verilog, re.M | re.S)
    names = _PORT.findall(module[0]) if module else []
    if not names:
        raise ValueError(f"no ports of a module {top} in the Verilog")
    lines = [f'public_flat_rw -module "{top}" -var "{name}"' for name in names]
    for module in re.finditer(r"^module \\?(\S+?)\s*\(.*?^endmodule", verilog, re.M | re.S):
        names = _TRACE.findall(module[0])
        lines += [f'public_flat_rd -module "{module[1]}" -var "{name}"' for name in names]
    return "\n".join(["`verilator_config", *lines, ""])


def _is_brief(env: Mapping[str, str]) -> bool:
    """Return whether the compiler optimises nothing, so that reading takes most of its time."""
    return "OPT_FAST=-O0" in env.get("MAKEFLAGS", "").split()


def _flags(simulator: str, env: Mapping[str, str]) -> list[str]:
    if simulator == "icarus":
        return []
    # In one file the headers are read once; in several, two compilers optimise side by side.
    return ["-Wno-fatal", *(["--output-split", "0"] if _is_brief(env) else [])]


def compile_design(
    verilog: str,
    top: str,
    simulator: str,
    env: Mapping[str, str],
    versions: str,
    *,
    waves: bool = False,
    cache_dir: Path | None = None,
    main: Path | None = None,
) -> tuple[Path, bool]:
    """Compile a design, or find it compiled; return its folder and whether it was found.

    The compilation is kept under a hash of the Verilog, the top, the simulator, the versions and
    the flags. It is made in a folder beside its place and moved there when complete, so that an
    interrupted or a simultaneous compilation never leaves a broken one.

    Parameters
    ----------
    verilog, top : str
        Design and name of its top module.
    simulator : str
        ``verilator`` or ``icarus``.
    env, versions
        From `mubinn.sim.runner.toolchain.prepare`.
    waves : bool
        Compile with waveforms.
    cache_dir : Path, optional
        See `cache_root`.
    main : Path, optional
        C++ of a program of its own in place of cocotb's, with Verilator; ports are its members.

    Returns
    -------
    folder : Path
        The compiled simulation.
    reused : bool
        True where it was found.

    Raises
    ------
    MubinnError
        If the compilation fails; the message names its log.
    """
    root = cache_root(cache_dir)
    flags = _flags(simulator, env)
    shape = [simulator, versions, env.get("MAKEFLAGS", ""), str(cocotb_tools.config.libs_dir)]
    shape += [*flags, TIMESCALE, f"waves {waves}", _COMPILED]
    own = [] if main is None else [main.read_text()]
    folder = root / _digest(verilog, top, *shape, *own)
    if folder.is_dir():
        return folder, True
    if simulator == "verilator":
        runtime = _runtime(root / f"runtime-{_digest(*shape)}", env, flags, waves)
    with _making(root) as made:
        if simulator == "verilator":
            for part in runtime.glob(_OBJECTS):
                shutil.copyfile(part, made / part.name)
                # make compiles what is older than the makefile, which Verilator has yet to write.
                os.utime(made / part.name, (time.time() + _AHEAD_S,) * 2)
            if _is_brief(env):
                flags += ["-CFLAGS", f"-include {runtime / _HEADER}"]
        _compile(verilog, top, simulator, env, flags, waves, made, main)
        if simulator == "verilator":
            _keep_only(made, top, f"{top}.v", "build.log", _PORTS)
        files.publish(made, folder)
    return folder, False


@contextmanager
def _making(root: Path) -> Iterator[Path]:
    """Give a folder beside those that are kept, and take away what is left there in the end."""
    made = Path(tempfile.mkdtemp(prefix=_MAKING, dir=root))
    try:
        yield made
    finally:
        # What an interruption or a failure leaves behind.
        shutil.rmtree(made, ignore_errors=True)


def _compile(
    verilog: str,
    top: str,
    simulator: str,
    env: Mapping[str, str],
    flags: list[str],
    waves: bool,
    made: Path,
    main: Path | None = None,
) -> None:
    """Compile in the folder `made`."""
    (made / f"{top}.v").write_text(verilog)
    if simulator == "verilator" and main is None:
        (made / _PORTS).write_text(public_ports(verilog, top))
        flags = [*flags, _PORTS]
    log = made / "build.log"
    commands = compile_commands(simulator, made, top, flags, waves, main)
    _demand(run_commands(commands, made, env, log), simulator, top, log)


def _demand(status: int, simulator: str, top: str, log: Path) -> None:
    """Raise `MubinnError` where a compilation failed, and keep its log."""
    if status == 0:
        return
    why = cause_outside(log, status) or cause_of_failure(log.read_text(errors="replace"))
    kept = log.parents[1] / f"failed-{top}.log"
    log.replace(kept)
    raise MubinnError(
        f"{simulator} could not compile {top}{f': {why}' if why else ''}; its messages are in "
        f"{kept}."
    )


def _keep_only(made: Path, *names: str) -> None:
    for part in made.iterdir():
        if not any(part.match(name) for name in names):
            part.unlink()


def _runtime(folder: Path, env: Mapping[str, str], flags: list[str], waves: bool) -> Path:
    """Return the folder of Verilator's runtime, which is made where there is none.

    It is made with an empty design, by one process while others wait: two would each take as long.
    """
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder
        with _making(folder.parent) as made:
            _compile(_EMPTY, "runtime", "verilator", env, flags, waves, made)
            if _is_brief(env):
                _precompile(made, env)
            _keep_only(made, _OBJECTS, _HEADER, f"{_HEADER}.gch")
            files.publish(made, folder)
    return folder


def _precompile(made: Path, env: Mapping[str, str]) -> None:
    """Precompile the runtime's headers with the options of the makefile that stands in `made`."""
    (made / _HEADER).write_text(_INCLUDES)
    (made / "header.mk").write_text(_RULE)
    make = ["make", "-f", "Vtop.mk", "-f", "header.mk", f"{_HEADER}.gch"]
    log = made / "build.log"
    _demand(run_commands([make], made, env, log), "g++", _HEADER, log)
