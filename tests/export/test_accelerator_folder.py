"""Generated folders that stand alone: their bench, memories, driver and page."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from simulators import needs_icarus
from stacks import STACKS, stacked

from mubinn.cli.commands.generate import generate
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.folding.constants_digest import DIGEST_BYTES
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.model_file import save_model
from mubinn.golden.quantize import quantize
from mubinn.hw.accelerator.plans import plans
from mubinn.hw.axi.register_map import CONTROL
from mubinn.hw.boards.device import DEVICES, find_device
from mubinn.hw.export.accelerator_folder import accelerator_folder
from mubinn.hw.export.device_design import (
    DesignOptions,
    Measured,
    device_design,
    logic_script,
    resources,
)
from mubinn.hw.export.driver import Driver
from mubinn.hw.export.golden_vectors import golden_vectors
from mubinn.hw.export.layer_folder import generate as layer_folder

CASES = {
    "ecp5": (
        {"levels": (2, 2), "depth": 2},
        ("ecp5-25k", DesignOptions(units=2)),
    ),
    "ice40": (
        {"levels": (1, 2), "readout": "last"},
        ("ice40", DesignOptions(lanes=3, sample_width=20, loadable=True)),
    ),
    "xc7": (
        {"levels": (1, 1), "offsets": False},
        ("xc7", DesignOptions(units=2, width=64, loadable=True)),
    ),
    "gru": (
        {"cell": "gru", "reset": "before", "levels": (1, 2), "depth": 2},
        ("ecp5", DesignOptions(units=3, loadable=True)),
    ),
    "convolution": (
        {"stack": "strides", "levels": (1, 2)},
        ("ecp5", DesignOptions(units=3, sample_width=18)),
    ),
    "samples of an ADC": (
        {"levels": (1, 1), "readout": "last"},
        ("ice40", DesignOptions(lanes=3, adc_width=12)),
    ),
    "wishbone": (
        {"levels": (1, 1), "classes": 5},
        ("ecp5", DesignOptions(units=3, loadable=True, state="register", bus="wishbone")),
    ),
    "gowin": (
        {"levels": (1, 1)},
        ("gowin", DesignOptions(units=3, max_steps=5)),
    ),
}
WORD = re.compile(r"^\s+(m_\w+)\[\d+\] = \d+'h([0-9a-fx]+);", re.M)
MODULE = re.compile(
    r"^module \\mubinn\.(?:axi\.)?core\.layer_(\d)\.memories\b.*?^endmodule", re.M | re.S
)


def model_of(random_of, about):
    if "stack" not in about:
        # What the input is made of decides nothing, where the samples are those of a layer.
        how = Preprocessing("causal", 2)
        return replace(random_of(features=4, hidden=3, **about), preprocessing=how)
    floats = stacked(STACKS[about["stack"]], 4)
    x = np.random.default_rng(0).normal(0, 1, (8, 12, 4))
    return quantize(floats, Levels.of(*about["levels"]), x)


@pytest.fixture(scope="module", params=CASES)
def made(request, random_of, tmp_path_factory):
    about, asked = CASES[request.param]
    files = folder_of(model_of(random_of, about), *asked)
    folder = tmp_path_factory.mktemp("folder")
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return request.param, folder, files, json.loads(files["parameters.json"])


def folder_of(model, device, options=None):
    return accelerator_folder(model, device_design(model, find_device(device), options))


def simulated(folder, *arguments, standard="-g2005"):
    sources = [name for name in ("testbench.v", "mubinn.v", "cells.v") if (folder / name).exists()]
    command = ["iverilog", standard, "-o", "testbench", *sources]
    told = f"iverilog -g2005 -o testbench {' '.join(sources)} && vvp testbench"
    assert f"    {told}\n" in (folder / "README.md").read_text()
    subprocess.run(command, cwd=folder, check=True)
    run = subprocess.run(
        ["vvp", "-n", "testbench", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout


@needs_icarus
def test_the_bench_passes_with_icarus_alone(made):
    _, folder, files, parameters = made
    beats = len(files["result.hex"].splitlines())
    assert beats == 3 * parameters["interface"]["result"]["beats"]
    paused, fast = simulated(folder), simulated(folder, "+fast", standard="-g2012")
    assert f"PASS: {beats} result beats" in paused
    assert f"PASS: {beats} result beats" in fast
    cycles = [int(re.search(r"(\d+) cycles", text)[1]) for text in (paused, fast)]
    assert cycles[0] > cycles[1]


@needs_icarus
@pytest.mark.parametrize(
    ("head", "outputs", "readout"), [("sigmoid", 1, "every"), ("regression", 3, "running")]
)
def test_heads_have_their_results_in_a_folder(random_model, tmp_path, head, outputs, readout):
    about = {"levels": (1, 1), "features": 3, "hidden": 2, "readout": readout}
    model = random_model(head=head, classes=outputs, **about)
    files = folder_of(model, "ecp5", DesignOptions(units=2))
    (tmp_path / "memories").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    parameters = json.loads(files["parameters.json"])
    assert (parameters["head"], parameters["outputs"]) == (head, outputs)
    fields = ["label", "logits", "end"] if head == "sigmoid" else ["values", "end"]
    assert list(parameters["interface"]["result"]["fields"]) == fields
    beats = 3 * 4 * parameters["interface"]["result"]["beats"]
    assert len(files["result.hex"].splitlines()) == beats
    assert f"PASS: {beats} result beats" in simulated(tmp_path)
    page = files["README.md"]
    assert "`end` is 1 in that of its last step" in page
    unit = f"multiples of 2^-{model.dense.b.fraction}"
    assert (f"`values` are {unit}, summed over the steps so far: divide" in page) == (
        head == "regression"
    )
    assert (f"`logits` is one logit in {unit}; `label` is 1 from 0 on" in page) == (
        head == "sigmoid"
    )


@needs_icarus
@pytest.mark.parametrize("state", ["register", "carried"])
def test_windows_of_a_folder_go_on_from_each_other(random_model, tmp_path, state):
    about = {"seed": 9, "levels": (2, 1), "features": 3, "hidden": 2}
    about["readout"] = "mean" if state == "register" else "leaky:2@3"
    stamp = {} if state == "register" else {"settle": 6, "step_bits": 9}
    ported = {"state_port": True, "registers": True} if state == "register" else {}
    how = DesignOptions(units=2, state=state, **{"registers": False, **stamp, **ported})
    files = folder_of(random_model(**about), "ecp5", how)
    (tmp_path / "memories").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    plain = folder_of(
        random_model(**about), "ecp5", replace(how, state="cleared", state_port=False)
    )
    assert files["input.hex"] == plain["input.hex"]
    assert files["result.hex"] != plain["result.hex"]
    assert "PASS" in simulated(tmp_path)
    assert json.loads(files["parameters.json"])["state"] == state
    assert ("STATE_CARRY 0x1u" in files["mubinn.h"]) == (state == "register")
    if state == "carried":
        page, found = files["README.md"], json.loads(files["parameters.json"])
        assert found["stamp"] == {"settle": 6, "bits": 9}
        assert [*found["interface"]["result"]["fields"]][-2:] == ["step", "unsettled"]
        assert "`step` is n in 9 bits, after the largest number it goes on with 0" in page
        assert "`unsettled` is 1 while n is below 6." in page
        assert "one after every 3 steps of a window and one after its last step" in page
        assert re.search(r"RESULT_STEP \d+ /\* unsigned, 9 bits in use \*/", files["mubinn.h"])
        driver = Driver(None, {**found["interface"], "registers": {}})
        size = found["interface"]["result"]["bytes"]
        words = [line[-8:].zfill(8) for line in files["result.hex"].splitlines()]
        sent = b"".join(bytes.fromhex(word)[::-1] for word in words)
        taken = [driver.unpack(sent[k : k + size]) for k in range(0, len(sent), size)]
        told = [tuple(own[name] for name in ("end", "step", "unsettled")) for own in taken]
        assert told == [(0, 3, 1), (1, 4, 1), (0, 7, 0), (1, 8, 0), (0, 11, 0), (1, 12, 0)]
    if state == "register":
        assert "begins with 0 in each window" in files["README.md"]
        size = json.loads(files["parameters.json"])["interface"]["state_bytes"]
        assert f"The whole state, {size} bytes" in files["README.md"]
        assert f"#define MUBINN_STATE_BYTES {size}\n" in files["mubinn.h"]
        first, *rest = files["writes.hex"].splitlines(keepends=True)
        assert first == f"{0x20 << 32 | 1:x}\n"
        (tmp_path / "writes.hex").write_text("".join([*rest, *rest]))
        assert "FAIL" in simulated(tmp_path)


@needs_icarus
def test_the_bench_finds_wrong_weights(made, tmp_path):
    _, folder, files, _ = made
    wrong = re.sub(r"(m_w\[\d+\] = )(\d+'h[0-9a-f]+)", r"\1~\2", files["mubinn.v"])
    loads = "writes.hex" if "writes.hex" in files else "load.hex"
    for name in files:
        if "/" not in name and name != "mubinn.v":
            shutil.copy(folder / name, tmp_path)
    (tmp_path / "mubinn.v").write_text(wrong)
    if "load.hex" in files:
        lines = files[loads].splitlines()
        # Of all writes, those to register load; of all bytes, every one; but for the digest.
        whole = 0xFFFFFFFF if loads == "writes.hex" else 0xFF
        start = 2 if loads == "writes.hex" else DIGEST_BYTES
        places = {k for k, n in enumerate(lines) if whole == 0xFF or n[:2] == "18"}
        own = {k for k in places if k >= start}
        for flipped, seen in ((own, "expected"), (places - own, "FAIL")):
            other = [f"{int(n, 16) ^ (whole * (k in flipped)):02x}" for k, n in enumerate(lines)]
            (tmp_path / loads).write_text("\n".join(other) + "\n")
            told = simulated(tmp_path)
            assert "FAIL" in told
            assert seen in told
        return
    told = simulated(tmp_path)
    assert "FAIL" in told
    assert "expected" in told


def test_memories_are_those_of_the_verilog(made):
    _, _, files, parameters = made
    found = {}
    for match in MODULE.finditer(files["mubinn.v"]):
        for name, word in WORD.findall(match[0]):
            found.setdefault(f"memories/layer_{match[1]}.{name}.hex", []).append(int(word, 16))
    stated = {n: [int(w, 16) for w in t.split()] for n, t in files.items() if n[:8] == "memories"}
    assert stated
    for name, words in stated.items():
        # What is loaded stands in no Verilog, nor does a memory whose words are all alike.
        if len(set(words)) > 1 or name in found:
            loaded = "load.hex" in files and "m_w" in name
            assert found.get(name) == (None if loaded else words), name
    for number, layer in enumerate(parameters["layers"]):
        for memory in layer["memories"]:
            if memory["contents"] == "constant":
                words = stated[f"memories/layer_{number}.{memory['name']}.hex"]
                assert len(words) == memory["words"]
                assert max(words) < 1 << memory["width"]


def test_the_page_states_ports_packets_and_registers(made):
    _, _, files, parameters = made
    device = DEVICES[parameters["device"]]
    page = files["README.md"]
    ports = re.findall(
        r"^  (input|output) (?:reg )?(?:\[(\d+):0\] )?(\w+);", files["mubinn.v"], re.M
    )
    own = r"[a-z]+_[io]" if "bus" in parameters else r"(s_axi|m_axi|ac|ar).*"
    for direction, top, name in ports:
        if re.fullmatch(own, name):
            assert f"| `{name}` | {direction} | {int(top or 0) + 1} |" in page
    for name, register in CONTROL.items() if device.registers else ():
        assert f"| {register.offset:#04x} | {name} | {register.access} |" in page
    assert f"**{parameters['cycles_per_step']}** cycles" in page
    suffix, kind = device.constraints
    assert f"{device.clock_mhz:g}" in files[f"mubinn.{suffix}"] or device.family == "xc7"
    assert f"mubinn.{suffix}: {{file_type: {kind}}}" in files["mubinn.core"]
    assert device.part in page
    assert f"| `mubinn.{suffix}` | clock constraint{', pins' * bool(device.pins)} |" in page


def test_the_driver_that_comes_along_works_by_itself(made):
    _, folder, files, _ = made
    about = json.loads(files["parameters.json"])
    rows = about["interface"]["min_steps"] * about["interface"]["input"]["samples"]
    window = [[0] * about["inputs"]] * rows
    code = (
        "import json, driver\n"
        "about = json.load(open('parameters.json'))['interface']\n"
        "about['registers'] = {}\n"
        f"print(driver.Driver(None, about).pack({window}).hex())"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.')\n{code}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = Driver(None, {**about["interface"], "registers": {}}).pack(window)
    assert run.stdout.strip() == expected.hex()


def test_the_driver_refuses_windows_that_are_too_short(made):
    about = made[3]["interface"]
    window = [[0] * made[3]["inputs"]] * (about["min_steps"] - 1)
    with pytest.raises(
        ValueError, match=f"{len(window)} steps is shorter than the {len(window) + 1}"
    ):
        Driver(None, {**about, "registers": {}}).pack(window)


def test_the_folder_is_made_for_windows_of_some_length(random_model):
    model = random_model(features=3, hidden=2, levels=(1, 1))
    widths = []
    for steps in (4096, 5):
        files = folder_of(model, "ecp5", DesignOptions(max_steps=steps))
        about = json.loads(files["parameters.json"])["interface"]
        assert about["max_steps"] == steps
        assert f"| longest window | {steps} steps; the logits" in files["README.md"]
        widths.append(about["result"]["fields"]["logits"]["bits"])
    assert 9 <= widths[0] - widths[1] <= 10
    core = SimpleNamespace(model=model, plans=plans(model, max_steps=5))
    blank = np.zeros((1, 6, 3), np.int64)
    with pytest.raises(MubinnError, match="6 steps is longer than the 5 that the logits hold"):
        golden_vectors(SimpleNamespace(core=core), {}, blank, blank)


def test_a_board_that_needs_pins_gets_them(random_model):
    model = random_model(features=4, hidden=3, levels=(1, 1))
    for name, device in DEVICES.items():
        if not device.pins:
            continue
        # Loaded weights need the most ports.
        files = folder_of(model, name, DesignOptions(loadable=True))
        found = re.findall(r'^IO_LOC "(\S+)" (\S+);', files["mubinn.cst"], re.M)
        page = files["README.md"]
        bits = sum(
            int(n) for n in re.findall(r"^\| `[a-z_]+` \| (?:in|out)put \| (\d+) \|", page, re.M)
        )
        assert bits == len(found) == len({pin for _, pin in found}) == 35
        assert found[0] == ("aclk", device.pins[0])
        assert {"s_load_tdata[7]", "m_axis_tlast"} < {port for port, _ in found}


def test_the_page_states_what_was_measured():
    device = find_device("ecp5")
    found = Measured({"LUT4": 24280, "CCU2C": 5, "DP16KD": 3}, {"yosys": "0.70 (built here)"})
    rows = resources(device, "mubinn.v", device.command("mubinn"), found)
    assert rows["command"] == 'yosys -p "read_verilog -sv mubinn.v; synth_ecp5 -top mubinn; stat"'
    assert rows["used"]["TRELLIS_COMB"] == {
        "what": "4-input LUTs",
        "used": 24290,
        "available": 24288,
        "counted": "LUT4 + 2 CCU2C",
    }
    # Of the pins a netlist tells nothing.
    assert list(rows["used"]) == ["TRELLIS_COMB", "TRELLIS_FF", "DP16KD", "MULT18X18D"]


def test_the_page_states_resources_or_that_they_are_not_measured(random_model):
    model = random_model(features=3, hidden=2, levels=(1, 1))
    design = device_design(model, find_device("ice40"))
    command = 'yosys -p "read_verilog -sv mubinn.v; synth_ice40 -device u -spram -top mubinn; stat"'
    found = Measured({"SB_LUT4": 5281, "SB_DFF": 7}, {"yosys": "0.70 (built here)"})
    pages = [accelerator_folder(model, design, m)["README.md"] for m in (None, found)]
    assert all(f"\n\n    {command}\n\n## Latency" in page for page in pages)
    assert "Not measured yet" in pages[0]
    assert "What Yosys 0.70 makes of `mubinn.v` for Lattice iCE40 UP5K" in pages[1]
    assert "| logic cells | 5281 | 5280, too few | SB_LUT4 |" in pages[1]
    assert "| flip-flops | 7 | 5280 | SB_DFF |" in pages[1]


def test_pages_say_how_samples_are_made(random_model):
    model = random_model(features=3, hidden=2, levels=(1, 1))
    causal = replace(model, preprocessing=Preprocessing("causal", 4))
    pages = [
        " ".join(made["README.md"].split())
        for made in (
            accelerator_folder(causal, device_design(causal, find_device("ice40"))),
            layer_folder(causal),
        )
    ]
    for page in pages:
        assert "those of `mubinn.golden.model.front_end.FrontEnd`" in page
        assert "summed up by 4" in page or "sums up by 4" in page
        assert "averaged" not in page


def test_a_script_for_logic_alone_reads_the_cells_of_the_device():
    assert "read_verilog -lib +/xilinx/cells_sim.v\n" in logic_script(find_device("xc7"), "top")
    script = logic_script(find_device("ecp5"), "top")
    assert "xilinx" not in script
    assert script.endswith("\nsynth_ecp5 -top top\n")


def test_the_command_writes_the_folder_and_tells_its_cost(random_model, tmp_path):
    save_model(tmp_path / "m.mubinn", random_model(features=3, hidden=2, levels=(1, 1)))
    command = [str(tmp_path / "m.mubinn"), "--target", "ecp5", "--samples", "30", "--json"]
    command.append("--no-measure")
    result = CliRunner().invoke(generate, [*command, "-o", str(tmp_path / "out")])
    assert result.exception is None
    told = json.loads(result.stdout)
    written = (p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*"))
    assert {str(p) for p in written} == {*told["files"], "memories"}
    assert "mubinn.lpf" in told["files"]
    assert told["seconds"] > 0
    assert told["peak_memory_mb"] > 10
    result = CliRunner().invoke(generate, [*command[:2], "max10", "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, MubinnError)
