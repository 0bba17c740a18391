"""The table of devices, and that what is generated for one is what is synthesized for it."""

import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from mubinn.cli.benchmarks import lut_cycles
from mubinn.cli.commands.generate import generate
from mubinn.cli.commands.synth import synth
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.model_file import save_model
from mubinn.hw.arith.match_heap import NETWORKS
from mubinn.hw.boards.device import DEVICES, find_device
from mubinn.hw.export.layer_folder import layer_designs
from mubinn.synth.fpga import place_and_route
from mubinn.synth.fpga.fpga_worker import packed

OPTIONS = {
    "ice40-up5k": ("--lanes", "2", "--load-weights"),
    "ecp5-25k": ("--units", "2", "--samples", "20", "--width", "16", "--no-registers"),
    "xc7a35t": ("--units", "3", "--max-steps", "9", "--datapath", "figure3"),
}
RUN = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.argv[1].split(";"):
    libyosys.run_pass(command.strip().replace("stat", "tee -o stat.json stat -json"), design)
"""


def small(random_model):
    return random_model(features=3, hidden=2, levels=(1, 1)).with_datapath("threshold")


@pytest.fixture
def model(random_model, tmp_path, monkeypatch):
    """The file of a small model, and a cache of its own."""
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path / "cache"))
    save_model(tmp_path / "m.mubinn", small(random_model))
    return str(tmp_path / "m.mubinn")


def invoke(command, *arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.mark.parametrize("name", DEVICES)
def test_the_verilog_that_is_generated_is_the_one_that_is_synthesized(
    model, name, tmp_path, monkeypatch
):
    seen = []

    def run(job, files, *_):
        if job["kind"] == "route":
            bits = packed(b"bits")
            return {"used": {}, "fmax_mhz": 10.0, "path": [], "bitstream": bits}
        seen.append((files["design.v"], job["commands"]))
        return {"cells": {}, "ports": {"aclk": 1}, "netlist": "x"}

    tools = {"versions": {}, "place": {}, "pack": {}}
    monkeypatch.setattr(place_and_route, "run_worker", run)
    monkeypatch.setattr(place_and_route, "route_tools", lambda _: tools)
    asked = ("--device", name, *OPTIONS.get(name, ()))
    invoke(generate, model, *asked, "-o", tmp_path / "folder")
    # Under another cache, so that synthesis does not get the answer that generation kept.
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path / "other"))
    told = json.loads(invoke(synth, model, *asked, "-o", tmp_path / "placed", "--json"))
    text = (tmp_path / "folder" / "mubinn.v").read_text()
    command = DEVICES[name].command("mubinn")
    assert seen == [(text, [command])] * 2
    assert text == (tmp_path / "placed" / "mubinn.v").read_text()
    assert told["command"] == command
    about = json.loads((tmp_path / "folder" / "parameters.json").read_text())
    assert about["device"] == told["device"] == name
    assert about["interface"]["tdata_bits"] == told["tdata_bits"]
    assert bool(about["interface"]["registers"]) == told["registers"]
    # The adder networks are those of the device.
    assert bool(re.search(r"\bLUT6_2 ", text)) == (DEVICES[name].network == "xc7")


@pytest.mark.parametrize(
    ("options", "name"), [((), "mubinn"), (("--layers", "--units", "2"), "lstm_layer")]
)
def test_the_page_states_what_its_own_command_counts(model, options, name, tmp_path):
    folder = tmp_path / "folder"
    invoke(generate, model, "--device", "xc7", *options, "-o", folder)
    page = (folder / "README.md").read_text()
    (command,) = re.findall(r'^    yosys -p "(.*)"$', page, re.M)
    assert f"{name}.v" in command
    subprocess.run(
        [sys.executable, "-c", RUN, command], cwd=folder, check=True, capture_output=True
    )
    cells = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    about = json.loads((folder / "parameters.json").read_text())
    stated = about["resources"] if name == "mubinn" else about["layers"][0]["resources"]
    assert stated["cells"] == {cell: n for cell, n in cells.items() if cell[0] != "$"}
    used = find_device("xc7").estimate(cells)
    assert used["LUT"] > 0
    for key, resource in find_device("xc7").resources.items():
        assert f"| {resource.name} | {used[key]:g} | {resource.available} |" in page
    assert f"What Yosys {stated['versions']['yosys'].split()[0]} makes of" in page


def test_the_bench_of_luts_counts_what_is_generated(model, random_model, tmp_path):
    invoke(generate, model, "--device", "xc7", "--layers", "--units", 3, "-o", tmp_path / "l")
    about = json.loads((tmp_path / "l" / "parameters.json").read_text())["layers"][0]
    (design,) = layer_designs(small(random_model), find_device("xc7"), units=3)
    assert design.verilog == (tmp_path / "l" / "lstm_layer.v").read_text()
    row = lut_cycles.measure(design)
    assert row["luts"] == about["resources"]["used"]["LUT"]["used"]
    assert row["cycles"] == about["cycles"]["per_step"]
    assert about["cycles"]["formula"].startswith("sum over r in R")


def test_names_of_families_mean_their_first_device():
    assert find_device("ice40") is find_device("ice40-up5k")
    assert find_device("xc7") is find_device("xc7a35t")
    assert find_device("gowin").name == "gw1nr-9c"
    for name, device in DEVICES.items():
        assert device.name == name
        assert device.family not in DEVICES
        assert device.network in NETWORKS
        assert device.width % 8 == 0
        assert len(set(device.pins)) == len(device.pins)
        assert bool(device.library) == (device.network == "xc7")


@pytest.mark.parametrize(
    ("command", "options", "told"),
    [
        (generate, ("--units", "2"), "--units is for FPGAs: give it with --device"),
        (synth, ("--samples", "9"), "--samples is for FPGAs: give it with --device"),
        (synth, ("--load-weights",), "--load-weights is for FPGAs: give it with --device"),
        (synth, ("--datapath", "threshold"), "--datapath is for whole models"),
        (generate, ("--layers",), "--layers is for FPGAs"),
        (generate, ("--no-measure",), "--\\[no-\\]measure is for FPGAs: give it with --device"),
        (synth, ("--clock", "50"), "--clock is for FPGAs: give it with --device"),
        (synth, ("--seed", "2"), "--seed is for FPGAs: give it with --device"),
        (synth, ("--steps", "9"), "--steps is for FPGAs: give it with --device"),
        (generate, ("--device", "xc7", "--layers", "--width", "8"), "--layers has no width"),
        (generate, ("--device", "xc7", "--logic"), "--logic is for layers alone"),
        (generate, ("--device", "max10"), "no device max10: choose from ice40-up5k, .* gowin"),
    ],
)
def test_options_that_mean_nothing_are_told(model, command, options, told, tmp_path):
    folder = ("-o", tmp_path / "out") if command is generate else ()
    with pytest.raises(MubinnError, match=told):
        invoke(command, model, *options, *folder)
    assert not (tmp_path / "out").exists()


def test_the_old_name_of_the_option_is_hidden():
    for command in (generate, synth):
        page = invoke(command, "--help")
        assert "--device NAME" in page
        assert "--target" not in page
