"""The count of agreeing bits, and what it costs."""

import numpy as np
import pytest

from mubinn.cli.benchmarks import popcount as bench
from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams, xnor_multiplier
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.hw.units.popcount import Popcount
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.units.tb_xnor_multiplier import stimulus
from mubinn.synth.flow.flow import SynthJob, synthesize


@pytest.mark.parametrize("network", ["asic", "xc7-plain"])
@pytest.mark.parametrize("lanes", [1, 2, 13, 36, 64])
def test_counts_what_agrees(lanes, network):
    params = XnorMultiplierParams(lanes)
    fields = stimulus(params, np.random.default_rng(1), 60)
    got = evaluate_unit(Popcount(params, network=network), fields)
    want = (xnor_multiplier(params, **fields) + lanes) // 2
    np.testing.assert_array_equal(got["count"], want)


def test_132_lanes_are_at_most_25_gates_deep(tmp_path):
    design = SynthJob(verilog_text(Popcount(XnorMultiplierParams(132)), "top"), "top")
    assert synthesize(design, library=None, cache_path=tmp_path).depth <= 25


def test_bench_measures_both_sides(tmp_path, monkeypatch):
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path))
    result = bench.bench_popcount(lanes=24)
    values = {figure["name"]: figure["value"] for figure in result["figures"]}
    about = result["parameters"]
    assert set(values) == {"depth_24", "speedup_24", "area_ratio_24", "luts_24"}
    assert values["speedup_24"] == about["baseline_delay_ps"] / about["ours_delay_ps"]
    assert values["area_ratio_24"] == about["ours_area_um2"] / about["baseline_area_um2"]
    assert 12 <= values["luts_24"] < about["baseline_luts"]
