"""The table of layers: a small model and its floats, from files to the table."""

import json

import numpy as np
import pytest

from mubinn.cli.benchmarks import kept
from mubinn.cli.benchmarks import layers as bench
from mubinn.golden.model.model_file import save_model
from mubinn.hw.export.layer_folder import layer_designs
from mubinn.hw.layer.lstm_layer import cycles_per_step
from mubinn.reports.layers import LayerRow, layer_columns, layer_files, layer_texts


def row(model, datapath, nj, **resources):
    own = {"LUTs": 7, "DSPs": 0, **resources}
    energies = (nj / 2, nj / 4, nj / 4)
    return LayerRow(model, "lstm; 3, 2", "2", datapath, 40, own, 9, 64, *energies, 800.0, {})


def test_floats_stand_over_layers_of_their_sizes():
    rows = [row("q", "threshold", 2.0), row("fp", "binary32", 50.0)]
    columns, texts = layer_columns(rows), layer_texts(rows)
    assert "DSPs" not in columns
    assert [text[columns.index("floats over it")] for text in texts] == ["25", "1"]
    files = layer_files(rows, {"versions": {"yosys": "0"}})
    assert json.loads(files["layers.json"])["layers"][0]["step_nj"] == 2.0
    assert files["layers.csv"].decode().count("\n") == files["layers.md"].decode().count("\n") - 1


@pytest.fixture
def files(tmp_path, monkeypatch, random_model, random_float):
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path / "cache"))
    quantized = random_model(seed=4, levels=(1, 2), features=3, hidden=4)
    floats = random_float(features=3, hidden=4)
    save_model(tmp_path / "q.mubinn", quantized)
    save_model(tmp_path / "fp.safetensors", floats)
    x = np.random.default_rng(0).normal(size=(70, 24, 3)).astype(np.float32)
    np.savez(tmp_path / "x.npz", X=x)
    return tmp_path, quantized.with_datapath("threshold")


def test_a_model_and_its_floats(files, monkeypatch):
    folder, model = files
    models = [folder / name for name in ("fp.safetensors", "q.mubinn")]
    told = []
    options = {"data": [folder / "x.npz"], "datapath": "threshold", "progress": told.append}
    result = bench.bench_layers(models, **options)
    full, own = result["layers"]
    (design,) = layer_designs(model)
    assert own["cycles"] == cycles_per_step(design.layer.plan)
    assert full["cycles"] == 4 * 4 * 7 + 4 * 3 + 4 * 5
    assert full["compared"] is None
    assert own["compared"] > 0
    assert full["layer"] == own["layer"] == "lstm; 3, 4"
    assert all(r["resources"]["6-input LUTs"] > 0 and r["memory_nj"] > 0 for r in (full, own))
    assert set(result["files"]) == {"layers.md", "layers.csv", "layers.json"}
    # What is kept is not done again.
    for module, name in ((bench, "check_layer"), (kept, "layer_energy")):
        monkeypatch.delattr(module, name)
    assert bench.bench_layers(models, **options)["layers"] == [full, own]
