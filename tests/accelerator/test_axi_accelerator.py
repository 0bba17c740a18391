"""Whole models behind AXI: classes and logits equal to the bit-true model, whatever happens."""

import json
from dataclasses import replace

import numpy as np
import pytest
from driven import loading, stimulus_of, streams_of
from simulators import QUICK

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_model import Preprocessing
from mubinn.hw.accelerator.axi_accelerator import accelerator_top
from mubinn.hw.export.driver import Driver
from mubinn.sim.runner.simulate import simulate

WIDTH = 24
CASES = {
    "engines": ({"levels": (2, 1), "classes": 3, "readout": "mean"}, {"units": 4}),
    "samples": ({"levels": (2, 2), "readout": "last"}, {"sample_width": WIDTH, "width": 16}),
    "samples of an ADC": (
        {"levels": (2, 2), "readout": "last"},
        {"adc_width": 12, "width": 16},
    ),
    "loaded": ({"levels": (2, 2), "depth": 2}, {"loadable": True, "lanes": 5}),
    "words": ({"levels": (1, 2), "readout": "last"}, {"lanes": 3}),
    "sigmoid": ({"levels": (1, 1), "head": "sigmoid", "classes": 1}, {"units": 2}),
    "values at every step": (
        {"levels": (1, 1), "head": "regression", "classes": 2, "readout": "running"},
        {"units": 2},
    ),
}


def packets_of(stimulus):
    """The same as packets, for the bench of the shell."""
    about = json.loads(bytes(stimulus["about"]))
    driver = Driver(None, {**about, "registers": {}})
    inputs = [driver.pack(window) for window in stimulus["x"].tolist()]
    outputs = []
    place = about["result"]["fields"]["logits"]
    ends = stimulus.get("result_end")
    labels = stimulus["result_label"]
    for window in np.ndindex(labels.shape):
        logits = stimulus["result_logits"][window]
        packet = bytes([labels[window]]).ljust(place["byte"], b"\0")
        packet += b"".join(int(v).to_bytes(place["step"], "little", signed=True) for v in logits)
        packet += b"" if ends is None else bytes([ends[window]])
        outputs.append(packet.ljust(about["result"]["bytes"], b"\0"))
    return {
        "inputs": np.frombuffer(b"".join(inputs), np.uint8),
        "input_sizes": np.array([len(p) for p in inputs]),
        "outputs": np.frombuffer(b"".join(outputs), np.uint8),
        "output_sizes": np.array([len(p) for p in outputs]),
        "beat": np.array(about["tdata_bits"] // 8),
        "frame": np.array(about["input"]["beats"] * about["input"]["per_step"]),
    }


@pytest.mark.parametrize("sample_width", [None, pytest.param(WIDTH, marks=pytest.mark.slow)])
def test_windows_of_a_stack_pass_whatever_happens(random_model, sample_width):
    model = random_model(features=3, hidden=2, levels=(2, 1), depth=2, readout="mean")
    design = accelerator_top(model, units=2, width=8, sample_width=sample_width)
    packets = packets_of(stimulus_of(model, design, 3, 3))
    result = simulate(
        design, top="axi", bench="mubinn.sim.axi.tb_axi_top", stimulus=packets, simulator=QUICK
    )
    assert result.tests == 8


def test_results_of_every_step_pass_whatever_happens(random_model):
    model = random_model(features=3, hidden=2, levels=(1, 1), readout="every")
    design = accelerator_top(model, units=2, width=16)
    packets = packets_of(stimulus_of(model, design, 3, 3))
    assert len(packets["output_sizes"]) == 3 * len(packets["input_sizes"])
    result = simulate(
        design, top="axi", bench="mubinn.sim.axi.tb_axi_top", stimulus=packets, simulator=QUICK
    )
    assert result.tests == 8


@pytest.mark.parametrize("case", CASES)
def test_a_driver_runs_a_model(random_model, case):
    about, options = CASES[case]
    model = random_model(features=5, hidden=3, **about)
    if "adc_width" in options:
        model = replace(model, preprocessing=Preprocessing("causal", 2))
    design = accelerator_top(model, **options)
    stimulus = stimulus_of(model, design, 2, 3)
    if options.get("loadable"):
        other = random_model(seed=1, features=5, hidden=3, **about)
        stimulus |= loading(design, other, lanes=options["lanes"])
    result = simulate(
        design, top="axi", bench="mubinn.sim.axi.tb_driver", stimulus=stimulus, simulator=QUICK
    )
    assert result.tests == 1


def test_a_driver_says_which_windows_leave_their_state(random_model):
    about = {"seed": 9, "levels": (1, 2), "hidden": 2, "depth": 2, "readout": "last"}
    model = random_model(features=3, **about)
    design = accelerator_top(model, units=2, state="register")
    # The last one is kept, and forgotten by the abort that follows.
    kept = [True, True, False, True, False, True]
    stimulus = stimulus_of(model, design, len(kept), 2, kept)
    plain = stimulus_of(model, design, len(kept), 2)["result_logits"]
    assert (stimulus["result_logits"][3] == plain[3]).all()
    assert (stimulus["result_logits"] != plain).any()
    result = simulate(
        design,
        top="axi",
        bench="mubinn.sim.axi.tb_driver",
        stimulus=stimulus | {"kept": np.array(kept)},
        simulator=QUICK,
    )
    assert result.tests == 1


def test_streams_share_an_accelerator(random_model):
    about = {"seed": 9, "levels": (1, 2), "hidden": 2, "depth": 2, "readout": "leaky:2"}
    model = random_model(features=3, **about)
    design = accelerator_top(model, units=2, state="carried", state_port=True)
    result = simulate(
        design,
        top="axi",
        bench="mubinn.sim.axi.tb_driver",
        stimulus=streams_of(model, design, [0, 1, 1, 0, 1, 0], 2),
        simulator=QUICK,
    )
    assert result.tests == 1


def test_a_register_of_the_state_needs_registers(random_model):
    with pytest.raises(MubinnError, match=r"has no register to say .*: give it registers"):
        accelerator_top(random_model(), state="register", registers=False)
    with pytest.raises(MubinnError, match="has no registers by which its state could go out"):
        accelerator_top(random_model(), state="carried", state_port=True, registers=False)
