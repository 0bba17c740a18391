"""Training runs with JAX and optax (extra ``mubinn[train]``): float and binarized, resumable."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.metrics import Errors, Metrics
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.train.data.recordings import LabelledSet, prepare
from mubinn.train.recipes.recipe import Recipe, split
from mubinn.train.recipes.stack import check_integers
from mubinn.train.runs.checkpoint import alone_in
from mubinn.train.runs.judged import PERPLEXITY, Judged, judged, noted
from mubinn.train.runs.progress import Progress

if TYPE_CHECKING:
    from mubinn.train.runs.judged import Answers
    from mubinn.train.runs.run import Run

CHECKPOINT = "checkpoint.npz"


@dataclass(frozen=True)
class Integers:
    """The integers of a method that leaves numbers, beside the model that training leaves.

    Attributes
    ----------
    model : QuantizedModel
    measured : Metrics, or Errors of a regression
        Of the held-out fold.
    agreement : float
        Share of its windows of which integers and training graph say the same.
    """

    model: QuantizedModel
    measured: Judged
    agreement: float


@dataclass(frozen=True)
class TrainResult:
    """A trained model and how it came about.

    Attributes
    ----------
    model : FloatModel or QuantizedModel
        Of the last epoch, or with validation subjects of the best one by them, which of labels of
        steps is that of the least cross entropy. Methods that the
        hardware does not run give the float weights that training worked on.
    history : tuple of dict
        For each epoch: ``epoch`` (from 1), ``loss`` (mean over its steps; in nats, of a regression
        in squares of units near the spread of y), ``validation_accuracy`` and
        ``validation_balanced_accuracy``, or ``validation_r2`` and
        ``validation_mean_absolute_error`` (or None), ``seconds``. Where steps have labels there is
        ``validation_perplexity`` besides, and of many classes no balanced accuracy.
    test : Metrics, or Errors of a regression
        Of the training graph on the held-out fold, measured once, after the last epoch. Of its
        steps that have a label, where steps have some.
    validation_accuracy : float or None
        Of the epoch that `model` is of; None without validation subjects, and of a regression.
    best_epoch : int
        The epoch that `model` is of, from 1.
    bit_true : Metrics, Errors or None
        Of the exported model on the same windows; None where there is none.
    agreement : float or None
        Share of those windows of which the exported model and the training graph say the same.
    integers : Integers or None
        Where they were asked for.
    """

    model: FloatModel | QuantizedModel
    history: tuple[dict[str, Any], ...]
    test: Judged
    validation_accuracy: float | None
    best_epoch: int
    bit_true: Judged | None = None
    agreement: float | None = None
    integers: Integers | None = None

    @property
    def measured(self) -> Judged:
        """Of the exported model where there is one, else of the training graph."""
        return self.test if self.bit_true is None else self.bit_true

    @property
    def accuracy(self) -> float:
        """Bit-true accuracy where there is one, else that of the training graph."""
        return _decisions(self.measured).accuracy

    @property
    def test_accuracy(self) -> float:
        """Accuracy of the training graph on the held-out fold, in 0..1."""
        return _decisions(self.test).accuracy

    @property
    def bit_true_accuracy(self) -> float | None:
        """Accuracy of the exported model on the held-out fold; None where there is none."""
        return None if self.bit_true is None else _decisions(self.bit_true).accuracy


def _decisions(found: Judged) -> Metrics:
    """Return measures of decisions; raise `MubinnError` for a regression, which has none."""
    if isinstance(found, Errors):
        raise MubinnError("A regression decides on no class and has no accuracy: read its errors.")
    return found


def train(
    data: LabelledSet,
    recipe: Recipe | None = None,
    *,
    start: FloatModel | None = None,
    checkpoint_dir: Path | None = None,
    log: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    notes: Mapping[str, str] | None = None,
    integers: bool = False,
) -> TrainResult:
    """Train a network, float or binarized.

    Adam with warm-up and cosine on the mean loss of `Recipe.head`; the held-out fold is looked at
    once, after the last epoch. With `checkpoint_dir` the state is written atomically after every
    epoch; called again, with the same data, recipe and start, the run goes on from there and ends
    in bit-identical weights (on the same machine and versions).

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
    integers : bool
        Make the integers of a method that leaves numbers, `mubinn.train.runs.export.with_numbers`.

    Returns
    -------
    TrainResult

    Raises
    ------
    MubinnError
        JAX or optax is missing, the data do not fit the recipe, the checkpoint is damaged or of
        another run, another process trains in `checkpoint_dir`, or the loss is no longer finite.
    """
    recipe = recipe or Recipe()
    if integers:
        check_integers(recipe.method, recipe.stack)
    run = new_run(data, recipe, start)
    with alone_in(checkpoint_dir):
        return go_on(
            run, checkpoint_dir, log=log, progress=progress, notes=notes, integers=integers
        )


def new_run(data: LabelledSet, recipe: Recipe, start: FloatModel | None = None) -> Run:
    """Return a run before its first epoch.

    Raises
    ------
    MubinnError
        JAX or optax is missing, or the data do not fit the recipe.
    """
    _require("jax", "optax")
    from mubinn.train.runs.run import Run

    parts = split(data, recipe)
    x = prepare(
        data.x,
        normalise=recipe.normalise,
        decimate=recipe.decimate,
        subject=data.subject,
        constants=recipe.preprocessing.constants,
    )
    return Run(data, x, parts, recipe, start)


def go_on(
    run: Run,
    folder: Path | None,
    *,
    log: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    notes: Mapping[str, str] | None = None,
    integers: bool = False,
) -> TrainResult:
    """Train a run to its end, from the checkpoint in `folder` where there is one; see `train`.

    The caller holds `folder` (`mubinn.train.runs.checkpoint.alone_in`).

    Raises
    ------
    MubinnError
        The checkpoint is damaged or of another run, or the loss is no longer finite.
    """
    path = folder / CHECKPOINT if folder else None
    if path and path.exists():
        run.restore(path)
    run.write_log(log)
    while not run.finished:
        run.train_epoch(progress)
        if path:
            run.save(path)
        run.write_log(log)
    return _finish(run, log, notes or {}, integers)


def _finish(run: Run, log: Path | None, notes: Mapping[str, str], integers: bool) -> TrainResult:
    """Measure a run that is at its end, and hand its model over."""
    test = run.parts.test
    predicted = run.answers(test)
    found = judged(run.data, test, predicted)
    row = run.history[run.best_epoch - 1]
    best = row[run.validated[0]]
    meta = {**run.meta(), **noted(found, "test", run.data)}
    if best is not None:
        told = {run.validated[0], PERPLEXITY} & {*run.validated}
        meta |= {name: f"{row[name]:.4f}" for name in sorted(told)}
        meta["epoch"] = f"{run.best_epoch} of {len(run.history)}, the best on validation subjects"
    bit_true = agreement = None
    exported = run.exported({**meta, **notes})
    if isinstance(exported, QuantizedModel):
        exact = run.bit_true(exported)
        bit_true = judged(run.data, test, exact)
        agreement = run.agreement(predicted.said, exact.said, exported)
        own = {**noted(bit_true, "bit_true", run.data), "agreement": f"{agreement:.4f}"}
        exported = run.exported({**meta, **own, **notes})
    beside = _integers(run, {**meta, **notes}, predicted) if integers else None
    share = None if isinstance(found, Errors) else best
    history = tuple(run.history)
    result = TrainResult(
        exported, history, found, share, run.best_epoch, bit_true, agreement, beside
    )
    run.write_log(
        log,
        {
            **_measures(result, run),
            "agreement": agreement,
            "windows": len(test),
            "epochs": len(run.history),
            "best_epoch": run.best_epoch,
            **_of_integers(beside),
            "notes": dict(notes),
        },
    )
    return result


def _integers(run: Run, meta: Mapping[str, str], predicted: Answers) -> Integers:
    """Return the integers of a run beside its model, measured on the test windows."""
    model = run.integers(meta)
    exact = run.bit_true(model)
    found = judged(run.data, run.parts.test, exact)
    agreement = run.agreement(predicted.said, exact.said, model)
    own = {**noted(found, "bit_true", run.data), "agreement": f"{agreement:.4f}"}
    return Integers(replace(model, meta={**meta, **own}), found, agreement)


def _of_integers(found: Integers | None) -> dict[str, float]:
    """Return the measures of integers beside a model, as the last row of the log has them."""
    if found is None:
        return {}
    own = {f"integers_{name}": value for name, value in found.measured.figures.items()}
    return {**own, "integers_agreement": found.agreement}


def _measures(result: TrainResult, run: Run) -> dict[str, Any]:
    """Return the measures of the test windows, and the validation's, as the last row has them."""
    measured, row = result.measured, run.history[run.best_epoch - 1]
    best = row[run.validated[0]]
    if isinstance(measured, Errors):
        own = {f"test_{name}": value for name, value in result.test.figures.items()}
        if result.bit_true is not None:
            own |= {f"bit_true_{name}": value for name, value in result.bit_true.figures.items()}
        return {**own, run.validated[0]: best}
    shares = measured.f1 if measured.named else ()
    return {
        "test_accuracy": result.test_accuracy,
        "validation_accuracy": best,
        "bit_true_accuracy": result.bit_true_accuracy,
        "balanced_accuracy": measured.balanced_accuracy if measured.named else None,
        "f1": dict(zip(run.data.classes, shares, strict=True)) if shares else None,
        "confusion": measured.confusion.tolist() if measured.named else None,
        **_perplexities(result, row),
    }


def _perplexities(result: TrainResult, row: Mapping[str, Any]) -> dict[str, float | None]:
    """Return those of graph, integers and validation, where steps have labels."""
    each = {"test": result.test, "bit_true": result.bit_true}
    found = {
        f"{name}_perplexity": one.figures["perplexity"]
        for name, one in each.items()
        if one is not None and "perplexity" in one.figures
    }
    return {**found, PERPLEXITY: row[PERPLEXITY]} if found else {}


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
