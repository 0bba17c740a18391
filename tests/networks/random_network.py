"""A network drawn at random, and all that has to be equal about it."""

import json
import re
import subprocess
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ordered import with_thresholds
from own_cells import OWN, read_weights, sizes_of

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.library import LAYERS
from mubinn.golden.cells.place import Place, width
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import infer
from mubinn.golden.model import bit_true
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import READOUTS, FloatModel
from mubinn.golden.model.head import HEADS
from mubinn.golden.model.model_file import load_model, save_model
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.model.stacked import least_steps
from mubinn.golden.quantize import quantize
from mubinn.hw.boards.device import find_device
from mubinn.hw.export.accelerator_folder import accelerator_folder
from mubinn.hw.export.device_design import DesignOptions, device_design
from mubinn.sim.layer.layer_check import check_layer

KINDS = (*LAYERS.values(), *OWN)
NETWORKS = {"ice40": "lut4", "ecp5": "lut4", "xc7": "xc7-plain", "gowin": "lut4"}


@dataclass(frozen=True)
class Network:
    """What is built, and how."""

    model: QuantizedModel
    windows: Any
    device: str
    options: DesignOptions

    def __str__(self) -> str:
        model = self.model
        layers = [
            f"{layer.cell.name} {layer.features}x{layer.hidden}"
            + (f">{layer.outputs}" if layer.cell.projects else "")
            + ("" if layer.frames.plain else f" {tuple(vars(layer.frames).values())}")
            + (layer.place.words and f" {layer.place.words}")
            for layer in model.layers
        ]
        parts = [" -> ".join(layers), str(model.levels), model.datapath]
        parts += [f"{model.outputs} {model.head}", model.readout]
        parts += ["ordered"] * (model.layers[0].x.encoder is not None)
        parts += [self.device, f"lanes {self.options.lanes}", f"units {self.options.units}"]
        parts += [f"samples {self.options.sample_width}"] * bool(self.options.sample_width)
        parts += ["loaded"] * self.options.loadable
        return ", ".join(parts)


def random_network(seed: int) -> Network:
    """Return network number `seed`, always the same one."""
    rng = np.random.default_rng([7, seed])
    pick = rng.integers
    features = int(pick(1, 9))
    layers, size = [], features
    for _ in range(int(pick(1, 4))):
        own = _directions(rng, size) if pick(4) == 0 else [_one(rng, size)]
        layers += own
        size = width(own)
    head = HEADS[("classes", "classes", "sigmoid", "regression")[pick(4)]]
    least, most = head.outputs
    outputs = int(pick(least, (most or 4) + 1))
    wd, bd = rng.normal(0, 1, (outputs, size)), rng.normal(0, 0.3, outputs)
    floats = FloatModel(tuple(layers), wd, bd, READOUTS[pick(len(READOUTS))], head=head.name)
    x = rng.normal(0, 1, (6, least_steps(layers) + 5, features))
    model = quantize(
        floats,
        Levels(*(int(n) for n in pick(1, 5, 6))),
        x,
        granularity=("gate", "row")[pick(2)],
        scale_form=("free", "power-of-two", "shift")[pick(3)],
        gate_offset=(0.5, 0.0)[pick(2)],
    )
    counts = [model.levels.count(name) for name in ("x", "h", "c", "gate")]
    with suppress(MubinnError):  # scales of one unit, which have no thresholds between them
        if pick(2) and min(counts) > 1:
            model = with_thresholds(model, ("any",))
    if pick(2):
        model = _thresholds(model)
    most = max(layer.features + layer.hidden for layer in model.layers)
    options = DesignOptions(
        lanes=int(pick(1, most + 1)) if pick(2) else None,
        units=int(pick(1, 9)),
        sample_width=24 if pick(2) else None,
        loadable=bool(pick(2)),
    )
    return Network(model, x, tuple(NETWORKS)[pick(len(NETWORKS))], options)


