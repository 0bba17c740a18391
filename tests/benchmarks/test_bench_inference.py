"""The inference measurement: what it compares with, and what it prints."""

import json
import sys

import numpy as np
import pytest

from mubinn.cli.benchmarks import figures
from mubinn.cli.benchmarks import inference as bench
from mubinn.cli.benchmarks.table import BENCHMARKS
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference import compiled as inference_compiled
from mubinn.golden.inference import run as inference
from mubinn.golden.inference.run import CompiledModel
from mubinn.golden.model import reference


@pytest.mark.parametrize("name", ["torch", "onnxruntime"])
def test_the_float_lstms_are_the_reference(random_float, name):
    pytest.importorskip(name)
    layer = random_float(1, features=5, hidden=4, c_clip=None).layers[0]
    x = np.random.default_rng(0).normal(0, 1, (6, 9, 5)).astype(np.float32)
    make = {"torch": bench._torch, "onnxruntime": bench._onnxruntime}[name]
    got = make(layer)(np.ascontiguousarray(x.transpose(1, 0, 2)))
    expected = reference.run_layer(layer, reference.LayerQuantizers(), x.astype(float))["h"]
    expected = np.moveaxis(expected, -2, 0)
    # A float32 LSTM keeps 24 bits through 9 steps of values below 1.
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("reset", ["after", "before"])
def test_the_float_gru_is_the_reference(random_float_gru, reset):
    pytest.importorskip("onnxruntime")
    layer = random_float_gru(1, features=5, hidden=4, reset=reset).layers[0]
    x = np.random.default_rng(0).normal(0, 1, (6, 9, 5)).astype(np.float32)
    got = bench._onnxruntime(layer)(np.ascontiguousarray(x.transpose(1, 0, 2)))
    expected = reference.run_layer(layer, reference.LayerQuantizers(), x.astype(float))["h"]
    np.testing.assert_allclose(got, np.moveaxis(expected, -2, 0), rtol=0, atol=1e-5)


def test_figures(monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("MUBINN_SHARED", "nowhere")
    monkeypatch.setattr(bench, "BATCHES", (16, 32))
    monkeypatch.setattr(bench, "STEPS", 20)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = bench.bench_inference(windows=40, rounds=1)
    assert json.loads(json.dumps(result)) == result
    values = {figure["name"]: figure["value"] for figure in result["figures"]}
    seconds = result["parameters"]["seconds"]
    cells = ("lstm", "gru", "gru_before")
    assert set(seconds) == {*bench.GOALS, *(f"{cell} onnxruntime" for cell in cells)}
    for name, (cell, _, _) in bench.GOALS.items():
        assert values[name] == seconds[name] / seconds[f"{cell} onnxruntime"]
    assert min(seconds.values()) > 0
    assert result["parameters"]["data"] == "synthetic"
    assert result["parameters"]["windows"] == 40
    assert result["parameters"]["steps"] == 10
    assert set(result["parameters"]["product"].values()) == {
        "400 x 132 float32",
        "300 x 132 float32",
    }
    assert set(result["parameters"]["kernel"].values()) == {"numpy"}
    assert {"onnxruntime", "numpy", "mubinn"} < set(result["versions"])
    assert ("numba" in result["versions"]) == inference_compiled.available()


@pytest.mark.parametrize(
    ("fit", "kernel", "product"),
    [
        ((1, 1), "numpy", "32 x 9 float32"),
        ((1, 1), "words", "32 x 2 words of 32 bits"),
        ((3, 3), "words", "32 x 18 words of 32 bits"),
        ((1, 1), "pairs", "32 x 9 int16"),
    ],
)
def test_the_kernel_and_its_product_are_named(random_model, monkeypatch, fit, kernel, product):
    monkeypatch.setattr(inference, "available", lambda: True)
    model = random_model(1, fit, hidden=8, features=1)
    assert bench._product(CompiledModel(model, kernel=kernel), 9, 9) == product


def test_versions_name_numba_where_it_is_used(monkeypatch):
    monkeypatch.setattr(bench, "available", lambda: False)
    assert "numba" not in bench._versions({})


def test_without_any_float_lstm(monkeypatch, random_float):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    x = np.zeros((4, 3, 5), np.float32)
    with pytest.raises(MubinnError, match=r"pip install 'mubinn\[bench\]'"):
        bench.float_layers(random_float().layers[0], x)


def test_too_little_to_measure():
    with pytest.raises(MubinnError, match="at least 1 round"):
        bench.bench_inference(rounds=0)


def test_the_best_of_alternating_rounds_counts(monkeypatch):
    clock = iter([0, 9, 10, 19, 20, 25, 30, 37, 40, 42, 50, 58])
    monkeypatch.setattr(figures, "perf_counter", lambda: next(clock))
    order = []
    runs = {name: (lambda name=name: order.append(name)) for name in "ab"}
    assert figures.best_seconds(runs, 2) == {"a": 7, "b": 2}
    assert order == list("ababab")


def test_the_registry_imports_when_it_runs(monkeypatch):
    monkeypatch.setattr(bench, "bench_inference", lambda: {"figures": []})
    assert BENCHMARKS["inference"]() == {"figures": []}
