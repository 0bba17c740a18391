"""Activations by name: exact values, tables within their bounds, thresholds that are proven."""

from fractions import Fraction

import numpy as np
import pytest

from mubinn.golden.cells.exact_activation import first_reaching, floor_product
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.units.activation import ActivationParams, activation
from mubinn.golden.units.shapes import exact, shape_of

RAMPS = (
    "ramp(1/6, 1/2, 0)",
    "ramp(1/5, 1/2, 0)",
    "ramp(1, 0, -1)",
    "ramp(1, 0, 0)",
    "ramp(3/7, 1/3, -1/2)",
    "ramp(1, 0, 0, 6)",
    "ramp(1, 0, -7, 8)",
    "ramp(2, 1/4, -1/3, 5/2)",
)
TARGETS = [Fraction(n, 1000) for n in (-1000, -333, 0, 1, 500, 1000, 1125, 6000, 6001)]


@pytest.mark.parametrize("kind", [*RAMPS, "sigmoid", "tanh"])
def test_tables_stay_within_their_bound(kind):
    params = ActivationParams(kind)
    z = np.arange(-2048, 2048)
    y = activation(params, z)
    assert np.abs(y / 1024 - exact(kind, z / 256)).max() <= params.error_bound
    assert (np.diff(y) >= 0).all()


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("kind", RAMPS)
def test_thresholds_are_the_first_that_reach(kind, target):
    shape = shape_of(kind)
    reached = [z for z in range(-2000, 2001) if shape.exact(Fraction(z, 256)) >= target]
    assert first_reaching(kind, target, 8, 2000) == (reached[0] if reached else 2001)


@pytest.mark.parametrize("kind", RAMPS)
def test_complements_and_clipped_ramps(kind):
    shape = shape_of(kind)
    for z in map(Fraction, range(-20, 21), [3] * 41):
        assert shape.complement.exact(-z) == 1 - shape.exact(z)
        assert shape.clipped(Fraction(1, 5)).exact(z) == shape.exact(
            min(max(z, -Fraction(1, 5)), Fraction(1, 5))
        )
    assert shape_of(shape.kind) == shape


@pytest.mark.parametrize(("kind", "bits"), [("sigmoid", 12), (RAMPS[3], 12), (RAMPS[5], 14)])
def test_limits_have_room_in_the_format(kind, bits):
    params = ActivationParams(kind)
    assert params.out_width == bits
    assert params.nodes.max() <= params.out_bound < 1 << bits - 1


def test_products_are_rounded_down():
    assert floor_product(Fraction(10), "ramp(1/6, 1/2, 0)", Fraction(1)) == 6
    assert floor_product(Fraction(-10), "ramp(1/6, 1/2, 0)", Fraction(1)) == -7
    assert floor_product(Fraction(10), "ramp(1, 0, -1)", Fraction(-3)) == -10


NO_RAMPS = [
    *("ramp(0, 0, 0)", "ramp(1, 0, 1)", "ramp(1, 0, -9)", "ramp(1/0, 0, 0)"),
    *("ramp(1, 0, 0, 9)", "ramp(1, 0, 0, 0)", "ramp(1, 0, 0, 1/0)", "ramp(-1, 0, 0)"),
]


@pytest.mark.parametrize("kind", ["swish", "", *NO_RAMPS])
def test_what_is_no_activation_is_refused(kind):
    with pytest.raises(MubinnError, match="activation"):
        shape_of(kind)
