"""Models whose rows read the first levels of h alone."""

from dataclasses import replace

import numpy as np

from mubinn.golden.binarize.scales import Quantizer


def reading(model, count, seed=0):
    """The model, with a first layer whose rows read the first `count` levels of h."""
    layer = model.layers[0]
    own, rng = layer.h, np.random.default_rng(seed)
    h = replace(own, scales=5 << np.arange(own.levels)[::-1])
    read = Quantizer(rng.integers(1, 90, count), own.fraction, own.offset)
    quantizers = {**layer.quantizers, layer.cell.states[0].name: h}
    return replace(model, layers=(replace(layer, quantizers=quantizers, read=read),))
