"""Centring the scores of one subject: biases of the classifier for a wearer, without labels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Centre = Literal["none", "subject"]


def centred(scores: NDArray[Any], subject: NDArray[Any]) -> NDArray[Any]:
    """Return scores less the median that each class has over a subject's whole recording.

    People differ in how strong a rhythm is more than a state changes it. Where a recording spends
    about the same time in each class, the median of a class's lead over the mean of all classes
    says how the subject differs: in hardware it goes into the biases of the classifier, M_B.

    Parameters
    ----------
    scores : float or int [N, C]
        Logits of windows, in any unit.
    subject : [N]
        Whose window each is; every window of a subject counts.

    Returns
    -------
    float64 [N, C]
        C times the leads, centred.
    """
    wide = scores.astype(np.float64)
    lead: NDArray[np.float64] = wide.shape[1] * wide - wide.sum(axis=1, keepdims=True)
    for one in np.unique(subject):
        own = subject == one
        lead[own] -= np.median(lead[own], axis=0)
    return lead
