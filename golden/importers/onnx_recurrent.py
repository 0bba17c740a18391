"""ONNX's recurrent nodes: what their settings mean as ours, and their equations in float64.

ONNX's reference evaluator passes over activations, clip and coupled gates, so a node with any of
them is run here, with the activations that its layer gets.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mubinn.golden.cells.graph import ramp_kind
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.units.shapes import FARTHEST, Kind, Ramp, exact, shape_of

DEFAULTS = {
    "LSTM": ("sigmoid", "tanh", "tanh"),
    "GRU": ("sigmoid", "tanh"),
    "RNN": ("tanh",),
}
"""Activations of each node type: of the gates, of the candidate, of c."""

NUMBERS = {"hardsigmoid": (0.2, 0.5), "affine": (None, None)}
"""Activations that take alpha and beta, and what these are where the node does not say.

The standard has no defaults for Affine; ONNX Runtime takes 0.
"""

NAMES = "Sigmoid, Tanh, HardSigmoid, Relu or Affine"


@dataclass(frozen=True)
class Settings:
    """What a recurrent node is set to.

    Attributes
    ----------
    kinds : tuple of str
        Activations, direction by direction.
    coupled : bool
        The forget gate is 1 less the input gate.
    after : bool
        A GRU resets after the product.
    forward : bool
        It runs from the first step to the last alone.
    """

    kinds: tuple[Kind, ...]
    coupled: bool
    after: bool
    forward: bool = True

    def is_plain(self, kind: str) -> bool:
        """Return whether ONNX's reference evaluator computes a node of these settings."""
        whole = DEFAULTS[kind] * (len(self.kinds) // len(DEFAULTS[kind]))
        return self.kinds == whole and not self.coupled and self.forward


def settings_of(
    kind: str, name: str, attributes: Mapping[str, Any], options: parts.ImportOptions
) -> Settings:
    """Return the settings of the node `name`.

    Raises
    ------
    MubinnError
        For activations that we do not have; for those without a limit where neither a clip nor the
        options give one; for a clip of the sums of sigmoid and tanh.
    """
    clip = attributes.get("clip")
    if clip is not None and not clip > 0:
        raise MubinnError(f"its node {name} clips its sums at {clip:g}: export it without clip.")
    both = 2 if attributes.get("direction") == "bidirectional" else 1
    found = attributes.get("activations") or [*DEFAULTS[kind]] * both
    words = [word.decode("utf-8", "replace") if isinstance(word, bytes) else word for word in found]
    if len(words) != both * len(DEFAULTS[kind]):
        raise MubinnError(
            f"its node {name} names {len(words)} activations, expected "
            f"{both * len(DEFAULTS[kind])}: export it again."
        )
    alphas, betas = (iter(attributes.get(f"activation_{which}", ())) for which in ("alpha", "beta"))
    kinds = []
    for place, word in enumerate(words):
        numbers: tuple[float | None, ...] = ()
        if word.lower() in NUMBERS:
            first, second = NUMBERS[word.lower()]
            numbers = next(alphas, first), next(betas, second)
        # ONNX Runtime clips the sums of rows, not c, before an activation.
        own = None if kind == "LSTM" and place % 3 == 2 else clip
        kinds.append(_kind(word, numbers, f"its node {name}", own, options))
    coupled = kind == "LSTM" and bool(attributes.get("input_forget"))
    forward = attributes.get("direction", "forward") == "forward"
    return Settings(tuple(kinds), coupled, bool(attributes.get("linear_before_reset")), forward)


def _kind(
    word: str,
    numbers: tuple[float | None, ...],
    name: str,
    clip: float | None,
    options: parts.ImportOptions,
) -> Kind:
    """Return an activation, with its alpha and beta, of sums that are clipped before or not."""
    if None in numbers:
        raise MubinnError(
            f"{name} has the activation {word} without its alpha or beta, for which there are no "
            "defaults: export it with both."
        )
    alpha, beta = (float(number or 0) for number in [*numbers, 0, 0][:2])
    match word.lower():
        case "sigmoid" | "tanh" as smooth:
            if clip is not None:
                raise MubinnError(
                    f"{name} clips the sums before its {smooth}, which ours does not: export it "
                    "without clip."
                )
            return smooth
        case "hardsigmoid":
            shape = shape_of(ramp_kind(alpha, beta))
            assert isinstance(shape, Ramp)
            return shape.kind if clip is None else shape.clipped(_fraction(clip)).kind
        case "relu":
            if clip is not None and clip <= FARTHEST:
                return ramp_kind(1, 0, 0, clip)
            return parts.unlimited("relu", name, options)
        case "affine":
            ends = None if clip is None else (beta - alpha * clip, beta + alpha * clip)
            if ends is not None and max(map(abs, ends)) <= FARTHEST:
                return ramp_kind(alpha, beta, *ends)
            shape = shape_of(parts.unlimited("linear", name, options))
            return ramp_kind(alpha, beta, shape.low, shape.high)
    raise MubinnError(f"{name} has the activation {word[:40]}: train it with {NAMES}.")


def _fraction(number: float) -> Fraction:
    return Fraction(number).limit_denominator(10_000)


def run(
    kind: str,
    settings: Settings,
    attributes: Mapping[str, Any],
    inputs: Sequence[Floats | None],
) -> list[Floats]:
    """Return Y, Y_h and of an LSTM Y_c of a node, as the standard defines them.

    Parameters
    ----------
    kind : str
        LSTM, GRU or RNN.
    settings : Settings
    attributes : mapping of str
    inputs : sequence of float64 arrays
        X, W, R, B, then lengths, which are those of all steps, then the first states, then P; None
        for those that the node does not read.
    """
    x, w, r, b, _, *states = [*inputs, *[None] * 8][:7]
    assert x is not None
    assert w is not None
    assert r is not None
    batchwise = bool(attributes.get("layout"))
    x = np.swapaxes(x, 0, 1) if batchwise else x
    shape = (len(w), x.shape[1], r.shape[-1])
    begun = [
        np.zeros(shape) if h is None else np.swapaxes(h, 0, 1) if batchwise else h for h in states
    ]
    biases = np.zeros((len(w), 2 * w.shape[1])) if b is None else b
    p = inputs[7] if kind == "LSTM" and len(inputs) > 7 else None
    peepholes = np.zeros((len(w), 3 * shape[2])) if p is None else p
    made, ends = [], []
    for d in range(len(w)):
        back = attributes.get("direction") == "reverse" or d == 1
        kinds = settings.kinds[d * len(DEFAULTS[kind]) :][: len(DEFAULTS[kind])]
        node = _Direction(kinds, settings, w[d], r[d], biases[d], peepholes[d])
        steps = list(node.run(kind, x[::-1] if back else x, begun[0][d], begun[1][d]))
        ends.append(steps[-1])
        made.append(np.stack([h for h, _ in (steps[::-1] if back else steps)]))
    y = np.stack(made, axis=1)
    last = [np.stack([end[k] for end in ends]) for k in range(2 if kind == "LSTM" else 1)]
    if batchwise:
        return [y.transpose(2, 0, 1, 3), *(np.swapaxes(state, 0, 1) for state in last)]
    return [y, *last]


@dataclass(frozen=True, eq=False)
class _Direction:
    """One direction of a node."""

    kinds: tuple[Kind, ...]
    settings: Settings
    w: Floats
    r: Floats
    b: Floats
    p: Floats

    def run(self, kind: str, x: Floats, h: Floats, c: Floats) -> Iterator[tuple[Floats, Floats]]:
        """Yield h and c after each step."""
        step = {"LSTM": self._lstm, "GRU": self._gru, "RNN": self._rnn}[kind]
        for now in x:
            h, c = step(now, h, c)
            yield h, c

    def _act(self, which: int, z: Floats) -> Floats:
        return exact(self.kinds[which], z)

    def _lstm(self, x: Floats, h: Floats, c: Floats) -> tuple[Floats, Floats]:
        z = x @ self.w.T + h @ self.r.T + sum(np.split(self.b, 2))
        zi, zo, zf, zg = np.split(z, 4, axis=-1)
        pi, po, pf = np.split(self.p, 3)
        i = self._act(0, zi + pi * c)
        f = 1 - i if self.settings.coupled else self._act(0, zf + pf * c)
        c = f * c + i * self._act(1, zg)
        return self._act(0, zo + po * c) * self._act(2, c), c

    def _gru(self, x: Floats, h: Floats, c: Floats) -> tuple[Floats, Floats]:
        bx, bh = np.split(self.b, 2)
        sums = np.split(x @ self.w.T + bx, 3, axis=-1)
        z, r = (
            self._act(0, own + h @ u.T + b)
            for own, u, b in zip(sums, np.split(self.r, 3)[:2], np.split(bh, 3)[:2], strict=False)
        )
        u, b = np.split(self.r, 3)[2], np.split(bh, 3)[2]
        inner = r * (h @ u.T + b) if self.settings.after else (r * h) @ u.T + b
        return (1 - z) * self._act(1, sums[2] + inner) + z * h, c

    def _rnn(self, x: Floats, h: Floats, c: Floats) -> tuple[Floats, Floats]:
        z = x @ self.w.T + h @ self.r.T + sum(np.split(self.b, 2))
        return self._act(0, z), c
