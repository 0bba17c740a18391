"""Holding an LSTM layer in simulation to the bit-true model, at every named intermediate."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Shape

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.layer_state import check_carries
from mubinn.golden.model.model_file import save_model
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.hw.layer.classifier import result_layout
from mubinn.hw.layer.layer_trace import probes_layout, sums_layout
from mubinn.hw.layer.lstm_layer import LstmLayer, cycles_per_step
from mubinn.sim.runner.simulate import SimResult, simulate
from mubinn.sim.testbench.payload import fields_of, fields_to_json

BENCH = "mubinn.sim.layer.tb_lstm_layer"


def checked_codes(layer: QuantizedLayer, windows: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return input codes [windows, T, I] as int64; raise `MubinnError` on another shape."""
    codes = np.asarray(windows, np.int64)
    if codes.ndim != 3 or codes.shape[2] != layer.features or not codes.size:
        raise MubinnError(
            f"input codes of shape {codes.shape} are not (windows, steps, "
            f"{layer.features}): encode the windows with this model."
        )
    if isinstance(layer.frames, Sweep):
        layer.frames.frames(codes)  # raises where they are not of whole frames
    return codes


def check_layer(
    model: QuantizedModel,
    windows: npt.ArrayLike,
    *,
    layer: int = 0,
    lanes: int | None = None,
    units: int = 1,
    folded_bias: bool = True,
    network: str = "asic",
    classify: bool = False,
    kept: Sequence[bool] | None = None,
    pause: float = 0.0,
    seed: int = 1,
    design: Any = None,
    **options: Any,
) -> SimResult:
    """Simulate windows on one layer and compare all that happens in it with the bit-true model.

    Parameters
    ----------
    model : QuantizedModel
    windows : int64 [windows, T, I]
        Input codes of that layer.
    layer : int
        Which layer of the model.
    lanes, units, folded_bias, network
        See `LayerPlan`.
    classify : bool
        Put on top of the layer what reads it of the classifier, `QuantizedModel.dense_of`, and
        compare its results.
    kept : sequence of bool, optional
        Of each window whether the next one begins with the state that it leaves, in a layer that
        has `LstmLayer.carried`; without it a layer without.
    pause : float
        Probability with which either side pauses in a second run, of the first two windows; 0
        leaves that run away (it wakes Python at every cycle).
    seed : int
        Of the pauses.
    design : LstmLayer, optional
        Another design with the same ports, such as a broken one.
    options
        For `mubinn.sim.runner.simulate.simulate`: simulator, waves, run_dir, cache_dir.

    Raises
    ------
    SimulationMismatch
        With window, step, cell, gate, pass, signal, expected and got of the first difference.
    MubinnError
        On input of the wrong shape, windows longer than the logits hold, or if the simulator
        cannot run.
    """
    how: dict[str, Any] = {"lanes": lanes, "units": units, "folded_bias": folded_bias}
    dense, readout = model.dense_of(layer) if classify else (None, model.reading.at_each.name)
    if classify and dense is None:
        raise MubinnError(f"layer {layer} is not on top: the classifier does not read it.")
    how |= {"network": network, "readout": readout}
    plan = LayerPlan(model.layers[layer], dense, **how)
    codes = checked_codes(plan.layer, windows)
    plan.check_steps(codes.shape[1])
    if kept is not None:
        check_carries(model.layers)
    design = design or LstmLayer(plan, trace=True, carries=kept is not None)
    layouts = {"i": design.frame, "o": design.state}
    layouts |= {"sums": sums_layout(plan), "cells": probes_layout(plan)}
    if classify:
        layouts["result"] = result_layout(plan)
    with tempfile.TemporaryDirectory(prefix="mubinn-layer-") as folder:
        path = Path(folder) / "model.mubinn"
        save_model(path, model)
        job = {
            "model": str(path),
            "layer": layer,
            "plan": how,
            "classify": classify,
            "cycles_per_step": cycles_per_step(plan),
            "kept": None if kept is None else [bool(own) for own in kept],
            "pause": pause,
            "seed": seed,
            "fields": {name: fields_to_json(fields_of(layout)) for name, layout in layouts.items()},
            "widths": {name: Shape.cast(layout).width for name, layout in layouts.items()},
        }
        stimulus = {"job": np.array(json.dumps(job)), "windows": codes}
        return simulate(design, top="lstm_layer", bench=BENCH, stimulus=stimulus, **options)
