import json
import os
from dataclasses import replace

import numpy as np
import pytest

from mubinn.cli import main as program
from mubinn.cli.commands import report
from mubinn.cli.commands import report_stages as stages
from mubinn.cli.shared.common import QUANTIZED_MODEL, bundled
from mubinn.cli.shared.recordings import calibrated, prepared
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.step import cell_step
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.process import Cancelled
from mubinn.golden.inference.run import infer
from mubinn.golden.model.model_file import load_model, save_model
from mubinn.sim.runner.build import cache_root
from mubinn.synth import builtin_library
from mubinn.synth.flow.result import UNITS, Metric, SynthResult
from mubinn.synth.table1 import table1
from mubinn.synth.table1.delay_model import Workload
from mubinn.synth.table1.table import assemble
from mubinn.train.data.windows import synthetic_eeg

STEPS = 40


def run(capfd, *arguments):
    """Run the program; return exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as left:
        program.main([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return left.value.code, out, err


@pytest.fixture
def float_file(random_float, tmp_path):
    path = tmp_path / "float.safetensors"
    notes = {"recipe": json.dumps({"fold": 0})}
    save_model(path, replace(random_float(classes=2), meta=notes))
    return path


@pytest.fixture
def eeg_file(tmp_path):
    eeg = synthetic_eeg(windows=40, steps=STEPS, channels=5, subjects=10)
    path = tmp_path / "eeg.npz"
    np.savez(path, X=eeg.x, y=eeg.y, subject=eeg.subject, fold=eeg.fold)
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep stages apart from earlier ones, but share the compiled simulations: they are slow."""
    compiled = cache_root()
    compiled.mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "sim").symlink_to(compiled)
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def table(random_float, monkeypatch):
    """Take made-up unit figures, so that nothing is synthesized."""
    metrics = {name: Metric(7.0, unit) for name, unit in UNITS.items()}
    one = SynthResult("unit", metrics, {}, {}, "lib", "00", "11", "22", {"yosys": "0.1"})
    forms = table1.all_forms(calibrated(random_float()))
    keys = table1.distinct_units(forms)
    made = assemble(forms, dict.fromkeys(keys, one), Workload(5, 4, 1300), builtin_library())
    calls = []

    def measure(*arguments, **options):
        calls.append(options["workers"])
        return made

    monkeypatch.setattr(stages, "measure", measure)
    monkeypatch.setattr(stages, "with_variants", lambda table, *_, **__: table)
    return made, calls


def test_whole_line_on_a_small_model(capfd, float_file, eeg_file, table, tmp_path):
    out = tmp_path / "report"
    command = ("report", "-o", out, "--model", float_file, "--data", eeg_file, "--levels", "2,2")
    code, text, err = run(capfd, *command, "--windows", 3, "--json")
    assert (code, err) == (0, "")
    told = json.loads(text)
    layer = load_model(out / "design" / "model.mubinn").layers[0]
    assert layer.levels == Levels.of(2, 2)
    zero = np.zeros(5, np.int64), np.zeros(4, np.int64)
    values = sum(v.size for v in cell_step(layer, zero[0], zero[1], zero[1]).values())
    assert told["compared_values"] == values * 3 * STEPS // 2
    assert told["fp_over_3_3"] == table[0].fp_over_3_3
    assert 0 <= told["float_accuracy"] <= 1
    assert 0 <= told["bit_true_accuracy"] <= 1
    files = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert files == set(told["files"])
    assert {"index.html", "table1.csv", "design/lstm_layer.v", "delay.svg"} <= files
    page = (out / "index.html").read_text()
    assert "eeg.npz, held-out fold 0" in page
    assert (
        f"mubinn simulate design/model.mubinn --windows 3 --simulator verilator --data {eeg_file}"
        in page
    )

    before = {name: (out / name).read_bytes() for name in files}
    code, text, err = run(capfd, *command, "--windows", 3)
    assert code == 0
    assert "[3/3] write" in err
    assert "equal the bit-true model" in text
    assert table[1] == [2]
    same = {name for name in files if (out / name).read_bytes() == before[name]}
    # The page names its command, and that one had --json.
    assert files - same <= {"index.html", "table1.md"}


def test_what_runs_side_by_side_ends_together():
    def long(cancel):
        assert cancel.wait(60)
        raise Cancelled

    def broken(*_):
        raise MubinnError("no")

    assert report._beside(lambda _: 1, lambda: 2) == (1, 2)
    with pytest.raises(MubinnError, match="no"):
        report._beside(long, broken)
    with pytest.raises(MubinnError, match="no"):
        report._beside(broken, lambda: 2)


@pytest.mark.parametrize(("asked", "count"), [((), 5), (("--all-merged",), 25)])
def test_merged_sums_are_measured_as_asked(asked, count, capfd, float_file, tmp_path, monkeypatch):
    def given(task, library, merged, *_):
        raise MubinnError(f"{len(merged)} pairs")

    monkeypatch.setattr(stages, "synthesize_table", given)
    monkeypatch.setattr(stages, "verify", lambda *_: None)
    out = ("-o", tmp_path / "report", "--model", float_file)
    code, _, err = run(capfd, "report", *out, *asked)
    assert code == 2
    assert f"{count} pairs" in err


