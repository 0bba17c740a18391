import numpy as np
import pytest

from mubinn.cli.shared.recordings import calibrated
from mubinn.synth.table1.cell_units import cell_units, first_layer
from mubinn.synth.table1.delay_model import GROUPS, Workload, delay_model
from mubinn.synth.table1.paper import CONFIGS

ROLES = [
    "xnor_x",
    "xnor_h",
    "mult_x",
    "mult_h",
    "add",
    "round_z",
    "sigmoid",
    "tanh_g",
    "encode_gate",
    "pointwise",
    "encode_c",
    "decode_c",
    "round_c",
    "tanh_c",
    "mac",
    "encode_h",
    "float_mult",
    "float_add",
    "tanh",
    "to_fixed",
]
LOAD = Workload(features=7, hidden=11, steps=13)


@pytest.fixture
def delays():
    rng = np.random.default_rng(3)
    return {role: float(rng.integers(1, 1000)) for role in ROLES}


def state(t):
    names = ["pointwise", "encode_c", "decode_c", "round_c", "tanh_c", "mac", "encode_h"]
    return sum(t[name] for name in names)


def gates(t):
    return 4 * t["round_z"] + 3 * t["sigmoid"] + t["tanh_g"] + 4 * t["encode_gate"]


def full_tail(t):
    lut = 3 * t["sigmoid"] + t["tanh"]
    last = 2 * t["float_mult"] + t["float_add"] + t["tanh"] + t["float_mult"]
    return 4 * t["float_add"] + lut + last


@pytest.mark.parametrize(("a", "w", "passes"), [(1, 1, 1), (3, 3, 9), (5, 2, 10), (2, 5, 25)])
def test_binarized_cell_takes_the_larger_of_aw_and_ww_passes(delays, a, w, passes):
    t = delays
    xnor, mult = (max(t[f"{kind}_x"], t[f"{kind}_h"]) for kind in ("xnor", "mult"))
    want = 4 * passes * (xnor + mult + t["add"]) + gates(t) + state(t)
    assert delay_model((a, w), LOAD).cell_delay(t) == want


def test_full_precision_cell(delays):
    t = delays
    want = 4 * 18 * (t["float_mult"] + t["float_add"]) + full_tail(t)
    assert delay_model((None, None), LOAD).cell_delay(t) == want


def signed_sums(t, levels):
    return 4 * levels * (7 * t["float_add"] + t["float_mult"] + t["float_add"])


def test_full_precision_input_with_binarized_weights(delays):
    t = delays
    passes = 4 * 9 * (t["xnor_h"] + t["mult_h"] + t["add"])
    want = signed_sums(t, 3) + 4 * t["to_fixed"] + passes + gates(t) + state(t)
    assert delay_model((None, 3), LOAD).cell_delay(t) == want


def test_binarized_input_with_full_precision_weights(delays):
    t = delays
    want = signed_sums(t, 2) + 4 * 11 * (t["float_mult"] + t["float_add"]) + full_tail(t)
    assert delay_model((2, None), LOAD).cell_delay(t) == want


def test_groups_share_the_whole_delay(delays):
    for config in CONFIGS:
        shares = delay_model(config, LOAD).group_delays(delays)
        assert tuple(shares) == GROUPS
        assert sum(shares.values()) == delay_model(config, LOAD).cell_delay(delays)


def test_depth_counts_each_unit_in_series_once_and_the_deeper_of_two_side_by_side():
    depths = dict.fromkeys(ROLES, 1) | {"xnor_x": 5, "xnor_h": 9, "sigmoid": 4, "tanh_g": 20}
    assert delay_model((3, 3)).depth(depths) == 9 + 1 + 1 + 1 + 20 + 8
    assert delay_model((None, 3)).depth(depths) == 3 + 9 + 1 + 1 + 1 + 20 + 8
    assert delay_model((None, None)).depth(depths) == 1 + 1 + 4


def test_terms_say_what_is_summed():
    terms = delay_model((3, 3)).terms()
    assert terms.startswith("36 max(xnor_x, xnor_h) + 36 max(mult_x, mult_h) + 36 add + 4 round_z")
    assert delay_model((None, None)).terms().startswith("528 float_mult + 532 float_add")


def test_workload_counts_cell_operations():
    assert Workload().cells == 130_000
    assert LOAD.cells == 143


def test_delay_models_use_every_unit_of_their_cell_and_no_other(random_float):
    start = calibrated(random_float())
    for a, w in [(1, 1), (3, 2), (None, None), (None, 2), (2, None)]:
        layer = None if w is None else first_layer(start, a or w, w)
        units = set(cell_units((a, w), layer))
        made = delay_model((a, w))
        assert {role for step in made.steps for role in step.units} == units
        assert {role for stage in made.series for role in stage} == units


def test_decoded_forms_of_mixed_cells():
    t = dict.fromkeys(("float_mult", "float_add", "sigmoid", "tanh", "decode"), 0.0)
    t |= {"decode": 1.0, "float_mult": 10.0, "float_add": 100.0}
    plain = delay_model((None, None), LOAD).cell_delay(t)
    decoded = delay_model((4, None), LOAD, decoded=True)
    assert decoded.cell_delay(t) == plain + 4 * LOAD.features * t["decode"]
    assert decoded.series[0] == ("decode",)
    assert delay_model((None, None), LOAD, decoded=True) == delay_model((None, None), LOAD)
    assert delay_model((2, 3), LOAD, decoded=True) == delay_model((2, 3), LOAD)
    shares = delay_model((None, 3), LOAD, decoded=True).steps[:3]
    assert [(step.units, step.count) for step in shares] == [
        (("decode",), 4 * LOAD.features),
        (("float_mult",), 4 * LOAD.features),
        (("float_add",), 4 * LOAD.features),
    ]
