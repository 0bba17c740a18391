"""The recipe of a training run, and how it splits the windows. NumPy only."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.cells.cell_file import equations_of
from mubinn.golden.cells.constants import Datapath, check_datapath
from mubinn.golden.cells.graph import Cell
from mubinn.golden.cells.library import LAYERS, cell_of
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_model import CONSTANTS, Preprocessing
from mubinn.golden.model.head import HEADS, HeadKind, Readout, reading_of
from mubinn.golden.model.stacked import kinds_of
from mubinn.train.data.recordings import LabelledSet, Normalise, labelled
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.stack import (
    LayerForm,
    check_norms,
    check_own_offsets,
    clipped_states,
    layer_words,
)
from mubinn.train.subject.calibration import SubjectCalibration, grouped

_RANGES: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (("epochs", "hidden", "batch", "decimate", "group"), lambda v: v >= 1, "at least 1"),
    (("fold", "seed", "patience", "embedding", "given"), lambda v: v >= 0, "0 or more"),
    (
        ("learning_rate", "scale_rate", "grad_norm"),
        lambda v: 0 < v < math.inf,
        "a positive number",
    ),
    (("c_clip", "rare_words"), lambda v: 0 <= v < math.inf, "0 or a positive number"),
    (("gain_spread", "distil"), lambda v: 0 <= v <= 1, "in [0, 1]"),
    (("warmup", "validation", "dropout", "word_dropout"), lambda v: 0 <= v < 1, "in [0, 1)"),
)
"""Fields of a recipe, whether a value fits, and the range in words; None is no number."""

Balance = Literal["none", "weigh", "sample"]

CLIP = 1.0
"""Where c is clipped, unless a recipe or the model that training starts from says otherwise."""

OF_START = ("distil", "freeze_embedding")
"""Fields that have a meaning where training starts from a float model."""

LATER = (
    *("layers", "head", "embedding", "word_dropout", "rare_words", "given"),
    *OF_START,
    *CONSTANTS,
)
"""Fields that logs, model files and digests have only where they are used."""

STORED = {"subject_calibration": "centre"}
"""Fields that logs, model files and the names of runs know by an earlier name."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the trained weights, apart from the data.

    Parameters
    ----------
    fold : int
        Fold held out for the test accuracy; training sees the other folds.
    epochs : int
        Passes over the training windows, at most.
    seed : int
        Seeds the weights and the order of the windows.
    hidden : int
        Cells.
    cell : str or Cell
        Name among `mubinn.golden.cells.library.CELLS`, or a cell of one's own.
    readout : str
        With ``"every"`` and ``"running"`` there is a result at every step: the loss is the mean
        over all, each with the window's label, and the last one is measured. Labels of steps,
        `LabelledSet.of_steps`, need such a readout: the loss is the mean over the steps of a batch
        that have one, and all of these are measured.
    c_clip : float or None
        c is clipped to [-c_clip, c_clip], and so are all states that meet no weights, of which a
        GRU has none; 0 for no clipping. None is what the first model has, `CLIP` where weights are
        drawn. Other clips are those of the first model.
    learning_rate, warmup, grad_norm : float
        Peak of Adam's step size, reached after the share `warmup` of all steps and followed by a
        cosine to 0; the bound of the gradient's norm.
    batch : int
        Windows a step. Windows that fill no last batch sit out the epoch; the order is new in
        each.
    validation : float
        Share of the training subjects, at least one, set aside; the weights of the epoch that is
        the most accurate on them are the result, by balanced accuracy where `balance` is not
        ``"none"``; of labels of steps that of the least cross entropy. 0 for none, and the last
        epoch's weights.
    patience : int
        With validation subjects: training ends when no epoch was better on them for so many
        epochs. 0 trains all epochs.
    layers : tuple of LayerForm
        The layers, of any kinds, in place of one of `hidden` cells of `cell`.
    head : "classes", "sigmoid" or "regression"
        What is trained: a class, by the largest of as many logits or by one logit between two, or
        numbers, by the mean squared error in units of their spread.
    method : Method
        What is binarized, and how.
    scale_rate : float
        Peak of Adam's step size for logarithms of scales, and for offsets, in runs of up to
        `mubinn.train.graphs.graph.TRAVEL` steps; in longer ones it is smaller in proportion.
    subject_calibration : "none", "subject" or "trained"
        ``"subject"`` decides by scores as `mubinn.train.subject.calibration.calibrated` gives them;
        nothing is trained otherwise. ``"trained"`` decides so, too, and is trained for it: batches
        consist of groups of one subject's windows, and the loss sees `calibrated_groups`.
    group : int
        Windows of a group, for ``"trained"``; `batch` is a multiple.
    gain_spread : float
        Standard deviation of the logarithms of the random gains that channels have in training, as
        `mubinn.train.recipes.chance.gains` draws them; 0 for none.
    dropout : float
        Share of the cells that the classifier does not see, other ones for each window, in
        training alone.
    balance : "none", "weigh" or "sample"
        What is done about classes of different rates: ``"weigh"`` has a window count in the loss
        by the rate of its class, N / (classes * windows of the class) of N training windows;
        ``"sample"`` draws as many windows of every class in an epoch, those of rarer ones several
        times.
    datapath : "figure3" or "threshold"
        What follows the sums of the gates in the trained model's hardware. Training takes its
        decisions: the activation tables of one, or the exact functions of the other.
    embedding : int
        Numbers I of the vector of each word, where the data are words by their numbers, one a step;
        vectors are learned with the rest. 0 for data that are samples.
    word_dropout : float
        Share of the words that are 0, which pads, in training alone; other ones for each window.
    rare_words : float
        A word that stands n times in the windows of training is 0 there with the probability
        ``rare_words / (rare_words + n)`` besides; 0 to treat all words alike.
    given : int
        Of movies that the model is to continue, the frames that it will be given; later ones are in
        training those that it has made, as `mubinn.train.runs.made.made_over` says: of each batch
        in so many rounds, drawn from 0 to the frames that are made. In the first epochs from drawn
        weights there are no more rounds than epochs before. Epochs are then judged on movies that
        are continued. 0 for true frames alone.
    distil : float
        Share of the loss that is against the scores of the float model that training starts from,
        at the same windows, in place of the labels (`mubinn.train.graphs.losses.towards`).
    freeze_embedding : bool
        Whether vectors of words stay those of the float model that training starts from, so that
        they do not fit the training windows alone; their level bits follow from scales as ever.
    normalise, decimate, high_pass, gain, clamp
        How the input is made, `mubinn.golden.model.float_model.Preprocessing`.

    Raises
    ------
    MubinnError
        A value is out of range.
    """

    fold: int = 0
    epochs: int = 6
    seed: int = 0
    hidden: int = 100
    readout: Readout = "mean"
    c_clip: float | None = None
    learning_rate: float = 2e-3
    warmup: float = 0.05
    grad_norm: float = 1.0
    batch: int = 64
    validation: float = 0.0
    patience: int = 0
    normalise: Normalise = "window"
    decimate: int = 2
    subject_calibration: SubjectCalibration = "none"
    group: int = 15
    gain_spread: float = 0.0
    dropout: float = 0.0
    balance: Balance = "none"
    cell: str | Cell = "lstm"
    method: Method = field(default_factory=Method)
    scale_rate: float = 2e-3
    datapath: Datapath = "figure3"
    layers: tuple[LayerForm, ...] = ()
    head: HeadKind = "classes"
    embedding: int = 0
    word_dropout: float = 0.0
    rare_words: float = 0.0
    given: int = 0
    distil: float = 0.0
    freeze_embedding: bool = False
    high_pass: int = Preprocessing.high_pass
    gain: int = Preprocessing.gain
    clamp: int = Preprocessing.clamp

    def __post_init__(self) -> None:
        self._check_ranges()
        self._check_choices()
        assert self.preprocessing  # which says what is wrong with its constants
        if self.patience and not self.validation:
            raise MubinnError("patience needs validation subjects: give validation as well.")
        if self.subject_calibration == "trained" and self.batch % self.group:
            raise MubinnError(
                f"A batch of {self.batch} is no multiple of the {self.group} windows that are "
                "calibrated together: change batch or group."
            )
        if self.subject_calibration == "trained" and self.balance == "sample":
            raise MubinnError(
                "Windows that are calibrated together are one subject's, as they come: give "
                "--balance weigh in place of sample."
            )
        self._check_head()
        self._check_words()
        if self.datapath == "threshold" and not self.method.exports:
            raise MubinnError(
                f"Method {self.method.name} leaves gates in full precision, which have no "
                "thresholds: leave --datapath out, or train with mubinn2."
            )
        stack = self.stack
        if self.method.h_offset != "none":
            check_own_offsets(stack)
        if self.method.batch_norm:
            check_norms(stack)
        if self.c_clip is not None and not any(clipped_states(form.cell) for form in stack):
            raise MubinnError(
                f"Layers of {kinds_of(stack).upper()} have no state to clip as c of an LSTM: leave "
                "--c-clip out."
            )

    def _check_head(self) -> None:
        """Raise `MubinnError` where the head or readout has no meaning with the rest."""
        ordered = reading_of(self.readout).in_order
        if self.subject_calibration != "none" and (self.head != "classes" or ordered):
            raise MubinnError(
                "Subject calibration is of one class a window by the largest logit: leave it out, "
                "or --head and a --readout other than last and mean."
            )
        if self.balance != "none" and self.head == "regression":
            raise MubinnError("A regression has no classes to balance: leave --balance out.")

    def _check_words(self) -> None:
        """Raise `MubinnError` where words, or pixels, would be taken for samples."""
        if self.embedding and (self.normalise, self.decimate, self.gain_spread) != ("none", 1, 0):
            raise MubinnError(
                "Words are numbers that are looked up: they cannot be normalised, averaged or "
                "multiplied. Give --normalise none --decimate 1, and no --gain-spread."
            )
        if self.hides_words and not self.embedding:
            raise MubinnError("Word dropout is of words: give --embedding, or leave it out.")
        if self.freeze_embedding and not self.embedding:
            raise MubinnError("Frozen vectors are of words: give --embedding, or leave them out.")
        if self.decimate > 1 and self.pixels:
            raise MubinnError(
                "Pixels are not averaged with those beside them as steps of time are: give "
                "--decimate 1."
            )

        if self.given and (self.head, self.readout, bool(self.pixels)) != (
            "sigmoid",
            "every",
            True,
        ):
            raise MubinnError(
                "Frames are made of movies whose pixels have a probability each: give --head "
                "sigmoid --readout every and --layers that sweep frames, or leave --given out."
            )

    def _check_ranges(self) -> None:
        for names, fits, words in _RANGES:
            for name in names:
                value = getattr(self, name)
                if value is not None and not fits(value):
                    raise MubinnError(f"{name} is {value}; it must be {words}.")

    def _check_choices(self) -> None:
        object.__setattr__(self, "readout", reading_of(self.readout).name)
        check_datapath(self.datapath)
        choices = {
            "subject_calibration": get_args(SubjectCalibration),
            "balance": get_args(Balance),
            "head": tuple(HEADS),
        }
        for name, words in choices.items():
            if getattr(self, name) not in words:
                *most, last = map(repr, words)
                known = f"{', '.join(most)} or {last}"
                raise MubinnError(f"{name} {getattr(self, name)!r} is unknown; use {known}.")

    @property
    def preprocessing(self) -> Preprocessing:
        """How the input is made."""
        own = {name: getattr(self, name) for name in CONSTANTS}
        return Preprocessing(self.normalise, self.decimate, **own)

    @property
    def stack(self) -> tuple[LayerForm, ...]:
        """The layers."""
        cell = cell_of(self.cell) if isinstance(self.cell, str) else self.cell
        return self.layers or (LayerForm(cell, self.hidden),)

    @property
    def hides_words(self) -> bool:
        """Whether words stand for nothing in training here and there."""
        return self.word_dropout > 0 or self.rare_words > 0

    @property
    def pixels(self) -> int:
        """Pixels of the frames that layers sweep, 0 where none does."""
        return max(
            form.frames.pixels if isinstance(form.frames, Sweep) else 0 for form in self.stack
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as logs and model files name them; later ones where they are used."""
        stack = self.stack
        fields = asdict(replace(self, cell="lstm", layers=(), given=0))
        fields |= {"cell": kinds_of(stack), "method": self.method.to_json(), "given": self.given}
        usual = {name: getattr(Recipe, name) for name in LATER}
        fields = {k: value for k, value in fields.items() if k not in usual or value != usual[k]}
        if len(stack) == 1:
            fields["cell"] = stack[0].cell.name
        if self.layers:
            fields["hidden"] = stack[-1].hidden
            fields["layers"] = layer_words(stack)
        own = list(dict.fromkeys(f.cell for f in stack if f.cell not in LAYERS.values()))
        if own:
            texts = [equations_of(cell) for cell in own]
            fields["equations"] = texts if self.layers else texts[0]
        return {STORED.get(name, name): fields[name] for name in fields}

    def fingerprint(self, data: LabelledSet, weights: Iterable[NDArray[Any]] = ()) -> str:
        """SHA-256 of recipe, data and first weights: equal for runs that must end alike."""
        digest = hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode())
        for column in (data.x, data.y, data.subject, data.fold, *weights):
            digest.update(f"{column.dtype}{column.shape}".encode())
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Split:
    """Window indices of the three parts; no subject is in two of them.

    `subject` says whose each window of `train` is, `label` of which class.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    subject: NDArray[np.int64]
    label: NDArray[np.int64]


def split(data: LabelledSet, recipe: Recipe) -> Split:
    """Split by subjects: the held-out fold, the validation subjects, the rest.

    The validation subjects depend on the fold, not on the seed, so that seeds are compared on the
    same windows.

    Raises
    ------
    MubinnError
        The recipe needs to know whose windows are and the data do not say it, the recipe has no
        use for labels of steps, the fold does not exist or is all there is, the training windows
        fill no batch or show one class only, or a part has no labels.
    """
    if data.of_steps:
        _check_of_steps(recipe)
    whole = recipe.normalise.endswith("subject")
    if not data.people and (whole or recipe.subject_calibration != "none"):
        raise MubinnError(
            f"{'Normalising by subject' if whole else 'Subject calibration'} takes each person's "
            "whole recording, and the data do not say whose each window is: give the subjects, or "
            f"another {'--normalise' if whole else '--subject-calibration'}."
        )
    if not (data.fold == recipe.fold).any():
        raise MubinnError(
            f"Fold {recipe.fold} has no windows; the data have folds "
            f"{', '.join(map(str, np.unique(data.fold)))}."
        )
    outside = data.fold != recipe.fold
    if not outside.any():
        raise MubinnError(
            f"All {data.windows} windows lie in fold {recipe.fold}, so that none is left to train "
            "on: give the data of two people or more, or divide one person's with --split windows."
        )
    subjects = np.unique(data.subject[outside])
    count = math.ceil(recipe.validation * len(subjects))
    chosen = np.random.default_rng(recipe.fold).permutation(subjects)[:count]
    validation = outside & np.isin(data.subject, chosen)
    train = np.flatnonzero(outside & ~validation)
    aside, test = np.flatnonzero(validation), np.flatnonzero(~outside)
    parts = Split(train, aside, test, data.subject[train], data.y[train])
    if not len(train) or not len(batches(parts, recipe, 0)):
        raise MubinnError(
            f"{len(train)} training windows do not fill a batch of {recipe.batch}; "
            "give more windows or a smaller batch."
        )
    for name in ("train", "validation", "test"):
        own = getattr(parts, name)
        if len(own) and not labelled(data.y[own]).size:
            raise MubinnError(
                f"No step of the {name} windows of fold {recipe.fold} has a label: give some, or "
                "another --fold or --validation."
            )
    if data.classes and len(np.unique(labelled(data.y[train]))) < 2:
        raise MubinnError(
            f"All training windows outside fold {recipe.fold} belong to one class; "
            "spread the classes over the folds."
        )
    return parts


def _check_of_steps(recipe: Recipe) -> None:
    """Raise `MubinnError` where a recipe has no use for labels of steps."""
    if reading_of(recipe.readout).every != 1:
        raise MubinnError(
            f"The labels are of steps, and the readout {recipe.readout} has no result of each: "
            "give --readout every, running or leaky."
        )
    if recipe.decimate != 1:
        raise MubinnError(
            f"The labels are of steps, of which {recipe.decimate} would be averaged into one: give "
            "--decimate 1."
        )
    if recipe.balance != "none":
        raise MubinnError(
            "Windows whose steps have labels are of no one class to balance: leave --balance out."
        )


def batches(split: Split, recipe: Recipe, epoch: int) -> NDArray[np.int64]:
    """Window indices [steps, batch] of one epoch; a function of (seed, epoch) alone.

    So a resumed run draws what the uninterrupted one does, with no generator state to keep.
    """
    rng = np.random.default_rng([recipe.seed, 1, epoch])
    if recipe.subject_calibration == "trained":
        order = grouped(split.train, split.subject, recipe.group, rng).ravel()
    elif recipe.balance == "sample":
        classes = [split.train[split.label == one] for one in np.unique(split.label)]
        share = len(split.train) // len(classes)
        order = rng.permutation(
            np.concatenate([np.resize(rng.permutation(own), share) for own in classes])
        )
    else:
        order = rng.permutation(split.train)
    steps = len(order) // recipe.batch
    return order[: steps * recipe.batch].reshape(steps, recipe.batch)


def class_weights(split: Split, recipe: Recipe) -> NDArray[np.float32] | None:
    """Return how much a window of each class counts in the loss [C]; None for all alike."""
    if recipe.balance != "weigh":
        return None
    counts = np.bincount(split.label)
    return (len(split.label) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(
        np.float32
    )
