"""Training runs with JAX and optax (extra ``mubinn[train]``): float and binarized, resumable."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.metrics import Metrics, metrics
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.train.data.recordings import LabelledSet, prepare
from mubinn.train.recipes.recipe import Recipe, split
from mubinn.train.runs.progress import Progress

if TYPE_CHECKING:
    from mubinn.train.runs.run import Run

CHECKPOINT = "checkpoint.npz"


@dataclass(frozen=True)
class TrainResult:
    """A trained model and how it came about.

    Attributes
    ----------
    model : FloatModel or QuantizedModel
        Of the last epoch, or with validation subjects of the best one by them. Methods that the
        hardware does not run give the float weights that training worked on.
    history : tuple of dict
        For each epoch: ``epoch`` (from 1), ``loss`` (mean over its steps, nats),
        ``validation_accuracy`` and ``validation_balanced_accuracy`` (or None), ``seconds``.
    test : Metrics
        Of the training graph on the held-out fold, measured once, after the last epoch.
    validation_accuracy : float or None
        Of the epoch that `model` is of; None without validation subjects.
    best_epoch : int
        The epoch that `model` is of, from 1.
    bit_true : Metrics or None
        Of the exported model on the same windows; None where there is none.
    agreement : float or None
        Share of those windows that the exported model and the training graph classify alike.
    """

    model: FloatModel | QuantizedModel
    history: tuple[dict[str, Any], ...]
    test: Metrics
    validation_accuracy: float | None
    best_epoch: int
    bit_true: Metrics | None = None
    agreement: float | None = None

    @property
    def measured(self) -> Metrics:
        """Of the exported model where there is one, else of the training graph."""
        return self.test if self.bit_true is None else self.bit_true

    @property
    def accuracy(self) -> float:
        """Bit-true accuracy where there is one, else that of the training graph."""
        return self.measured.accuracy

    @property
    def test_accuracy(self) -> float:
        """Accuracy of the training graph on the held-out fold, in 0..1."""
        return self.test.accuracy

    @property
    def bit_true_accuracy(self) -> float | None:
        """Accuracy of the exported model on the held-out fold; None where there is none."""
        return None if self.bit_true is None else self.bit_true.accuracy


def train(
    data: LabelledSet,
    recipe: Recipe | None = None,
    *,
    start: FloatModel | None = None,
    checkpoint_dir: Path | None = None,
    log: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    notes: Mapping[str, str] | None = None,
) -> TrainResult:
    """Train a one-layer LSTM classifier, float or binarized.

    Adam with warm-up and cosine on the mean cross entropy; the held-out fold is looked at once,
    after the last epoch. With `checkpoint_dir` the state is written atomically after every epoch;
    called again, with the same data, recipe and start, the run goes on from there and ends in
    bit-identical weights (on the same machine and versions).

    Parameters
    ----------
    data : LabelledSet
    recipe : Recipe, optional
    start : FloatModel, optional
        Weights to start from; drawn from the seed without it.
    checkpoint_dir : Path, optional
        Holds ``checkpoint.npz``; a finished run found there is not trained again.
    log : Path, optional
        JSONL: a ``start`` row (recipe, sizes, versions), one ``epoch`` row each, an ``end`` row
        with the accuracies.
    progress : callable, optional
        Gets a `Progress` after every step; see `mubinn.train.runs.progress.rich_progress`.
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
    from mubinn.train.runs.run import Run

    recipe = recipe or Recipe()
    parts = split(data, recipe)
    x = prepare(data.x, normalise=recipe.normalise, decimate=recipe.decimate, subject=data.subject)
    run = Run(data, x, parts, recipe, start)
    path = checkpoint_dir / CHECKPOINT if checkpoint_dir else None
    if path and path.exists():
        run.restore(path)
    run.write_log(log)
    while not run.finished:
        run.train_epoch(progress)
        if path:
            run.save(path)
        run.write_log(log)
    return _finish(run, log, notes or {})


def _finish(run: Run, log: Path | None, notes: Mapping[str, str]) -> TrainResult:
    """Measure a run that is at its end, and hand its model over."""
    predicted = run.predictions(run.parts.test)
    truth = run.y[run.parts.test]
    names = run.data.classes
    test = metrics(truth, predicted, len(names))
    best = run.history[run.best_epoch - 1]["validation_accuracy"]
    meta = {**run.meta(), **test.notes("test", names)}
    if best is not None:
        meta["validation_accuracy"] = f"{best:.4f}"
        meta["epoch"] = f"{run.best_epoch} of {len(run.history)}, the best on validation subjects"
    bit_true = agreement = None
    exported = run.exported({**meta, **notes})
    if isinstance(exported, QuantizedModel):
        exact = run.bit_true(exported)
        bit_true = metrics(truth, exact, len(names))
        agreement = float((exact == predicted).mean())
        noted = {**bit_true.notes("bit_true", names), "agreement": f"{agreement:.4f}"}
        exported = run.exported({**meta, **noted, **notes})
    result = TrainResult(
        exported, tuple(run.history), test, best, run.best_epoch, bit_true, agreement
    )
    run.write_log(
        log,
        {
            "test_accuracy": result.test_accuracy,
            "validation_accuracy": best,
            "bit_true_accuracy": result.bit_true_accuracy,
            "balanced_accuracy": result.measured.balanced_accuracy,
            "f1": dict(zip(names, result.measured.f1, strict=True)),
            "agreement": agreement,
            "windows": len(truth),
            "epochs": len(run.history),
            "best_epoch": run.best_epoch,
            "notes": dict(notes),
        },
    )
    return result


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