def test_faults_come_before_any_work(capfd, float_file, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "make_model", None)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("precious")
    out = tmp_path / "report"
    liberty = tmp_path / "bad.lib"
    liberty.write_text("nothing")
    for arguments, words in (
        (("-o", tmp_path / "full"), "mine.txt"),
        (("-o", out, "--levels", "FP,3"), "full precision"),
        (("-o", out, "--levels", "3"), "unknown levels"),
        (("-o", out, "--liberty", liberty), "bad"),
        (("-o", out, "--liberty", liberty, "--fo4", "30"), "built-in library"),
        (("-o", out, "--data", tmp_path / "absent.npz"), "does not exist"),
        (("-o", out, "--model", liberty), "bad.lib"),
    ):
        model = () if "--model" in arguments else ("--model", float_file)
        code, text, err = run(capfd, "report", *arguments, *model)
        assert (code, text) == (2, "")
        assert words in err
        assert err.startswith("mubinn: ")
        assert len(err.splitlines()) == 1
        assert not out.exists()


def test_an_absent_compiler_is_told_before_any_work(capfd, float_file, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "make_model", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    code, text, err = run(capfd, "report", "-o", tmp_path / "report", "--model", float_file)
    assert (code, text) == (2, "")
    assert "needs g++" in err


def test_calibration_keeps_off_the_held_out_fold(float_file, eeg_file):
    task = stages.Task.load(float_file, eeg_file)
    assert task.fold == 0
    held = {window.tobytes() for window in task.windows(1000, held_out=True)}
    used = {window.tobytes() for window in task.windows(1000, held_out=False)}
    assert len(held) == (task.recorded.fold == 0).sum()
    assert not held & used


def test_no_accuracy_without_a_held_out_fold(random_float, tmp_path, eeg_file):
    path = tmp_path / "float.safetensors"
    save_model(path, random_float(classes=2))
    task = stages.Task.load(path, eeg_file)
    assert task.fold is None
    made = stages.make_model(task, Levels.of(1, 1))
    assert stages.measure_accuracy(task, made, made, lambda *_: None) is None


def test_stages_are_kept_by_content(float_file, eeg_file, monkeypatch):
    task = stages.Task.load(float_file, eeg_file)
    made = stages.make_model(task, Levels.of(2, 1))
    other = stages.make_model(task, Levels.of(1, 2))
    first = stages.measure_accuracy(task, made, other, lambda *_: None)
    x, y = prepared(task.start, task.recorded.x), task.recorded.y
    held = task.recorded.fold == 0
    shares = [(infer(one.model, x[held]).classes == y[held]).mean() for one in (made, other)]
    assert [first.bit_true_accuracy, first.post_training_accuracy] == shares
    alone = stages.measure_accuracy(task, made, made, lambda *_: None)
    assert alone == replace(first, post_training_accuracy=None)

    def forbidden(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(stages, "quantize", forbidden)
    monkeypatch.setattr(stages, "infer", forbidden)
    again = stages.make_model(task, Levels.of(2, 1))
    assert again.data == made.data
    assert stages.measure_accuracy(task, again, other, lambda *_: None) == first
    with pytest.raises(AssertionError, match="computed again"):
        stages.make_model(task, Levels.of(1, 1))


def test_the_bundled_trained_model_is_what_is_built_by_default():
    built = stages.trained_model()
    assert built.model.levels == Levels.of(3, 3)
    assert built.data == bundled(QUANTIZED_MODEL).read_bytes()
    assert built.made.startswith("trained by mubinn train eeg_eegmmidb_eyes.npz --method mubinn2")


def test_full_precision_cannot_be_generated():
    with pytest.raises(MubinnError, match="full precision"):
        stages.check_levels(Levels.of(3, None))


def test_bench_measures_with_an_empty_cache(table, monkeypatch):
    from mubinn.cli.benchmarks import table1 as bench

    seen = []

    def measure(library, model, *, workers, cache_path):
        seen.extend(os.listdir(cache_path))
        return table[0]

    monkeypatch.setattr(bench, "measure", measure)
    monkeypatch.setattr(bench, "with_variants", lambda table, *_, **__: table)
    result = bench.bench_table1()
    assert seen == []
    figures = {figure["name"]: figure for figure in result["figures"]}
    assert figures["fp_over_3_3"]["value"] == table[0].fp_over_3_3
    assert "47.2" in figures["fp_over_3_3"]["goal"]
    assert figures["seconds"]["unit"] == "s"
    assert figures["seconds"]["value"] >= 0
    assert figures["variants_seconds"]["value"] >= 0
    caption = f"Cell operation delay in seconds, this synthesis, {table[0].library}"
    assert len(result["tables"][caption]["rows"]) == 6
    json.dumps(result)
