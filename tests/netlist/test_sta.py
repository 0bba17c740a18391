"""Static timing: by hand, against ABC, and against OpenSTA where it is installed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.hw.units.bias_add import BiasAdd, BiasAddParams
from mubinn.hw.units.xnor_multiplier import XnorMultiplier
from mubinn.synth.flow.flow import SynthJob, map_netlists, synthesize
from mubinn.synth.liberty.gate_timing import LibraryTiming
from mubinn.synth.liberty.library import builtin_library, load_library
from mubinn.synth.liberty.tech65 import tech65_liberty
from mubinn.synth.netlist.sta import analyse

LIBRARY = builtin_library()
TOLERANCE = 0.02
SHARED = Path(os.environ.get("MUBINN_SHARED", Path(__file__).parents[3] / "shared"))
OPEN_LIBRARIES = ("sg13g2_stdcell_typ_1p20V_25C.lib", "sky130hd_tt.lib.gz")
PERIOD_PS = 100000
needs_opensta = pytest.mark.skipif(shutil.which("sta") is None, reason="OpenSTA is not installed")


def netlist(inputs, outputs, **cells):
    """A module from ``name=(type, {pin: net})``, nets named; ports have one bit."""
    names = {net: k for k, net in enumerate(["0", *inputs, *outputs], 1)}
    made = {}
    for name, (kind, pins) in cells.items():
        bits = {pin: [names.setdefault(net, len(names) + 1)] for pin, net in pins.items()}
        made[name] = {"type": kind, "connections": bits}
    ports = {n: {"direction": "input", "bits": [names[n]]} for n in inputs}
    ports |= {n: {"direction": "output", "bits": [names[n]]} for n in outputs}
    return {"ports": ports, "cells": made}


def verilog(module):
    """The same module as text, for OpenSTA."""
    lines = []
    for name, port in module["ports"].items():
        width = len(port["bits"])
        vector = f"[{width - 1}:0] " if width > 1 else ""
        lines.append(f"{port['direction']} {vector}{name};")
    known = {}
    for name, port in module["ports"].items():
        for k, bit in enumerate(port["bits"]):
            place = f"{name}[{k}]" if len(port["bits"]) > 1 else name
            if bit in known:  # one net at two ports
                lines.append(f"assign {place} = {known[bit]};")
            known.setdefault(bit, place)
    used = {b for c in module["cells"].values() for bits in c["connections"].values() for b in bits}
    lines += [f"wire n{bit};" for bit in sorted(used - set(known), key=str)]
    for k, cell in enumerate(module["cells"].values()):
        pins = (
            f".{pin}({known.get(bits[0], f'n{bits[0]}')})"
            for pin, bits in cell["connections"].items()
        )
        lines.append(f"{cell['type']} u{k} ({', '.join(pins)});")
    return f"module top ({', '.join(module['ports'])});\n" + "\n".join(lines) + "\nendmodule\n"


def opensta(module, folder, clock=None, library=LIBRARY):
    """Arrival at the worst output, or the least period, as OpenSTA has it without wires."""
    (folder / "cells.lib").write_text(library.texts[0])
    (folder / "top.v").write_text(verilog(module))
    driver, load = re.findall(r"(?:cell|load) (\S+)", library.constraints())
    begin = f"create_clock -name c -period {PERIOD_PS} {f'[get_ports {clock}]' if clock else ''}"
    data = [name for name, p in module["ports"].items() if p["direction"] == "input"]
    driven = " ".join(name for name in data if name != clock)
    script = f"""
        read_liberty cells.lib
        set_cmd_units -time ps -capacitance fF
        read_verilog top.v
        link_design top
        {begin}
        set_input_delay 0 -clock c [get_ports {{{driven}}}]
        set_output_delay 0 -clock c [all_outputs]
        set_driving_cell -lib_cell {driver} [get_ports {{{driven}}}]
        foreach net [get_nets *] {{set_load 0 $net}}
        set_load {load} [all_outputs]
        report_checks -path_delay max -digits 4
    """
    (folder / "run.tcl").write_text(script)
    command = ["sta", "-no_splash", "-exit", "run.tcl"]
    log = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    slack = float(re.search(r"([-\d.]+)\s+slack", log).group(1))
    return PERIOD_PS - slack


FULL_ADDERS = netlist(
    ["a", "b", "c", "d"],
    ["s", "co"],
    u1=("FA_X1", {"A": "a", "B": "b", "CI": "c", "S": "t", "CO": "k"}),
    u2=("HA_X1", {"A": "t", "B": "d", "S": "s", "CO": "l"}),
    u3=("FA_X2", {"A": "k", "B": "l", "CI": "d", "S": "x", "CO": "y"}),
    u4=("NAND2_X1", {"A": "x", "B": "y", "Y": "co"}),
)
FLIPFLOPS = netlist(
    ["ck", "d"],
    ["q"],
    f1=("DFF_X1", {"CK": "ck", "D": "d", "Q": "p"}),
    g1=("XOR2_X1", {"A": "p", "B": "z", "Y": "t"}),
    g2=("INV_X1", {"A": "t", "Y": "u"}),
    f2=("DFF_X2", {"CK": "ck", "D": "u", "Q": "z"}),
    g3=("INV_X1", {"A": "z", "Y": "q"}),
)


def test_an_inverter_by_hand():
    module = netlist(["a"], ["y"], u=("INV_X1", {"A": "a", "Y": "y"}))
    timing = LibraryTiming(LIBRARY)
    driver, inverter = (timing.gate(name).arcs["Y"][0] for name in ("INV_X4", "INV_X1"))
    pin = timing.gate("INV_X1").loads["A"]
    worst = 0.0
    for edge in (0, 1):
        start = driver.delay[1 - edge].at(0, pin) - driver.delay[1 - edge].at(0, 0)
        slew = driver.slew[1 - edge].at(0, pin)
        worst = max(worst, start + inverter.delay[edge].at(slew, 4 * pin))
    report = analyse(module, LIBRARY, timing)
    assert report.delay_ps == pytest.approx(worst, rel=1e-12)
    assert report.period_ps == 0
    assert [(s.kind, s.pin, s.output) for s in report.path] == [("INV_X1", "A", "Y")]


@pytest.mark.parametrize(
    "unit", [XnorMultiplier(XnorMultiplierParams(40)), BiasAdd(BiasAddParams(2, 8, 6, 12))]
)
def test_agrees_with_abc(unit, tmp_path):
    job = SynthJob(verilog_text(unit, "top"), "top")
    netlists = map_netlists(job, LIBRARY, cache_path=tmp_path)
    abc = synthesize(job, library=LIBRARY, generic=False, cache_path=tmp_path).delay_ps
    ours = min(analyse(netlist, LIBRARY).delay_ps for netlist in netlists.values())
    assert ours == pytest.approx(abc, rel=TOLERANCE)


@needs_opensta
def test_agrees_with_opensta(tmp_path):
    unit = XnorMultiplier(XnorMultiplierParams(24))
    job = SynthJob(verilog_text(unit, "top"), "top")
    mapped = map_netlists(job, LIBRARY, small=True, cache_path=tmp_path)
    kinds = {cell["type"] for cell in mapped["adders"]["cells"].values()}
    assert any(kind.startswith("FA_") for kind in kinds)
    for module in (*mapped.values(), FULL_ADDERS):
        ours = analyse(module, LIBRARY).delay_ps
        assert ours == pytest.approx(opensta(module, tmp_path), rel=TOLERANCE)
    report = analyse(FLIPFLOPS, LIBRARY)
    assert report.period_ps > report.delay_ps
    assert report.period_ps == pytest.approx(opensta(FLIPFLOPS, tmp_path, "ck"), rel=TOLERANCE)


@needs_opensta
@pytest.mark.parametrize("name", OPEN_LIBRARIES)
def test_agrees_with_opensta_in_open_libraries(name, tmp_path):
    path = SHARED / "data" / "liberty" / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    library = load_library(path)
    text = """
        module top(input clock, input [3:0] a, b, output reg [7:0] total, output odd);
          always @(posedge clock) total <= total + a * b;
          assign odd = ^total ^ a[0];
        endmodule
    """
    for module in map_netlists(SynthJob(text, "top"), library, cache_path=tmp_path).values():
        report = analyse(module, library)
        worst = max(report.period_ps, report.delay_ps)
        assert worst == pytest.approx(opensta(module, tmp_path, "clock", library), rel=TOLERANCE)
        assert report.period_ps > report.delay_ps > 0


def test_edges_load_by_the_top_of_their_range(tmp_path):
    pin = "pin (A) { direction : input; capacitance : 0.81;"
    ranged = "rise_capacitance_range (0.5, 1.5); fall_capacitance : 0.7;"
    assert pin in tech65_liberty()
    (tmp_path / "ranges.lib").write_text(tech65_liberty().replace(pin, f"{pin} {ranged}"))
    inverter = LibraryTiming(load_library(tmp_path / "ranges.lib")).gate("INV_X1")
    assert (inverter.loads["A"], inverter.edge_loads["A"]) == (0.81, (1.5, 0.7))


def test_paths_pass_full_adders_and_begin_and_end_at_flipflops():
    kinds = [step.kind for step in analyse(FULL_ADDERS, LIBRARY).path]
    assert kinds == ["FA_X1", "HA_X1", "FA_X2", "NAND2_X1"] or kinds[-2:] == ["FA_X2", "NAND2_X1"]
    report = analyse(FLIPFLOPS, LIBRARY)
    assert [step.kind for step in report.path] == ["DFF_X2", "XOR2_X1", "INV_X1"]
    setup = LibraryTiming(LIBRARY).gate("DFF_X2").setups["D"][0].at(0, 0)
    assert report.period_ps == pytest.approx(report.path[-1].arrival_ps + setup)
    assert report.delay_ps < report.period_ps


def test_loops_and_foreign_cells_are_refused():
    loop = netlist([], ["y"], u=("INV_X1", {"A": "y", "Y": "y"}))
    with pytest.raises(MubinnError, match="combinational loop"):
        analyse(loop, LIBRARY)
    foreign = netlist(["a"], ["y"], u=("MAGIC", {"A": "a", "Y": "y"}))
    with pytest.raises(MubinnError, match="no cell MAGIC"):
        analyse(foreign, LIBRARY)
