"""The merged cell: its units, its delay model, and the figures that are made of them."""

import numpy as np
import pytest

from mubinn.cli.benchmarks import delay as bench_delay
from mubinn.cli.shared.recordings import calibrated
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import signed_width
from mubinn.golden.quantize import quantize
from mubinn.golden.units.merged_dot import merged_sum, step_constant
from mubinn.hw.units.sum_of_words import SumOfWords
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.synth.table1.merged_cell import (
    bits_units,
    merged_delay_model,
    merged_layer,
    merged_units,
)


def test_units_are_those_of_the_layer(random_float):
    layer = merged_layer(calibrated(random_float(0, hidden=6)), 3, 2)
    units = merged_units(layer)
    merged = dict(units["merged"].parameters)
    assert [part["name"] for part in merged["parts"]] == ["x", "h"]
    assert [part["lanes"] for part in merged["parts"]] == [layer.features, 6]
    assert {unit.kind for unit in units.values()} == {
        "MergedDot",
        "ThresholdSearch",
        "CodeTable",
        "SumOfWords",
    }
    assert len({unit.key for unit in units.values()}) == len(units)


@pytest.mark.parametrize("levels", [(3, 2), (2, 3), (1, 1)])
def test_the_table_of_a_step_sums_to_its_constant(random_float, levels):
    layer = merged_layer(calibrated(random_float(0, hidden=6)), *levels)
    table = dict(bits_units(layer)["step_table"].parameters)["words"]
    bias = signed_width(int(np.abs(layer.b.values).max()))
    sums = merged_sum(layer.gamma_x, layer.gamma_h, layer.features, 6, bias)
    rows = len(table) // len(sums.parts)
    for side, part in enumerate(sums.parts):
        planes = np.random.default_rng(1).integers(0, 2, (len(part.shifts), part.lanes), np.uint8)
        codes = np.left_shift(1, np.arange(len(planes))) @ planes
        assert sum(table[side * rows + code] for code in codes) == step_constant(part, planes)
        assert rows >= 1 << len(part.shifts)


def test_free_scales_are_refused(random_float):
    windows = np.random.default_rng(0).normal(size=(12, 20, 5))
    model = quantize(random_float(0, hidden=6), Levels.of(2, 2), windows)
    with pytest.raises(MubinnError, match="do not merge to one sum"):
        merged_units(model.with_datapath("threshold").layers[0])


def test_delay_model_uses_each_unit_as_often_as_a_cell_does():
    delays = {"merged": 1000.0, "search_gate": 100.0, "fc": 7.0, "ig": 9.0}
    delays |= {"sum_c": 3.0, "search_c": 2.0, "table_h": 1.0}
    assert merged_delay_model().cell_delay(delays) == 4 * 1100 + 9 + 3 + 2 + 1


@pytest.mark.parametrize("width", [1, 5, 12])
def test_sum_of_words(width):
    low, high = -(1 << width - 1), (1 << width - 1) - 1
    random = np.random.default_rng(1)
    a, b = random.integers(low, high, (2, 100), endpoint=True)
    got = evaluate_unit(SumOfWords(width), {"a": a, "b": b})["sum"]
    np.testing.assert_array_equal(got, (a + b - low) % (1 << width) + low)


@pytest.mark.slow
def test_bench_delay_reaches_what_it_states(tmp_path, monkeypatch):
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path))
    result = bench_delay.bench_delay()
    values = {figure["name"]: figure["value"] for figure in result["figures"]}
    about = result["parameters"]
    for one, other in (("fp", "3_3"), ("fp", "1_1"), ("int8", "3_3"), ("int16", "3_3")):
        serial = about[f"serial_ns_{one}"] / about[f"serial_ns_{other}"]
        assert values[f"serial_{one}_over_{other}"] == pytest.approx(serial)
        cost = {
            key: about[f"area_um2_{key}"] * about[f"period_ps_{key}"] * about[f"cycles_{key}"]
            for key in (one, other)
        }
        assert values[f"equal_area_{one}_over_{other}"] == pytest.approx(cost[one] / cost[other])
    for name in ("fp", "int8", "int16", "3_3", "1_1"):
        assert about[f"serial_fo4_{name}"] == pytest.approx(40 * about[f"serial_ns_{name}"])
    assert values["serial_fp_over_3_3"] >= 100