def _one(rng: Any, size: int) -> FloatLayer:
    """Return a layer of any cell, which may read several steps at once."""
    pick = rng.integers
    cell, frames = KINDS[pick(len(KINDS))], Frames()
    if pick(3) == 0:
        taps = int(pick(2, 5))
        frames = Frames(taps, int(pick(1, 3)), int(pick(taps)))
    return _layer(rng, cell, size, int(pick(1, 9)), frames)


def _directions(rng: Any, size: int) -> list[FloatLayer]:
    """Return a layer backward, or two or three beside each other, one of them or more backward."""
    cells = [KINDS[k] for k in rng.integers(len(KINDS), size=rng.integers(1, 4))]
    places = [Place(backward=True, beside=k > 0) for k in range(len(cells))]
    if len(cells) > 1:
        places[0] = Place()
        cells[1] = cells[0]
    sizes = [int(n) for n in rng.integers(1, 6, len(cells))]
    return [
        replace(_layer(rng, cell, size, hidden, Frames()), place=place)
        for cell, hidden, place in zip(cells, sizes, places, strict=True)
    ]


def _layer(rng: Any, cell: Any, size: int, hidden: int, frames: Frames) -> FloatLayer:
    sizes = sizes_of(cell, hidden, int(rng.integers(1, hidden + 1)) if cell.projects else None)
    counts = size * frames.taps, sizes.columns
    drawn = (rng.normal(0, 0.6, (sizes.rows, columns)) for columns in counts)
    rows = read_weights(sizes, *drawn)
    stored = {node.name: rng.normal(0, 0.5, hidden) for node in cell.stored}
    b = rng.normal(0, 0.3, sizes.rows)
    return FloatLayer(cell, *rows, b, stored=stored, frames=frames)


def _thresholds(model: QuantizedModel) -> QuantizedModel:
    """Return the model on thresholds, or as it is where a cell has none."""
    made = model.with_datapath("threshold")
    try:
        for layer in made.layers:
            _ = layer.lowered
    except MubinnError:
        return model
    return made


def check(network: Network, folder: Path) -> dict[str, Any]:
    """Demand that all of a network's forms are equal; return how much was compared."""
    model, x = network.model, network.windows
    save_model(folder / "model.mubinn", model)
    again = load_model(folder / "model.mubinn")
    codes = model.encode_input(x)
    _, scores, classes = bit_true.run(model, codes)
    assert (bit_true.run(again, codes)[1] == scores).all(), "the file"
    found = infer(model, x)
    assert (found.scores == scores).all(), "fast inference"
    assert classes is None or (found.classes == classes).all(), "fast inference"
    values = _layers(network, codes[:2])
    files = accelerator_folder(
        model, device_design(model, find_device(network.device), network.options)
    )
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return {"values": values, "bytes": len(files["mubinn.v"]), "cycles": _bench(folder, files)}


def _layers(network: Network, codes: Any) -> int:
    """Simulate every layer, the classifier on the last; return the count of compared values."""
    model, options, values = network.model, network.options, 0
    inputs = bit_true.layer_inputs(model, codes)
    for k, (layer, frames) in enumerate(zip(model.layers, inputs, strict=True)):
        trace = bit_true.run_layer(layer, frames)
        check_layer(
            model,
            frames,
            layer=k,
            lanes=options.lanes,
            units=options.units,
            network=NETWORKS[network.device],
            classify=model.dense_of(k)[0] is not None,
            pause=0.3,
            simulator="icarus",
        )
        values += sum(array.size for array in trace.values())
    return values


def _bench(folder: Path, files: dict[str, str]) -> int:
    """Run the bench that the folder has for itself, pauses on both sides; return its cycles."""
    command = next(line for line in files["README.md"].splitlines() if "iverilog" in line)
    run = subprocess.run(
        command.replace("vvp ", "vvp -n "),
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "PASS" in run.stdout, f"the bench of {network_text(files)}: {run.stdout}{run.stderr}"
    found = re.search(r"(\d+) cycles", run.stdout)
    assert found, run.stdout
    return int(found[1])


def network_text(files: dict[str, str]) -> str:
    """Return what the folder is of."""
    about = json.loads(files["parameters.json"])
    return f"{about['device']}, {[layer['cell'] for layer in about['layers']]}"
