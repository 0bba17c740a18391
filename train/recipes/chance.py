"""What chance does to the windows of a batch in training. NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mubinn.train.recipes.recipe import Recipe


def gains(recipe: Recipe, epoch: int, steps: int, channels: int) -> NDArray[np.float32]:
    """Return what the windows of each batch of an epoch are multiplied by: [steps, batch, 1, I].

    ``exp(gain_spread * n)`` with n standard normal, one for each channel of each window; windows
    of a group, which are one subject's, share theirs. A function of (seed, epoch) alone.
    """
    share = recipe.group if recipe.subject_calibration == "trained" else 1
    rng = np.random.default_rng([recipe.seed, 2, epoch])
    drawn = rng.standard_normal((steps, recipe.batch // share, 1, channels))
    grown = np.exp(recipe.gain_spread * drawn).astype(np.float32)
    return np.repeat(grown, share, axis=1)


def hidden_words(recipe: Recipe, epoch: int, steps: int, length: int) -> NDArray[np.bool_]:
    """Return which words of the windows of each batch stand for nothing: [steps, batch, T, 1].

    The share `recipe.word_dropout` of them. A function of (seed, epoch) alone.
    """
    rng = np.random.default_rng([recipe.seed, 4, epoch])
    return np.asarray(
        rng.random((steps, recipe.batch, length, 1), np.float32) < recipe.word_dropout
    )


def kept(recipe: Recipe, epoch: int, steps: int, cells: int) -> NDArray[np.float32]:
    """Return the factors of what the classifier sees of the cells: [steps, batch, cells].

    0 for the share `recipe.dropout`, and 1 / (1 - dropout) for the others, so that their mean is 1.
    A function of (seed, epoch) alone.
    """
    rng = np.random.default_rng([recipe.seed, 3, epoch])
    drawn = rng.random((steps, recipe.batch, cells), np.float32)
    return np.asarray((drawn >= recipe.dropout) / (1 - recipe.dropout), np.float32)


def rounds(recipe: Recipe, epoch: int, steps: int, most: int) -> NDArray[np.int64]:
    """Return how many times the movies of each batch are made over: [steps].

    Uniform from 0 to `most`. A function of (seed, epoch) alone.
    """
    rng = np.random.default_rng([recipe.seed, 5, epoch])
    return rng.integers(0, most + 1, steps)
