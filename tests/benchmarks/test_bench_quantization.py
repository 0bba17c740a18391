from dataclasses import replace

import numpy as np
import pytest

from mubinn.cli.benchmarks import quantization as bench
from mubinn.cli.benchmarks.quantization import SERIES, bench_quantization, rises
from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.windows import synthetic_eeg


def test_each_series_has_a_row_a_level(random_float):
    model, told = random_float(features=3, hidden=2, classes=2), []
    data = synthetic_eeg(12, steps=16, channels=3, subjects=2)
    result = bench_quantization(model, data, most=3, progress=told.append)
    assert list(result["tables"]) == list(SERIES)
    for table in result["tables"].values():
        assert table["columns"] == ["levels", "x", "h", "c", "logits", "bit-true logits"]
        assert [row[0] for row in table["rows"]] == ["1", "2", "3"]
    # x is the same where W alone varies.
    assert len({row[1] for row in result["tables"]["W alone, A = 4"]["rows"]}) == 1
    assert (result["parameters"]["calibrated on"], result["parameters"]["windows"]) == (8, 4)
    assert told == ["(1,1)", "(2,2)", "(3,3)", "(1,4)", "(2,4)", "(3,4)", "(4,1)", "(4,2)", "(4,3)"]


def test_windows_of_the_held_out_fold_are_measured(random_float, monkeypatch):
    data = synthetic_eeg(40, steps=16, channels=3)
    model = replace(random_float(features=3, classes=2), meta={"recipe": '{"fold": 1}'})
    seen = []
    monkeypatch.setattr(bench, "prepared", lambda _, x: seen.append(x) or x)
    bench._parts(model, data, "given")
    calibration, measured = seen
    assert (measured == data.x[data.fold == 1]).all()
    assert (calibration == data.x[data.fold != 1]).all()


def test_a_gru_is_refused(random_float_gru):
    with pytest.raises(MubinnError, match="measures LSTMs"):
        bench_quantization(random_float_gru())


def squares(**errors):
    return {name: np.array(own) for name, own in errors.items()}


def test_rises_are_counted_by_name():
    rows = [squares(x=[0.5], h=[0.4]), squares(x=[0.3], h=[0.4]), squares(x=[0.35], h=[0.1])]
    assert rises(rows) == {"x": 1, "h": 0}


def test_a_rise_that_few_windows_make_is_chance():
    before, many, few = np.ones(100), np.full(100, 1.1), np.ones(100)
    many[::3] -= 0.05
    few[:2] = 9
    assert rises([squares(x=before), squares(x=many)], 2.0) == {"x": 1}
    assert rises([squares(x=before), squares(x=few)], 2.0) == {"x": 0}
    assert rises([squares(x=before), squares(x=few)]) == {"x": 1}
    assert rises([squares(x=before), squares(x=before + 1)], 2.0) == {"x": 1}
