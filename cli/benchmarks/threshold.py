"""``mubinn bench threshold``: the threshold datapath beside that of Figure 3, after the sums z.

Both state stages are those of one model, its scales or thresholds constants in the logic, registers
included, through the same synthesis for the least delay. `delay_ratio` compares the worst paths
between registers, and so the clocks; `latency_ratio` the time from the sum of the last gate to the
new state, which takes fewer of the shorter cycles. The difference in accuracy is that of models
at (3,3) trained each for its own datapath, recorded runs of five folds and ten seeds that ``mubinn
train --runs`` makes anew; beside it that of one set of weights, trained for Figure 3, on the
windows that training held out.
"""

from typing import Any

import numpy as np

from mubinn.cli.benchmarks.figures import figure
from mubinn.cli.shared.common import QUANTIZED_MODEL, bundled
from mubinn.cli.shared.recordings import held_out, open_labelled, prepared
from mubinn.golden.cells.constants import DATAPATHS, Datapath
from mubinn.golden.folding.cell_design import CellDesign
from mubinn.golden.inference.run import infer
from mubinn.golden.model.head import check_decides
from mubinn.golden.model.model_file import load_model
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.hw.boards.device import find_device
from mubinn.hw.cells.state_stages import state_stage_class
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.reports.accuracy import datapath_difference, measured
from mubinn.synth.flow.flow import SynthJob, synthesize, tool_versions
from mubinn.synth.fpga.place_and_route import measure
from mubinn.synth.liberty.library import Library, builtin_library

TOP = "tail"
FPGA = "xc7"


def bench_threshold(
    model: QuantizedModel | None = None, library: Library | None = None
) -> dict[str, Any]:
    """Return area, delay and accuracy of both datapaths.

    Parameters
    ----------
    model : QuantizedModel, optional
        By default the bundled one.
    library : Library, optional
        By default the built-in one.
    """
    model = model or load_model(bundled(QUANTIZED_MODEL))
    library = library or builtin_library()
    stages = {datapath: _state_stage(model, datapath, library) for datapath in DATAPATHS}
    accuracy, about = _accuracy(model)
    trained = datapath_difference(measured("datapaths"))

    def ratio(name: str) -> float:
        return float(stages["figure3"][name]) / float(stages["threshold"][name])

    return {
        "figures": [
            figure("area_ratio", ratio("area_um2"), "ratio", ">= 3"),
            figure("delay_ratio", ratio("delay_ps"), "ratio", ">= 2"),
            figure("latency_ratio", ratio("latency_ps"), "ratio", ""),
            figure("lut_ratio", ratio("luts"), "ratio", ""),
            figure("accuracy_difference", trained.mean, "points", ">= 0"),
            figure("accuracy_difference_error", trained.error, "points", ""),
            figure(
                "accuracy_difference_untrained",
                100 * (accuracy["threshold"] - accuracy["figure3"]),
                "points",
                "",
            ),
        ],
        "versions": tool_versions(),
        "parameters": {
            "levels": str(model.levels),
            "features": model.features,
            "hidden": model.layers[0].hidden,
            "library": library.name,
            "luts_of": FPGA,
            **{f"{name}_{d}": value for d in DATAPATHS for name, value in stages[d].items()},
            "trained_pairs": trained.pairs,
            **{f"accuracy_{datapath}": accuracy[datapath] for datapath in DATAPATHS},
            **about,
        },
    }


def _state_stage(model: QuantizedModel, datapath: Datapath, library: Library) -> dict[str, float]:
    """Return what the first layer's state stage takes in cells and on the FPGA."""
    design = CellDesign(model.with_datapath(datapath).layers[0])
    job = SynthJob(verilog_text(state_stage_class(design)(design), TOP), TOP)
    found = synthesize(job, library=library)
    device, stages = find_device(FPGA), state_stage_class(design).latency(design)
    used = device.estimate(measure(job, (device.command(TOP),)).cells)
    return {
        "area_um2": found.area_um2,
        "delay_ps": found.delay_ps,
        "delay_fo4": found.delay_fo4,
        "stages": stages,
        "latency_ps": stages * found.delay_ps,
        "gates": found.gates,
        "depth": found.depth,
        "flipflops": found.flipflops,
        "luts": used["LUT"],
    }


def _accuracy(model: QuantizedModel) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the accuracy of each datapath, and on what it was measured."""
    check_decides(model.head, model.readout, "the accuracy")
    recorded, name = open_labelled(None, features=model.features)
    fold = held_out(model, recorded, name)
    test = np.flatnonzero(recorded.fold == fold) if fold is not None else np.arange(len(recorded.x))
    x, y = prepared(model, recorded.x[test]), recorded.y[test]
    classes = {d: infer(model.with_datapath(d), x).classes for d in DATAPATHS}
    about = {
        "data": name if fold is None else f"fold {fold} of {name}",
        "windows": len(x),
        "equal_decisions": float((classes["figure3"] == classes["threshold"]).mean()),
    }
    return {d: float((found == y).mean()) for d, found in classes.items()}, about
