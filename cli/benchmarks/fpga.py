"""``mubinn bench fpga``: the bundled model placed and routed on three small FPGAs.

The float model is quantized without training after it, with scales that are powers of two of each
other and the threshold datapath, and put on each device with its classifier, behind streams of
bytes: (3,3) on an ECP5-25K and (1,1) on an iCE40 UP5K with the weights in block RAM, and (3,3) on
the UP5K with weights loaded into its four single-port RAMs, which hand out 64 bits a cycle. Fmax is
that of nextpnr's timing analysis.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mubinn.cli.benchmarks.figures import figure, subject_model, threshold_models
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.model.float_model import FloatModel
from mubinn.hw.boards.device import find_device
from mubinn.hw.export.device_design import DesignOptions, DeviceDesign, device_design
from mubinn.synth.flow.flow import SynthJob
from mubinn.synth.fpga.place_and_route import FpgaResult, implement

WINDOWS = 64
STEPS = 320


@dataclass(frozen=True)
class Placement:
    """A configuration and the device that it is put on.

    Attributes
    ----------
    name : str
        Of its figures.
    levels : (int, int)
    device : str
    mhz : float
        What it is to reach.
    options : DesignOptions
        As of ``mubinn generate`` and ``mubinn synth``.
    """

    name: str
    levels: tuple[int, int]
    device: str
    mhz: float
    options: DesignOptions


PLACEMENTS = (
    Placement("ecp5_3_3", (3, 3), "ecp5-25k", 50, DesignOptions(width=8, registers=False)),
    Placement("up5k_1_1", (1, 1), "ice40-up5k", 12, DesignOptions()),
    Placement(
        *("up5k_spram_3_3", (3, 3), "ice40-up5k", 12), DesignOptions(lanes=64, loadable=True)
    ),
)


def bench_fpga(
    model: FloatModel | None = None,
    placements: tuple[Placement, ...] = PLACEMENTS,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Return Fmax and the time of a window of 320 steps on each device, and what it takes.

    Parameters
    ----------
    model : FloatModel, optional
        By default the bundled one: 32 inputs, 100 cells.
    placements : tuple of Placement
    progress : callable, optional
        Called with the name of each stage when it begins.

    Raises
    ------
    MubinnError
        If a tool is missing, or a design does not fit.
    """
    model = subject_model(model)
    quantized, about = threshold_models(model, WINDOWS)
    figures: list[dict[str, Any]] = []
    parameters: dict[str, Any] = {**about, "steps": STEPS}
    versions: dict[str, str] = {}
    for place in placements:
        made = quantized(Levels.of(*place.levels))
        device = find_device(place.device)
        design = device_design(made, device, place.options)

        def show(stage: str, name: str = place.name) -> None:
            progress(f"{name}: {stage}")

        found = implement(SynthJob(design.verilog, design.name), device, progress=show)
        assert found.fmax_mhz
        milliseconds = design.window_cycles(STEPS) / found.fmax_mhz / 1e3
        figures += [
            figure(f"{place.name}_mhz", found.fmax_mhz, "MHz", f">= {place.mhz}"),
            figure(f"{place.name}_ms", milliseconds, "ms a window"),
        ]
        parameters |= _about(place.name, design, found)
        versions |= found.tools
    return {"figures": figures, "versions": versions, "parameters": parameters}


def _about(name: str, design: DeviceDesign, found: FpgaResult) -> dict[str, Any]:
    """Return cycles, resources and bitstream as parameters."""
    resources = find_device(found.device).resources
    used = {
        f"{name} {resources[key].name}": f"{count:g} of {resources[key].available}"
        for key, count in found.used.items()
    }
    cycles = {f"{name} cycles a step": design.top.core.cycles_per_step}
    return {**cycles, **used, f"{name} bitstream bytes": len(found.bitstream)}
