"""``mubinn bench simulate``: cycles per second of the (3,3) layer with every value compared."""

import os
from typing import Any

from mubinn.cli.benchmarks.figures import figure, versions
from mubinn.cli.shared.common import QUANTIZED_MODEL, bundled
from mubinn.cli.shared.recordings import input_codes, open_labelled, values
from mubinn.golden.model.model_file import load_model
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.sim.layer.layer_check import check_layer
from mubinn.sim.layer.layer_speed import simulate_outputs


def bench_simulate(
    model: QuantizedModel | None = None, windows: int = 1, steps: int | None = None
) -> dict[str, Any]:
    """Return cycles per second of a layer on Verilator, cocotb attached.

    The figure is that of the traced layer: all intermediates of all cells are compared, and its
    time holds the golden model and the comparison. The parameters name the same layer's speed
    without the trace, where the outputs alone are compared.

    Parameters
    ----------
    model : QuantizedModel, optional
        By default the bundled one: (3,3), 32 inputs, 100 cells.
    windows, steps
        How much of the EEG to run; all steps by default.
    """
    model = model or load_model(bundled(QUANTIZED_MODEL))
    recorded, name = open_labelled(None, features=model.features)
    codes = input_codes(model, recorded.x, windows, steps)[0]
    traced = check_layer(model, codes)
    plain = simulate_outputs(model, codes)
    layer = model.layers[0]
    return {
        "figures": [figure("cycles_per_s", traced.cycles / traced.seconds, "cycles/s")],
        "versions": versions("mubinn", "cocotb", "verilator"),
        "parameters": {
            "data": name,
            "levels": str(model.levels),
            "features": layer.features,
            "hidden": layer.hidden,
            "windows": codes.shape[0],
            "steps": codes.shape[1],
            "cores": os.cpu_count(),
            "values_compared": sum(values(layer, codes.shape[0] * codes.shape[1]).values()),
            "cycles": traced.cycles,
            "seconds": traced.seconds,
            "cycles_per_s_without_trace": plain.cycles / plain.seconds,
            "seconds_without_trace": plain.seconds,
        },
    }
