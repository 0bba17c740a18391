"""The measurement of packed products: what it compares, and what it prints."""

import json

import numpy as np
import pytest

from mubinn.cli.benchmarks import xnor_gemm as bench
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.kernels import instruction_sets


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    shapes = {"cpu_small": (2, 30, 5), "cpu_4096": (3, 64, 3), "cpu_2_2": (1, 33, 4)}
    monkeypatch.setattr(bench, "SHAPES", shapes)
    monkeypatch.setattr(bench, "SPAN", 1e-4)
    monkeypatch.setattr(bench, "cores", lambda: 2)
    monkeypatch.setattr("mubinn.cli.benchmarks.figures.PAUSE", 0)


def test_figures(monkeypatch):
    result = bench.bench_xnor_gemm(rounds=1)
    assert json.loads(json.dumps(result)) == {
        **result,
        "parameters": json.loads(json.dumps(result["parameters"])),
    }
    own = instruction_sets()[-1]
    assert result["parameters"]["instruction_set"] == own
    assert [f["name"] for f in result["figures"]] == list(bench.SHAPES)
    (table,) = result["tables"].values()
    assert table["columns"][3:] == list(instruction_sets())
    assert [row[:2] for row in table["rows"]] == [
        [name, t] for name in bench.SHAPES for t in (1, 2)
    ]
    for figure, row in zip(result["figures"], table["rows"][::2], strict=True):
        assert f"{figure['value']:.3g}" == row[-1]
        assert figure["goal"] == (
            f">= {bench.GOALS[figure['name']][own]:g}" if own in ("avx2", "avx512") else ""
        )


def test_one_instruction_set():
    result = bench.bench_xnor_gemm("portable", rounds=1)
    (table,) = result["tables"].values()
    assert table["columns"][3:] == ["portable"]
    assert {figure["goal"] for figure in result["figures"]} == {""}


def test_the_products_on_a_gpu_are_those_of_the_kernel():
    pytest.importorskip("jax")
    runs = bench.gpu_runs((3, 40, 5), interpret=True)
    assert (np.asarray(runs["xnor"]()) == np.asarray(runs["blas"]())).all()


def test_too_little_to_measure():
    with pytest.raises(MubinnError, match="at least 1 round"):
        bench.bench_xnor_gemm(rounds=0)
