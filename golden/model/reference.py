"""The float64 reference: Eq. (1)-(6) with Algorithm 1, and the GRU beside it, readable and slow.

With no quantizers it is the plain float model. With quantizers every tensor passes through
Algorithm 1 where the hardware encodes it; activations stay exact, which is the one difference to
the bit-true model and what `mubinn.golden.model.bounds` bounds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.mlb import mlb, mlb_value
from mubinn.golden.cells.constants import GATES, GRU_GATES
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model.float_model import FloatGru, FloatLayer, FloatLstm, FloatModel
from mubinn.golden.units.activation import exact


@dataclass(frozen=True)
class FloatQuantizer:
    """Scales [N] and offset of one activation tensor; no scales leave it in full precision."""

    scales: Floats | None = None
    offset: npt.ArrayLike = 0.0

    def __call__(self, value: Floats) -> Floats:
        """Return the value that the level bits of `value` stand for."""
        if self.scales is None:
            return value
        return mlb_value(mlb(value, self.scales, self.offset), self.scales, self.offset)


@dataclass(frozen=True)
class LayerQuantizers:
    """The quantizers of one layer's activations; the weights are quantized beforehand.

    `c` belongs to an LSTM alone, `s` = r h to a GRU that resets before the product; `gates` are
    those of `GATES` or of `GRU_GATES`.
    """

    x: FloatQuantizer = field(default_factory=FloatQuantizer)
    h: FloatQuantizer = field(default_factory=FloatQuantizer)
    c: FloatQuantizer = field(default_factory=FloatQuantizer)
    s: FloatQuantizer = field(default_factory=FloatQuantizer)
    gates: Mapping[str, FloatQuantizer] = field(
        default_factory=lambda: {name: FloatQuantizer() for name in (*GATES, *GRU_GATES)}
    )


def step(
    layer: FloatLstm, quantizers: LayerQuantizers, x: Floats, h: Floats, c: Floats
) -> dict[str, Floats]:
    """Return every intermediate of one time step, Eq. (1)-(6).

    Parameters
    ----------
    layer : FloatLstm
    quantizers : LayerQuantizers
    x : float64 [..., I]
        Already quantized.
    h, c : float64 [..., H]
        The state before the step, already quantized.

    Returns
    -------
    dict of float64 arrays
        ``z, y, gate [..., 4H]``, where `gate` is y quantized, and ``c_raw, c, tanh_c, h_raw,
        h [..., H]``.
    """
    z = x @ layer.wx.T + h @ layer.wh.T + layer.b
    ys = [
        exact("tanh" if name == "g" else "sigmoid", part)
        for name, part in zip(GATES, np.split(z, 4, axis=-1), strict=True)
    ]
    gates = [quantizers.gates[name](y) for name, y in zip(GATES, ys, strict=True)]
    f, i, g, o = gates
    c_raw = f * c + i * g
    clip = np.inf if layer.c_clip is None else layer.c_clip
    c_new = quantizers.c(np.clip(c_raw, -clip, clip))
    tanh_c = np.tanh(c_new)
    h_raw = o * tanh_c
    return {
        "z": z,
        "y": np.concatenate(ys, axis=-1),
        "gate": np.concatenate(gates, axis=-1),
        "c_raw": c_raw,
        "c": c_new,
        "tanh_c": tanh_c,
        "h_raw": h_raw,
        "h": quantizers.h(h_raw),
    }


def gru_step(
    layer: FloatGru, quantizers: LayerQuantizers, x: Floats, h: Floats
) -> dict[str, Floats]:
    """Return every intermediate of one time step of a GRU (effective-quantization, Eq. 10-13).

    Parameters are those of `step`.

    Returns
    -------
    dict of float64 arrays
        ``z [..., 4H]``, the sums of the update gate, the reset gate, and the candidate's recurrent
        and input parts; ``y, gate [..., 3H]``, where `gate` is y quantized; ``n_raw``, the input
        of tanh, ``h_raw, h [..., H]``, and ``s_raw, s [..., H]``: r h, which the recurrent part
        reads where r resets before the product.
    """
    zero = np.zeros(2 * layer.hidden)
    x_part = np.split(x @ layer.wx.T + layer.b, 3, axis=-1)
    h_part = np.split(h @ layer.wh.T + np.concatenate([zero, layer.bn]), 3, axis=-1)
    sums = [x_part[0] + h_part[0], x_part[1] + h_part[1], h_part[2], x_part[2]]
    ys = [exact("sigmoid", sums[0]), exact("sigmoid", sums[1])]
    z, r = (quantizers.gates[name](y) for name, y in zip("zr", ys, strict=True))
    s = quantizers.s(r * h)
    if layer.reset == "before":
        sums[2] = s @ layer.wh[2 * layer.hidden :].T + layer.bn
        n_raw = sums[3] + sums[2]
    else:
        n_raw = sums[3] + r * sums[2]
    ys.append(exact("tanh", n_raw))
    n = quantizers.gates["n"](ys[2])
    h_raw = (1 - z) * h + z * n
    return {
        "z": np.concatenate(sums, axis=-1),
        "n_raw": n_raw,
        "y": np.concatenate(ys, axis=-1),
        "gate": np.concatenate([z, r, n], axis=-1),
        "s_raw": r * h,
        "s": s,
        "h_raw": h_raw,
        "h": quantizers.h(h_raw),
    }


def run_layer(layer: FloatLayer, quantizers: LayerQuantizers, x: Floats) -> dict[str, Floats]:
    """Return the intermediates of `step` or `gru_step` over whole sequences `x` [..., T, I].

    x is not yet quantized; the time axis stands before the last. The state before the first step is
    the quantized 0, as in hardware.
    """
    x = quantizers.x(x)
    zeros = np.zeros((*x.shape[:-2], layer.hidden))
    h, c = quantizers.h(zeros), quantizers.c(zeros)
    steps = []
    for t in range(x.shape[-2]):
        now = x[..., t, :]
        if isinstance(layer, FloatGru):
            steps.append(gru_step(layer, quantizers, now, h))
        else:
            steps.append(step(layer, quantizers, now, h, c))
            c = steps[-1]["c"]
        h = steps[-1]["h"]
    return {name: np.stack([s[name] for s in steps], axis=-2) for name in steps[0]}


def logits(
    model: FloatModel, x: npt.ArrayLike, quantizers: Sequence[LayerQuantizers] | None = None
) -> Floats:
    """Return the logits of whole windows.

    Parameters
    ----------
    model : FloatModel
    x : float [..., T, I]
    quantizers : one LayerQuantizers a layer, or None
        None is the float model.

    Returns
    -------
    float64 [..., C]
        Of the last step's h, or of the mean over steps (`model.readout`).
    """
    h = np.asarray(x, np.float64)
    for layer, own in zip(
        model.layers, quantizers or [LayerQuantizers()] * len(model.layers), strict=True
    ):
        h = run_layer(layer, own, h)["h"]
    read = h[..., -1, :] if model.readout == "last" else h.mean(axis=-2)
    return np.asarray(read @ model.wd.T + model.bd, np.float64)
