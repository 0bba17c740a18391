"""The state of one training run. This module imports JAX."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.run import CompiledModel, infer
from mubinn.golden.model.float_model import FloatModel, Preprocessing
from mubinn.golden.model.head import head_of, reading_of
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.quantization.clipped import clipped
from mubinn.train.data.recordings import NO_LABEL, LabelledSet
from mubinn.train.graphs.graph import Graph, Pace, compiled
from mubinn.train.graphs.losses import Span
from mubinn.train.graphs.network import init_params, to_model, with_stored
from mubinn.train.recipes.chance import gains, kept, rounds, word_draws, word_shares
from mubinn.train.recipes.recipe import CLIP, Recipe, Split, batches, class_weights
from mubinn.train.recipes.stack import clip_of, layer_kinds, reclipped
from mubinn.train.recipes.words import words_of
from mubinn.train.runs.checkpoint import (
    damaged,
    load_checkpoint,
    save_checkpoint,
    write_log,
)
from mubinn.train.runs.devices import BatchSharding
from mubinn.train.runs.export import to_quantized, with_numbers
from mubinn.train.runs.judged import (
    PERPLEXITY,
    Answers,
    at_steps,
    judged,
    outputs_of,
    told,
    validated,
)
from mubinn.train.runs.made import frames_made, made_over
from mubinn.train.runs.progress import Progress
from mubinn.train.runs.start import check_drawn, check_start
from mubinn.train.runs.teacher import teacher
from mubinn.train.subject.calibration import calibrated
from mubinn.train.texts.vocabulary import PADDING

_EVAL_BATCH = 256
_MOST_SCORES = 1 << 24
"""Scores that are held at once where each step has some."""

_MOST_PIXELS = 1 << 16
"""Those of layers that sweep frames, where each step reads many others."""

FINEST = 2.0**-8
"""Least unit of a binarized regression."""

_FIT_WINDOWS = 64
"""Training windows that first scales are fitted on."""

_RANGE_WINDOWS = 256
"""Training windows of which is told what lies beyond the levels' span."""


