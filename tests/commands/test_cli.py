"""Every command by click's runner, on tiny models; some in a process of their own."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from simulators import QUICK

from mubinn.cli.benchmarks.table import BENCHMARKS
from mubinn.cli.commands import train_runs
from mubinn.cli.main import COMMANDS, mubinn
from mubinn.golden.cells.library import CELLS
from mubinn.golden.model import bit_true
from mubinn.golden.model.model_file import load_model, save_model
from mubinn.sim.layer import layer_check
from mubinn.sim.runner.simulate import SimResult
from mubinn.sim.runner.toolchain import fst_headers_available
from mubinn.sim.testbench.compare import SimulationMismatch
from mubinn.train.recipes.tuned import tuned

PROGRAM = [sys.executable, "-c", "from mubinn.cli.main import main; main()"]


@pytest.fixture(autouse=True)
def no_shared_data(monkeypatch, tmp_path_factory):
    """The shared EEG is absent, so that defaults do not depend on the machine."""
    monkeypatch.setenv("MUBINN_SHARED", str(tmp_path_factory.mktemp("shared")))


@pytest.fixture
def eeg_file(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = rng.normal(0, 1, (40, 16, 5)) + np.sin(np.arange(16))[:, None] * y[:, None, None]
    path = tmp_path / "eeg.npz"
    np.savez(path, X=x.astype(np.float32), y=y, subject=np.arange(40) // 4)
    return path


@pytest.fixture
def float_file(tmp_path, random_float):
    path = tmp_path / "tiny.safetensors"
    save_model(path, random_float(features=5, hidden=4))
    return path


@pytest.fixture
def model_file(tmp_path, random_model):
    path = tmp_path / "tiny.mubinn"
    save_model(path, random_model(seed=3, levels=(2, 2), features=5, hidden=4))
    return path


def run(*args, status=0):
    result = CliRunner().invoke(mubinn, [str(arg) for arg in args])
    assert result.exit_code == status, result.output
    return result


def run_json(*args):
    result = run(*args, "--json")
    assert result.stderr == ""
    return json.loads(result.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_by_example(name):
    # In a process of its own: click keeps the help option of the first context of a command.
    code = "from mubinn.cli.main import main; main()"
    command = [sys.executable, "-c", code, name, "--help"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert f"\n    mubinn {name}" in text
    assert "-h, --help" in text


def test_help_lists_every_command_and_imports_none():
    code = (
        "import sys\nfrom mubinn.cli.main import main\n"
        "try: main()\nexcept SystemExit as leaving: assert not leaving.code\n"
        "heavy = {'numpy', 'amaranth', 'rich', 'cocotb', 'jax', 'pyosys'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    command = [sys.executable, "-c", code, "--help"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for name, about in COMMANDS.items():
        assert f"  {name} " in text
        assert about in text


def test_help_names_every_cell():
    text = " ".join(run("train", "--help").stdout.split())
    assert f"{', '.join(CELLS)}. [default: lstm]" in text


def test_version():
    assert run("--version").stdout.startswith("mubinn 0.")


def test_unknown_commands_and_options_are_usage_errors():
    for args in (["nothing"], ["info", "--nothing"], ["quantize"], ["simulate", "--windows", "0"]):
        result = run(*args, status=2)
        assert "Usage: " in result.stderr
        assert "Traceback" not in result.stderr


def test_quantize_calibrates_measures_and_notes(float_file, eeg_file, tmp_path, random_float):
    start = random_float(features=5, hidden=4, classes=2)
    save_model(float_file, replace(start, meta={"recipe": '{"fold": 1}', "command": "before"}))
    out = tmp_path / "made.mubinn"
    args = ["quantize", float_file, "--levels", "2,3", "--c-levels", "4", "--data", eeg_file]
    about = run_json(*args, "--windows", 9, "--measure", "-o", out)
    model = load_model(out)
    assert str(model.levels) == about["levels"] == "(2,3) c=4"
    assert model.meta["calibration"] == "9 windows of eeg.npz, not fold 1"
    assert "of the calibration's values lie beyond" in model.meta["input_range"]
    assert model.meta["measured_on"] == "fold 1, 8 windows"
    assert model.meta["float_command"] == "before"
    assert model.meta["command"].startswith("mubinn quantize ")
    assert about["bit_true_accuracy"] == float(model.meta["bit_true_accuracy"])
    assert {about["float_accuracy"] * 8 % 1, about["bit_true_accuracy"] * 8 % 1} == {0}


def test_quantize_sees_nothing_of_the_held_out_fold(eeg_file, tmp_path, random_float):
    start = tmp_path / "start.safetensors"
    held_out = replace(random_float(features=5, hidden=4), meta={"recipe": '{"fold": 1}'})
    save_model(start, held_out)
    arrays = dict(np.load(eeg_file))
    x_scales = []
    # The fold of subject s is s % 5, and a subject has four windows.
    for touched in (None, 1, 2):
        changed = {**arrays, "X": arrays["X"].copy()}
        if touched is not None:
            changed["X"][4 * touched : 4 * touched + 4, :, 2] *= 50
        np.savez(tmp_path / "changed.npz", **changed)
        args = ["quantize", start, "--levels", "2,2", "--data", tmp_path / "changed.npz"]
        run(*args, "-o", tmp_path / "made.mubinn")
        x_scales.append(load_model(tmp_path / "made.mubinn").layers[0].x.scales.tolist())
    assert x_scales[0] == x_scales[1] != x_scales[2]


def test_quantize_takes_synthetic_eeg_where_there_is_no_other(float_file, tmp_path):
    out = tmp_path / "made.mubinn"
    result = run(
        "quantize",
        float_file,
        "--levels",
        "1,1",
        "--granularity",
        "gate",
        "--windows",
        4,
        "-o",
        out,
    )
    assert "4 windows of synthetic EEG." in result.stdout
    model = load_model(out)
    assert len(model.layers[0].wx.scales) == 4
    run("quantize", float_file, "--levels", "1,1", "--measure", "-o", out, status=2)


def test_info_of_both_kinds(model_file, float_file):
    about = run_json("info", model_file)
    assert about["kind"] == "quantized"
    assert about["layers"][0]["levels"]["x"] == 2
    assert "5 inputs, 4 cells, levels x 2" in run("info", model_file).stdout
    whole = run("info").stdout
    assert max(map(len, whole.splitlines()[1:])) <= 80
    assert {"recipe", "fold 0", "scale_rate 0.002"} <= {
        part for line in whole.splitlines() for part in re.split(r"\s{2,}", line.strip())
    }
    layer = run_json("info", float_file)["layers"][0]
    assert layer == {"cell": "lstm", "features": 5, "hidden": 4, "c_clip": 1.0}
    assert "5 inputs, 4 cells, c clipped at 1.0" in run("info", float_file).stdout


def test_the_bundled_model_is_what_the_project_states():
    about = run_json("info")
    assert about["layers"][0]["features"] == 32
    assert about["layers"][0]["hidden"] == 100
    assert set(about["layers"][0]["levels"].values()) == {3}
    notes = about["notes"]
    assert float(notes["float_accuracy"]) - float(notes["bit_true_accuracy"]) <= 0.02


def test_generate_writes_a_folder_and_replaces_its_own(model_file, tmp_path):
    out = tmp_path / "layer"
    about = run_json("generate", model_file, "-o", out)
    assert about["files"] == ["README.md", "lstm_layer.v", "parameters.json"]
    assert sorted(path.name for path in out.iterdir()) == about["files"]
    (out / "README.md").write_text("old")
    run("generate", model_file, "-o", out)
    assert "lstm_layer" in (out / "README.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layer", "tiny.mubinn"]


def test_constants_may_be_logic(model_file, tmp_path):
    run_json("generate", model_file, "--logic", "-o", tmp_path / "chip")
    (layer,) = json.loads((tmp_path / "chip" / "parameters.json").read_text())["layers"]
    assert layer["constants"] == "logic"
    assert [memory["name"] for memory in layer["memories"]] == ["m_g"]
    verilog = (tmp_path / "chip" / layer["file"]).read_text()
    assert re.findall(r"reg \[\d+:0\] (\w+) \[\d+:0\];", verilog) == ["m_g"]
    assert "are logic: trees" in (tmp_path / "chip" / "README.md").read_text()


def test_simulate_compares_every_value(model_file, eeg_file):
    about = run_json(
        "simulate", model_file, "--data", eeg_file, "--windows", 2, "--steps", 5, "--pause", 0.3
    )
    layer = about["layers"][0]
    assert about["equal"]
    assert (about["windows"], about["steps"]) == (2, 5)
    # Both windows run with and without pauses; a step has 4 cells of 4 gates of 4 level pairs.
    assert layer["signals"]["dot_x"] == 4 * 5 * 4 * 4 * 4
    assert layer["signals"]["z"] == 4 * 5 * 4 * 4
    assert layer["signals"]["h"] == 4 * 5 * 4
    assert layer["cycles"] > 4 * 5 * layer["cycles_per_step"]
    text = run("simulate", model_file, "--data", eeg_file, "--steps", 5).stdout
    assert "All 1,720 values equal the bit-true model." in text


def test_simulate_runs_every_layer_on_the_one_below(tmp_path, random_model, eeg_file, monkeypatch):
    model = random_model(levels=(1, 2), features=5, hidden=3, depth=2, h=3)
    path = tmp_path / "two.mubinn"
    save_model(path, model)
    seen = {}

    def stand_in(_, codes, *, layer, **options):
        seen[layer] = codes
        outputs = {"cycles_per_step": np.array(7), "windows": np.array(2)}
        return SimResult(2, 100, 0.5, outputs)

    monkeypatch.setattr(layer_check, "check_layer", stand_in)
    about = run_json("simulate", path, "--data", eeg_file, "--windows", 2, "--steps", 3)
    assert [layer["layer"] for layer in about["layers"]] == [0, 1]
    traces, _, _ = bit_true.run(model, seen[0])
    assert (seen[1] == np.moveaxis(traces[0]["h"], 0, -2)).all()
    assert seen[0].shape == (2, 3, 5)
    assert about["layers"][1]["cycles_per_s"] == 200
    run("simulate", path, "--waves", tmp_path / "waves.fst", status=2)


def test_a_state_is_of_windows_that_follow_each_other(model_file, eeg_file):
    args = ["simulate", model_file, "--data", eeg_file, "--state", "carried"]
    assert "give --windows 2" in run(*args, status=2).stderr


def test_simulate_writes_waves(model_file, eeg_file, tmp_path):
    if QUICK == "verilator" and not fst_headers_available():
        pytest.skip("neither Icarus nor lz4's headers are there")
    waves = tmp_path / "out" / "layer.fst"
    waves.parent.mkdir()
    args = ["simulate", model_file, "--data", eeg_file, "--steps", 1, "--simulator", QUICK]
    result = run(*args, "--waves", waves)
    assert f"Waveforms: {waves}" in result.stdout
    assert [path.name for path in waves.parent.iterdir()] == ["layer.fst"]
    assert waves.stat().st_size > 0


def test_a_mismatch_is_a_fault(model_file, eeg_file, monkeypatch):
    def differ(*args, **options):
        raise SimulationMismatch("signal z: expected 1, got 2.")

    monkeypatch.setattr(layer_check, "check_layer", differ)
    result = run("simulate", model_file, "--data", eeg_file, status=2)
    assert result.stderr == "mubinn: signal z: expected 1, got 2.\n"


def test_synth_measures_the_units(model_file, tmp_path, monkeypatch):
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path / "cache"))
    args = ["synth", model_file, "--unit", "decode_c", "--unit", "xnor_x", "--fo4", 20]
    about = run_json(*args)
    assert [row["unit"] for row in about["units"]] == ["decode_c", "xnor_x"]
    assert about["library"]["fo4_ps"] == pytest.approx(20, rel=0.05)
    for row in about["units"]:
        assert row["metrics"]["delay_ps"]["value"] > 0
        assert row["metrics"]["area_um2"]["unit"] == "um^2"
    text = run(*args).stdout
    assert f" {about['units'][1]['metrics']['depth']['value']:.0f} " in text
    assert "XnorMultiplier" in text


def test_train_on_a_file(eeg_file, tmp_path):
    pytest.importorskip("jax")
    out, log = tmp_path / "out.safetensors", tmp_path / "log.jsonl"
    args = ["train", eeg_file, "--fold", 1, "--epochs", 1, "--hidden", 3, "--batch", 8]
    about = run_json(*args, "--log", log, "-o", out)
    assert 0 <= about["test_accuracy"] <= 1
    assert len(about["history"]) == 1
    notes = run_json("info", out)["notes"]
    assert notes["data"] == "eeg.npz"
    assert notes["command"].startswith("mubinn train ")
    assert log.exists()


def test_many_runs_tell_what_they_are_worth_together(eeg_file, tmp_path):
    args = ("train", eeg_file, "--runs", tmp_path / "runs", "--folds", "0,1", "--seeds", "0,1")
    args += ("--method", "mubinn2", "--levels", "1,1", "--levels", "2,2", "--batch", "4")
    args += ("--hidden", "3", "--epochs", "1", "--float-epochs", "2", "--float-learning-rate")
    args += ("0.01", "--distil", "0.5")
    told = run(*args).stdout
    assert "windows of folds 0, 1 together; mean +- standard deviation over seeds 0, 1" in told
    rows = run_json(*args)  # nothing is trained again
    assert not any(row["fresh"] for row in rows)
    floats = [row for row in rows if row["method"] == "float"]
    assert {(row["epochs"], row["recipe"]["learning_rate"]) for row in floats} == {(2, 0.01)}
    assert {row["epochs"] for row in rows if row["method"] != "float"} == {1}
    assert {row["recipe"].get("distil", 0) for row in floats} == {0}
    assert [row["recipe"].get("distil") for row in rows].count(0.5) == len(rows) - len(floats)
    for name, levels in (("mubinn2 1,1", 1), ("mubinn2 2,2", 2)):
        own = [row for row in rows if (row["levels"] or {}).get("x") == levels]
        right = [
            100 * sum(np.trace(row["confusion"]) for row in own if row["seed"] == seed) / 16
            for seed in (0, 1)
        ]
        words = f"{np.mean(right):.2f} +- {np.std(right, ddof=1):.2f}"
        assert re.search(rf"^{name} +{re.escape(words)} +{min(right):.2f} ", told, re.MULTILINE)


def test_the_command_of_the_bundled_model_is_accepted(
    eeg_file, tmp_path, monkeypatch, random_float
):
    from mubinn.golden.inference.metrics import metrics
    from mubinn.train.runs import trainer

    shared = tmp_path / "shared" / "data"
    shared.mkdir(parents=True)
    shutil.copy(eeg_file, shared / "eeg_eegmmidb_eyes.npz")
    monkeypatch.setenv("MUBINN_SHARED", str(shared.parent))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train" / "data").mkdir(parents=True)
    seen = []

    def stand_in(data, recipe, **options):
        seen.append((data, recipe, options))
        return trainer.TrainResult(random_float(), (), metrics([0, 1], [0, 0], 2), None, 6)

    monkeypatch.setattr(trainer, "train", stand_in)
    noted = json.loads(run("info", "--json").stdout)["notes"]["float_command"]
    assert run(*noted.split()[1:]).stdout.startswith("train/data/eeg_float.safetensors: 50.00 %")
    data, recipe, options = seen[0]
    assert data.features == 5
    assert recipe == trainer.Recipe(fold=0, epochs=6, seed=0)
    assert options["notes"] == {"data": "eeg_eegmmidb_eyes.npz", "command": noted}


@pytest.mark.parametrize("option", ["--subject-calibration", "--centre"])
def test_subject_calibration_keeps_its_old_name_unseen(monkeypatch, eeg_file, tmp_path, option):
    seen = []
    monkeypatch.setattr(train_runs, "single", lambda _, recipe, *__: seen.append(recipe))
    run("train", eeg_file, option, "trained", "-o", tmp_path / "a.safetensors")
    assert seen == [tuned("float", subject_calibration="trained")]
    shown = run("train", "--help").stdout
    assert "--subject-calibration" in shown
    assert "--centre" not in shown


def test_bench_lists_and_prints(monkeypatch):
    assert {"inference", "simulate", "table1", "train-step"} <= set(BENCHMARKS)
    listed = [line.split(maxsplit=1) for line in run("bench", "--list").stdout.splitlines()]
    assert [name for name, _ in listed] == list(BENCHMARKS)
    assert all(len(about.split()) > 4 for _, about in listed)
    assert run_json("bench", "--list") == list(BENCHMARKS)
    figure = {"name": "cycles_per_s", "value": 2.0, "unit": "cycles/s", "goal": ""}
    made = {"figures": [figure], "versions": {"numpy": "2"}, "parameters": {"steps": 3}}
    monkeypatch.setitem(BENCHMARKS, "simulate", lambda: made)
    assert run_json("bench", "simulate") == made
    assert "cycles_per_s" in run("bench", "simulate").stdout
    assert "inference" in run("bench", status=2).stderr


def test_bench_takes_a_model_and_its_data(float_file, eeg_file, monkeypatch):
    seen = {}

    def stand_in(**options):
        seen.update(options)
        return {"figures": [], "versions": {}, "parameters": {}}

    monkeypatch.setitem(BENCHMARKS, "quantization", stand_in)
    run("bench", "quantization", "--model", float_file, "--data", eeg_file)
    assert seen["model"].features == 5
    assert (seen["data"].x == np.load(eeg_file)["X"]).all()


def test_bench_takes_an_instruction_set(monkeypatch):
    asked = []
    made = {"figures": [], "versions": {}, "parameters": {}}
    monkeypatch.setitem(BENCHMARKS, "xnor-gemm", lambda **how: asked.append(how) or made)
    run("bench", "xnor-gemm", "--instruction-set", "avx2")
    assert asked == [{"instruction_set": "avx2"}]


def test_bench_simulate_measures(random_model):
    from mubinn.cli.benchmarks.simulate import bench_simulate

    found = bench_simulate(random_model(seed=3, levels=(2, 2), features=5, hidden=4), steps=4)
    figures = {figure["name"]: figure["value"] for figure in found["figures"]}
    parameters = found["parameters"]
    assert figures["cycles_per_s"] == parameters["cycles"] / parameters["seconds"]
    assert parameters["cycles_per_s_without_trace"] > 0
    assert parameters["values_compared"] == 1376
    assert json.dumps(found)


@pytest.mark.parametrize(("number", "word"), [("SIGINT", "interrupted"), ("SIGTERM", "terminated")])
def test_signals_end_it_cleanly(tmp_path, number, word):
    fifo, out = tmp_path / "model.pt", tmp_path / "out.mubinn"
    os.mkfifo(fifo)
    before = set(tmp_path.iterdir())
    args = ["quantize", fifo, "--levels", "1,1", "-o", out]
    # A shell has what runs in the background ignore interrupts, and this would inherit it.
    heeds = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    # It would not wait for a pipe as it does for a slow disk.
    waits = "from mubinn.golden.model import container; "
    waits += "container.read_bytes = lambda path: path.open('rb').read(); "
    program = [*PROGRAM[:-1], heeds + waits + PROGRAM[-1]]
    process = subprocess.Popen(
        [*program, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    # Opening the other end waits until the command opens it; a signal before its read may be lost.
    with fifo.open("wb"):
        state = Path(f"/proc/{process.pid}/stat")
        while state.read_text().rpartition(")")[2].split()[0] != "S":
            time.sleep(0.01)
        process.send_signal(getattr(signal, number))
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + getattr(signal, number)
    assert stdout == ""
    assert stderr.strip() == f"mubinn: {word}."
    assert set(tmp_path.iterdir()) == before


def test_hardware_that_is_left_half_made_is_no_news(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("""
import gc
from amaranth.hdl import Fragment
from mubinn.cli.commands import info
from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.stream.unit import Register

def begin(**_):
    Fragment.get(Register(8), None)  # without a use Amaranth says nothing
    begun = Register(8)
    raise MubinnError("no further")

info.info.callback = begin
from mubinn.cli.main import main
try:
    main()
finally:
    gc.collect()
""")
    process = subprocess.run([sys.executable, program, "info"], capture_output=True, text=True)
    assert process.returncode == 2
    assert process.stderr == "mubinn: no further\n"


def test_a_reader_that_has_enough_is_no_fault():
    process = subprocess.Popen([*PROGRAM, "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    process.wait(60)
    assert stderr == b""
