"""``mubinn synth --target``: models on FPGAs, and what cannot be asked for together."""

import json

import pytest
from click.testing import CliRunner

from mubinn.cli.commands.synth import synth
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.model_file import save_model
from mubinn.synth.fpga.fpga_design import fpga_design
from mubinn.synth.fpga.place_and_route import synthesize_cells
from mubinn.synth.fpga.targets import find_target


@pytest.fixture
def run(random_model, tmp_path, monkeypatch):
    """Run the command on a small model, with a cache of its own."""
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path / "cache"))
    save_model(tmp_path / "m.mubinn", random_model(features=3, hidden=2, levels=(1, 1)))

    def with_options(*options):
        return CliRunner().invoke(synth, [str(tmp_path / "m.mubinn"), *options])

    return with_options


def test_series_7_is_told_in_json_and_written(run, tmp_path):
    result = run("--target", "xc7", "--steps", "10", "--json", "-o", str(tmp_path / "out"))
    assert result.exception is None
    told = json.loads(result.stdout)
    assert told["command"] == "synth_xilinx -family xc7 -noiopad -flatten -top mubinn"
    assert told["cycles_per_window"] == 10 * told["cycles_per_step"]
    assert told["fmax_mhz"] is told["ms_per_window"] is None
    assert 0 < told["used"]["LUT"]["used"] < told["used"]["LUT"]["available"]
    assert json.loads((tmp_path / "out" / "fpga.json").read_text()) == told
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"fpga.json", "mubinn.v"}
    # A second run is answered from the cache, as a table.
    table = run("--target", "xc7")
    assert "Synthesis alone" in table.stdout
    assert "6-input LUTs" in table.stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--target", "de10"), "no target de10"),
        (("--target", "xc7", "--unit", "mac"), "leave out the options of units"),
        (("-o", "x"), "give it with --target"),
        (("--target", "xc7", "--width", "12"), "TDATA of 12 bits"),
    ],
)
def test_what_cannot_be_is_told(run, options, told):
    with pytest.raises(MubinnError, match=told):
        raise run(*options).exception


def test_loaded_weights_go_into_single_port_ram(random_model, tmp_path):
    model = random_model(features=3, hidden=2, levels=(1, 1), offsets=False)
    design = fpga_design(model, loadable=True, single_port=True)
    command = find_target("ice40-up5k").synth.format(top=design.job.top)
    cells = synthesize_cells(design.job, (command,), cache_path=tmp_path)["cells"]
    assert cells["SB_SPRAM256KA"] == 1
    initialised = fpga_design(model).job.verilog
    assert 'ram_style = "huge"' not in initialised
    assert "m_w[0] = " in initialised
