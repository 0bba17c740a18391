"""The integer cells: formats that fit together, and how often a cell uses each unit."""

import numpy as np
import pytest

from mubinn.golden.fixed_mac import FixedMacParams, fixed_mac
from mubinn.synth.fixed_cell import fixed_schedule, fixed_units
from mubinn.synth.schedule import Workload

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


def test_schedule_is_that_of_full_precision():
    delays = {"mac": 1000.0, "round_z": 100.0, "sigmoid": 20.0, "tanh_g": 30.0}
    delays |= {"round_c": 4.0, "tanh_c": 5.0, "round_h": 6.0}
    want = 4 * (132 * 1000 + 100) + 3 * 20 + 30 + 3 * 1000 + 4 + 5 + 6
    assert fixed_schedule(LOAD).cell_delay(delays) == want
    assert set(fixed_units(8, LOAD)) == set(delays)
