"""Imported models against the outputs of the frameworks that made them."""

import runpy
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from mubinn.cli.main import mubinn
from mubinn.golden.cells.library import cifg, gru, gru_before, lstm, peephole, rnn
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.any_file import import_model
from mubinn.golden.importers.parts import ImportOptions
from mubinn.golden.model import reference
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.model_file import load_float, load_model, save_model

RECORDER = runpy.run_path(str(Path(__file__).parent / "record_frameworks.py"))
MAKERS, FOLDER = RECORDER["MAKERS"], RECORDER["FOLDER"]
OPTIONS = {
    "torch_lstm.pt": ImportOptions("last"),
    "torch_gru.pt": ImportOptions("mean"),
    "torch_gru.safetensors": ImportOptions("last"),
    "torch_rnn.pt": ImportOptions("last", nonlinearity="tanh"),
    "torch_rnn_relu.pt": ImportOptions("mean", nonlinearity="relu", ceiling=8.0),
    "torch_lstm_both.pt": ImportOptions("last"),
    "torch_rnn_both.pt": ImportOptions("mean", nonlinearity="tanh"),
}
"""What a file does not say: what its model reads, and where relu and linear end."""

CELLS = {
    "torch_rnn_relu.pt": "rnn_ramp",
    "node_rnn_relu.onnx": "rnn_ramp",
    "node_lstm_peephole.onnx": "peephole",
    "node_lstm_coupled.onnx": "cifg",
    "node_lstm_hard.onnx": "peephole_ramp",
    "node_lstm_coupled_hard.onnx": "cifg_ramp_sigmoid",
    "node_gru_hard.onnx": "gru_ramp",
    "functional_rnn_relu.keras": "rnn_ramp",
    "functional_lstm_hard.keras": "lstm_ramp",
    "keras2_lstm_hard.keras": "lstm_ramp",
    "keras2_gru_hard.keras": "gru_ramp",
    "stack_convolution.keras": "dense_lstm_dense_sigmoid",
    "stack_normalised.keras": "dense_ramp_gru",
    "stack_dense.keras": "dense_dense_ramp_rnn",
    "stack_every.keras": "lstm_dense",
    "stack_directions.keras": "lstm_gru",
    "stack_backwards.keras": "rnn_lstm",
    "stack_frames.keras": "dense_lstm_ramp_lstm",
    "stack_movies.keras": "lstm",
}
"""The cells of the models that are none of those in their names."""


def cell_in(name):
    return CELLS.get(name) or next(kind for kind in ("gru", "lstm", "rnn") if kind in name)


ROUNDING = 2e-6
"""float32 against float64 over a few dozen operations on numbers of order 1."""


def outputs(model, x, y):
    """The imported model's outputs in the form of the framework's own, `y`."""
    scores = reference.logits(model, x.astype(np.float64))
    if model.head == "sigmoid":
        return 1 / (1 + np.exp(-scores))
    if np.allclose(y.sum(axis=-1), 1, atol=1e-5):
        share = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return share / share.sum(axis=-1, keepdims=True)
    return scores


def imported(path):
    return import_model(path, OPTIONS.get(path.name))


def check(path, x, y):
    model = imported(path)
    np.testing.assert_allclose(
        outputs(model, x, y).reshape(y.shape), y, rtol=ROUNDING, atol=ROUNDING
    )
    return model


@pytest.mark.parametrize("name", MAKERS)
def test_a_recorded_model_gives_the_recorded_outputs(name, tmp_path):
    recorded = np.load(FOLDER / "recorded.npz")
    x, y = recorded[f"{name}.x"], recorded[f"{name}.y"]
    model = check(FOLDER / name, x, y)
    assert model.cell == cell_in(name)
    assert np.ptp(y) > 0.02
    save_model(tmp_path / "model.safetensors", model)
    again = load_float(tmp_path / "model.safetensors")
    assert (again.layers[0].wx == model.layers[0].wx.astype(np.float32)).all()


def test_the_recordings_cover_what_is_promised():
    models = {name: imported(FOLDER / name) for name in MAKERS}
    assert {name.rsplit(".")[1] for name in MAKERS} == {"pt", "safetensors", "onnx", "keras"}
    assert {len(model.layers) for model in models.values()} == {1, 2, 3, 4}
    assert {model.readout for model in models.values()} == {"last", "mean", "every"}
    cells = {model.layers[0].cell for model in models.values()}
    assert {lstm, gru, gru_before, rnn, cifg, peephole} < cells


def test_the_content_decides_not_the_name(tmp_path):
    for name in MAKERS:
        path = tmp_path / name.replace(".", "_")
        path.write_bytes((FOLDER / name).read_bytes())
        model = import_model(path, OPTIONS.get(name))
        assert (model.wd == imported(FOLDER / name).wd).all()


def test_our_own_models_are_taken_too(tmp_path, random_float):
    model = random_float()
    save_model(tmp_path / "ours", model)
    assert (import_model(tmp_path / "ours").wd == model.wd).all()


