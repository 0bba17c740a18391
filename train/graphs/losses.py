"""Losses of the heads in JAX, and the units in which a regression is trained."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model.head import HeadKind


class Span(NamedTuple):
    """Unit and mean of each number that a regression gives; nothing for the other heads.

    Training works on numbers about 0 of the size 1, whatever theirs are: the parameters of the
    dense layer are in these units. They are powers of two, so that weights are brought to the
    numbers' own unit without rounding, in the graph as in what is exported.

    Examples
    --------
    >>> Span.of(np.array([[10.0], [12.0], [20.0]]))
    Span(units=(4.0,), means=(14.0,))
    """

    units: tuple[float, ...] = ()
    means: tuple[float, ...] = ()

    @classmethod
    def of(cls, y: Floats) -> Span:
        """Return the span of training numbers [N, n]; raise `MubinnError` where one is constant."""
        spread = y.std(axis=0)
        if not spread.all():
            raise MubinnError(
                f"Number {int(np.argmin(spread))} of y is the same in all training windows: leave "
                "it out."
            )
        units = np.exp2(np.rint(np.log2(spread)))
        means = y.mean(axis=0).astype(np.float32)
        return cls(tuple(units.tolist()), tuple(means.tolist()))

    def spread(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return parameters whose dense layer gives numbers in their own unit."""
        if not self.units:
            return params
        unit, mean = self._arrays
        return {**params, "wd": params["wd"] * unit[:, None], "bd": params["bd"] * unit + mean}

    def gathered(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return parameters whose dense layer is in the units of training."""
        if not self.units:
            return params
        unit, mean = self._arrays
        return {**params, "wd": params["wd"] / unit[:, None], "bd": (params["bd"] - mean) / unit}

    @property
    def _arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return np.array(self.units, np.float32), np.array(self.means, np.float32)


def each(head: HeadKind, scores: Array, y: Array, span: Span) -> Array:
    """Return the loss of each window [B], or of each of its steps [B, T].

    Cross entropy in nats of a class, of one that is 1 or 0 for a sigmoid; the mean square of the
    errors in units of `span` for a regression.

    Parameters
    ----------
    head : "classes", "sigmoid" or "regression"
    scores : float32 [B, C] or [B, T, C]
    y : int [B], or float32 [B, C] of a regression; or int [B, T], of each step
        Where a step has no label any loss below infinity is returned.
    span : Span
    """
    if scores.ndim == 3 and (y.ndim == 1 or head == "regression"):
        y = y[:, None]
    if head == "regression":
        return jnp.square((scores - y) / np.array(span.units, np.float32)).mean(axis=-1)
    if head == "sigmoid":
        own = scores[..., 0]
        return jax.nn.softplus(own) - y * own
    place = jnp.broadcast_to(jnp.maximum(y, 0)[..., None], (*scores.shape[:-1], 1))
    return -jnp.take_along_axis(jax.nn.log_softmax(scores), place, axis=-1)[..., 0]


def towards(head: HeadKind, scores: Array, taught: Array, span: Span) -> Array:
    """Return the loss of each window, or step, against what a teacher says in place of labels.

    Hinton, Vinyals and Dean 2015, at a temperature of 1: the cross entropy of `scores` with the
    teacher's probabilities, in nats; the mean square of the differences of a regression.

    Parameters
    ----------
    head : "classes", "sigmoid" or "regression"
    scores, taught : float32 [B, C] or [B, T, C]
    span : Span

    Returns
    -------
    float32 [B] or [B, T]

    Examples
    --------
    >>> even, sure = jnp.log(jnp.array([[0.5, 0.5]])), jnp.log(jnp.array([[0.9, 0.1]]))
    >>> [f"{towards('classes', own, sure, Span()).item():.4f}" for own in (even, sure)]
    ['0.6931', '0.3251']
    """
    if head == "regression":
        return jnp.square((scores - taught) / np.array(span.units, np.float32)).mean(axis=-1)
    if head == "sigmoid":
        return jax.nn.softplus(scores[..., 0]) - jax.nn.sigmoid(taught[..., 0]) * scores[..., 0]
    return -(jax.nn.softmax(taught) * jax.nn.log_softmax(scores)).sum(axis=-1)
