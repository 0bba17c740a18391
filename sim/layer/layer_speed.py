"""An LSTM layer in simulation as fast as it goes: no trace, outputs alone compared."""

from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Shape

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.model.bit_true import run_layer
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.hw.layer.lstm_layer import LstmLayer
from mubinn.sim.layer.layer_check import checked_codes
from mubinn.sim.runner.simulate import SimResult, simulate
from mubinn.sim.testbench.payload import Bits, Fields, fields_of, pack_bits

BENCH = "mubinn.sim.layer.layer_speed_bench"


def simulate_outputs(
    model: QuantizedModel,
    windows: npt.ArrayLike,
    *,
    layer: int = 0,
    lanes: int | None = None,
    units: int = 1,
    design: Any = None,
    **options: Any,
) -> SimResult:
    """Simulate windows on one layer without its trace and compare the output of every step.

    The golden outputs are made before the simulation, so that its seconds are its own.

    Parameters are those of `mubinn.sim.layer.layer_check.check_layer`.

    Raises
    ------
    SimulationMismatch
        With step, expected and got of the first difference.
    MubinnError
        On input of the wrong shape, or if the simulator cannot run.
    """
    plan = LayerPlan(model.layers[layer], lanes=lanes, units=units)
    codes = checked_codes(plan.layer, windows)
    h = np.moveaxis(run_layer(plan.layer, codes)["h"], 0, -2)
    design = design or LstmLayer(plan)
    levels = plan.layer.levels
    stimulus = {
        "frames": _payloads(design.frame, "x", codes, levels.count("x")),
        "outputs": _payloads(design.state, "h", h, levels.count("h")),
    }
    return simulate(design, top="lstm_layer", bench=BENCH, stimulus=stimulus, **options)


def _payloads(shape: Any, name: str, codes: npt.NDArray[np.int64], levels: int) -> Bits:
    """Return the packed frames of windows of codes [windows, T, n], one row a step."""
    planes = codes[:, :, None, :] >> np.arange(levels)[:, None] & 1
    last = np.zeros(codes.shape[:2], np.int64)
    last[:, -1] = 1
    fields: Fields = {
        name: planes.reshape(-1, *planes.shape[2:]).astype(np.uint8),
        "last": last.ravel(),
    }
    return pack_bits(fields_of(shape), Shape.cast(shape).width, fields)
