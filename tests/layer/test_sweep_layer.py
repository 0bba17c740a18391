"""Layers that sweep the pixels of frames, in hardware: every intermediate, and their cycles."""

import pytest
from simulators import QUICK
from sweeps import SWEEPS, movies, swept

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.model.bit_true import layer_inputs
from mubinn.golden.quantize import quantize
from mubinn.sim.layer.layer_check import check_layer

CASES = {
    "ConvLSTM, a sigmoid a pixel": ("ConvLSTM", (2, 2), 0, {"units": 4, "classify": True}),
    "ConvLSTM, words of five": ("ConvLSTM", (2, 1), 0, {"lanes": 5, "classify": True}),
    "LSTM below others": ("stack", (1, 2), 0, {"units": 3}),
    "convolution without a state": ("stack", (1, 1), 1, {}),
    "GRU of one pixel": ("one pixel", (1, 2), 0, {"units": 2}),
    "one row on top": ("one pixel", (1, 1), 1, {"classify": True}),
    "GRU of tall frames, two engines": ("tall", (1, 1), 0, {"units": 2, "classify": True}),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("datapath", ["figure3", "threshold"])
def test_layer_equals_bit_true_model(name, datapath):
    kinds, levels, index, how = CASES[name]
    x = movies(SWEEPS[kinds])
    readout = "mean" if index == 0 else "every"
    model = quantize(swept(SWEEPS[kinds], readout=readout), Levels.of(*levels), x)
    model = model.with_datapath(datapath)
    codes = layer_inputs(model, model.encode_input(x[:3]))[index]
    result = check_layer(model, codes, layer=index, pause=0.4, simulator=QUICK, **how)
    assert result.tests == 2


@pytest.mark.parametrize(("kinds", "index"), [("tall", 0), ("stack", 0)])
def test_the_state_of_every_pixel_is_kept_where_it_is_told(kinds, index):
    x = movies(SWEEPS[kinds])
    model = quantize(swept(SWEEPS[kinds]), Levels.of(1, 2), x)
    kept = [True, True, False, True]
    codes = layer_inputs(model, model.encode_input(x[:4]), kept)[index]
    how = {"units": 4, "classify": len(model.layers) == 1}
    result = check_layer(model, codes, layer=index, kept=kept, pause=0.3, simulator=QUICK, **how)
    assert result.tests == 2
