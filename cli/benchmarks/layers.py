"""``mubinn bench layers``: the layers of models in hardware, side by side with those of floats.

Each layer of a quantized model is generated without the classifier, one multiplier: simulated on
windows of the data with every intermediate compared; its logic mapped to a device, memories being
black boxes; and its energy a step measured on 64 windows (`mubinn.synth.energy.energy_layer`). A
layer of a float model is a binary32 multiplier, an adder and look-ups (`energy_float`): a product a
cycle, the device's resources those of the units without control, and nothing to simulate. What is
done once for a layer is kept by content, so that an interrupted run goes on.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mubinn.cli.benchmarks.figures import figure
from mubinn.cli.benchmarks.kept import Keeper, digest
from mubinn.cli.shared.recordings import input_codes, open_windows, prepared, spread, values
from mubinn.golden.baseline.float_activation import FloatActivationParams
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.place import side_by_side, stages
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints
from mubinn.golden.model import reference
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.model_file import load_any
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.hw.baseline.float_activation import FloatSegment
from mubinn.hw.baseline.float_add import FloatAdd
from mubinn.hw.baseline.float_mult import FloatMult
from mubinn.hw.boards.device import Device, find_device
from mubinn.hw.export.layer_folder import layer_designs, memories
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.reports.layers import BINARY32, LayerRow, layer_columns, layer_files, layer_texts
from mubinn.sim.layer.layer_check import check_layer
from mubinn.synth.energy.energy import Energy, EnergyLibrary
from mubinn.synth.energy.energy_cell import float_step
from mubinn.synth.energy.energy_float import FloatWork
from mubinn.synth.energy.energy_layer import check_windows
from mubinn.synth.flow.flow import tool_versions
from mubinn.synth.fpga.place_and_route import measure_logic
from mubinn.synth.liberty.library import Library, builtin_library
from mubinn.synth.netlist.activity import WORD

DEVICE = "xc7"
FLOAT_WINDOWS = 8
"""Windows of which binary32 takes its operands."""
NJ = 1e-6

Say = Callable[[str], None]


def bench_layers(
    models: Sequence[Path] = (),
    data: Sequence[Path] = (),
    device: str = DEVICE,
    library: Library | None = None,
    datapath: Any = None,
    windows: int = 1,
    steps: int | None = None,
    progress: Say = lambda _: None,
) -> dict[str, Any]:
    """Measure the layers of models.

    Parameters
    ----------
    models : sequence of Path
        Files of quantized and of float models.
    data : sequence of Path
        One file of windows for all models, or one for each; at least 64 windows.
    device : str
        Whose resources are counted.
    library : Library, optional
        By default the built-in one.
    datapath : str, optional
        Of quantized models, by default each one's own.
    windows, steps : int
        What is simulated with every intermediate compared; all steps by default.
    progress : callable, optional
        Told what begins.

    Raises
    ------
    MubinnError
        Without models, on data that are neither one for all nor one each, and as generation,
        simulation and `layer_energy` do.
    """
    if not models:
        raise MubinnError("Give the files of the models whose layers are to be measured.")
    if len(data) not in (1, len(models)):
        raise MubinnError(
            f"There are {len(models)} models and {len(data)} files of data: give one --data for "
            "all models, or one for each in their order."
        )
    bench = _Bench(find_device(device), library or builtin_library(), windows, steps, progress)
    rows: list[LayerRow] = []
    for place, path in enumerate(models):
        own = data[place % len(data)]
        model = load_any(path)
        if isinstance(model, QuantizedModel):
            model = model if datapath is None else model.with_datapath(datapath)
            rows += bench.quantized(path.stem, model, own)
        else:
            rows += bench.floats(path.stem, model, own)
    versions = dict(tool_versions())
    parameters: dict[str, Any] = {
        "device": bench.device.name,
        "library": bench.cells.library.name,
        "data": ", ".join(path.name for path in data),
        "windows_of_energy": WORD,
    }
    return {
        "figures": [figure(f"{row.model}_nj", row.step_nj, "nJ a step") for row in rows],
        "tables": {"layers": {"columns": layer_columns(rows), "rows": layer_texts(rows)}},
        "layers": [asdict(row) for row in rows],
        "versions": versions,
        "parameters": parameters,
        "files": layer_files(rows, {"parameters": parameters, "versions": versions}),
    }


class _Bench:
    """What all layers are measured with."""

    def __init__(
        self, device: Device, library: Library, windows: int, steps: int | None, say: Say
    ) -> None:
        self.device, self.cells = device, EnergyLibrary.of(library)
        self.windows, self.steps, self.say = windows, steps, say
        self.keeper = Keeper()

    def quantized(self, name: str, model: QuantizedModel, data: Path) -> list[LayerRow]:
        """Return the rows of a quantized model."""
        recorded, _ = open_windows((data,), model=model)
        codes = input_codes(model, recorded.x, WORD, None)
        for layer, own in zip(model.layers, codes, strict=True):
            check_windows(layer, own)
        few = input_codes(model, recorded.x, self.windows, self.steps)
        designs = layer_designs(model), layer_designs(model, self.device)
        rows = []
        for index, (layer, made, mapped) in enumerate(zip(model.layers, *designs, strict=True)):
            title = name if len(model.layers) == 1 else f"{name}, layer {index}"
            self.say(f"{title}: mapping to {self.device.name} (Yosys)")
            used = self._used(mapped.verilog, mapped.name)
            compared = self._simulated(title, model, index, few[index])
            found = self.keeper.layer_energy(self.cells, made, codes[index], self._saying(title))
            rows.append(
                LayerRow(
                    title,
                    _layer_text(layer),
                    _levels_text(model, layer),
                    layer.datapath,
                    compared,
                    used,
                    found["cycles"],
                    sum(int(memory["bits"]) for memory in memories(made.layer)),
                    **_parts(found["logic"], found["memory_fj"], found["period_ps"]),
                )
            )
        return rows

    def floats(self, name: str, model: FloatModel, data: Path) -> list[LayerRow]:
        """Return the rows of a float model."""
        recorded, _ = open_windows((data,), model=model)
        x = prepared(model, recorded.x[spread(FLOAT_WINDOWS, np.arange(len(recorded.x)))])
        rows = []
        for index, (layer, read) in enumerate(_float_inputs(model, x)):
            title = name if len(model.layers) == 1 else f"{name}, layer {index}"
            self.say(f"{title}: units of binary32")
            work = FloatWork.of(layer)
            found = float_step(self.cells, layer, read)
            total = found.logic
            rows.append(
                LayerRow(
                    title,
                    _layer_text(layer),
                    "",
                    BINARY32,
                    None,
                    self._float_used(work),
                    work.products,
                    int(sum(memory.bits for memory in work.memories.values())),
                    **_parts(total.parts, found.memory_fj, found.period_ps),
                )
            )
        return rows

    def _saying(self, title: str) -> Say:
        return lambda what: self.say(f"{title}: {what}")

    def _used(self, verilog: str, top: str) -> dict[str, float]:
        """Return what the device has of it in logic, by name; memories are black boxes."""
        cells = measure_logic(verilog, top, self.device).cells
        return {resource.name: resource.count(cells) for resource in self.device.resources.values()}

    def _float_used(self, work: FloatWork) -> dict[str, float]:
        units = {"float_mult": FloatMult(), "float_add": FloatAdd()}
        units |= {kind: FloatSegment(FloatActivationParams(kind)) for kind in work.activations}
        total: dict[str, float] = {}
        for name, unit in units.items():
            for resource, count in self._used(verilog_text(unit, name), name).items():
                total[resource] = total.get(resource, 0) + count
        return total

    def _simulated(self, title: str, model: QuantizedModel, index: int, codes: Ints) -> int:
        """Return how many values were compared with the bit-true model, all equal."""
        layer = model.layers[index]
        count = codes.shape[0] * codes.shape[1]

        def make() -> dict[str, Any]:
            self.say(f"{title}: simulating, every intermediate compared")
            check_layer(model, codes, layer=index)
            return {"values": sum(values(layer, count).values())}

        verilog = layer_designs(model)[index].verilog
        key = {"verilog": digest(verilog.encode()), "codes": digest(codes.tobytes())}
        return int(self.keeper.kept("values of a layer", make, **key)["values"])


def _parts(
    logic: dict[str, float], memory_fj: dict[str, float], period_ps: float
) -> dict[str, Any]:
    """Return the energies of a row, of fJ by cause and by memory."""
    leakage = logic["leakage"]
    return {
        "dynamic_nj": (Energy(**logic).total - leakage) * NJ,
        "leakage_nj": leakage * NJ,
        "memory_nj": sum(memory_fj.values()) * NJ,
        "period_ps": period_ps,
        "parts_nj": {name: fj * NJ for name, fj in (logic | memory_fj).items()},
    }


def _layer_text(layer: QuantizedLayer | FloatLayer) -> str:
    """Return cell, inputs and cells, the same of a layer in floats and in level bits."""
    text = f"{layer.cell.name}; {layer.inputs}, {layer.hidden}"
    if isinstance(layer.frames, Sweep):
        text += f", a pixel of {layer.frames.height}x{layer.frames.width}"
    return text


def _levels_text(model: QuantizedModel, layer: QuantizedLayer) -> str:
    """Return the levels of a layer, and what else than Algorithm 1 encodes, as the model notes."""
    counts = {name: layer.levels.count(name) for name in ("x", "w", "h", "c", "gate", "b")}
    same = len(set(counts.values())) == 1
    text = f"{counts['x']}" if same else ", ".join(f"{name} {n}" for name, n in counts.items())
    if layer.read is not None:
        text += f"; rows read {layer.read.levels} of h"
    return f"{text}; {model.meta['encoder']}" if "encoder" in model.meta else text


def _float_inputs(model: FloatModel, x: Any) -> list[tuple[FloatLayer, Floats]]:
    """Return every layer with what it reads of prepared windows, [windows, T, inputs]."""
    read, found = model.embedded(x), []
    for stage in stages(model.layers):
        found += [(layer, read) for layer in stage]
        runs = [
            reference.run_layer(layer, reference.LayerQuantizers(), read)["h"] for layer in stage
        ]
        read = side_by_side(stage, runs)
    return found
