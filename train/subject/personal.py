"""A model for one subject: biases of the classifier that calibrate it. NumPy only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.train.subject.calibration import medians
from mubinn.train.subject.row_bias import row_bias


def for_subject(model: QuantizedModel, scores: Ints, steps: int) -> QuantizedModel:
    """Return `model` with the M_B of its classifier changed to decide by calibrated scores.

    All else, weights and levels, stays: a memory of C words is what one subject differs in from
    another. The shift of each class is rounded to the unit of M_B (half up), which is `steps`
    units of a score with the mean readout: only windows whose lead is that close to the median
    can be decided otherwise than by `mubinn.train.subject.calibration.calibrated`.

    Parameters
    ----------
    model : QuantizedModel
    scores : int [N, C]
        Of an unlabelled recording of the subject, by `mubinn.golden.inference.run.infer`.
    steps : int
        Steps of a window as the model reads it.

    Raises
    ------
    MubinnError
        The model has no scores of classes, or has them at every step.
    """
    if model.head != "classes" or model.reading.in_order:
        raise MubinnError(
            "Calibration takes medians off the scores of classes, one result a window that begins "
            f"anew, and this model has the head {model.head} and the readout {model.readout}: give "
            "one of the readout last or mean."
        )
    dense = model.dense
    sums = model.steps(steps) if model.reading.sums else 1
    shift = np.floor(medians(scores) / (scores.shape[1] * sums) + 0.5).astype(np.int64)
    bias = row_bias(dense.b.values - shift, dense.b.levels, dense.b.fraction)
    return replace(model, dense=replace(dense, b=bias))
