"""``mubinn bench lut-cycles``: LUTs of the layer's logic times its cycles per step, beside a peer.

The Verilog is that of ``mubinn generate --device xc7 --layers --units N``, whose folder also has
the Yosys script that counts it. The logic goes through the Yosys command by which
elasticai-creator's LSTM cells for FPGAs were measured, memories as black boxes on both sides. That
cell for 32 inputs and 100 cells at 8 bits takes 1,631 LUTs and 17 DSPs and 16,608 cycles a step;
its version 0.67 in fixed point, for 28 and 100, takes 491 LUTs and 7 DSPs and 25,809 cycles. The
ratios are those to the better product of the two, in which its DSPs count nothing; ours have none.
A LUT6_2 of ours is one LUT with two outputs; how many of the LUTs are such is told beside them.
"""

from collections.abc import Callable, Iterable
from typing import Any

from mubinn.cli.benchmarks.figures import figure, subject_model, threshold_models
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_model import FloatModel
from mubinn.hw.boards.device import find_device
from mubinn.hw.export.device_design import MEMORY_BOX
from mubinn.hw.export.layer_folder import LayerDesign, layer_designs
from mubinn.hw.layer.lstm_layer import cycles_per_step
from mubinn.synth.flow.flow import tool_versions
from mubinn.synth.fpga.place_and_route import measure_logic

DEVICE = "xc7"
UNITS = (1, 3, 9)
GOALS = {(1, 1): 50, (3, 3): 10}
WINDOWS = 64

PEERS = {
    "elasticai_creator": {"luts": 1631, "dsps": 17, "cycles": 16608},
    "elasticai_creator_0_67": {"luts": 491, "dsps": 7, "cycles": 25809},
}
"""LUTs, DSPs and cycles per step of the peer's cells."""


def bench_lut_cycles(
    model: FloatModel | None = None,
    units: Iterable[int] = UNITS,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Return LUTs times cycles per step at (1,1) and (3,3), each at its best `units`.

    Parameters
    ----------
    model : FloatModel, optional
        What is quantized, by default the bundled one: 32 inputs, 100 cells.
    units : iterable of int
        XNOR multipliers to try.
    progress : callable, optional
        Called with the name of each design when it begins.
    """
    model = subject_model(model)
    quantized, about = threshold_models(model, WINDOWS)
    best_peer = min(p["luts"] * p["cycles"] for p in PEERS.values())
    figures: list[dict[str, Any]] = []
    parameters: dict[str, Any] = {**about, "command": find_device(DEVICE).command("lstm_layer")}
    for levels, goal in GOALS.items():
        made = quantized(Levels.of(*levels))
        rows = {}
        for n in units:
            progress(f"{made.levels}, units {n}")
            rows[n] = measure(layer_designs(made, find_device(DEVICE), units=n)[0])
        stem = "_".join(map(str, levels))
        for n, row in rows.items():
            parameters |= {f"{key}_{stem}_units_{n}": value for key, value in row.items()}
        n = min(rows, key=lambda n: rows[n]["luts"] * rows[n]["cycles"])
        product = rows[n]["luts"] * rows[n]["cycles"]
        parameters |= {f"luts_{stem}": rows[n]["luts"], f"units_{stem}": n}
        figures += [
            figure(f"lut_cycles_{stem}", product, "LUTs x cycles", f"<= {best_peer // goal}"),
            figure(f"ratio_{stem}", best_peer / product, "ratio", f">= {goal}"),
        ]
    for peer, row in PEERS.items():
        parameters |= {f"{key}_{peer}": value for key, value in row.items()}
    return {"figures": figures, "versions": dict(tool_versions()), "parameters": parameters}


def measure(design: LayerDesign) -> dict[str, int]:
    """Return LUTs, flip-flops, memories and cycles per step of a layer for xc7.

    Raises
    ------
    MubinnError
        If the logic has DSPs, or a memory that is no black box.
    """
    device, plan = find_device(DEVICE), design.layer.plan
    cells = measure_logic(design.verilog, design.name, device).cells
    used = device.estimate(cells)
    if used["DSP48E1"] or used["RAMB36"]:
        raise MubinnError(
            f"{plan.units} units took DSPs or block RAMs, which LUTs do not tell: {cells}."
        )
    return {
        "luts": int(used["LUT"]),
        "luts_with_two_outputs": cells.get("LUT6_2", 0),
        "flipflops": int(used["FF"]),
        "memories": cells.get(MEMORY_BOX, 0),
        "cycles": cycles_per_step(plan),
    }
