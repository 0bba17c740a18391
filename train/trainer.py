"""Training of the float LSTM with JAX and optax (extra ``mubinn[train]``)."""

from __future__ import annotations

import importlib.util
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.errors import MubinnError
from mubinn.golden.float_model import FloatModel, Preprocessing
from mubinn.train.checkpoint import load_checkpoint, save_checkpoint, write_log
from mubinn.train.eeg_set import EegSet, prepare
from mubinn.train.progress import Progress
from mubinn.train.recipe import Recipe, Split, batches, split

CHECKPOINT = "checkpoint.npz"
_EVAL_BATCH = 256


@dataclass(frozen=True)
class TrainResult:
    """A trained model and how it came about.

    Attributes
    ----------
    model : FloatModel
        Weights of the last epoch.
    history : tuple of dict
        For each epoch: ``epoch`` (from 1), ``loss`` (mean over its steps, nats),
        ``validation_accuracy`` (or None), ``seconds``.
    test_accuracy : float
        On the held-out fold, measured once, after the last epoch; in 0..1.
    validation_accuracy : float or None
        Of the last epoch; None without validation subjects.
    """

    model: FloatModel
    history: tuple[dict[str, Any], ...]
    test_accuracy: float
    validation_accuracy: float | None


def train_float(
    data: EegSet,
    recipe: Recipe | None = None,
    *,
    checkpoint_dir: Path | None = None,
    log: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    notes: Mapping[str, str] | None = None,
) -> TrainResult:
    """Train a one-layer float LSTM classifier.

    Adam with warm-up and cosine on the mean cross entropy; the weights after the last epoch are
    the result, and the held-out fold is looked at once, after it. With `checkpoint_dir` the state
    is written atomically after every epoch; called again, with the same data and recipe, the run
    goes on from there and ends in bit-identical weights (on the same machine and versions).

    Parameters
    ----------
    data : EegSet
    recipe : Recipe, optional
    checkpoint_dir : Path, optional
        Holds ``checkpoint.npz``; a finished run found there is not trained again.
    log : Path, optional
        JSONL: a ``start`` row (recipe, sizes, versions), one ``epoch`` row each, an ``end`` row.
    progress : callable, optional
        Gets a `Progress` after every step; see `mubinn.train.progress.rich_progress`.
    notes : mapping of str to str, optional
        Joins the model's ``meta``, such as the data's name and the command; ``meta`` also states
        classes, channels, recipe, versions and accuracies.

    Returns
    -------
    TrainResult

    Raises
    ------
    MubinnError
        JAX or optax is missing, the data do not fit the recipe, the checkpoint is damaged or of
        another run, or the loss is no longer finite.
    """
    _require("jax", "optax")
    recipe = recipe or Recipe()
    parts = split(data, recipe)
    x = prepare(data.x, normalise=recipe.normalise, decimate=recipe.decimate)
    run = _Run(data, x, parts, recipe)
    path = checkpoint_dir / CHECKPOINT if checkpoint_dir else None
    if path and path.exists():
        run.restore(path)
    run.write_log(log)
    while len(run.history) < recipe.epochs:
        run.train_epoch(progress)
        if path:
            run.save(path)
        run.write_log(log)
    accuracy = run.accuracy(parts.test)
    run.write_log(log, accuracy)
    validation = run.history[-1]["validation_accuracy"]
    return TrainResult(run.model(accuracy, notes or {}), tuple(run.history), accuracy, validation)


def _require(*modules: str) -> None:
    for name in modules:
        try:
            found = importlib.util.find_spec(name) is not None
        except ValueError:  # a None or a spec-less entry in sys.modules
            found = False
        if not found:
            raise MubinnError(
                f"Training needs {name}, which is not installed; run: pip install 'mubinn[train]'."
            )


