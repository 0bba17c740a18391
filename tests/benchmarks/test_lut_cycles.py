"""LUTs of logic alone: memories as black boxes, and the figures that come from them."""

from contextlib import nullcontext

import pytest
from click.testing import CliRunner

from mubinn.cli.benchmarks import lut_cycles as bench
from mubinn.cli.benchmarks.table import BENCHMARKS
from mubinn.cli.commands.bench import bench as bench_command
from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.boards.device import find_device
from mubinn.hw.export.device_design import MEMORY_BOX, Measured
from mubinn.hw.export.layer_folder import layer_designs
from mubinn.synth.fpga.place_and_route import measure_logic

DESIGN = """
module top(input clk, we, input [9:0] a, w, input [15:0] d, output reg [15:0] y);
  reg [15:0] m [0:1023], rom [0:511], q, r;
  initial begin rom[0] = 16'h1234; rom[1] = 16'hedcb; end
  always @(posedge clk) begin
    q <= m[a]; r <= rom[a[8:0]]; y <= q ^ r;
    if (we) m[w] <= d;
  end
endmodule
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path))


def test_memories_are_boxes_with_their_read_registers(cache):
    cells = measure_logic(DESIGN, "top", find_device("xc7")).cells
    assert cells[MEMORY_BOX] == 2
    assert cells["FDRE"] == 16
    assert cells["LUT2"] == 16
    assert not any(cell.startswith("RAM") for cell in cells)


def counted(luts, **more):
    return Measured({"LUT6": luts, "FDRE": 5, MEMORY_BOX: 4, **more}, {})


def test_the_best_units_count(random_float, monkeypatch):
    luts = {1: 500, 3: 900, 9: 9000}
    asked = []

    def measured(verilog, top, device):
        assert device.command(top) == "synth_xilinx -family xc7 -noiopad -flatten -top lstm_layer"
        return counted(luts[asked[-1]] - luts[asked[-1]] // 10, LUT6_2=luts[asked[-1]] // 10)

    monkeypatch.setattr(bench, "measure_logic", measured)
    model = random_float(features=3, hidden=2)
    result = bench.bench_lut_cycles(
        model, progress=lambda name: asked.append(int(name.split()[-1]))
    )
    assert asked == [1, 3, 9, 1, 3, 9]
    figures = {f["name"]: f for f in result["figures"]}
    parameters = result["parameters"]
    for stem, goal in (("1_1", 50), ("3_3", 10)):
        rows = {n: luts[n] * parameters[f"cycles_{stem}_units_{n}"] for n in luts}
        best = min(rows, key=rows.get)
        product = rows[best]
        assert figures[f"lut_cycles_{stem}"]["value"] == product
        assert parameters[f"luts_with_two_outputs_{stem}_units_{best}"] == luts[best] // 10
        assert (parameters[f"luts_{stem}"], parameters[f"units_{stem}"]) == (luts[best], best)
        assert figures[f"ratio_{stem}"]["value"] == 491 * 25809 / product
        assert figures[f"ratio_{stem}"]["goal"] == f">= {goal}"
    assert parameters["cycles_3_3_units_9"] < parameters["cycles_3_3_units_1"]


def test_dsps_are_not_hidden(random_model, monkeypatch):
    monkeypatch.setattr(bench, "measure_logic", lambda *_: counted(5, DSP48E1=1))
    (design,) = layer_designs(random_model(features=3, hidden=2), find_device("xc7"))
    with pytest.raises(MubinnError, match="took DSPs or block RAMs"):
        bench.measure(design)


def test_the_command_tells_each_design_as_it_begins(monkeypatch):
    def measured(progress):
        progress("(3,3), units 9")
        return {"figures": [], "versions": {}, "parameters": {}}

    told = []
    monkeypatch.setitem(BENCHMARKS, "lut-cycles", measured)
    monkeypatch.setattr("mubinn.cli.commands.bench.working", lambda *_: nullcontext(told.append))
    result = CliRunner().invoke(bench_command, ["lut-cycles", "--json"])
    assert result.exception is None
    assert told == ["measuring lut-cycles: (3,3), units 9"]
