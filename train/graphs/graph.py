"""One training graph for every method: parameters, classification, and compiled steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from numpy.typing import NDArray

from mubinn.golden.cells.constants import Datapath
from mubinn.golden.cells.library import lstm
from mubinn.golden.cells.threshold import is_term
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.head import HeadKind, Readout, reading_of
from mubinn.train.data.recordings import NO_LABEL
from mubinn.train.graphs import network
from mubinn.train.graphs.cell_step import Form
from mubinn.train.graphs.losses import Span, each, towards
from mubinn.train.graphs.network import Params, Pass
from mubinn.train.graphs.norms import (
    SETTLING,
    Found,
    moments_of,
    renewed,
    with_norms,
    without_norms,
)
from mubinn.train.recipes.first_scales import first_scales, folded, read_offsets
from mubinn.train.recipes.method import Method
from mubinn.train.recipes.stack import LayerKind, at, layer_kinds
from mubinn.train.subject.calibration import calibrated_groups

TRAVEL = 800
"""Steps over which scales go as far as their rate says; those that recipes were found on."""

REACH = {"f": 0.8, "i": 0.9, "g": 1.0, "o": 0.9, "c": 0.9}
"""Most that a scale may be at one level, as a share of what the tensor's values reach."""

SCALED = ("scales", "offsets", "cuts", "gains")
"""Parts of the parameters that take steps of their own size."""