class Run:
    """One run: parameters, optimiser state, history, and the best parameters so far.

    Parameters
    ----------
    data : LabelledSet
    x : float32 [windows, T, I]
        Its windows, prepared.
    parts : Split
    recipe : Recipe
    start : FloatModel or None
    """

    def __init__(
        self,
        data: LabelledSet,
        x: NDArray[np.float32],
        parts: Split,
        recipe: Recipe,
        start: FloatModel | None,
    ) -> None:
        self.data, self.x, self.parts, self.recipe = data, x, parts, recipe
        self.y = data.y.astype(np.int32 if data.classes else np.float32)
        self.outputs = outputs_of(recipe.head, data)
        self.validated = validated(recipe.head, data)
        self.skipped = int(np.argmax((data.y != NO_LABEL).any(axis=0))) if data.of_steps else 0
        self.steps = len(batches(parts, recipe, 0))
        self.weights = class_weights(parts, recipe)
        self.sharding = BatchSharding(recipe.batch)
        group = recipe.group if recipe.subject_calibration == "trained" else 0
        span = _span(data.y[parts.train], recipe)
        self.trained = start is not None
        self.hidden = _hidden_shares(self.x, parts, recipe)
        self.made = frames_made(recipe, x.shape[1], self.skipped)
        first = self._first(start, span)
        self.recipe = replace(recipe, c_clip=_recorded(clip_of(first.layers)))
        if first.steps(x.shape[1]) != x.shape[1] and data.of_steps:
            raise MubinnError(
                f"The labels are of {x.shape[1]} steps, of which layers that shorten windows leave "
                f"{first.steps(x.shape[1])}: give --layers that keep all, such as 'conv 16x5 "
                "causal'."
            )
        self.graph = Graph(
            recipe.method,
            recipe.readout,
            layer_kinds(first.layers),
            group,
            recipe.datapath,
            recipe.head,
            span,
            self.skipped,
            recipe.distil,
            recipe.freeze_embedding,
        )
        self.teacher = teacher(start, self.graph, self.sharding)
        pace = Pace(
            recipe.learning_rate,
            recipe.scale_rate,
            recipe.warmup,
            recipe.grad_norm,
            self.steps * recipe.epochs,
        )
        self.optimizer, self.step, self.evaluate = compiled(self.graph, pace)
        fitted = parts.train[:: max(1, len(parts.train) // _FIT_WINDOWS)][:_FIT_WINDOWS]
        self.params = self.sharding.copies(self.graph.start(first, x[fitted], not self.trained))
        self.state = self.sharding.copies(self.optimizer.init(self.params))
        self.history: list[dict[str, Any]] = []
        self.best = jax.tree.map(np.asarray, self.params)
        self.best_epoch = 0
        weights = [np.asarray(leaf) for leaf in jax.tree.leaves(self.params)]
        self.fingerprint = self.recipe.fingerprint(data, weights)

    def _first(self, start: FloatModel | None, span: Span) -> FloatModel:
        """Return the model that training starts from: given, or of weights that are drawn."""
        recipe = self.recipe
        clip = math.inf if recipe.c_clip == 0 else recipe.c_clip
        if start is not None:
            check_start(start, self.data, recipe)
            layers = start.layers if clip is None else reclipped(start.layers, clip)
            return replace(start, layers=layers)
        check_drawn(recipe)
        bound = CLIP if clip is None else clip
        kinds = [form.kind(bound) for form in recipe.stack]
        words = words_of(self.x) if recipe.embedding else 0
        sizes = recipe.embedding or self.data.features, self.outputs, words
        drawn = init_params(recipe.stack, recipe.seed, *sizes)
        return to_model(span.spread(drawn), kinds, recipe.readout, Preprocessing(), {}, recipe.head)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or validation has not improved for long enough."""
        done, patience = len(self.history), self.recipe.patience
        tired = 0 < patience <= done - self.best_epoch
        return done >= self.recipe.epochs or tired

    def train_epoch(self, progress: Callable[[Progress], None] | None) -> None:
        """Train one epoch and append its row to the history."""
        start = time.perf_counter()
        epoch = len(self.history)
        latest = told(self.history[-1] if self.history else {})
        total = 0.0
        for k, batch in enumerate(self._batches(epoch), 1):
            self.params, self.state, value = self.step(
                self.params, self.state, *self.sharding.parts(*batch)
            )
            total += float(value)
            if not math.isfinite(total):
                raise MubinnError(
                    f"The loss is no longer finite in epoch {epoch + 1}, step {k}; "
                    "lower the learning rate."
                )
            if progress:
                progress(Progress(epoch, self.recipe.epochs, k, self.steps, total / k, latest))
        row = {"epoch": epoch + 1, "loss": total / self.steps, **self._validated()}
        self._keep(row)
        self.history.append({**row, "seconds": round(time.perf_counter() - start, 3)})

    def _batches(self, epoch: int) -> Iterator[tuple[Any, ...]]:
        """Yield the batches of an epoch: x, y, weights, what dropout keeps, what is taught."""
        recipe = self.recipe
        grown = gains(recipe, epoch, self.steps, self.data.features)
        seen = (
            kept(recipe, epoch, self.steps, self.params["wd"].shape[1]) if recipe.dropout else None
        )
        drawn = (
            word_draws(recipe, epoch, self.steps, self.x.shape[1]) if recipe.hides_words else None
        )
        most = self.made - 1 if self.trained else min(epoch, self.made - 1)
        again = rounds(recipe, epoch, self.steps, most) if self.made else None
        for k, index in enumerate(batches(self.parts, recipe, epoch)):
            x = self.x[index] * grown[k] if recipe.gain_spread else self.x[index]
            if drawn is not None:
                x = np.where(drawn[k] < self.hidden[x.astype(np.int64)], np.float32(PADDING), x)
            if again is not None:
                x = self._made_over(x, again[k], self.graph.plain(self.params))
            y = self.y[index]
            weight = None if self.weights is None else self.weights[y]
            taught = None if self.teacher is None else self.teacher(x)
            yield x, y, weight, None if seen is None else seen[k], taught

    def _made_over(self, x: NDArray[Any], rounds: int, params: Any) -> NDArray[Any]:
        """Return windows with frames that the graph of plain parameters makes in so many rounds."""

        def evaluate(x: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.asarray(self.evaluate(params, *self.sharding.parts(x)))

        return made_over(x, evaluate, self.recipe.given, self.recipe.pixels, rounds)

    def _validated(self) -> dict[str, float | None]:
        """Return the measures of the present weights on the validation subjects, or None."""
        aside = self.parts.validation
        if not len(aside):
            return dict.fromkeys(self.validated)
        again = max(0, self.made - 1)
        found = judged(self.data, aside, self.answers(aside, self.params, again))
        measured = dict(zip(self.validated, found.figures.values(), strict=True))
        if not math.isfinite(measured.get(PERPLEXITY, 0)):
            raise MubinnError(
                "The perplexity of the validation subjects is beyond what a float holds: lower the "
                "learning rate."
            )
        return {**measured}

    def _keep(self, row: Mapping[str, Any]) -> None:
        """Take the present weights for the best: always, or where validation is better.

        It is better where the accuracy has risen, with balance the balanced one; of labels of
        steps where the cross entropy, of which the perplexity is the exponential, has fallen.
        """
        before = self.history[self.best_epoch - 1] if self.best_epoch else None
        if before and len(self.parts.validation):
            name = self.validated[self.recipe.balance != "none"]
            worse = row[name] <= before[name]
            if self.data.of_steps:
                worse = row[PERPLEXITY] >= before[PERPLEXITY]
            if worse:
                return
        self.best = jax.tree.map(np.asarray, self.params)
        self.best_epoch = len(self.history) + 1

    def answers(self, index: NDArray[np.int64], params: Any = None, rounds: int = 0) -> Answers:
        """Return what the graph says of windows, or of their steps that have a label.

        With `rounds` of frames that it has made.
        """
        if self.data.of_steps:
            parts = ((one, one) for one in self._evaluated(index, params, rounds))
            return at_steps(self.recipe.head, self._labels(index), parts)
        return Answers(self.decided(self.scores(index, params), index))

    def _labels(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the labels of the steps of which there are results."""
        return self.data.y[index, self.skipped :]

    def scores(self, index: NDArray[np.int64], params: Any = None) -> NDArray[np.float32]:
        """Return what the graph gives for the windows `index`, at the last of several results.

        float32 [N, C], by the best weights where none are given.
        """
        return np.concatenate([self._last(scores) for scores in self._evaluated(index, params)])

    def _evaluated(
        self, index: NDArray[np.int64], params: Any, rounds: int = 0
    ) -> Iterator[NDArray[np.float32]]:
        """Yield what the graph gives for the windows `index`, of some at a time."""
        weights = self.sharding.copies(self.graph.plain(self.best if params is None else params))
        devices = self.sharding.devices
        size = max(1, self._at_once // devices) * devices
        for start in range(0, len(index), size):
            part = index[start : start + size]
            padded = np.resize(part, size)  # one shape, so one compilation
            x = self._made_over(self.x[padded], rounds, weights)
            scores = np.asarray(self.evaluate(weights, *self.sharding.parts(x)))
            yield scores[: len(part)]

    @property
    def _at_once(self) -> int:
        """Windows that are worked on at once."""
        steps = self.x.shape[1] if reading_of(self.recipe.readout).each else 1
        most = _MOST_PIXELS if self.recipe.pixels else _MOST_SCORES
        return min(_EVAL_BATCH, max(1, most // (steps * self.outputs)))

    def decided(self, scores: NDArray[Any], index: NDArray[np.int64]) -> NDArray[Any]:
        """Return what scores [N, C] of the windows `index` say: classes, or numbers as they are."""
        head = head_of(self.recipe.head)
        if head.decision is None:
            return scores
        if self.recipe.subject_calibration != "none":
            scores = calibrated(scores, self.data.subject[index])
        return head.decide(scores)

    def _last(self, scores: NDArray[Any]) -> NDArray[Any]:
        return scores[:, -1] if reading_of(self.recipe.readout).each else scores

    def bit_true(self, model: QuantizedModel) -> Answers:
        """Return the answers of the exported model for the test windows, as `answers` does."""
        test = self.parts.test
        if self.data.of_steps:
            return at_steps(self.recipe.head, self._labels(test), self._exact(model, test))
        scores = infer(model, self.x[test]).scores
        if head_of(self.recipe.head).decision is None:
            return Answers(self._last(model.values(scores, self.x.shape[1])))
        return Answers(self.decided(self._last(scores), test))

    def _exact(
        self, model: QuantizedModel, index: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Yield scores of windows, some at a time, and the logits that they stand for."""
        made = CompiledModel(model)
        for start in range(0, len(index), self._at_once):
            scores = made.infer(self.x[index[start : start + self._at_once]]).scores
            values = model.values(scores, self.x.shape[1])
            yield scores[:, self.skipped :], values[:, self.skipped :]

    def agreement(
        self, graph: NDArray[Any], integers: NDArray[Any], model: QuantizedModel
    ) -> float:
        """Return the share of windows, or steps, of which the graph and the integers say the same.

        Numbers are the same that are one score, divided by the steps that it sums.
        """
        if graph.ndim == 1:
            return float((graph == integers).mean())
        summed = float(reading_of(model.readout).divisor(model.steps(self.x.shape[1])).max())
        unit = np.ldexp(1.0, -model.dense.b.fraction) / summed
        return float((np.rint(graph / unit) == np.rint(integers / unit)).all(axis=1).mean())

    def save(self, path: Path) -> None:
        """Write the state after an epoch."""
        leaves = jax.tree.leaves((self.params, self.state, self.best))
        arrays = {f"leaf{k}": np.asarray(leaf) for k, leaf in enumerate(leaves)}
        about: dict[str, Any] = {"fingerprint": self.fingerprint, "devices": self.sharding.devices}
        about["best_epoch"] = self.best_epoch
        save_checkpoint(path, arrays, {**about, "history": self.history})

    def restore(self, path: Path) -> None:
        """Take the state of a checkpoint of the very same run."""
        arrays, meta = load_checkpoint(path)
        leaves, tree = jax.tree.flatten((self.params, self.state, self.best))
        if meta.get("fingerprint") != self.fingerprint:
            raise MubinnError(
                f"{path} belongs to a run with another recipe or other data; "
                "choose another folder or delete it."
            )
        if meta.get("devices") != self.sharding.devices:
            raise MubinnError(
                f"{path} comes from sums in {meta.get('devices')} parts, of which there are "
                f"{self.sharding.devices} now: go on with it on a machine like the first, before "
                "anything else uses JAX, or delete it."
            )
        named = {f"leaf{k}": leaf for k, leaf in enumerate(leaves)}
        shapes = {name: (leaf.shape, leaf.dtype) for name, leaf in named.items()}
        if {name: (array.shape, array.dtype) for name, array in arrays.items()} != shapes:
            raise damaged(path)
        kept = self.sharding.copies([arrays[name] for name in named])
        self.history, self.best_epoch = _history(path, meta, self.validated)
        self.params, self.state, self.best = jax.tree.unflatten(tree, kept)

    def write_log(self, path: Path | None, end: Mapping[str, Any] | None = None) -> None:
        """Write the log as far as the run has come."""
        if path is None:
            return
        rows: list[dict[str, Any]] = [{"event": "start", **self.about()}]
        rows += [{"event": "epoch", **row} for row in self.history]
        if end is not None:
            rows.append({"event": "end", **end})
        write_log(path, rows)

    def about(self) -> dict[str, Any]:
        """Return recipe, count of windows and versions."""
        parts = {name: len(getattr(self.parts, name)) for name in ("train", "validation", "test")}
        versions = {name: version(name) for name in ("mubinn", "jax", "optax", "numpy")}
        return {"recipe": self.recipe.to_json(), "windows": parts, "versions": versions}

    def meta(self) -> dict[str, str]:
        """Return what a model notes about its making."""
        about = self.about()
        return {
            **({"classes": json.dumps(self.data.classes)} if self.data.classes else {}),
            "channels": json.dumps(self.data.channels),
            **self.data.noted,
            **self._held_out(),
            "recipe": json.dumps(about["recipe"], sort_keys=True),
            **self._encoders(),
            "windows": json.dumps(about["windows"]),
            "versions": json.dumps(about["versions"]),
        }

    def _encoders(self) -> dict[str, str]:
        """Return the rules of ordered thresholds, as quantized models note them."""
        own = [f"{name} {rule}" for name, rule in self.recipe.method.encoders]
        return {"encoder": ", ".join(own)} if own else {}

    def _held_out(self) -> dict[str, str]:
        """Return who was held out, by name, where the data say whose windows are."""
        who = self.data.who
        if who is None:
            return {}
        return {"held_out": json.dumps(np.unique(who[self.parts.test]).tolist())}

    def exported(self, meta: Mapping[str, str]) -> FloatModel | QuantizedModel:
        """Return the golden model of the best weights."""
        graph, about = self.graph, self.recipe.preprocessing
        best = graph.plain(self.best)
        if graph.method.weights_alone:
            best = with_stored(best, graph.method, graph.kinds)
        if not graph.method.exports:
            return to_model(best, graph.kinds, graph.readout, about, meta, graph.head)
        made = to_quantized(graph, best, about, meta)
        if made.embedding is not None:
            return made
        return replace(made, meta={**made.meta, "input_range": self._input_range(made)})

    def integers(self, meta: Mapping[str, str]) -> QuantizedModel:
        """Return the integers of the best weights where numbers stay; `with_numbers`."""
        recipe, graph = self.recipe, self.graph
        most = max(1, _MOST_PIXELS // self.x.shape[1]) if recipe.pixels else _RANGE_WINDOWS
        some = self.x[self._some_training[:most]]
        return with_numbers(graph, graph.plain(self.best), recipe.preprocessing, meta, some)

    @property
    def _some_training(self) -> NDArray[np.int64]:
        """Training windows that ranges are told of."""
        train = self.parts.train
        return train[:: max(1, len(train) // _RANGE_WINDOWS)][:_RANGE_WINDOWS]

    def _input_range(self, made: QuantizedModel) -> str:
        """Return what of some training windows lies beyond the span of the input's levels."""
        chosen = self._some_training
        values = self.x[chosen].astype(np.float64)
        return clipped(made.layers[0].x, values, f"{len(chosen)} training windows'")


def _history(
    path: Path, meta: Mapping[str, Any], validated: Sequence[str]
) -> tuple[list[dict[str, Any]], int]:
    """Return the rows and the best epoch that a checkpoint names; raise `MubinnError`."""
    rows, best = meta.get("history"), meta.get("best_epoch")
    if not isinstance(rows, list) or type(best) is not int or not 0 <= best <= len(rows):
        raise damaged(path)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or row.get("epoch") != number:
            raise damaged(path)
        shares = [row.get(name, math.nan) for name in validated]
        told = [] if shares == [None] * len(shares) else shares
        known = [row.get("loss"), row.get("seconds"), *told]
        if not all(isinstance(value, float) and math.isfinite(value) for value in known):
            raise damaged(path)
    return rows, best


def _hidden_shares(x: NDArray[np.float32], parts: Split, recipe: Recipe) -> NDArray[np.float32]:
    """Return which share of its places each word is hidden at in training, none of no words."""
    if not recipe.hides_words:
        return np.zeros(0, np.float32)
    return word_shares(recipe, np.bincount(x[parts.train].astype(np.int64).ravel()))


def _span(y: NDArray[Any], recipe: Recipe) -> Span:
    """Return the units of a regression's numbers; raise where scales could not express them."""
    if recipe.head != "regression":
        return Span()
    span = Span.of(y)
    if recipe.method.exports and min(span.units) < FINEST:
        raise MubinnError(
            f"Numbers of y spread by about {min(span.units):.2g} alone, and the scales of weights "
            f"have steps of {2.0**-15:.2g}: give y in a smaller unit."
        )
    return span


def _recorded(clip: float | None) -> float | None:
    """Return a bound as `Recipe.c_clip` has it."""
    return 0.0 if clip == math.inf else clip
