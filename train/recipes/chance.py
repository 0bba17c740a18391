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


def word_shares(recipe: Recipe, seen: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return for each word the share of its places that are to stand for nothing, float32 [words].

    ``d + (1 - d) a / (a + n)`` of a word seen n times, with d `recipe.word_dropout` and a
    `recipe.rare_words`: what it takes to hide rarer words more often (Kiperwasser and Goldberg
    2016, "Simple and accurate dependency parsing", section 4.4) on top of as many of all.

    Parameters
    ----------
    recipe : Recipe
    seen : int64 [words]
        How often each word stands in the windows that are trained on.

    >>> word_shares(Recipe(word_dropout=0.5, embedding=8, normalise="none", decimate=1,
    ...                    rare_words=20.0), np.array([20, 60])).tolist()
    [0.75, 0.625]
    """
    rare = recipe.rare_words / (recipe.rare_words + np.maximum(seen, 1))
    return (recipe.word_dropout + (1 - recipe.word_dropout) * rare).astype(np.float32)


def word_draws(recipe: Recipe, epoch: int, steps: int, length: int) -> NDArray[np.float32]:
    """Return a number from 0 to 1 for each word of each batch: [steps, batch, T, 1].

    The word stands for nothing where it is below its share. A function of (seed, epoch) alone.
    """
    rng = np.random.default_rng([recipe.seed, 4, epoch])
    return rng.random((steps, recipe.batch, length, 1), np.float32)


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
