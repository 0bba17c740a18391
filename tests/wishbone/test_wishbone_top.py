"""Accelerators on a Wishbone bus: all that a driver does, through words alone, and refusals."""

from dataclasses import replace

import numpy as np
import pytest
from driven import loading, stimulus_of
from simulators import QUICK

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_model import Preprocessing
from mubinn.hw.accelerator.wishbone_accelerator import wishbone_top
from mubinn.hw.wishbone.wishbone_top import check_depth
from mubinn.sim.runner.simulate import simulate

STEPS, WINDOWS = 4, 3
CASES = {
    "results longer than the queue": ({"levels": (1, 2), "classes": 9}, {"depth": 2}),
    "results of a word": (
        {"levels": (1, 1), "head": "regression", "classes": 1, "readout": "last"},
        {"depth": 2},
    ),
    "samples of an ADC": ({"levels": (1, 1), "readout": "every"}, {"adc_width": 12, "depth": 5}),
    "loaded, state by a register": (
        {"levels": (2, 1), "depth": 2, "readout": "mean"},
        {"loadable": True, "state": "register", "lanes": 3},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_driver_needs_no_more_than_words(random_model, case):
    about, options = CASES[case]
    model = random_model(features=3, hidden=2, **about)
    if "adc_width" in options:
        model = replace(model, preprocessing=Preprocessing("causal", 2))
    design = wishbone_top(model, **options)
    kept = [True, False, True] if "state" in options else None
    stimulus = stimulus_of(model, design, WINDOWS, STEPS, kept)
    if kept is not None:
        stimulus["kept"] = np.array(kept)
    if options.get("loadable"):
        other = random_model(seed=1, features=3, hidden=2, **about)
        stimulus |= loading(design, other, lanes=options["lanes"])
    result = simulate(
        design,
        top="wishbone",
        bench="mubinn.sim.wishbone.tb_wishbone",
        stimulus=stimulus,
        simulator=QUICK,
    )
    assert result.tests == 2


@pytest.mark.parametrize("depth", [1, 0, 1 << 15])
def test_a_queue_of_another_depth_is_refused(depth):
    with pytest.raises(MubinnError, match="give one of 2 to 32767 words"):
        check_depth(depth)
