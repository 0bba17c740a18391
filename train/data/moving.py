"""Moving MNIST: movies of two handwritten digits that move, each a window of pixels. NumPy only.

Srivastava et al. 2015: digits start anywhere, move straight on and bounce off the edges.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.compact import arrays_of
from mubinn.train.data.recordings import NO_LABEL

CANVAS = 64
"""Pixels of a side, before any are averaged."""

DIGITS = 2
"""Digits of a movie."""

SPEED = 0.1
"""Way of a digit from one frame to the next; 1 is from one edge to the other."""

SUBJECTS, FOLDS = 20, 5
"""Parts that the digits are dealt to: no digit is in movies of two of them. Folds are of parts."""

WHITE = 128
"""Least of the 256 levels of a pixel that is of class 1."""

MOST_PIXELS = 1 << 28
"""Most pixels of all movies, of which X takes four bytes each."""


def paths(rng: np.random.Generator, count: int, frames: int) -> NDArray[np.float64]:
    """Return places of `count` digits in so many frames, float64 [count, frames, 2] in [0, 1].

    The direction is uniform. A digit goes on by `SPEED` before each frame, the first one too, and
    one that would leave by an edge is put on it, and turns round along that axis.

    >>> own = paths(np.random.default_rng(0), 3, 15)
    >>> own.shape, float(own.min()) >= 0, float(own.max()) <= 1
    ((3, 15, 2), True, True)
    """
    place = rng.uniform(0, 1, (count, 2))
    angle = rng.uniform(0, 2 * np.pi, count)
    way = SPEED * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    found = np.zeros((count, frames, 2))
    for frame in range(frames):
        place = place + way
        out = (place <= 0) | (place >= 1)
        place, way = np.clip(place, 0, 1), np.where(out, -way, way)
        found[:, frame] = place
    return found


def drawn(images: NDArray[np.uint8], places: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the movie [frames, `CANVAS`, `CANVAS`] of `images` [n, S, S] at places of `paths`.

    Where digits overlap stands the brighter one.
    """
    side = images.shape[-1]
    corners = ((CANVAS - side) * places).astype(np.int64)
    movie = np.zeros((places.shape[1], CANVAS, CANVAS), np.uint8)
    for image, own in zip(images, corners, strict=True):
        for frame, (y, x) in zip(movie, own, strict=True):
            part = frame[y : y + side, x : x + side]
            np.maximum(part, image, out=part)
    return movie


def pooled(movie: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    """Return a movie [frames, H, W] with means of ``side x side`` pixels in place of each.

    >>> pooled(np.array([[[0, 1], [2, 5]]], np.uint8), 2).tolist()
    [[[2.0]]]
    """
    frames, height, width = movie.shape
    parts = movie.reshape(frames, height // side, side, width // side, side)
    return np.asarray(parts.mean(axis=(2, 4)))


def moving(
    path: Path,
    *,
    movies: int = 1000,
    frames: int = 15,
    pool: int = 2,
    seed: int = 0,
    grey: bool = False,
) -> tuple[dict[str, NDArray[Any]], str]:
    """Return movies as windows: a step is a pixel, and its label that pixel in the next frame.

    Steps go through a frame row by row, then through the next frame. Labels are 1 from half of
    white on; the last frame has none. Digits are dealt to `SUBJECTS` parts, and both of a movie are
    of its part: fold 0 has movies of digits that no other fold has.

    Parameters
    ----------
    path : Path
        An .npz of ``x`` uint8 [images, S, S], of the handwritten digits; S is at most `CANVAS`.
    movies, frames : int
    pool : int
        Pixels along a side that are averaged to one: 2 makes 32 x 32 of 64 x 64.
    seed : int
        The same one gives the same movies.
    grey : bool
        Whether a label is 1 with the probability of its grey, in place of from half of white on: a
        probability learned of such labels is the mean grey, which has the least squared error.

    Returns
    -------
    arrays : dict
        What an .npz for training holds, X float32 [movies, frames H W, 1] in [0, 1], and ``frame``
        int64 [2], the H and W of frames.
    told : str

    Raises
    ------
    MubinnError
        The file is missing or damaged, or has other images or too few; or a number fits no movie.
    """
    if movies < 1 or frames < 2 or seed < 0:
        raise MubinnError(
            f"{movies} movies of {frames} frames from seed {seed} are none to learn from: give 1 "
            "movie up, 2 frames up and a seed from 0."
        )
    if pool < 1 or CANVAS % pool:
        raise MubinnError(f"{pool} pixels do not divide a side of {CANVAS}: give 1, 2, 4 or so.")
    side = CANVAS // pool
    if movies * frames * side * side > MOST_PIXELS:
        raise MubinnError(
            f"{movies} movies of {frames} frames of {side} x {side} have more than {MOST_PIXELS} "
            "pixels: give fewer --movies."
        )
    images = arrays_of(path, x=3)["x"]
    tall, wide = images.shape[1:]
    if images.dtype != np.uint8 or tall != wide or tall > CANVAS or len(images) < SUBJECTS:
        raise MubinnError(
            f"{path} has x {images.dtype} {list(images.shape)}: give {SUBJECTS} images up, uint8 "
            f"[images, S, S], of at most {CANVAS} pixels a side."
        )
    rng, chance = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    subject = np.arange(movies) % SUBJECTS
    x = np.zeros((movies, frames, side * side), np.float32)
    y = np.full((movies, frames, side * side), NO_LABEL, np.int8)
    for movie, part in enumerate(subject.tolist()):
        chosen = rng.choice(np.arange(part, len(images), SUBJECTS), DIGITS)
        own = pooled(drawn(images[chosen], paths(rng, DIGITS, frames)), pool)
        own = own.reshape(frames, -1)
        x[movie] = own / 255
        white = own[1:] > 255 * chance.random(own[1:].shape) if grey else own[1:] >= WHITE
        y[movie, :-1] = white
    arrays: dict[str, NDArray[Any]] = {
        "X": x.reshape(movies, -1, 1),
        "y": y.reshape(movies, -1),
        "subject": subject,
        "fold": subject % FOLDS,
        "classes": np.array(["black", "white"]),
        "channels": np.array(["pixel"]),
        "frame": np.array([side, side]),
    }
    return arrays, f"{frames} frames of {side} x {side} pixels, the last without labels"
