"""``--encoder``: the rules of a model's encoders, from quantization to what `info` says."""

import json

import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.golden.model.model_file import load_model, save_model


@pytest.fixture(autouse=True)
def no_shared_data(monkeypatch, tmp_path_factory):
    """The shared EEG is absent, so that defaults do not depend on the machine."""
    monkeypatch.setenv("MUBINN_SHARED", str(tmp_path_factory.mktemp("shared")))


def run(*args):
    result = CliRunner().invoke(mubinn, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def quantized(tmp_path, random_float):
    """Return what quantizes a float model with options: its file, and what the command says."""
    start = tmp_path / "tiny.safetensors"
    save_model(start, random_float(features=5, hidden=4))

    def made(name, *options):
        path = tmp_path / f"{name}.mubinn"
        args = ("quantize", start, "--levels", "2,2", "--windows", 4, "--json", *options)
        return path, json.loads(run(*args, "-o", path))

    return made


def test_rules_stand_in_the_file_and_its_notes(quantized):
    path, said = quantized("a", "--encoder", "h=qc:0.674", "--encoder", "w=tc")
    model = load_model(path)
    assert said["encoder"] == model.meta["encoder"] == "w tc:1, h qc:0.674"
    assert list(model.layers[0].thresholds) == ["h"]
    assert (model.layers[0].wx.scales[:, 0] == model.layers[0].wx.scales[:, 1]).all()
    about = json.loads(run("info", path, "--json"))
    assert about["layers"][0]["encoders"] == model.layers[0].thresholds
    low, middle, high = model.layers[0].thresholds["h"]
    assert (low, middle) == (-high, 0)
    assert f"h encoded by thresholds {low:.4g}, 0, {high:.4g}, datapath" in " ".join(
        run("info", path).split()
    )


def test_without_the_option_nothing_changes(quantized):
    path, said = quantized("a")
    other, _ = quantized("b", "--encoder", "mlb")
    assert said["encoder"] == "mlb"
    one, two = load_model(path), load_model(other)
    assert "encoder" not in one.meta
    assert "encoder" not in two.meta
    assert json.loads(run("info", path, "--json"))["layers"][0]["encoders"] == {}
    assert (one.layers[0].wx.bits == two.layers[0].wx.bits).all()
