"""Scales that halve from level to level, or are powers of two: fitted well, kept exactly."""

import numpy as np
import pytest

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.mlb import mlb, mlb_value
from mubinn.golden.binarize.scale_form import FORMS, fit_form, fixed_form
from mubinn.golden.binarize.scales import scale_bits
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.quantize import quantize


def error(values, scales):
    return float(np.square(values - mlb_value(mlb(values, scales), scales)).sum())


@pytest.mark.parametrize("levels", [1, 2, 3, 5, 8])
def test_forms_are_what_their_names_say(levels):
    groups = np.random.default_rng(0).normal(size=(3, 500)) * np.array([[0.1], [0.3], [2.0]])
    halving, shift = (fit_form(groups, levels, form) for form in ("power-of-two", "shift"))
    for scales in (halving, shift):
        assert (scales[:, :-1] == 2 * scales[:, 1:]).all()
    assert len(set(halving[:, 0])) == 3
    assert (shift == shift[0]).all()
    assert (np.exp2(np.round(np.log2(shift))) == shift).all()


def test_the_shared_exponent_is_the_best_of_all_groups():
    groups = np.random.default_rng(1).normal(size=(2, 4000)) * np.array([[0.1], [0.2]])
    (chosen, _) = fit_form(groups, 3, "shift")
    tried = [sum(error(g, chosen * factor) for g in groups) for factor in (0.5, 1, 2)]
    assert tried[1] == min(tried)


def test_a_free_base_costs_little():
    values = np.random.default_rng(2).normal(size=(1, 20_000))
    free, halving = (error(values[0], fit_form(values, 3, form)[0]) for form in FORMS[:2])
    assert free <= halving <= 1.1 * free


@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize("levels", [1, 3, 8])
@pytest.mark.parametrize("size", [1e-6, 0.037, 1.0, 30.0])
def test_integers_keep_the_form(form, levels, size):
    fitted = fit_form(np.random.default_rng(3).normal(size=(4, 300)) * size, levels, form)
    stored, fraction = fixed_form(fitted, form, offset=size)
    assert (stored[:, :-1] == 2 * stored[:, 1:]).all()
    assert (stored > 0).all()
    assert (stored.sum(axis=1) < 1 << scale_bits(levels)).all()
    if size > 1e-3:
        # Half a unit of the last scale, and the last scale is one unit at least.
        assert np.abs(stored * 2.0**-fraction / fitted - 1).max() <= 0.5
    if form == "shift" and size > 1e-3:
        assert (stored * 2.0**-fraction == fitted).all()


def test_bad_forms_are_refused():
    with pytest.raises(MubinnError, match="unknown form of scales 'short'"):
        fit_form([np.ones(3)], 2, "short")  # type: ignore[arg-type]
    with pytest.raises(MubinnError, match="too large for 8 bits"):
        fixed_form(np.array([[512.0, 256.0]]), "shift")


def test_powers_of_two_have_no_spare_fraction_bits():
    fitted = np.array([[0.5, 0.25], [0.5, 0.25]])
    stored, fraction = fixed_form(fitted, "shift")
    assert (stored.tolist(), fraction) == ([[2, 1], [2, 1]], 2)
    assert fixed_form(fitted, "shift", offset=0.3)[1] > 2
    stored, fraction = fixed_form(np.array([[8.0, 4.0]]), "shift")
    assert (stored.tolist(), fraction) == ([[8, 4]], 0)


@pytest.mark.parametrize("granularity", ["gate", "row"])
@pytest.mark.parametrize("form", FORMS[1:])
def test_quantized_level_pairs_differ_by_shifts(random_float, granularity, form):
    windows = np.random.default_rng(4).normal(size=(12, 20, 5))
    made = quantize(
        random_float(0, hidden=6),
        Levels.of(3, 2),
        windows,
        granularity=granularity,
        scale_form=form,
    )
    layer = made.layers[0]
    for gamma in (layer.gamma_x, layer.gamma_h, made.dense.gamma(layer.h)):
        unit = gamma[:, -1:, -1:]
        ratio = gamma // unit
        assert (ratio * unit == gamma).all()
        assert (ratio == 1 << np.add.outer(np.arange(gamma.shape[1])[::-1], [1, 0])).all()
        if form == "shift":
            assert (unit == unit[0]).all()
            assert int(unit[0, 0, 0]).bit_count() == 1
