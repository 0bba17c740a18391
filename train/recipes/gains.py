"""Random gains of the channels in training, as people and electrodes differ. NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mubinn.train.recipes.recipe import Recipe


def gains(recipe: Recipe, epoch: int, steps: int, channels: int) -> NDArray[np.float32]:
    """Return what the windows of each batch of an epoch are multiplied by: [steps, batch, 1, I].

    ``exp(gain_spread * n)`` with n standard normal, one for each channel of each window; windows
    of a group, which are one subject's, share theirs. A function of (seed, epoch) alone.
    """
    share = recipe.group if recipe.centre == "trained" else 1
    rng = np.random.default_rng([recipe.seed, 2, epoch])
    drawn = rng.standard_normal((steps, recipe.batch // share, 1, channels))
    grown = np.exp(recipe.gain_spread * drawn).astype(np.float32)
    return np.repeat(grown, share, axis=1)
