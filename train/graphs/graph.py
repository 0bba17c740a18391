"""One training graph for every method: parameters, classification, and compiled steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from numpy.typing import NDArray

from mubinn.golden.cells.constants import Datapath
from mubinn.golden.model.float_model import Cell, FloatModel, Readout
from mubinn.train.graphs import float_lstm, gru, quantized_lstm
from mubinn.train.graphs.float_lstm import Params
from mubinn.train.recipes.first_scales import first_scales, folded
from mubinn.train.recipes.method import Method
from mubinn.train.subject.calibration import calibrated_groups

TRAVEL = 800
"""Steps over which scales go as far as their rate says; those that recipes were found on."""

SCALED = ("scales", "offsets")
"""Parts of the parameters that take steps of their own size."""


@dataclass(frozen=True)
class Graph:
    """What turns parameters and windows into logits.

    Attributes
    ----------
    method : Method
    clip : float
        Bound of abs(c) where c is not binarized; ``inf`` for none.
    readout : "mean" or "last"
    cell : "lstm" or "gru"
        A GRU resets after the product, and clips nothing.
    group : int
        Consecutive windows of a batch that are one subject's and whose scores the loss sees
        calibrated; 0 for none.
    datapath : "figure3" or "threshold"
        Whose sigmoid and tanh binarized gates have.
    """

    method: Method
    clip: float
    readout: Readout
    cell: Cell = "lstm"
    group: int = 0
    datapath: Datapath = "figure3"

    def logits(self, params: Params, x: Array, kept: Array | None = None) -> Array:
        """Classify windows x [B, T, I]; float32 [B, C].

        For `kept` see `mubinn.train.graphs.projection.classified`.
        """
        if self.cell == "gru":
            return gru.logits(params, x, self.readout, self.method, self.datapath, kept)
        if self.method.name == "float":
            return float_lstm.logits(params, x, self.clip, self.readout, kept)
        clip, readout = self.clip, self.readout
        return quantized_lstm.logits(params, x, clip, readout, self.method, self.datapath, kept)

    def loss(
        self,
        params: Params,
        x: Array,
        y: Array,
        weight: Array | None = None,
        kept: Array | None = None,
    ) -> Array:
        """Mean cross entropy in nats of the classes `y` (int [B]) over a batch.

        `weight` [B] has windows count more or less; `kept` is dropout's.
        """
        if self.group:  # what calibration takes off has a gradient of rounding errors alone
            params = {**params, "bd": jax.lax.stop_gradient(params["bd"])}
        scores = self.logits(params, x, kept)
        if self.group:
            scores = calibrated_groups(scores, self.group)
        shares = jax.nn.log_softmax(scores)
        own = -jnp.take_along_axis(shares, y[:, None], axis=1)[:, 0]
        return (own if weight is None else own * weight).mean()

    def start(self, model: FloatModel, x: NDArray[np.float32]) -> Params:
        """Return the parameters that training starts from.

        Parameters
        ----------
        model : FloatModel
            Weights to start from.
        x : float32 [windows, T, I]
            Training windows that scales are fitted on.

        Raises
        ------
        MubinnError
            If binarized training is asked for a model of several layers.
        """
        weights = gru.from_model(model) if self.cell == "gru" else float_lstm.from_model(model)[0]
        if self.method.name == "float":
            return weights
        scales, offsets = first_scales(model, self.method, x)
        b, bd = folded(model, offsets)
        single: Params = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, jnp.float32),
            {"scales": scales, "offsets": offsets, "b": b, "bd": bd},
        )
        layer = {**weights["layers"][0], "b": single.pop("b")}
        return {**weights, "layers": (layer,), **single}


@dataclass(frozen=True)
class Pace:
    """The optimiser's settings.

    Attributes
    ----------
    rate, scale_rate : float
        Peak step of Adam for weights, and for logarithms of scales and offsets in a run of
        `TRAVEL` steps or fewer; see `own_scale_rate`.
    warmup : float
        Share of the steps over which the step grows from 0; along a cosine it falls to 0 again.
    grad_norm : float
        Gradients are scaled down to this norm.
    steps : int
        Of the whole run.
    """

    rate: float
    scale_rate: float
    warmup: float
    grad_norm: float
    steps: int

    @property
    def own_scale_rate(self) -> float:
        """Peak step of scales in this run: smaller in proportion where it has more steps.

        At one level the sign of a sum decides, and its size does not: gradients that pass straight
        through grow the scales in every step, sigmoid and tanh saturate, and their slopes let no
        gradient through any more. So scales go no further in a long run than in a short one.
        """
        return self.scale_rate * min(1.0, TRAVEL / self.steps)


@lru_cache(maxsize=8)
def compiled(graph: Graph, pace: Pace) -> tuple[Any, Callable[..., Any], Callable[..., Any]]:
    """Make what a run needs; runs that differ in seed or fold share it.

    Returns
    -------
    optimizer : optax.GradientTransformation
    step : callable
        ``(params, state, x, y, weight, kept) -> (params, state, loss)``, jitted, the arguments of
        `Graph.loss`; the first two are consumed.
    evaluate : callable
        ``(params, x) -> logits``, jitted.
    """
    warm = max(1, math.ceil(pace.warmup * pace.steps))

    def schedule(count: Any) -> Array:
        rest = jnp.clip((count - warm) / max(1, pace.steps - warm), 0, 1)
        return pace.rate * jnp.minimum((count + 1) / warm, 0.5 * (1 + jnp.cos(jnp.pi * rest)))

    optimizer = optax.chain(optax.clip_by_global_norm(pace.grad_norm), optax.adam(schedule))
    more = pace.own_scale_rate / pace.rate

    def step(
        params: Params,
        state: Any,
        x: Array,
        y: Array,
        weight: Array | None = None,
        kept: Array | None = None,
    ) -> tuple[Params, Any, Array]:
        value, gradient = jax.value_and_grad(graph.loss)(params, x, y, weight, kept)
        updates, state = optimizer.update(gradient, state, params)
        for part in set(SCALED) & set(updates):
            updates[part] = jax.tree.map(lambda update: more * update, updates[part])
        return optax.apply_updates(params, updates), state, value

    return optimizer, jax.jit(step, donate_argnums=(0, 1)), jax.jit(graph.logits)
