"""The programs that compile a design for cocotb, or for a program of its own, and run it.

As cocotb's chapter on extending existing build flows has them, but for two things. Verilator opens
what a configuration file names, not every signal: public signals can be neither merged nor left
out, and a compressor network has thousands, so that a layer takes several times as long to compile.
And of the bench's modules only the bench itself has its assertions rewritten.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import cocotb_tools.config
from find_libpython import find_libpython

TIMESCALE = "1ns/1ns"

_DUMP = """\
module waves;
  string file;
  initial begin
    if (!$value$plusargs("waves=%s", file)) $fatal(1, "no file for the waves");
    $dumpfile(file);
    $dumpvars(0, {top});
  end
endmodule
"""


def compile_commands(
    simulator: str,
    folder: Path,
    top: str,
    flags: Sequence[str],
    waves: bool,
    main: Path | None = None,
) -> list[list[str]]:
    """Return what compiles ``{top}.v`` in `folder`, in turn, each to be run there.

    With `main`, C++ for Verilator, the program is that and not cocotb's.
    """
    if simulator == "verilator":
        libs = cocotb_tools.config.libs_dir
        verilate = ["verilator", "-cc", "--exe", "-Mdir", ".", "--top-module", top]
        verilate += ["--prefix", "Vtop", "-o", top, "--timescale", TIMESCALE]
        if main is None:
            main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
            verilate += ["--vpi", "-LDFLAGS", f"-Wl,-rpath,{libs} -L{libs} -lcocotbvpi_verilator"]
        verilate += [*(["--trace-fst"] if waves else []), *flags, str(main), f"{top}.v"]
        make = ["make", "-j", str(len(os.sched_getaffinity(0))), "-f", "Vtop.mk"]
        return [verilate, [*make, f"VM_TRACE={int(waves)}"]]
    (folder / "options.f").write_text(f"+timescale+{TIMESCALE}\n")
    tops, sources = ["-s", top], [f"{top}.v"]
    if waves:
        (folder / "waves.v").write_text(_DUMP.format(top=top))
        tops, sources = [*tops, "-s", "waves"], [*sources, "waves.v"]
    return [["iverilog", "-o", "sim.vvp", "-g2012", *tops, "-f", "options.f", *flags, *sources]]


def run_command(
    simulator: str, folder: Path, top: str, plusargs: Sequence[str], waves: Path | None
) -> list[str]:
    """Return what runs the simulation that was compiled in `folder`."""
    if simulator == "verilator":
        traced = [] if waves is None else ["--trace", "--trace-file", str(waves)]
        return [str(folder / top), *plusargs, *traced]
    traced = ["-none"] if waves is None else ["-fst", f"+waves={waves}"]
    entry = cocotb_tools.config.lib_entry("vpi", "icarus")
    return ["vvp", "-m", entry, str(folder / "sim.vvp"), *plusargs, *traced]


def bench_variables(simulator: str, top: str, bench: str, results: Path) -> dict[str, str]:
    """Return the variables by which cocotb finds the bench, and how it runs it."""
    # Verilator alone puts off what a bench writes until the bench has read.
    inertial = {"COCOTB_TRUST_INERTIAL_WRITES": "1"} if simulator == "verilator" else {}
    return {
        "GPI_USERS": f"{find_libpython()};{cocotb_tools.config.pygpi_entry_point()}",
        "PYGPI_PYTHON_BIN": sys.executable,
        "TOPLEVEL_LANG": "verilog",
        "COCOTB_TOPLEVEL": top,
        "COCOTB_TEST_MODULES": bench,
        "COCOTB_RESULTS_FILE": str(results),
        "COCOTB_LOG_LEVEL": "WARNING",
        # Recent Pythons give an unset seed at random; a bench draws from its stimulus alone.
        "COCOTB_RANDOM_SEED": "1",
        "COCOTB_REWRITE_ASSERTION_FILES": f"{bench.rpartition('.')[2]}.py",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        **inertial,
    }