class _Run:
    """State of one training run."""

    def __init__(self, data: EegSet, x: NDArray[np.float32], parts: Split, recipe: Recipe) -> None:
        from mubinn.train import float_lstm

        self.data, self.x, self.parts, self.recipe = data, x, parts, recipe
        self.y = data.y.astype(np.int32)
        self.steps = len(parts.train) // recipe.batch
        self.clip = math.inf if recipe.c_clip is None else recipe.c_clip
        self.optimizer, self.step, self.evaluate = float_lstm.compiled(
            self.clip,
            recipe.readout,
            recipe.learning_rate,
            recipe.warmup,
            recipe.grad_norm,
            self.steps * recipe.epochs,
        )
        self.params = float_lstm.init_params(
            recipe.seed, data.features, recipe.hidden, len(data.classes)
        )
        self.state = self.optimizer.init(self.params)
        self.history: list[dict[str, Any]] = []
        self.fingerprint = recipe.fingerprint(data)

    def train_epoch(self, progress: Callable[[Progress], None] | None) -> None:
        """Train one epoch and append its row to the history."""
        start = time.perf_counter()
        epoch = len(self.history)
        latest = self.history[-1]["validation_accuracy"] if self.history else None
        total = 0.0
        for k, index in enumerate(batches(self.parts, self.recipe, epoch), 1):
            self.params, self.state, value = self.step(
                self.params, self.state, self.x[index], self.y[index]
            )
            total += float(value)
            if not math.isfinite(total):
                raise MubinnError(
                    f"The loss is no longer finite in epoch {epoch + 1}, step {k}; "
                    "lower the learning rate."
                )
            if progress:
                progress(Progress(epoch, self.recipe.epochs, k, self.steps, total / k, latest))
        aside = self.parts.validation
        self.history.append(
            {
                "epoch": epoch + 1,
                "loss": total / self.steps,
                "validation_accuracy": self.accuracy(aside) if len(aside) else None,
                "seconds": round(time.perf_counter() - start, 3),
            }
        )

    def accuracy(self, index: NDArray[np.int64]) -> float:
        """Share of the windows `index` that are classified right."""
        right = 0
        for start in range(0, len(index), _EVAL_BATCH):
            part = index[start : start + _EVAL_BATCH]
            padded = np.resize(part, _EVAL_BATCH)  # one shape, so one compilation
            scores = np.asarray(self.evaluate(self.params, self.x[padded]))[: len(part)]
            right += int((scores.argmax(axis=1) == self.y[part]).sum())
        return right / len(index)

    def save(self, path: Path) -> None:
        """Write the state after an epoch."""
        import jax

        leaves = jax.tree.leaves((self.params, self.state))
        arrays = {f"leaf{k}": np.asarray(leaf) for k, leaf in enumerate(leaves)}
        save_checkpoint(path, arrays, {"fingerprint": self.fingerprint, "history": self.history})

    def restore(self, path: Path) -> None:
        """Take the state of a checkpoint of the very same run."""
        import jax
        import jax.numpy as jnp

        arrays, meta = load_checkpoint(path)
        leaves, tree = jax.tree.flatten((self.params, self.state))
        if meta.get("fingerprint") != self.fingerprint or len(arrays) != len(leaves):
            raise MubinnError(
                f"{path} belongs to a run with another recipe or other data; "
                "choose another folder or delete it."
            )
        kept = [jnp.asarray(arrays[f"leaf{k}"]) for k in range(len(leaves))]
        self.params, self.state = jax.tree.unflatten(tree, kept)
        self.history = meta["history"]

    def write_log(self, path: Path | None, accuracy: float | None = None) -> None:
        """Write the log as far as the run has come."""
        if path is None:
            return
        rows: list[dict[str, Any]] = [{"event": "start", **self._about()}]
        rows += [{"event": "epoch", **row} for row in self.history]
        if accuracy is not None:
            rows.append({"event": "end", "test_accuracy": accuracy})
        write_log(path, rows)

    def _about(self) -> dict[str, Any]:
        parts = {name: len(getattr(self.parts, name)) for name in ("train", "validation", "test")}
        versions = {name: version(name) for name in ("jax", "optax", "numpy")}
        return {"recipe": asdict(self.recipe), "windows": parts, "versions": versions}

    def model(self, accuracy: float, notes: Mapping[str, str]) -> FloatModel:
        """The golden model of the present weights."""
        from mubinn.train import float_lstm

        recipe = self.recipe
        meta = {
            "classes": json.dumps(self.data.classes),
            "channels": json.dumps(self.data.channels),
            "recipe": json.dumps(asdict(recipe), sort_keys=True),
            "windows": json.dumps(self._about()["windows"]),
            "versions": json.dumps(self._about()["versions"]),
            "test_accuracy": f"{accuracy:.4f}",
        }
        validation = self.history[-1]["validation_accuracy"]
        if validation is not None:
            meta["validation_accuracy"] = f"{validation:.4f}"
        meta |= notes
        about = Preprocessing(recipe.normalise, recipe.decimate)
        return float_lstm.to_model(
            self.params, self.clip, recipe.readout, about, meta | dict(notes)
        )
