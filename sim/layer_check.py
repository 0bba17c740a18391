"""Holding an LSTM layer in simulation to the bit-true model, at every named intermediate."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Shape

from mubinn.golden.errors import MubinnError
from mubinn.golden.lstm_cell import LstmCellParams
from mubinn.golden.lstm_model import QuantizedLstm, QuantizedModel
from mubinn.golden.model_file import save_model
from mubinn.hw.lstm_cell import LstmCell
from mubinn.hw.lstm_layer import LstmLayer
from mubinn.sim.payload import fields_of, fields_to_json
from mubinn.sim.runner import SimResult, simulate

BENCH = "mubinn.sim.tb_lstm_layer"


def checked_codes(layer: QuantizedLstm, windows: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return input codes [windows, T, I] as int64; raise `MubinnError` on another shape."""
    codes = np.asarray(windows, np.int64)
    if codes.ndim != 3 or codes.shape[2] != layer.features or not codes.size:
        raise MubinnError(
            f"input codes of shape {codes.shape} are not (windows, steps, "
            f"{layer.features}): encode the windows with this model."
        )
    return codes


def check_layer(
    model: QuantizedModel,
    windows: npt.ArrayLike,
    *,
    layer: int = 0,
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
    pause : float
        Probability with which either side pauses in a second run of the first window; 0 leaves
        that run away (it wakes Python at every cycle).
    seed : int
        Of the pauses.
    design : LstmLayer, optional
        Another design with the same ports, such as a broken one.
    options
        For :func:`mubinn.sim.runner.simulate`: simulator, waves, run_dir, cache_dir.

    Raises
    ------
    SimulationMismatch
        With window, step, cell, gate, pass, signal, expected and got of the first difference.
    MubinnError
        On input of the wrong shape, or if the simulator cannot run.
    """
    params = LstmCellParams(model.layers[layer])
    codes = checked_codes(params.layer, windows)
    design = design or LstmLayer(params, trace=True)
    with tempfile.TemporaryDirectory(prefix="mubinn-layer-") as folder:
        path = Path(folder) / "model.mubinn"
        save_model(path, model)
        job = {
            "model": str(path),
            "layer": layer,
            "cycles_per_step": design.cycles_per_step,
            "pause": pause,
            "seed": seed,
            "i_fields": fields_to_json(fields_of(design.frame)),
            "o_fields": fields_to_json(fields_of(design.state)),
            "trace_fields": fields_to_json(fields_of(LstmCell.trace_layout(params))),
            "widths": {
                "i": Shape.cast(design.frame).width,
                "o": Shape.cast(design.state).width,
            },
        }
        stimulus = {"job": np.array(json.dumps(job)), "windows": codes}
        return simulate(design, top="lstm_layer", bench=BENCH, stimulus=stimulus, **options)
