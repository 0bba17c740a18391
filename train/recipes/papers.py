"""Tasks of the papers beside MuBiNN's, as recipes, with the numbers that the papers print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from numpy.typing import NDArray

from mubinn.golden.binarize.levels import parse_levels
from mubinn.golden.binarize.rules import parse_encoders
from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.moving import moving
from mubinn.train.recipes.method import Name
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import parse_layers
from mubinn.train.recipes.tuned import tuned
from mubinn.train.texts.addition import addition
from mubinn.train.texts.next_words import next_characters, next_words
from mubinn.train.texts.reviews import reviews
from mubinn.train.texts.sentences import sentences

FLOAT = "FP"
"""What the papers call full precision."""


Changes: TypeAlias = tuple[tuple[str, Any], ...]


class Way(NamedTuple):
    """How a network is binarized: method, levels, encoder of the weights, and what is changed.

    `changes` are of fields of `Recipe`, `fields` of `Method`; `otherwise` are further changes for
    one cell, by its name.
    """

    method: Name
    levels: str
    encoder: str = ""
    changes: Changes = ()
    fields: Changes = ()
    otherwise: tuple[tuple[str, Changes], ...] = ()


@dataclass(frozen=True)
class Task:
    """A task of a paper.

    Attributes
    ----------
    title, paper : str
    windows : callable
        Takes the path of the set as it is published, or of its compact form; of a task that is
        `made` nothing.
    float_about, about : mapping
        Fields of `Recipe` of the float network, and of those that start from it.
    ways : mapping of str to Way
        By the name that tables have.
    printed : mapping of str to mapping of str to float
        Of the measure, what the paper prints by cell and way, accuracies in percent.
    made : bool
        Whether there is no set, as windows are made.
    measure : str
        ``"accuracy"``; or ``"perplexity"``, of labels of steps alone, or ``"squared error"``, of
        movies that are continued, of which lower is better.
    elsewhere : mapping of str to mapping of str to tuple of float
        By cell and way, what the paper prints of another network: in full precision, and so.
    held : str
        The part that is measured on.
    said : str
        What the paper says where it prints no numbers.
    """

    title: str
    paper: str
    windows: Callable[..., tuple[dict[str, NDArray[Any]], str]]
    float_about: Mapping[str, Any]
    about: Mapping[str, Any]
    ways: Mapping[str, Way]
    printed: Mapping[str, Mapping[str, float]]
    made: bool = False
    measure: str = "accuracy"
    elsewhere: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    held: str = "test part"
    said: str = ""

    @property
    def notes(self) -> str:
        """Sentences about `elsewhere`, or what is `said`."""
        return self.said or " ".join(
            f"The paper's {name} is of another network: {own:.2f}, in full precision {full:.2f}."
            for ways in self.elsewhere.values()
            for name, (full, own) in ways.items()
        )

    def arrays(self, source: Path | None) -> dict[str, NDArray[Any]]:
        """Return the windows; raise `MubinnError` where the set is missing, or there is none."""
        if self.made and source is not None:
            raise MubinnError(f"This task makes its own windows: leave {source} out.")
        if not self.made and source is None:
            raise MubinnError(f"{self.title}: give SOURCE, the set as it is published.")
        return self.windows(*([] if source is None else [source]))[0]

    @property
    def cells(self) -> tuple[str, ...]:
        """Cells that the paper compares."""
        return tuple(self.printed)

    def float_recipe(self, cell: str) -> Recipe:
        """Return the recipe of the float network; raise `MubinnError` for another cell."""
        if cell not in self.cells:
            raise MubinnError(
                f"The paper has no {cell[:40]!r} here: give one of {', '.join(self.cells)}."
            )
        return tuned("float", cell=cell, **self.float_about)

    def recipe(self, cell: str, name: str) -> Recipe:
        """Return the recipe of the float network, `FLOAT`, or of one of `ways`."""
        if name == FLOAT:
            return self.float_recipe(cell)
        way = self.ways[name]
        method: dict[str, Any] = dict(way.fields)
        if way.encoder:
            method["encoders"] = tuple(parse_encoders([f"w={way.encoder}"]).items())
        about = {**self.about, **dict(way.changes), **dict(dict(way.otherwise).get(cell, ()))}
        return tuned(way.method, parse_levels(way.levels), method=method, cell=cell, **about)


_REVIEWS: dict[str, Any] = {
    "hidden": 128,
    "embedding": 128,
    "head": "sigmoid",
    "readout": "last",
    "dropout": 0.5,
    "word_dropout": 0.3,
    "rare_words": 10.0,
    "validation": 0.1,
}
_TAUGHT: dict[str, Any] = {"distil": 0.5, "freeze_embedding": True}
"""Vectors of words, most numbers of all, are what fits the training part alone."""

_LITTLE_HIDDEN = (("distil", 0.9), ("dropout", 0.2), ("word_dropout", 0.1), ("rare_words", 0.0))
"""A state in few levels forgets, the more so where words are hidden."""

_FAR_SCALES = (("learning_rate", 2e-4), ("scale_rate", 2e-2))
"""Gates in two levels begin near a half, where nothing is kept."""

_OF_GRU = (("gru", (("learning_rate", 1e-3), ("scale_rate", 2e-3))),)
"""Its z and r begin further apart, and with rates that suit an LSTM it keeps less."""

_NEAR_SCALES = (("learning_rate", 2e-4), ("scale_rate", 2e-3))
"""Of three pairs of rates the best for one level, on reviews that are set aside."""

_ADDITION: dict[str, Any] = {
    "hidden": 64,
    "embedding": 12,
    "readout": "every",
    "validation": 0.1,
    "learning_rate": 5e-3,
}
"""Vectors of as many numbers as there are characters hold what one-hot characters do."""

_UNDAMPED = (("damp_h", 1.0), ("damp_c", 1.0), ("granularity", "row"))
"""What was read is needed some steps later, for which gradients have to last."""

_NO_OFFSETS = (*_UNDAMPED, ("x_offset", "none"), ("h_offset", "none"))

_NEXT: dict[str, Any] = {
    "hidden": 200,
    "embedding": 200,
    "readout": "every",
    "validation": 0.05,
}

_NEXT_OF_MANY: dict[str, Any] = {**_NEXT, "hidden": 650, "embedding": 650}
"""What publications call the medium size of Penn Treebank (Zaremba et al. 2014)."""

_SENTENCES: dict[str, Any] = {
    "hidden": 168,
    "embedding": 100,
    "readout": "mean",
    "dropout": 0.7,
    "word_dropout": 0.5,
    "validation": 0.1,
}
"""Of five recipes the best on sentences that are set aside; few sentences fit themselves soon."""

GIVEN = 7
"""Frames of a movie that are given."""

_MOVIES: dict[str, Any] = {
    "layers": parse_layers("dense 8 over 32x32 by 5x5, peephole 16 over 32x32 by 3x3"),
    "head": "sigmoid",
    "readout": "every",
    "validation": 0.1,
    "batch": 4,
    "given": GIVEN,
}
"""A digit goes on by up to two pixels a frame, which a neighbourhood of 3 x 3 does not hold."""


_PHRASES: dict[str, Any] = {
    "hidden": 168,
    "embedding": 100,
    "readout": "last",
    "dropout": 0.5,
    "word_dropout": 0.2,
    "validation": 0.1,
    "batch": 128,
}
"""Phrases are shorter than sentences, and what is read last is no padding."""

_CHARACTERS: dict[str, Any] = {
    "hidden": 200,
    "embedding": 50,
    "readout": "every",
    "validation": 0.05,
    "batch": 64,
}

_BATCH_NORM: Changes = (("batch_norm", True),)

_NORMALISED: dict[str, Any] = {"method": {"batch_norm": True}}
"""Of a float network: what a language model gains by, whatever it is binarized to afterwards."""

_LIKE_THE_FLOATS: dict[str, Any] = {"distil": 0.9, "dropout": 0.1, "learning_rate": 2e-3}
"""What a teacher says of the next word fits the training part less than labels do."""


_ANEW: Changes = (("learning_rate", 8e-3), ("scale_rate", 1e-2))
"""One level leaves so little of the floats that much is learned anew; normalised it is worse."""


def _signs(epochs: int) -> Way:
    """Return XNOR with gains of rows, which have to follow; signs take more steps than numbers."""
    return Way("xnor", "1,1", "", (("epochs", epochs), ("scale_rate", 1e-2)), _BATCH_NORM)


def _ours(
    *pairs: str,
    changes: Changes = (),
    fields: Changes = (),
    otherwise: tuple[tuple[str, Changes], ...] = (),
) -> dict[str, Way]:
    """Return MuBiNN2 at pairs of levels, by what tables call it."""
    about = changes, fields, otherwise
    return {f"MuBiNN2 ({pair})": Way("mubinn2", pair, "", *about) for pair in pairs}


EFFECTIVE = "Alom et al. 2018, Effective Quantization Approaches for Recurrent Neural Networks"
BINARIZED = "Binarized LSTM for language modelling and sentiment (course project)"

_TREEBANK: dict[str, Any] = {
    "paper": BINARIZED,
    "printed": {"lstm": {FLOAT: 44.4, "BW": 41.8, "XNOR": 30.4}},
    "held": "test part, or its part dev where there is no other",
}

_LANGUAGE_MODEL: dict[str, Any] = {
    "paper": BINARIZED,
    "measure": "perplexity",
    "held": "part valid",
}

_OF_1500_CELLS = (81.532, 80.461)
"""What the paper prints in full precision and with binary weights."""

TASKS: dict[str, Task] = {
    "imdb": Task(
        title="IMDB film reviews, 20,000 words, the last 80 of each, 128 cells",
        paper=EFFECTIVE,
        windows=reviews,
        float_about={**_REVIEWS, "epochs": 5, "learning_rate": 1e-3},
        about={**_REVIEWS, "epochs": 4, "learning_rate": 1e-3, **_TAUGHT},
        ways={
            "QC": Way("weights", "1,2", "qc"),
            "TC": Way("weights", "1,2", "tc"),
            "BC": Way("weights", "1,1", "bc"),
            **_ours("1,1", changes=(*_LITTLE_HIDDEN, *_NEAR_SCALES), fields=_UNDAMPED),
            **_ours(
                "2,2",
                changes=(*_LITTLE_HIDDEN, *_FAR_SCALES),
                fields=_NO_OFFSETS,
                otherwise=_OF_GRU,
            ),
            **_ours("3,3", changes=_LITTLE_HIDDEN, fields=_UNDAMPED),
        },
        printed={
            "lstm": {FLOAT: 82.87, "QC": 79.64, "TC": 76.86, "BC": 76.25},
            "gru": {FLOAT: 80.35, "QC": 78.96, "TC": 77.12, "BC": 76.12},
        },
    ),
    "addition": Task(
        title="Addition of two numbers from 1 to 99 as text, a character a step, 64 cells",
        paper=EFFECTIVE,
        windows=addition,
        float_about={**_ADDITION, "epochs": 60},
        about={**_ADDITION, "epochs": 40},
        ways={
            "QC": Way("weights", "1,2", "qc"),
            "QC (UD)": Way("weights", "1,2", "qc:0.1667"),
            "TC": Way("weights", "1,2", "tc"),
            "TC (UD)": Way("weights", "1,2", "tc:0.5"),
            "BC": Way("weights", "1,1", "bc"),
            **_ours("1,1", "2,2", "3,3", changes=(("epochs", 100),), fields=_UNDAMPED),
        },
        printed={"lstm": {}, "gru": {}},
        made=True,
    ),
    "sst": Task(
        title="Stanford Sentiment Treebank, five classes, sentences, 168 cells",
        windows=sentences,
        float_about={**_SENTENCES, "epochs": 12, "learning_rate": 2e-3},
        about={**_SENTENCES, "epochs": 6, "learning_rate": 1e-3},
        ways={
            "BW": Way("weights", "1,1"),
            "XNOR": Way("xnor", "1,1"),
            **_ours("1,1", "2,2", "3,3"),
        },
        **_TREEBANK,
    ),
    "sst-phrases": Task(
        title="Stanford Sentiment Treebank, five classes, trained on phrases, 168 cells",
        windows=partial(sentences, phrases=True),
        float_about={**_PHRASES, "epochs": 3, "learning_rate": 2e-3},
        about={**_PHRASES, "epochs": 2, "learning_rate": 1e-3},
        ways={
            "BW": Way("weights", "1,1"),
            "XNOR": Way("xnor", "1,1"),
            **_ours("1,1", "2,2", "3,3"),
        },
        **_TREEBANK,
    ),
    "ptb": Task(
        title="Language model, the next of 10,000 words, 200 cells, 20 labelled steps",
        windows=next_words,
        float_about={
            **_NEXT,
            **_NORMALISED,
            **{"dropout": 0.3, "batch": 32, "epochs": 5, "learning_rate": 4e-3},
        },
        about={**_NEXT, **_LIKE_THE_FLOATS, "epochs": 2},
        ways={
            "BW": Way("weights", "1,1"),
            "BW BN": Way("weights", "1,1", "", (("epochs", 5),), _BATCH_NORM),
            "XNOR": Way("xnor", "1,1"),
            "XNOR BN": _signs(epochs=6),
            **_ours("1,1", changes=(("epochs", 1), *_ANEW), fields=_UNDAMPED),
            **_ours("2,2", changes=(("epochs", 4),), fields=(*_UNDAMPED, *_BATCH_NORM)),
            **_ours("3,3", changes=(("epochs", 3),), fields=(*_UNDAMPED, *_BATCH_NORM)),
        },
        printed={"lstm": {FLOAT: 117.18, "XNOR": 137.34, "XNOR BN": 139.5}},
        elsewhere={"lstm": {"BW": _OF_1500_CELLS}},
        **_LANGUAGE_MODEL,
    ),
    "ptb-large": Task(
        title="Language model, the next of 10,000 words, 650 cells, 20 labelled steps",
        windows=next_words,
        float_about={
            **_NEXT_OF_MANY,
            **_NORMALISED,
            **{"dropout": 0.5, "batch": 32, "epochs": 4, "learning_rate": 2e-3},
        },
        about={**_NEXT_OF_MANY, **_LIKE_THE_FLOATS, "epochs": 1},
        ways={
            "BW BN": Way("weights", "1,1", fields=_BATCH_NORM),
            "XNOR BN": _signs(epochs=2),
            **_ours("3,3", fields=(*_UNDAMPED, *_BATCH_NORM)),
        },
        printed={"lstm": {}},
        said=(
            "The paper has {1:.2f} with binary weights and {0:.2f} in full precision, of 1,500 "
            "cells and without batch normalisation.".format(*_OF_1500_CELLS)
        ),
        **_LANGUAGE_MODEL,
    ),
    "chars": Task(
        title="Language model, the next character, 200 cells, 100 labelled steps",
        windows=next_characters,
        float_about={**_CHARACTERS, **_NORMALISED, "epochs": 3, "learning_rate": 8e-3},
        about={
            **_CHARACTERS,
            **_LIKE_THE_FLOATS,
            **{"dropout": 0.0, "epochs": 2, "learning_rate": 1.6e-2, "scale_rate": 3e-2},
        },
        ways={
            "BW BN": Way("weights", "1,1", fields=_BATCH_NORM),
            "XNOR BN": Way("xnor", "1,1", fields=_BATCH_NORM),
            **_ours("1,1", "2,2", "3,3", fields=(*_UNDAMPED, *_BATCH_NORM)),
        },
        printed={"lstm": {}},
        **_LANGUAGE_MODEL,
    ),
    "mnist": Task(
        title="Moving MNIST, 15 frames of 32 x 32, 7 given, ConvLSTM of 16 filters of 3 x 3",
        paper=EFFECTIVE,
        windows=partial(moving, grey=True),
        float_about={**_MOVIES, "epochs": 9, "learning_rate": 1e-2},
        about={**_MOVIES, "epochs": 2, "learning_rate": 3e-3},
        ways={
            "QC": Way("weights", "1,2", "qc"),
            "TC": Way("weights", "1,2", "tc"),
            "BC": Way("weights", "1,1", "bc"),
            **_ours("1,1", "2,2", changes=(("epochs", 1),)),
            **_ours("3,3"),
        },
        printed={"peephole": {}},
        measure="squared error",
        held="fold 0",
        said="The paper prints no numbers; in its Fig. 23 FP is lowest, then QC and TC, then BC.",
    ),
}
"""Tasks by name."""
