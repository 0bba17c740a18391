import json
from dataclasses import replace

from mubinn.cli.benchmarks import threshold as bench
from mubinn.cli.shared.recordings import SYNTHETIC, prepared
from mubinn.golden.cells.formats import Formats
from mubinn.golden.inference.run import infer
from mubinn.reports.accuracy import datapath_difference, measured
from mubinn.train.data.windows import synthetic_eeg


def small(random_model):
    return random_model(3, (1, 1), features=5, hidden=4, classes=2, formats=Formats(4, 2, 8, 2))


def test_the_bench_measures_both_tails(random_model, monkeypatch):
    eeg = synthetic_eeg(40, 16, 5, subjects=10)
    monkeypatch.setattr(bench, "open_labelled", lambda path, features: (eeg, "some.npz"))
    model = replace(small(random_model), meta={"recipe": '{"fold": 1}'})
    found = bench.bench_threshold(model)
    figures = {figure["name"]: figure["value"] for figure in found["figures"]}
    p = found["parameters"]
    assert figures["area_ratio"] == p["area_um2_figure3"] / p["area_um2_threshold"] > 1
    assert figures["delay_ratio"] == p["delay_ps_figure3"] / p["delay_ps_threshold"] > 1
    assert p["latency_ps_threshold"] == p["stages_threshold"] * p["delay_ps_threshold"] > 0
    assert p["luts_figure3"] > p["luts_threshold"] > 0
    test = eeg.fold == 1
    assert (p["windows"], p["data"]) == (test.sum(), "fold 1 of some.npz")
    inputs = prepared(model, eeg.x[test])
    right = [
        (infer(model.with_datapath(name), inputs).classes == eeg.y[test]).mean()
        for name in ("figure3", "threshold")
    ]
    assert [p["accuracy_figure3"], p["accuracy_threshold"]] == right
    assert figures["accuracy_difference_untrained"] == 100 * (right[1] - right[0])
    trained = datapath_difference(measured("datapaths"))
    assert figures["accuracy_difference"] == trained.mean
    assert p["trained_pairs"] == trained.pairs == 50
    assert json.dumps(found)


def test_without_recordings_all_synthetic_windows_count(random_model, monkeypatch):
    eeg = synthetic_eeg(6, 16, 5, subjects=2)
    monkeypatch.setattr(bench, "open_labelled", lambda path, features: (eeg, SYNTHETIC))
    accuracy, about = bench._accuracy(replace(small(random_model), meta={"recipe": '{"fold": 1}'}))
    assert (about["data"], about["windows"]) == (SYNTHETIC, 6)
    assert {value * 6 % 1 for value in accuracy.values()} == {0}
