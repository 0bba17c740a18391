"""Movies in training whose later frames are those that the model has made of them. NumPy only.

A model that continues a movie reads what it has made, which is not as sharp as what it has been
trained on: then errors grow from frame to frame. So it is trained on such frames as well, towards
the frames that are true (scheduled sampling, Bengio et al. 2015).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.units.shapes import exact
from mubinn.train.recipes.recipe import Recipe

Evaluate = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Takes windows [B, T P, 1], and returns a score for each of their steps, [B, T P, 1]."""


def frames_made(recipe: Recipe, steps: int, skipped: int) -> int:
    """Return the frames that are made of windows of so many steps, 0 where all are given.

    Raises
    ------
    MubinnError
        No frame is left to make, or the first labels are of later frames.
    """
    if not recipe.given:
        return 0
    count = steps // recipe.pixels
    if not recipe.given < count or skipped > (recipe.given - 1) * recipe.pixels:
        raise MubinnError(
            f"{recipe.given} frames are given of windows of {count}, which leaves none to make, or "
            f"none before the first label: give --given of 1 to {count - 1}."
        )
    return count - recipe.given


def made_over(
    x: NDArray[np.float32], evaluate: Evaluate, given: int, pixels: int, rounds: int
) -> NDArray[np.float32]:
    """Return windows [B, T P, 1] whose frames after the first `given` are those a model makes.

    Each round has all of them made of the frames of the round before: after so many rounds as many
    frames are just what the model makes when it continues the movie, and the later ones have been
    made of true frames so many frames ago.

    Parameters
    ----------
    x : float32 [B, T P, 1]
    evaluate : callable
        Gives scores of the last steps, at least of those from frame `given` on.
    given, pixels, rounds : int

    Examples
    --------
    A model whose next pixel is the one before, but darker:

    >>> x = np.full((1, 4, 1), 0.9, np.float32)
    >>> found = made_over(x, lambda x: np.log(x / (3 - x)), 1, 1, 2)
    >>> [round(pixel, 3) for pixel in found.ravel().tolist()]
    [0.9, 0.3, 0.1, 0.1]
    """
    begin, found = given * pixels, x
    for _ in range(rounds):
        scores = evaluate(found)
        # The scores of a frame are of the next one, and the last frame has no next one.
        own = scores[:, scores.shape[1] - (x.shape[1] - begin) - pixels : -pixels]
        found = np.concatenate([x[:, :begin], exact("sigmoid", own).astype(np.float32)], axis=1)
    return found