@dataclass(frozen=True)
class Graph:
    """What turns parameters and windows into logits.

    Attributes
    ----------
    method : Method
    readout : str
    kinds : tuple of LayerKind
        The layers. What their encoders read is clipped where they do not binarize; level bits have
        the range of their scales.
    group : int
        Consecutive windows of a batch that are one subject's and whose scores the loss sees
        calibrated; 0 for none.
    datapath : "figure3" or "threshold"
        Whose sigmoid and tanh binarized gates have.
    head : "classes", "sigmoid" or "regression"
    span : Span
        Of the numbers of a regression.
    skipped : int
        Steps at the start of windows of which a readout at every step gives no result, as they
        have no labels.
    distil : float
        Share of the loss that is against a teacher's scores, where some are given.
    freeze_embedding : bool
        Whether vectors of words have no gradient.
    """

    method: Method
    readout: Readout
    kinds: tuple[LayerKind, ...]
    group: int = 0
    datapath: Datapath = "figure3"
    head: HeadKind = "classes"
    span: Span = field(default_factory=Span)
    skipped: int = 0
    distil: float = 0.0
    freeze_embedding: bool = False

    def logits(self, params: Params, x: Array, kept: Array | None = None) -> Array:
        """Return the numbers of the dense layer for windows x [B, T, I].

        float32 [B, C], or [B, T - skipped, C] of a readout at every step. For `kept` see
        `mubinn.train.graphs.projection.classified`.
        """
        return self.run(self.plain(params), x, kept).logits

    def plain(self, params: Params) -> Params:
        """Return the parameters of the network that hardware runs, in units of y."""
        return self.span.spread(without_norms(params, self.method, self.kinds))

    def run(self, params: Params, x: Array, kept: Array | None = None) -> Pass:
        """Return a pass over windows x [B, T, I] by `plain` parameters."""
        about = self.kinds, self.forms, self.readout, self.method
        return network.run(params, x, *about, kept, self.skipped)

    @property
    def forms(self) -> tuple[Form, ...]:
        """What the recurrence of each layer binarizes."""
        return tuple(network.form_of(kind, self.method, self.datapath) for kind in self.kinds)

    def loss(
        self,
        params: Params,
        x: Array,
        y: Array,
        weight: Array | None = None,
        kept: Array | None = None,
        taught: Array | None = None,
    ) -> Array:
        """Return the mean loss over a batch, and over the steps of a readout at every step.

        With y [B, T] it is the sum over the steps that have a label, divided by their count.
        `weight` [B] has windows count more or less; `kept` is dropout's. For the kinds of y see
        `mubinn.train.graphs.losses.each`. `taught` is what a teacher makes of x, as `logits`.
        """
        return self.loss_and_moments(params, x, y, weight, kept, taught)[0]

    def loss_and_moments(
        self,
        params: Params,
        x: Array,
        y: Array,
        weight: Array | None = None,
        kept: Array | None = None,
        taught: Array | None = None,
    ) -> tuple[Array, Found]:
        """Return `loss`, and the moments of what layers read, where rows are normalised."""
        if self.group:  # what calibration takes off has a gradient of rounding errors alone
            params = {**params, "bd": jax.lax.stop_gradient(params["bd"])}
        if self.freeze_embedding:
            params = {**params, "embedding": jax.lax.stop_gradient(params["embedding"])}
        scores, seen = self.run(self.plain(params), x, kept)
        found = moments_of(seen, self.kinds) if self.method.batch_norm else {}
        return self._mean_loss(scores, y, weight, taught), found

    def _mean_loss(
        self, scores: Array, y: Array, weight: Array | None, taught: Array | None
    ) -> Array:
        if self.group:
            scores = calibrated_groups(scores, self.group)
            taught = None if taught is None else calibrated_groups(taught, self.group)
        if scores.ndim == 3 and self.head != "regression" and y.ndim == 2:
            y = y[:, self.skipped :]
            own, known = self._each(scores, y, taught), y != NO_LABEL
            return jnp.where(known, own, 0).sum() / jnp.maximum(known.sum(), 1)
        own = self._each(scores, y, taught)
        if reading_of(self.readout).each:
            own = own.mean(axis=1)
        return (own if weight is None else own * weight).mean()

    def _each(self, scores: Array, y: Array, taught: Array | None) -> Array:
        """Return the loss of each window or step, against labels and against what is taught."""
        own = each(self.head, scores, y, self.span)
        if taught is None:
            return own
        other = towards(self.head, scores, taught, self.span)
        return (1 - self.distil) * own + self.distil * other

    def held(self, params: Params) -> Params:
        """Return parameters whose scales stay within what their tensors reach, at one level.

        There gradients that pass straight through grow scales in every step, past the values that a
        sigmoid or tanh can take. And the new c is the sign of ``f c + i g``: where c and g differ,
        that of a difference between ``f s_c`` and ``i s_g``, which are nearly the same numbers
        where both gates are high and where both are low. All cells share these scales, so that two
        that pass each other turn the answer of every cell at once, which no gradient sees: the
        loss jumps, and stays. Hence `REACH`: scales that have grown as far as they may have c
        take what is new where both gates are high, and keep what is old where both are low.
        """
        counts = self.method.counts
        if not self.method.learns_scales or (counts["gate"], counts["c"]) != (1, 1):
            return params
        offsets = [self.method.offset_of(gate.operands[0].kind) for gate in lstm.gates]
        sizes = [max(abs(offset), 1 - offset) for offset in offsets]
        gates = [REACH[gate] * size for gate, size in zip(lstm.gate_names, sizes, strict=True)]
        scales = dict(params["scales"])
        for place, kind in enumerate(self.kinds):
            most = {"gate": gates, "c": [REACH["c"] * min(dict(kind.clips).get("c", 1.0), 1.0)]}
            for name, values in most.items() if kind.cell is lstm else ():
                own = at(place, name)
                scales[own] = jnp.minimum(scales[own], jnp.log(jnp.asarray(values)))
        return {**params, "scales": scales}

    def start(self, model: FloatModel, x: NDArray[np.float32], drawn: bool = False) -> Params:
        """Return the parameters that training starts from.

        Parameters
        ----------
        model : FloatModel
            Weights to start from.
        x : float32 [windows, T, I]
            Training windows that scales are fitted on.
        drawn : bool
            Whether the weights were drawn; see `mubinn.train.graphs.norms.with_norms`.

        Raises
        ------
        MubinnError
            The model has other layers, or some that this graph does not express.
        """
        self._check_layers(model)
        weights = self._start(network.from_model(model), model, x)
        made = self.span.gathered(weights)
        return self._normalised(made, model, x, drawn) if self.method.batch_norm else made

    def of_floats(self, model: FloatModel) -> tuple[Graph, Params]:
        """Return the graph of a float model, read as this one is, and its parameters."""
        kinds = layer_kinds(model.layers)
        full = replace(self, method=Method(), kinds=kinds, datapath="figure3")
        return full, self.span.gathered(network.from_model(model))

    def _normalised(
        self, params: Params, model: FloatModel, x: NDArray[np.float32], drawn: bool
    ) -> Params:
        """Return parameters whose rows sum, of what they read in the model, as much as its own do.

        The same mean and the same deviation, that is, whatever of them is binarized.
        """
        full, weights = self.of_floats(model)
        run, windows = jax.jit(full.run), jnp.asarray(x)

        def found(params: Params) -> Found:
            return moments_of(run(full.plain(params), windows).seen, self.kinds)

        gained = with_norms(weights, self.kinds, found(weights), drawn)
        for _ in range(SETTLING if drawn else 0):
            gained["moments"] = found(gained)
        layers = [
            {**layer, "b": of["b"]}
            for layer, of in zip(params["layers"], gained["layers"], strict=True)
        ]
        moments = _without_offsets(gained["moments"], params.get("offsets", {}), model)
        return {**params, "layers": tuple(layers), "gains": gained["gains"], "moments": moments}

    def _start(self, weights: Params, model: FloatModel, x: NDArray[np.float32]) -> Params:
        """Return the `weights` of a model with the scales and offsets of `x` beside them."""
        if self.method.name == "float":
            return weights
        scales, offsets, cuts = first_scales(model, self.method, x)
        biases, bd = folded(model, offsets, self.method)
        single: Params = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, jnp.float32),
            {"scales": scales, "offsets": offsets, "b": biases, "bd": bd, "cuts": cuts},
        )
        if not cuts:
            single.pop("cuts")
        self._check_offsets(offsets)
        own = zip(weights["layers"], single.pop("b"), strict=True)
        layers = tuple({**layer, "b": b} for layer, b in own)
        return {**weights, "layers": layers, **single}

    def _check_layers(self, model: FloatModel) -> None:
        """Raise `MubinnError` where the layers of a model are not those of the graph."""
        found = layer_kinds(model.layers)
        if found != self.kinds:
            of, own = (", ".join(kind.cell.name for kind in kinds) for kinds in (found, self.kinds))
            raise MubinnError(
                f"The model is of {of} cells, the training graph of {own} cells, and frames, "
                "clips or places may differ: let all layers be the same."
            )

    def _check_offsets(self, offsets: Mapping[str, Any]) -> None:
        """Raise `MubinnError` where the datapath cannot have an offset of h for each cell."""
        for place, kind in enumerate(self.kinds):
            (value,) = kind.cell.new[0].operands
            each = at(place, "h") in offsets
            if each and self.datapath == "threshold" and not is_term(value):
                raise MubinnError(
                    f"Thresholds of {kind.cell.name} cells take one offset of h for all: leave "
                    "--h-offset out, or train for --datapath figure3."
                )


