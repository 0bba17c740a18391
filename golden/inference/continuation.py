"""Movies that a model continues: each frame that it makes is what it reads next. NumPy only.

A model of pixels gives at each step, which is a pixel of a frame, the probability that this pixel
is white in the next frame. Frames are generated one by one, and judged by their squared error
(effective-quantization, Eq. 25).
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice, repeat

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints
from mubinn.golden.inference.run import CompiledModel
from mubinn.golden.model import reference
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.units.shapes import exact

NextFrame = Callable[[Floats], Floats]
"""Takes the frames of movies that follow those it has been given before, [N, t, H, W] in [0, 1],
and returns the next one, [N, H, W]."""

Begin = Callable[[], NextFrame]
"""Returns what begins anew, and has been given nothing yet."""

AT_ONCE = 16
"""Movies that are continued side by side."""


def next_frame(model: FloatModel | QuantizedModel) -> Begin:
    """Return what the model makes of frames: the probability of white of each pixel.

    Bit-true of a quantized model, but for the sigmoid of its integer scores, which no hardware
    takes: whoever feeds the next frame does. States are carried from frame to frame; where a layer
    reads several steps, or windows backward, all frames are read anew for each that is made.

    Raises
    ------
    MubinnError
        It does not give one probability at each step, of one number; or, of what is returned,
        frames are not of the size that its layers sweep.
    """
    if (model.head, model.readout, model.channels) != ("sigmoid", "every", 1):
        raise MubinnError(
            f"a model with the head {model.head}, the readout {model.readout} and {model.channels} "
            "channels makes no pixels: give one of --head sigmoid --readout every, of one channel."
        )
    if model.preprocessing.normalise != "none" or model.preprocessing.decimate != 1:
        raise MubinnError(
            "the model changes pixels before it reads them, and frames that it makes are fed back "
            "as they are: train with --normalise none --decimate 1."
        )
    sweeps = [layer.frames for layer in model.layers if isinstance(layer.frames, Sweep)]
    compiled = CompiledModel(model) if isinstance(model, QuantizedModel) else None
    piecewise = all(
        isinstance(layer.frames, Sweep) or (layer.frames.plain and not layer.place.backward)
        for layer in model.layers
    )

    def begin() -> NextFrame:
        logits = _integers(compiled) if compiled else _floats(model)  # type: ignore[arg-type]
        seen: list[Floats] = []

        def following(frames: Floats) -> Floats:
            nonlocal logits
            count, height, width = len(frames), *frames.shape[2:]
            if any((own.height, own.width) != (height, width) for own in sweeps):
                raise MubinnError(
                    f"frames of {height} x {width} pixels, and the model sweeps those of "
                    f"{sweeps[0].height} x {sweeps[0].width}: give movies of its size."
                )
            if not piecewise:
                seen.append(frames)
                frames = np.concatenate(seen, axis=1)
                logits = _integers(compiled) if compiled else _floats(model)  # type: ignore[arg-type]
            found = logits(frames.reshape(count, -1, 1))
            last = found.reshape(count, -1, height, width)[:, -1]
            return np.asarray(exact("sigmoid", last))

        return following

    return begin


def _floats(model: FloatModel) -> Callable[[Floats], Floats]:
    """Return what makes logits [N, t, 1] of windows that come piece by piece, [N, t, 1]."""
    carried: list[list[Floats]] = [[] for _ in model.layers]
    return lambda x: reference.logits(model, x, carried=carried)


def _integers(compiled: CompiledModel) -> Callable[[Floats], Floats]:
    """Do as `_floats` does, by integers."""
    pieces: deque[NDArray[np.float32]] = deque()
    scores: Iterator[Ints] | None = None

    def logits(x: Floats) -> Floats:
        nonlocal scores
        pieces.append(x.astype(np.float32))
        scores = scores or compiled.scores_of((pieces.popleft() for _ in repeat(None)), len(x))
        found = np.stack(list(islice(scores, x.shape[1])), axis=1)
        return compiled.model.values(found, x.shape[1])

    return logits


def continued(begin: Begin, given: npt.ArrayLike, count: int) -> Floats:
    """Return `count` frames [N, count, H, W] that follow the `given` ones [N, t, H, W].

    Raises
    ------
    MubinnError
        There is no frame to begin with, or none is asked for.

    Examples
    --------
    A rule that makes each frame half as bright as the one before:

    >>> found = continued(lambda: lambda frames: frames[:, -1] / 2, np.ones((1, 2, 1, 1)), 3)
    >>> found.ravel().tolist()
    [0.5, 0.25, 0.125]
    """
    frames = np.asarray(given, np.float64)
    if frames.ndim != 4 or not frames.size or count < 1:
        raise MubinnError(
            f"{count} frames are to follow movies of shape {list(frames.shape)}: give [movies, "
            "frames, height, width] with a frame at least, and ask for one at least."
        )
    parts = [frames[k : k + AT_ONCE] for k in range(0, len(frames), AT_ONCE)]
    return np.concatenate([_continued(begin(), part, count) for part in parts])


def _continued(following: NextFrame, frames: Floats, count: int) -> Floats:
    made = []
    for _ in range(count):
        made.append(following(frames))
        frames = made[-1][:, None]
    return np.stack(made, axis=1)


def frame_errors(truth: npt.ArrayLike, found: npt.ArrayLike) -> Floats:
    """Return the mean squared error of a pixel by frame, [t], of movies [N, t, H, W] (Eq. 25).

    >>> frame_errors([[[[0.0, 1.0]], [[1.0, 1.0]]]], [[[[0.5, 1.0]], [[0.0, 0.0]]]]).tolist()
    [0.125, 1.0]
    """
    error = np.asarray(found, np.float64) - np.asarray(truth, np.float64)
    return np.asarray(np.square(error).mean(axis=(0, 2, 3)))


def yardsticks(movies: Floats, given: int, others: Floats) -> dict[str, Floats]:
    """Return the errors by frame of what knows no motion, of frames `given`.. of `movies`.

    Parameters
    ----------
    movies : float [N, t, H, W]
    given : int
        Frames that are known.
    others : float [M, t, H, W]
        Movies to learn the mean frame of.

    Returns
    -------
    dict of float64 [t - given]
        ``black``, the mean frame of `others`, and the last given frame held.
    """
    truth = movies[:, given:]
    mean = others.mean(axis=(0, 1), dtype=np.float64)
    found = {"black": np.zeros_like(truth), "mean frame": np.broadcast_to(mean, truth.shape)}
    found["last frame held"] = np.broadcast_to(movies[:, given - 1 : given], truth.shape)
    return {name: frame_errors(truth, own) for name, own in found.items()}
