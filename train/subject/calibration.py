"""Subject calibration: scores made alike over people, without labels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SubjectCalibration = Literal["none", "subject", "trained"]


def calibrated(scores: NDArray[Any], subject: NDArray[Any]) -> NDArray[Any]:
    """Return scores less the median that each class has over a subject's whole recording.

    People differ in how strong a rhythm is more than a state changes it. Where a recording spends
    about the same time in each class, the median of a class's lead over the mean of all classes
    says how the subject differs: in hardware it goes into the biases of the classifier, M_B
    (`mubinn.train.subject.personal.for_subject`).

    Parameters
    ----------
    scores : float or int [N, C]
        Logits of windows, in any unit.
    subject : [N]
        Whose window each is; every window of a subject counts.

    Returns
    -------
    float64 [N, C]
        C times the leads, less their medians.
    """
    lead = _leads(scores)
    for one in np.unique(subject):
        own = subject == one
        lead[own] -= medians(scores[own])
    return lead


def medians(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Return the median over windows of C times each class's lead: float64 [C] of scores [N, C]."""
    return np.asarray(np.median(_leads(scores), axis=0))


def _leads(scores: NDArray[Any]) -> NDArray[np.float64]:
    wide = scores.astype(np.float64)
    return np.asarray(wide.shape[1] * wide - wide.sum(axis=1, keepdims=True))


def calibrated_groups(scores: Any, group: int) -> Any:
    """Return scores [B, C] less the mean of each `group` consecutive rows, NumPy's or JAX's.

    What the loss sees where training knows that decisions are calibrated: the mean has a gradient
    everywhere, and stands for the median of `calibrated`. As the classifier is linear, it takes the
    mean off the features that the classifier reads: W (f - mean f) = W f - W mean f.
    """
    apart = scores.reshape(-1, group, scores.shape[1])
    return (apart - apart.mean(axis=1, keepdims=True)).reshape(scores.shape)


def grouped(
    windows: NDArray[np.int64], subject: NDArray[Any], group: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Deal windows into groups of one subject each; return [groups, group], in random order.

    Windows of a subject that fill no last group sit out; a subject of fewer windows than `group`
    repeats them.

    Parameters
    ----------
    windows : [N]
        Numbers of windows.
    subject : [N]
        Whose window each is.
    group : int
    rng : numpy.random.Generator
    """
    dealt = []
    for one in np.unique(subject):
        own = rng.permutation(windows[subject == one])
        count = max(1, len(own) // group)
        dealt.append(np.resize(own, (count, group)))
    return rng.permutation(np.concatenate(dealt))