def _without_offsets(found: Found, offsets: Mapping[str, Any], model: FloatModel) -> Found:
    """Return moments of what rows read without offsets, by those of what the model has."""
    made = dict(found)
    taken = read_offsets(model, {name: np.asarray(own) for name, own in offsets.items()})
    for place, (of_x, of_h) in enumerate(taken):
        for name, offset in ((at(place, "wx"), of_x), (at(place, "wh"), of_h)):
            if offset is not None and name in made:
                made[name] = made[name]._replace(mean=made[name].mean - offset)
    return made


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
        ``(params, state, x, y, weight, kept, taught) -> (params, state, loss)``, jitted, those of
        `Graph.loss`; the first two are consumed.
    evaluate : callable
        ``(params, x) -> logits`` of `Graph.plain` parameters, jitted.
    """
    warm = max(1, math.ceil(pace.warmup * pace.steps))

    def schedule(count: Any) -> Array:
        rest = jnp.clip((count - warm) / max(1, pace.steps - warm), 0, 1)
        return pace.rate * jnp.minimum((count + 1) / warm, 0.5 * (1 + jnp.cos(jnp.pi * rest)))

    optimizer = optax.chain(
        optax.clip_by_global_norm(pace.grad_norm),
        optax.scale_by_adam(),
        optax.scale_by_learning_rate(schedule),
    )
    more = pace.own_scale_rate / pace.rate

    def step(
        params: Params,
        state: Any,
        x: Array,
        y: Array,
        weight: Array | None = None,
        kept: Array | None = None,
        taught: Array | None = None,
    ) -> tuple[Params, Any, Array]:
        sloped = jax.value_and_grad(graph.loss_and_moments, has_aux=True)
        (value, found), gradient = sloped(params, x, y, weight, kept, taught)
        now = schedule(state[1].count) / pace.rate
        updates, state = optimizer.update(gradient, state, params)
        for part in set(SCALED) & set(updates):
            updates[part] = jax.tree.map(lambda update: more * update, updates[part])
        moved = graph.held(optax.apply_updates(params, updates))
        return renewed(moved, found, now), state, value

    def evaluate(params: Params, x: Array) -> Array:
        return graph.run(params, x).logits

    return optimizer, jax.jit(step, donate_argnums=(0, 1)), jax.jit(evaluate)
