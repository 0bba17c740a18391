"""The integer cells: formats that fit together, and how often a cell uses each unit."""

import numpy as np
import pytest

from mubinn.golden.baseline.fixed_mac import FixedMacParams, fixed_mac
from mubinn.golden.ground.fixed import round_shift
from mubinn.golden.units.activation import ActivationParams, activation
from mubinn.golden.units.requantize import RequantizeParams, requantize
from mubinn.hw.units.fixed_segment import FixedSegment
from mubinn.sim.runner.evaluate import evaluate_unit
from mubinn.synth.table1.delay_model import Workload
from mubinn.synth.table1.fixed_cell import fixed_delay_model, fixed_units, shared_units

LOAD = Workload(32, 100)


@pytest.mark.parametrize("bits", [8, 16])
def test_formats_fit_together(bits):
    units = {name: dict(unit.parameters) for name, unit in fixed_units(bits, LOAD).items()}
    mac = FixedMacParams(**units["mac"])
    lowest = np.array([-(1 << bits - 1)])
    total = lowest * lowest  # the bias, as large as a product
    for _ in range(LOAD.features + LOAD.hidden):
        total = fixed_mac(mac, lowest, lowest, total)
    assert total == (LOAD.features + LOAD.hidden + 1) << 2 * (bits - 1)
    for name in ("round_z", "round_c", "round_h"):
        unit = units[name]
        assert (unit["in_width"], unit["in_fraction"]) == (mac.sum_width, mac.sum_fraction)
        assert unit["out_width"] == bits
    for table, source in (("sigmoid", "round_z"), ("tanh_g", "round_z"), ("tanh_c", "round_c")):
        assert units[table]["in_width"] == units[source]["out_width"]
        assert units[table]["in_fraction"] == units[source]["out_fraction"]
        # One bit beside the fraction and the sign, so that 1 can be shown.
        assert units[table]["out_fraction"] + 2 == mac.width


def test_delay_model_is_that_of_full_precision():
    delays = {"mac": 1000.0, "round_z": 100.0, "sigmoid": 20.0, "tanh_g": 30.0}
    delays |= {"round_c": 4.0, "tanh_c": 5.0, "round_h": 6.0}
    want = 4 * (132 * 1000 + 100) + 3 * 20 + 30 + 3 * 1000 + 4 + 5 + 6
    assert fixed_delay_model(LOAD).cell_delay(delays) == want
    assert set(fixed_units(8, LOAD)) == set(delays)


def words_of(width, count):
    """All signed words of a width, or `count` of them."""
    half = 1 << width - 1
    if 2 * half <= count:
        return np.arange(-half, half)
    random = np.random.default_rng(1).integers(-half, half, count)
    return np.concatenate([[-half, -1, 0, 1, half - 1], random])


@pytest.mark.parametrize("bits", [8, 16])
def test_one_table_is_interpolated_as_tanh_and_as_sigmoid(bits):
    params = ActivationParams(**dict(shared_units(bits, LOAD)["segment"].parameters))
    z, extra = words_of(params.in_width, 1024), params.step_bits

    def interpolated(z, sigmoid):
        got = evaluate_unit(FixedSegment(params), {"z": z, "sigmoid": np.full(len(z), sigmoid)})
        return (got["base"] << extra) + got["step"] * got["rise"]

    # Before rounding: half a unit of the table's format, and the steps within a segment.
    assert (round_shift(interpolated(z, 0), extra + 1) == activation(params, z)).all()
    one = 1 << params.out_fraction + 1 + extra
    assert (2 * interpolated(z, 1) == interpolated(z >> 1, 0) + one).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_shared_units_fit_together(bits):
    units = {name: dict(unit.parameters) for name, unit in shared_units(bits, LOAD).items()}
    mac, table = FixedMacParams(**units["mac"]), ActivationParams(**units["segment"])
    sums, clip = RequantizeParams(**units["round"]), RequantizeParams(**units["clip"])
    assert (sums.in_width, sums.in_fraction) == (mac.sum_width, mac.sum_fraction)
    assert (sums.out_width, sums.out_fraction) == (table.in_width, table.in_fraction)
    assert (clip.in_width, clip.out_width, clip.shift) == (sums.out_width, mac.width, 0)
    # c is clipped to the format of the operands, in the range of z.
    lowest, one = -(1 << mac.width - 1), 1 << mac.fraction
    assert requantize(clip, [-8 * one, one, 8 * one - 1]).tolist() == [lowest, one, -lowest - 1]
    # An interpolation is exact on the multiply-accumulate: its operands, and the fraction.
    spare = mac.sum_fraction - table.out_fraction - 1 - table.step_bits
    largest = int(np.diff(table.nodes).max()) << 1 + spare
    assert spare >= 0
    assert largest < 1 << mac.width - 1 > 1 << table.step_bits
