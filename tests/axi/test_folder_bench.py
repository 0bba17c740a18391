"""`mubinn simulate --device`: a whole accelerator on recorded windows, by its folder's bench."""

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from simulators import QUICK

from mubinn.cli.commands.simulate import simulate
from mubinn.cli.shared.recordings import sent
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.model_file import save_model
from mubinn.hw.boards.device import find_device
from mubinn.hw.export.accelerator_folder import bench_files
from mubinn.hw.export.device_design import DesignOptions, device_design
from mubinn.hw.export.golden_vectors import drawn_windows
from mubinn.sim.axi.folder_bench import run_bench
from mubinn.sim.testbench.compare import SimulationMismatch
from mubinn.train.data.windows import find_data, load_labelled


@pytest.fixture
def causal(random_model, tmp_path):
    model = random_model(features=3, hidden=2, levels=(2, 1), readout="every")
    model = replace(model, preprocessing=Preprocessing("causal", 2))
    save_model(tmp_path / "causal.mubinn", model)
    return model


WAYS = {
    "adc": ("--adc", "12", "--no-registers"),
    "samples": ("--samples", "20", "--units", "2"),
    "level bits": ("--load-weights",),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_result_of_recorded_windows_is_compared(causal, tmp_path, way):
    x = np.random.default_rng(1).normal(0, 200, (4, 21, 3)).round().astype(np.int16)
    np.savez(tmp_path / "recorded.npz", X=x)
    model, data = tmp_path / "causal.mubinn", tmp_path / "recorded.npz"
    asked = ["--windows", "2", "--device", "ecp5", *WAYS[way], "--simulator", QUICK]
    told = CliRunner().invoke(simulate, [str(model), "--data", str(data), *asked])
    assert told.exit_code == 0, told.output
    assert "2 windows of 10 steps" in told.output
    assert "all 20 results equal the bit-true model" in told.output


def test_options_of_the_other_kind_are_refused(causal, tmp_path):
    for options, word in (
        (["--device", "ecp5", "--pause", "0.5"], "--pause is of layers"),
        (["--adc", "12"], "--adc is for FPGAs"),
        (["--top", "name"], "--top is for FPGAs"),
    ):
        told = CliRunner().invoke(simulate, [str(tmp_path / "causal.mubinn"), *options])
        assert word in str(told.exception), told.output


def test_a_wrong_result_is_told(causal):
    design = device_design(causal, find_device("ecp5"), DesignOptions(adc_width=10))
    files = bench_files(design, *drawn_windows(design.top.core, 1, 3))
    lines = files["result.hex"].splitlines()
    wrong = [*lines[:-1], f"{int(lines[-1], 16) ^ 1:x}"]
    files["result.hex"] = "\n".join(wrong) + "\n"
    with pytest.raises(SimulationMismatch, match=r"FAIL: 1 errors.*result beat \d+: expected"):
        run_bench(files, QUICK)
    # One more is waited for, and never comes.
    files["result.hex"] = "\n".join([*lines, lines[0]]) + "\n"
    files["testbench.v"] = files["testbench.v"].replace(
        f"OUTPUTS = {len(lines)};", f"OUTPUTS = {len(lines) + 1};"
    )
    with pytest.raises(SimulationMismatch, match=f"{len(lines)} of {len(lines) + 1} result beats"):
        run_bench(files, QUICK)
    files["mubinn.v"] = "nonsense"
    with pytest.raises(MubinnError, match="could not compile the bench"):
        run_bench(files, QUICK)


RECORDINGS = {
    "20 recordings, carried on": (20, "carried", 1, 1),
    "an hour in one": (1, "cleared", 1, 1),
    "20 recordings, carried on, at (3,3)": (20, "carried", 3, 8),
    "an hour in minutes, carried on, at (3,3)": (60, "carried", 3, 8),
}
"""Windows, what becomes of their state, levels, and units."""


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_samples_of_an_adc_are_decided_as_in_integers(random_model, tmp_path, name):
    """Real EEG: 20 runs of a minute one after the other, or all windows of an hour, joined."""
    source = find_data()
    if source is None:
        pytest.skip("the shared recordings are not there")
    count, state, levels, units = RECORDINGS[name]
    data = load_labelled(source)
    whole = np.unique(data.subject * 2 + data.y, return_inverse=True)[1]
    if count == 20:
        x = np.stack([np.concatenate(data.x[whole == k]) for k in range(count)])
    else:
        x = data.x[: 3600 * int(data.fs_hz) // data.steps].reshape(count, -1, data.features)
    model = random_model(features=32, hidden=100, levels=(levels,) * 2, readout="every")
    model = replace(model, preprocessing=Preprocessing("causal", 2))
    options = DesignOptions(adc_width=16, state=state, units=units)
    design = device_design(model, find_device("ecp5"), options)
    run = run_bench(bench_files(design, *sent(design.top.core, x, count, None)))
    steps = x.shape[0] * x.shape[1] // 2
    assert run.beats == steps * design.top.writer.beats
    assert steps >= 20 * 2400
