"""No tensor that is quantized at one level more has a larger error."""

import itertools

import numpy as np
import pytest

from mubinn.cli.benchmarks.quantization import FloatRun, level_errors, rms
from mubinn.golden.binarize.levels import MAX_LEVELS, Levels
from mubinn.golden.binarize.scale_form import FORMS
from mubinn.golden.quantization.tensors import fit_activation
from mubinn.golden.quantize import quantize

SAMPLES = {
    "normal": lambda rng: rng.normal(size=3000),
    "laplace": lambda rng: rng.laplace(size=3000),
    "tails": lambda rng: rng.standard_t(3, size=3000),
    "gate": lambda rng: 1 / (1 + np.exp(-3 * rng.normal(size=3000))) - 0.5,
    "skew": lambda rng: rng.exponential(size=3000) - 0.5,
    "few values": lambda rng: rng.choice([-1.0, 0.25, 3.0], 3000),
    "quiet": lambda rng: 1e-3 * rng.normal(size=3000),
}


def error(quantizer, values):
    fraction = quantizer.fraction + 12
    codes = quantizer.encode(np.floor(np.ldexp(values, fraction)).astype(np.int64), fraction)
    found = np.ldexp(quantizer.decode(codes).astype(float), -quantizer.fraction)
    return float(np.sqrt(np.square(found - values).mean()) / values.std())


@pytest.mark.parametrize("name", SAMPLES)
def test_stored_scales_never_get_worse(name):
    rng = np.random.default_rng(0)
    values = SAMPLES[name](rng)
    made = [fit_activation(rng, values, n, most=12) for n in range(1, MAX_LEVELS + 1)]
    errors = [error(quantizer, values) for quantizer in made]
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(errors)), errors


@pytest.mark.parametrize("form", FORMS)
def test_the_last_levels_of_a_normal_sample_count(form):
    # Of a normal sample each level takes away nearly half of what is left.
    rng = np.random.default_rng(1)
    values = rng.normal(size=20_000)
    errors = [error(fit_activation(rng, values, n, form=form), values) for n in range(5, 9)]
    limit = 0.62 if form == "free" else 0.8
    assert all(after < limit * before for before, after in itertools.pairwise(errors)), errors


def test_tails_come_into_reach_as_levels_are_added():
    rng = np.random.default_rng(2)
    values = rng.standard_t(4, size=20_000)
    assert error(fit_activation(rng, values, 8), values) < 0.05


def test_a_clipped_state_keeps_its_values_at_the_clip():
    values = np.clip(np.random.default_rng(3).normal(size=5000), -1, 1)
    rng = np.random.default_rng(0)
    errors = [error(fit_activation(rng, values, n, clip=1.0), values) for n in range(4, 9)]
    assert all(after < 0.6 * before for before, after in itertools.pairwise(errors)), errors


def test_errors_of_a_model_fall_to_the_last_level(random_float):
    model = random_float(4, features=6, hidden=8, c_clip=0.3)
    x = np.random.default_rng(1).standard_t(4, size=(30, 20, 6))
    real = FloatRun.of(model, x[20:])
    rows = [
        {name: rms(own) for name, own in level_errors(made, real).items()}
        for made in (quantize(model, Levels.of(n, n), x[:20]) for n in range(1, MAX_LEVELS + 1))
    ]
    for name in ("x", "h", "c"):
        errors = [row[name] for row in rows]
        falls = itertools.pairwise(errors)
        assert all(after < 0.85 * before for before, after in falls), (name, errors)
    for name in ("logits", "bit-true logits"):
        assert rows[7][name] < 0.7 * rows[5][name]
