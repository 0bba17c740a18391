"""``--datapath``: the datapath of a model, from quantization to hardware."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.golden.model import bit_true
from mubinn.golden.model.model_file import load_model, save_model
from mubinn.sim.layer import layer_check
from mubinn.sim.runner.simulate import SimResult


@pytest.fixture(autouse=True)
def no_shared_data(monkeypatch, tmp_path_factory):
    """The shared EEG is absent, so that defaults do not depend on the machine."""
    monkeypatch.setenv("MUBINN_SHARED", str(tmp_path_factory.mktemp("shared")))


@pytest.fixture
def model_file(tmp_path, random_model):
    path = tmp_path / "tiny.mubinn"
    save_model(path, random_model(seed=3, levels=(2, 2), features=5, hidden=4))
    return path


def run(*args):
    result = CliRunner().invoke(mubinn, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_quantize_notes_the_datapath(tmp_path, random_float):
    start = tmp_path / "tiny.safetensors"
    save_model(start, random_float(features=5, hidden=4))
    args = ("quantize", start, "--levels", "2,2", "--windows", 4)
    run(*args, "-o", tmp_path / "a.mubinn")
    run(*args, "--datapath", "threshold", "-o", tmp_path / "b.mubinn")
    one, other = (load_model(tmp_path / f"{name}.mubinn") for name in "ab")
    assert (one.datapath, other.datapath) == ("figure3", "threshold")
    assert (one.layers[0].wx.bits == other.layers[0].wx.bits).all()
    assert "datapath threshold" in run("info", tmp_path / "b.mubinn")


@pytest.mark.parametrize("datapath", ["figure3", "threshold"])
def test_generate_writes_the_hardware_of_the_datapath(model_file, tmp_path, datapath):
    out = tmp_path / "layer"
    run("generate", model_file, "--datapath", datapath, "-o", out)
    about = json.loads((out / "parameters.json").read_text())
    page = (out / "README.md").read_text()
    assert about["layers"][0]["datapath"] == datapath
    assert ("are exact" in page) == (datapath == "threshold")
    assert ("output of sigmoid" in page) == (datapath == "figure3")
    verilog = (out / "lstm_layer.v").read_text()
    assert ("sigmoid" in verilog) == (datapath == "figure3")


def test_simulate_compares_the_signals_of_the_datapath(model_file, monkeypatch):
    seen = []

    def stand_in(model, codes, *, layer, **options):
        seen.append(model.datapath)
        outputs = {"cycles_per_step": np.array(7), "windows": np.array(2)}
        return SimResult(2, 100, 0.5, outputs)

    monkeypatch.setattr(layer_check, "check_layer", stand_in)
    args = ("simulate", model_file, "--steps", 3, "--json")
    signals = [json.loads(run(*args))["layers"][0]["signals"]]
    signals.append(json.loads(run(*args, "--datapath", "threshold"))["layers"][0]["signals"])
    assert seen == ["figure3", "threshold"]
    assert "tanh_c" in signals[0]
    layer = load_model(model_file).with_datapath("threshold").layers[0]
    assert set(signals[1]) == set(bit_true.run_layer(layer, np.zeros((1, 5), int)))
