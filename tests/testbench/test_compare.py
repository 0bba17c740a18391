"""Traces compare exactly, and a difference is named."""

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.sim.testbench.compare import SimulationMismatch, compare_signal, compare_traces


def traces() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    golden = {
        "z": np.arange(12).reshape(3, 4) - 5,
        "h": np.arange(24).reshape(3, 4, 2) % 2,
        "class": np.array([1, 0, 1]),
    }
    return {name: value.astype(np.int32) for name, value in golden.items()}, golden


def test_equal_traces_count_their_values() -> None:
    got, golden = traces()
    got["extra"] = np.zeros(1, np.int64)
    assert compare_traces(got, golden) == 12 + 24 + 3


def test_a_difference_names_signal_step_unit_expected_and_got() -> None:
    got, golden = traces()
    got["z"][1, 2] = 77
    with pytest.raises(SimulationMismatch) as fault:
        compare_traces(got, golden, context="cell (3,3)")
    assert str(fault.value) == (
        "cell (3,3): signal z at step 1, unit 2: expected 1, got 77 (1 of 12 values differ)."
    )
    assert isinstance(fault.value, MubinnError)


def test_the_earliest_step_wins_and_then_the_order_of_the_signals() -> None:
    got, golden = traces()
    got["z"][2, 0] += 1
    got["h"][1, 3, 1] ^= 1
    got["class"][1] ^= 1
    with pytest.raises(SimulationMismatch, match=r"signal h at step 1, unit 3, axis2 1: expected"):
        compare_traces(got, golden)


def test_named_axes_and_scalars() -> None:
    with pytest.raises(
        SimulationMismatch, match=r"signal x at window 0, step 1: expected 4, got 5"
    ):
        compare_signal("x", np.array([[3, 5]]), np.array([[3, 4]]), axes=("window", "step"))
    with pytest.raises(SimulationMismatch, match=r"^signal x: expected 1, got 2\.$"):
        compare_traces({"x": np.array(2)}, {"x": np.array(1)})


def test_values_beyond_int64_compare_exactly() -> None:
    big = np.array([1 << 90, 1 << 91], dtype=object)
    compare_signal("x", big, big.copy())
    with pytest.raises(SimulationMismatch, match=f"expected {1 << 91}, got {(1 << 91) + 1}"):
        compare_signal("x", big + np.array([0, 1], dtype=object), big)


@pytest.mark.parametrize("kind", ["missing", "shape", "empty", "float"])
def test_faults_of_form(kind: str) -> None:
    got, golden = traces()
    if kind == "missing":
        del got["h"]
        message = "the hardware trace lacks h; it holds z, class"
    elif kind == "shape":
        got["z"] = got["z"][:2]
        message = r"signal z has shape \(2, 4\), the golden model's has shape \(3, 4\)"
    elif kind == "empty":
        golden = {}
        message = "nothing to compare"
    else:
        got["class"] = got["class"].astype(np.float64)
        message = "signal class of the hardware trace has dtype float64"
    with pytest.raises(SimulationMismatch, match=message):
        compare_traces(got, golden)