def named_modules(path):
    """Two recurrent modules of which the second reads the first, and two heads."""
    rng = np.random.default_rng(0)
    shapes = {"low": (16, 3, 4), "high": (20, 4, 5)}
    made = {}
    for name, (rows, inputs, hidden) in shapes.items():
        made[f"{name}.weight_ih_l0"] = rng.normal(size=(rows, inputs)).astype(np.float32)
        made[f"{name}.weight_hh_l0"] = rng.normal(size=(rows, hidden)).astype(np.float32)
    made["aux.weight"] = rng.normal(size=(7, 5)).astype(np.float32)
    made["main.weight"] = rng.normal(size=(2, 5)).astype(np.float32)
    save_file(made, path)
    return made


def test_modules_and_heads_are_taken_by_name(tmp_path):
    made = named_modules(tmp_path / "m.safetensors")
    options = ImportOptions("mean", recurrent=("low", "high"), head="main")
    model = import_model(tmp_path / "m.safetensors", options)
    assert [layer.hidden for layer in model.layers] == [4, 5]
    assert (model.wd == made["main.weight"]).all()
    assert not model.bd.any()
    with pytest.raises(MubinnError, match="reads 3 numbers, the one below it has 5 cells"):
        import_model(tmp_path / "m.safetensors", replace(options, recurrent=("high", "low")))


COMMANDS = {
    "torch_lstm.pt": ("--readout", "mean", "--clip-c", "0.75", "--decimate", "2"),
    "torch_gru.onnx": ("--datapath", "threshold"),
    "sequential_lstm.keras": ("--scale-form", "power-of-two"),
    "torch_rnn_relu.pt": ("--readout", "mean", "--nonlinearity", "relu", "--ceiling", "4"),
    "node_lstm_peephole.onnx": ("--datapath", "threshold", "--clip-c", "0.75"),
    "keras2_gru_hard.keras": ("--datapath", "threshold"),
    "stack_backwards.keras": ("--clip-c", "0.75"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_quantize_takes_them(tmp_path, monkeypatch, name):
    monkeypatch.setenv("MUBINN_SHARED", str(tmp_path))
    out = tmp_path / "made.mubinn"
    command = [
        "quantize",
        str(FOLDER / name),
        "--levels",
        "2,3",
        "--normalise",
        "window",
        "--windows",
        "8",
    ]
    result = CliRunner().invoke(mubinn, [*command, *COMMANDS[name], "-o", str(out)])
    assert result.exit_code == 0, result.output
    model = load_model(out)
    assert model.cell == cell_in(name)
    assert "imported_from" in model.meta
    if "0.75" in COMMANDS[name]:
        assert model.layers[-1].quantizers["c"].float_scales[:-1].sum() <= 0.75
    assert model.preprocessing == Preprocessing("window", 2 if "2" in COMMANDS[name] else 1)


@pytest.mark.parametrize("name", ["stack_frames.keras", "stack_movies.keras"])
def test_frames_are_quantized_and_simulated(tmp_path, monkeypatch, name):
    monkeypatch.setenv("MUBINN_SHARED", str(tmp_path))
    rng, data, out = np.random.default_rng(0), tmp_path / "x.npz", tmp_path / "made.mubinn"
    x = rng.normal(0, 1, (20, 24, 3)).astype(np.float32)
    y = rng.integers(0, 2, (20, 24)) if "frames" in name else rng.integers(0, 3, 20)
    np.savez(data, X=x, y=y)
    about = ["--data", str(data)]
    command = ["quantize", str(FOLDER / name), "--levels", "3,2", "--normalise", "none", *about]
    result = CliRunner().invoke(mubinn, [*command, "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert load_model(out).cell == cell_in(name)
    result = CliRunner().invoke(mubinn, ["simulate", str(out), *about, "--windows", "1"])
    assert result.exit_code == 0, result.output
    assert result.output.count("values equal the bit-true model") == len(load_model(out).layers)
    np.savez(data, X=x.reshape(20, 2, 3, 4, 3), y=y)
    result = CliRunner().invoke(mubinn, [*command, "-o", str(out)])
    assert result.exit_code == 2
    assert "pixels of frames are steps, X.reshape(windows, -1, channels)." in result.stderr


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("command", ["info", "simulate", "generate"])
def test_other_commands_say_what_to_do_first(command, name, tmp_path):
    more = ["-o", str(tmp_path / "made")] if command == "generate" else []
    result = CliRunner().invoke(mubinn, [command, str(FOLDER / name), *more])
    assert result.exit_code == 2
    assert "run `mubinn quantize` on a model of another program first" in result.stderr


SIZES = ((1, 1, 2), (5, 8, 4), (32, 20, 2))


@pytest.mark.interop
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", MAKERS)
def test_a_live_model_gives_its_own_outputs(name, sizes, tmp_path):
    rng = np.random.default_rng(sizes)
    x = RECORDER["signal"](rng, 4, RECORDER["steps_of"](MAKERS[name], 9), sizes[0])
    path = tmp_path / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the frameworks' own
        y = MAKERS[name](path, rng, sizes, x)
    model = check(path, x, y)
    assert model.features == sizes[0]
