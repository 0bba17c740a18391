"""``mubinn bench scale``: two layers of 512 cells and 128 inputs at (2,2), from generation to LUTs.

Nothing of the size is trained: weights are random, of the spread of an initialised layer. The
accelerator's folder is generated, one step of each layer is simulated with every intermediate
compared, and the logic of each layer, the upper one with the classifier, goes through the Yosys
command of ``mubinn bench lut-cycles``. Each part runs in a process of its own; the largest resident
memory of it, or of a simulator or Yosys below it, is told.
"""

import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from mubinn.cli.benchmarks.figures import figure
from mubinn.cli.benchmarks.lut_cycles import DEVICE, measure
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model.float_layer import FloatLayer, lstm_layer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.quantize import quantize
from mubinn.hw.boards.device import find_device
from mubinn.hw.export.accelerator_folder import accelerator_folder
from mubinn.hw.export.device_design import DesignOptions, device_design
from mubinn.hw.export.layer_folder import LayerDesign
from mubinn.sim.layer.layer_check import check_layer
from mubinn.synth.flow.flow import tool_versions

SIZES = (128, 512, 2)
LEVELS = (2, 2)
UNITS = 4
SECONDS = 60
"""Generation takes at most so long."""


def bench_scale(
    sizes: tuple[int, int, int] = SIZES,
    simulator: str = "verilator",
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Return seconds, memory and LUTs of a large model.

    Parameters
    ----------
    sizes : tuple of int
        Inputs, cells of each of two layers, classes.
    simulator : "verilator" or "icarus"
    progress : callable, optional
        Called with the name of each part when it begins.
    """
    model = random_model(*sizes)
    figures: list[dict[str, Any]] = []
    parameters: dict[str, Any] = {
        **dict(zip(("features", "hidden", "classes"), sizes, strict=True)),
        "layers": len(model.layers),
        "levels": str(model.levels),
        "datapath": model.datapath,
        "units": UNITS,
        "simulator": simulator,
    }

    def run(name: str, part: Callable[..., Any], *arguments: Any, goal: str = "") -> Any:
        progress(name)
        found = _apart(part, *arguments)
        figures.append(figure(f"{name}_s", found["seconds"], "s", goal))
        parameters[f"{name}_mb"] = found["mb"]
        return found["value"]

    size = run("generate", generated, model, goal=f"<= {SECONDS}")
    parameters["generate_bytes"] = size
    for layer in range(len(model.layers)):
        cycles = run(f"simulate_{layer}", simulated, model, layer, simulator)
        parameters[f"cycles_per_step_{layer}"] = cycles
        row = run(f"synth_{layer}", synthesized, model, layer)
        parameters |= {f"{key}_{layer}": value for key, value in row.items()}
    return {"figures": figures, "versions": dict(tool_versions()), "parameters": parameters}


def random_model(features: int, hidden: int, classes: int) -> QuantizedModel:
    """Return a stack of two random layers at `LEVELS`, with the threshold datapath."""
    rng = np.random.default_rng(0)

    def normal(rows: int, columns: int) -> Floats:
        return rng.normal(0, columns**-0.5, (rows, columns))

    def layer(inputs: int) -> FloatLayer:
        wx, wh = normal(4 * hidden, inputs), normal(4 * hidden, hidden)
        return lstm_layer(wx, wh, rng.normal(0, 0.1, 4 * hidden), 1.0)

    floats = FloatModel(
        (layer(features), layer(hidden)), normal(classes, hidden), np.zeros(classes)
    )
    calibration = rng.normal(size=(4, 40, features))
    made = quantize(floats, Levels.of(*LEVELS), calibration, scale_form="shift")
    return made.with_datapath("threshold")


def generated(model: QuantizedModel) -> int:
    """Generate the accelerator's folder; return its bytes."""
    design = device_design(model, find_device(DEVICE), DesignOptions(units=UNITS))
    files = accelerator_folder(model, design)
    return sum(map(len, files.values()))


def simulated(model: QuantizedModel, layer: int, simulator: str) -> int:
    """Simulate one step of a layer, every intermediate compared; return its cycles."""
    own = model.layers[layer]
    codes = np.random.default_rng(1).integers(0, 1 << own.x.levels, (1, 1, own.features))
    top = layer == len(model.layers) - 1
    options: Any = {"units": UNITS, "classify": top, "simulator": simulator}
    result = check_layer(model, codes, layer=layer, **options)
    return int(result.outputs["cycles_per_step"])


def synthesized(model: QuantizedModel, layer: int) -> dict[str, int]:
    """Return what the logic of a layer takes on xc7, see `bench_lut_cycles.measure`."""
    dense = model.dense if layer == len(model.layers) - 1 else None
    plan = LayerPlan(model.layers[layer], dense, units=UNITS, network=find_device(DEVICE).network)
    return measure(LayerDesign.of(plan, "layer"))


def _apart(part: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """Run a part in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_watched, part, *arguments).result()


def _watched(part: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    began = time.perf_counter()
    value = part(*arguments)
    seconds = time.perf_counter() - began
    kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    memory = max(resource.getrusage(kind).ru_maxrss for kind in kinds) // 1024
    return {"value": value, "seconds": seconds, "mb": memory}
