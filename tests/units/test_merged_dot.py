"""All level pairs in one sum: against the planes one by one, and on every kind of cells."""

import re

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.step import cell_step
from mubinn.golden.quantize import quantize
from mubinn.golden.units.merged_dot import (
    DotPart,
    MergedDotParams,
    level_shifts,
    merged_dot,
    merged_sum,
    row_constant,
    step_constant,
)
from mubinn.hw.arith.match_heap import match_heap
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.hw.units.merged_dot import MergedBits, MergedDot
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.sim.runner.unit_check import check_unit
from mubinn.sim.units import tb_merged_dot as bench

SMALL = MergedDotParams((DotPart("x", 5, (1, 0), (1, 0)),))
TWO = MergedDotParams((DotPart("x", 7, (4, 3, 2), (1, 0)), DotPart("h", 30, (0,), (0, 0))), 9)
CASES = [
    SMALL,
    TWO,
    MergedDotParams((DotPart("x", 1, (0,), (0,)),)),
    MergedDotParams((DotPart("x", 26, (0,), (2,)),), 4),
    MergedDotParams((DotPart("h", 41, (2, 1, 0), (2, 1, 0)),)),
]


@pytest.mark.parametrize("network", ["asic", "xc7-plain"])
@pytest.mark.parametrize("params", CASES, ids=str)
def test_hardware_equals_golden(params, network):
    fields = bench.stimulus(params, np.random.default_rng(1), 80)
    got = evaluate_unit(MergedDot(params, network=network), fields)
    np.testing.assert_array_equal(got["sum"], bench.golden(params, fields)["sum"])


@pytest.mark.parametrize("cells", [False, True])
@pytest.mark.parametrize("params", CASES, ids=str)
def test_products_of_bits_give_the_same_sum(params, cells):
    fields = bench.stimulus(params, np.random.default_rng(5), 60)
    want = bench.golden(params, fields)["sum"]
    row = fields.pop("addend", np.zeros(60, np.int64))
    row = row + sum(row_constant(part, fields[f"w{part.name}"]) for part in params.parts)
    step = sum(step_constant(part, fields[part.name]) for part in params.parts)
    got = evaluate_unit(MergedBits(params, cells=cells), {**fields, "row": row, "step": step})
    np.testing.assert_array_equal(got["sum"], want)


def test_bench_on_verilator():
    result = check_unit(MergedDot(TWO), bench=bench.__name__, params=TWO, count=2000, batch=8)
    assert result.transfers == 2000


def test_golden_is_the_sum_of_weighted_products_of_signs():
    random = np.random.default_rng(2)
    fields = bench.stimulus(TWO, random, 40)
    want = fields["addend"].astype(np.int64)
    for part in TWO.parts:
        x = (2 * fields[part.name].astype(int) - 1).transpose(0, 2, 1) @ (
            1 << np.array(part.shifts)
        )
        signs = 2 * fields[f"w{part.name}"].astype(int) - 1
        w = signs.transpose(0, 2, 1) @ (1 << np.array(part.w_shifts))
        want = want + (x * w).sum(axis=-1)
    np.testing.assert_array_equal(merged_dot(TWO, **fields), want)


def test_the_sum_fits_its_width():
    for params in CASES:
        ones = {p.name: np.ones((len(p.shifts), p.lanes)) for p in params.parts}
        ones |= {f"w{p.name}": np.ones((len(p.w_shifts), p.lanes)) for p in params.parts}
        lowest = -(1 << params.addend_width - 1) if params.addend_width else 0
        for sign in (1, 0):
            fields = {name: bits * (sign if name[0] != "w" else 1) for name, bits in ones.items()}
            total = int(merged_dot(params, addend=lowest if not sign else -lowest - 1, **fields))
            assert -(1 << params.sum_width - 1) <= total < 1 << params.sum_width - 1


@pytest.mark.parametrize("levels", [(3, 3), (2, 4), (1, 1)])
def test_a_model_of_shifted_scales_merges_to_one_sum(random_float, levels):
    windows = np.random.default_rng(3).normal(size=(12, 20, 5))
    model = quantize(random_float(1, hidden=6), Levels.of(*levels), windows, scale_form="shift")
    layer = model.layers[0]
    params = merged_sum(layer.gamma_x, layer.gamma_h, 5, 6, addend_width=40)
    assert params is not None
    random = np.random.default_rng(4)
    x = random.integers(0, 1 << layer.x.levels, 5)
    h = random.integers(0, 1 << layer.h.levels, 6)
    z = cell_step(layer, x, h, np.zeros(6, np.int64))["z"]
    planes = {"x": (x, layer.x), "h": (h, layer.h)}
    bits = {
        name: np.repeat((codes >> np.arange(q.levels)[:, None] & 1)[None], layer.wx.rows, axis=0)
        for name, (codes, q) in planes.items()
    }
    weights = {f"w{n}": w.bits.transpose(1, 0, 2) for n, w in (("x", layer.wx), ("h", layer.wh))}
    np.testing.assert_array_equal(merged_dot(params, **bits, **weights, addend=layer.b.values), z)


def test_free_scales_do_not_merge(random_model):
    layer = random_model(0).layers[0]
    assert level_shifts(layer.gamma_x) is None
    assert merged_sum(layer.gamma_x, layer.gamma_h, 5, 4) is None
    # Scales that halve, but with a factor of their own in each row.
    gamma = np.array([3, 5])[:, None, None] << np.add.outer([1, 0], [2, 1, 0])
    found = level_shifts(gamma)
    assert found is not None
    assert found[:2] == ((1, 0), (2, 1, 0))
    assert found[2].tolist() == [3, 5]
    assert merged_sum(gamma, gamma, 5, 4) is None


def test_slices_take_fewer_luts_than_level_pairs(tmp_path):
    """The whole of (3, 3) at 132 lanes, by instances: a third less than nine popcounts of 178."""
    params = MergedDotParams((DotPart("x", 132, (2, 1, 0), (2, 1, 0)),))
    text = verilog_text(MergedDot(params, network="xc7"), "top")
    assert len(re.findall(r"\bLUT6(_2)? ", text)) < 1000


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="no lanes"):
        DotPart("x", 0, (0,), (0,))
    with pytest.raises(ValueError, match="negative shift"):
        DotPart("x", 1, (-1,), (0,))
    with pytest.raises(ValueError, match="different names"):
        MergedDotParams((CASES[0].parts[0],) * 2)
    with pytest.raises(ValueError, match="addend of -1"):
        MergedDotParams(CASES[0].parts, -1)
    m = Module()
    Simulator(m)
    for network, message in (("fpga", "unknown network 'fpga'"), ("xc7", "holds nothing")):
        with pytest.raises(ValueError, match=message):
            match_heap(m, 0, network=network)
