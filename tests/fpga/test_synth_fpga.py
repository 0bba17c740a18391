"""``mubinn synth --device``: models on FPGAs, and what cannot be asked for together."""

import json

import pytest
from click.testing import CliRunner

from mubinn.cli.commands.synth import synth
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.model_file import save_model
from mubinn.hw.boards.device import find_device
from mubinn.hw.export.device_design import DesignOptions, device_design
from mubinn.synth import SynthJob
from mubinn.synth.fpga.place_and_route import synthesize_cells


@pytest.fixture
def run(random_model, tmp_path, monkeypatch):
    """Run the command on a small model, with a cache of its own."""
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path / "cache"))
    save_model(tmp_path / "m.mubinn", random_model(features=3, hidden=2, levels=(1, 1)))

    def with_options(*options):
        return CliRunner().invoke(synth, [str(tmp_path / "m.mubinn"), *options])

    return with_options


def test_series_7_is_told_in_json_and_written(run, tmp_path):
    result = run("--device", "xc7", "--steps", "10", "--json", "-o", str(tmp_path / "out"))
    assert result.exception is None
    told = json.loads(result.stdout)
    assert told["command"] == "synth_xilinx -family xc7 -noiopad -flatten -top mubinn"
    assert told["cycles_per_window"] == 10 * told["cycles_per_step"]
    assert told["fmax_mhz"] is told["ms_per_window"] is None
    assert 0 < told["used"]["LUT"]["used"] < told["used"]["LUT"]["available"]
    files = ["fpga.json", "mubinn.v"]
    assert json.loads((tmp_path / "out" / "fpga.json").read_text()) == {**told, "files": files}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == files
    # A second run is answered from the cache, as a table.
    table = run("--target", "xc7")
    assert "Synthesis alone" in table.stdout
    assert "6-input LUTs" in table.stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--device", "de10"), "no device de10"),
        (("--device", "xc7", "--unit", "mac"), "--unit is for units: leave it out with --device"),
        (("--device", "xc7", "--workers", "2"), "--workers is for units: leave it out"),
        (("-o", "x"), "give it with --device"),
        (("--device", "xc7", "--width", "12"), "TDATA of 12 bits"),
    ],
)
def test_what_cannot_be_is_told(run, options, told):
    with pytest.raises(MubinnError, match=told):
        raise run(*options).exception


def test_loaded_weights_go_into_single_port_ram(random_model, tmp_path):
    model = random_model(features=3, hidden=2, levels=(1, 1), offsets=False)
    device = find_device("ice40-up5k")
    design = device_design(model, device, DesignOptions(loadable=True))
    job = SynthJob(design.verilog, design.name)
    cells = synthesize_cells(job, (device.command(design.name),), cache_path=tmp_path)["cells"]
    assert cells["SB_SPRAM256KA"] == 1
    initialised = device_design(model, device).verilog
    assert 'ram_style = "huge"' not in initialised
    assert "m_w[0] = " in initialised
