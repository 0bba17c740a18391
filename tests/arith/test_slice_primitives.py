"""The networks of slice primitives: the instances mean what the plain form says."""

import re
import subprocess
import sys
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest

from mubinn.golden.units.merged_dot import DotPart, MergedDotParams
from mubinn.hw.arith.slice_primitives import truth_table
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.hw.units.merged_dot import MergedDot

MODELS = Path(find_spec("pyosys").origin).parent / "share" / "xilinx" / "cells_sim.v"
PROVE = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.argv[1:]:
    libyosys.run_pass(command, design)
"""


def prove(tmp_path, gold, gate):
    """Prove two designs equal, with Yosys's models of the cells."""
    for name, text in (("gold", gold), ("gate", gate)):
        (tmp_path / f"{name}.v").write_text(text)
    commands = [
        "read_verilog gold.v",
        "read_verilog gate.v",
        f"read_verilog {MODELS}",
        "setattr -mod -unset top *",
        "hierarchy",
        "proc",
        "flatten gold gate",
        "miter -equiv -flatten gold gate miter",
        "opt miter",
        "sat -verify -prove trigger 0 miter",
    ]
    made = subprocess.run(
        [sys.executable, "-c", PROVE, *commands], cwd=tmp_path, capture_output=True, text=True
    )
    return made.returncode == 0, made.stdout[-300:] + made.stderr[-300:]


def test_instances_are_the_plain_network(tmp_path):
    # Six bits of one weight and more, so that counters, full adders and the last chain occur.
    params = MergedDotParams((DotPart("x", 15, (1, 0), (0,)),), 3)
    plain = verilog_text(MergedDot(params, network="xc7-plain"), "gold")
    cells = verilog_text(MergedDot(params, network="xc7"), "gate")
    for cell in ("LUT6_2", "LUT6", "CARRY4"):
        assert re.search(rf"\b{cell} ", cells)
    equal, log = prove(tmp_path, plain, cells)
    assert equal, log
    init = "64'h"
    place = cells.index(init) + len(init)
    digit = "0" if cells[place] != "0" else "1"
    broken = cells[:place] + digit + cells[place + 1 :]
    assert not prove(tmp_path, plain, broken)[0]


@pytest.mark.parametrize("count", [1, 3, 6])
def test_truth_tables(count):
    table = truth_table(lambda *bits: sum(bits) % 3 == 1, count)
    for row, bits in enumerate(product((0, 1), repeat=6)):
        given = bits[::-1][:count]
        assert table >> row & 1 == (sum(given) % 3 == 1)
