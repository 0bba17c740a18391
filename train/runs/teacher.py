"""The float model that training starts from, as the teacher of what comes of it."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from mubinn.golden.model.float_model import FloatModel
from mubinn.train.graphs.graph import Graph
from mubinn.train.runs.devices import BatchSharding


def teacher(
    start: FloatModel | None, graph: Graph, sharding: BatchSharding
) -> Callable[[NDArray[np.float32]], Array] | None:
    """Return what makes a teacher's scores of the windows of a batch; None where none is asked for.

    Parameters
    ----------
    start : FloatModel or None
    graph : Graph
        Of what learns; its `distil` says how much of the loss.
    sharding : BatchSharding

    Returns
    -------
    callable or None
        ``(x float32 [B, T, I]) -> float32 [B, C], or [B, T - skipped, C]``, what `Graph.logits`
        gives of the float model, nothing dropped.
    """
    if start is None or not graph.distil:
        return None
    own, weights = graph.of_floats(start)
    params = sharding.copies(weights)
    evaluate = jax.jit(own.logits)

    def scores(x: NDArray[np.float32]) -> Array:
        made: Array = evaluate(params, *sharding.parts(x))
        return made

    return scores
