"""Models whose encoders are ordered thresholds, ternary and quaternary in turn."""

from dataclasses import replace

import numpy as np

from mubinn.golden.binarize.ordered import Ordered, full_codes

TC, QC = [0, 1, 3], [0, 2, 1, 3]


def ordered(quantizer, kind):
    """Return `quantizer` with thresholds: two levels with those and the scales of TC or QC, or any.

    Any are every other node of Algorithm 1 on falling scales, moved, and leave codes out.
    """
    if kind == "any":
        levels = quantizer.levels
        scales = quantizer.scales.sum() >> np.arange(1, levels + 1)
        nodes = np.sort(replace(quantizer, scales=scales).nodes)[1::2] + 1
        low, *inner, high = full_codes(levels)
        own = Ordered(nodes, [low, *inner[::2][: len(nodes) - 1], high])
        return replace(quantizer, scales=scales, encoder=own)
    step = int(quantizer.scales.sum()) // 4
    cut = max(1, step * 3 // 4)
    if kind == "tc":
        scales, own = [2 * step, 2 * step], Ordered([-cut - 2, cut], TC)
    else:
        scales, own = [3 * step, step], Ordered([-cut, 3, cut + 5], QC)
    return replace(quantizer, scales=np.array(scales), encoder=own)


def with_thresholds(model, kinds=("tc", "qc"), leave=()):
    """Return `model` with thresholds everywhere but at the encoders `leave`, kinds in turn."""
    layers, x = [], None
    for layer in model.layers:
        x = x or (layer.x if "x" in leave else ordered(layer.x, kinds[0]))
        own = {
            name: q if name in leave else ordered(q, kinds[k % len(kinds)])
            for k, (name, q) in enumerate(layer.quantizers.items())
        }
        layers.append(replace(layer, x=x, quantizers=own))
        x = layers[-1].h
    return replace(model, layers=tuple(layers))
