import numpy as np

from mubinn.cli.benchmarks.quantization import SERIES, bench_quantization, rises


def test_each_series_has_a_row_a_level(random_float):
    model = random_float(features=3, hidden=2, classes=2)
    data = np.random.default_rng(0).normal(size=(6, 5, 3))
    result = bench_quantization(model, data, most=3)
    assert list(result["tables"]) == list(SERIES)
    for table in result["tables"].values():
        assert table["columns"] == ["levels", "x", "h", "c", "logits", "bit-true logits"]
        assert [row[0] for row in table["rows"]] == ["1", "2", "3"]
    # x is the same where W alone varies.
    assert len({row[1] for row in result["tables"]["W alone, A = 4"]["rows"]}) == 1
    assert result["parameters"]["windows"] == 2


def test_rises_are_counted_by_name():
    rows = [{"x": 0.5, "h": 0.4}, {"x": 0.3, "h": 0.4}, {"x": 0.35, "h": 0.1}]
    assert rises(rows) == {"x": 1, "h": 0}
