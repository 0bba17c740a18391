"""The measurement of a large model: its parts on a small one, and the whole on request."""

import pytest
from simulators import needs_icarus

from mubinn.cli.benchmarks import scale as bench
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.layer.lstm_layer import cycles_per_step

PARTS = ("generate", "simulate_0", "synth_0", "simulate_1", "synth_1")


def values(result):
    return {figure["name"]: figure["value"] for figure in result["figures"]}


@needs_icarus
def test_every_part_runs_in_a_process_that_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path))
    told = []
    result = bench.bench_scale((3, 4, 2), "icarus", told.append)
    assert told == list(PARTS)
    assert list(values(result)) == [f"{part}_s" for part in PARTS]
    assert min(values(result).values()) > 0
    about = result["parameters"]
    assert all(about[f"{part}_mb"] > 10 for part in PARTS)
    model = bench.random_model(3, 4, 2)
    for k, dense in enumerate((None, model.dense)):
        cycles = cycles_per_step(LayerPlan(model.layers[k], dense, units=bench.UNITS))
        assert about[f"cycles_{k}"] == about[f"cycles_per_step_{k}"] == cycles
    assert min(about["luts_0"], about["luts_1"]) > 0


@pytest.mark.slow
def test_two_layers_of_512_cells():
    result = bench.bench_scale()
    print(values(result), result["parameters"])
    assert values(result)["generate_s"] <= bench.SECONDS
    assert max(result["parameters"][f"{part}_mb"] for part in PARTS) < 4096
