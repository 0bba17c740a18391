"""``mubinn bench layer``: cycles per step with the classifier, and the speed of the simulation."""

import os
from typing import Any

import numpy as np

from mubinn.cli.benchmarks.figures import figure, subject_model, versions
from mubinn.cli.shared.recordings import input_codes, open_labelled, prepared
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.quantize import quantize
from mubinn.sim.layer.layer_check import check_layer
from mubinn.sim.layer.layer_speed import simulate_outputs

CONFIGS = ((1, 1), (3, 3))
CALIBRATION_WINDOWS = 32
SPEED_GOAL = 300_000


def bench_layer(
    model: FloatModel | None = None,
    steps: int = 8,
    speed_steps: int | None = None,
    simulator: str = "verilator",
) -> dict[str, Any]:
    """Return cycles per step at (1,1) and (3,3), and cycles simulated in a second at (3,3).

    One level-pair product a cycle over all lanes, one unit. The cycles are those of a simulation in
    which the layer, its classifier included, is held to the bit-true model, value by
    value. The speed is that of the same layer without classifier and trace, cocotb attached, whose
    outputs are compared at every step.

    Parameters
    ----------
    model : FloatModel, optional
        What is quantized, by default the bundled one: 32 inputs, 100 cells.
    steps : int
        Steps of the two windows whose cycles are counted.
    speed_steps : int, optional
        Steps of the window that is timed; all of it by default.
    simulator : str
        Of all runs.
    """
    model = subject_model(model)
    recorded, name = open_labelled(None, features=model.features)
    calibration = prepared(model, recorded.x[:CALIBRATION_WINDOWS])
    figures: list[dict[str, Any]] = []
    for a, w in CONFIGS:
        made = quantize(model, Levels.of(a, w), calibration.astype(np.float64))
        plan = LayerPlan(made.lstm_layers[0], made.dense, readout=made.reading.at_each.name)
        codes = input_codes(made, recorded.x, 2, steps)[0]
        result = check_layer(made, codes, classify=True, simulator=simulator)
        classes = made.outputs if plan.reading.every_step else 0
        rows = plan.layer.cell_rows * plan.layer.hidden + classes
        goal = 1.05 * rows * plan.planes + 64
        cycles = int(result.outputs["cycles_per_step"])
        figures.append(figure(f"cycles_per_step_{a}_{w}", cycles, "cycles", f"<= {goal:.0f}"))
    codes = input_codes(made, recorded.x, 1, speed_steps)[0]
    speed = simulate_outputs(made, codes, simulator=simulator)
    rate = speed.cycles / speed.seconds
    figures.append(figure("cycles_per_s", rate, "cycles/s", f">= {SPEED_GOAL}"))
    return {
        "figures": figures,
        "versions": versions("mubinn", "cocotb", "verilator"),
        "parameters": {
            "data": name,
            "simulator": simulator,
            "features": plan.layer.features,
            "hidden": plan.layer.hidden,
            "classes": made.classes,
            "readout": made.readout,
            "lanes": plan.layer.features + plan.layer.hidden,
            "units": plan.units,
            "cores": os.cpu_count(),
            "cycles": speed.cycles,
            "seconds": speed.seconds,
        },
    }
