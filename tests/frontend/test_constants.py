"""The front end's constants: in model files, on the command line, in the hardware they make."""

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from simulators import QUICK

from mubinn.cli.commands import train_runs
from mubinn.cli.commands.info import info
from mubinn.cli.commands.train import train
from mubinn.cli.main import mubinn
from mubinn.cli.shared.recordings import prepared
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.container import read_container, write_container
from mubinn.golden.model.float_model import CONSTANTS, Preprocessing
from mubinn.golden.model.model_file import load_model, save_model
from mubinn.hw.boards.device import find_device
from mubinn.hw.export.accelerator_folder import accelerator_folder, bench_files
from mubinn.hw.export.device_design import DesignOptions, device_design
from mubinn.sim.axi.folder_bench import run_bench
from mubinn.train.recipes.recipe import Recipe

OTHER = {"high_pass": 4, "gain": 2, "clamp": 0}


@pytest.mark.parametrize("name", OTHER)
def test_each_changes_the_hardware_and_the_golden_model_alike(random_model, tmp_path, name):
    made = random_model(seed=3, features=3, hidden=3, levels=(3, 1), readout="every")
    usual, own = (Preprocessing("causal", 2, **one) for one in ({}, {name: OTHER[name]}))
    path = tmp_path / "m.mubinn"
    save_model(path, replace(made, preprocessing=own))
    model = load_model(path)
    assert model.preprocessing == own
    x = np.random.default_rng(4).normal(0, 60, (1, 48, 3)).round().astype(np.int64)
    x[:, 24:] *= 8
    codes, others = (
        made.encode_input(prepared(replace(made, preprocessing=how), x.astype(np.int16)))
        for how in (own, usual)
    )
    design = device_design(model, find_device("ecp5"), DesignOptions(adc_width=12))
    files, wrong = (bench_files(design, x, each) for each in (codes, others))
    assert files["result.hex"] != wrong["result.hex"]
    run_bench(files, QUICK)
    page = " ".join(accelerator_folder(model, design)["README.md"].split())
    assert f"FrontEnd` does with high_pass {own.high_pass}, gain {own.gain}, clamp" in page
    told = CliRunner().invoke(info, [str(path)])
    assert f"{name} {OTHER[name]}" in " ".join(told.output.split())


def test_usual_ones_leave_nothing_in_files(random_model, tmp_path):
    path, usual = tmp_path / "m.mubinn", Preprocessing("causal", 2, **Preprocessing().constants)
    save_model(path, replace(random_model(), preprocessing=usual))
    held = read_container(path)
    assert held.structure["preprocessing"] == {"normalise": "causal", "decimate": 2}
    assert not CONSTANTS.keys() & Recipe(normalise="causal").to_json().keys()
    assert Recipe(normalise="causal", clamp=0).to_json()["clamp"] == 0
    held.structure["preprocessing"]["clamp"] = 4
    write_container(path, held)
    with pytest.raises(MubinnError, match=r"preprocessing\.clamp is not an integer from 0 to 3"):
        load_model(path)


def test_what_has_no_meaning_is_refused():
    with pytest.raises(MubinnError, match="gain is 13; it must be 1 to 12"):
        Recipe(normalise="causal", gain=13)
    with pytest.raises(MubinnError, match="high_pass 3 is of the causal front end"):
        Recipe(high_pass=3)
    told = CliRunner().invoke(train, ["--clamp", "2", "-o", "x.safetensors"])
    assert "--clamp is of the causal front end: give --normalise causal" in str(told.exception)


def test_both_names_give_one_recipe(tmp_path, monkeypatch):
    recipes = []
    monkeypatch.setattr(train_runs, "single", lambda data, recipe, *more: recipes.append(recipe))
    x = np.arange(80, dtype=np.int16).reshape(4, 10, 2)
    np.savez(tmp_path / "x.npz", X=x, y=[0, 1, 0, 1])
    words = ["train", str(tmp_path / "x.npz"), "-o", str(tmp_path / "m.safetensors")]
    for name in ("--normalise", "--front-end"):
        told = CliRunner().invoke(mubinn, [*words, name, "causal", "--clamp", "1"])
        assert told.exit_code == 0, told.output
    assert recipes == [Recipe(normalise="causal", clamp=1)] * 2
    for command in ("train", "quantize"):
        told = CliRunner().invoke(mubinn, [command, "--help"])
        assert "--normalise, --front-end [" in told.output


def test_a_start_whose_input_is_made_in_another_way_is_refused(random_float, tmp_path):
    start = replace(random_float(), preprocessing=Preprocessing("causal", 2, clamp=1))
    save_model(tmp_path / "start.safetensors", start)
    words = ["train", "--float-model", str(tmp_path / "start.safetensors"), "-o", "x.safetensors"]
    for more, other in (
        ([], "--normalise window --decimate 2"),
        (["--front-end", "causal", "--decimate", "1"], "--normalise causal --decimate 1"),
    ):
        told = CliRunner().invoke(mubinn, [*words, *more])
        assert told.exit_code == 2
        own = "--normalise causal --decimate 2 --high-pass 2 --gain 9 --clamp 1"
        sentence = f"was made with {own}, here it is {other}: give {own}."
        assert sentence in " ".join(told.output.split())
