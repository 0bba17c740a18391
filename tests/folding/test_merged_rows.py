"""Layers whose level pairs merge: found by their scales alone, and equal to the bit-true model."""

from dataclasses import replace

import numpy as np
import pytest
from simulators import QUICK

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.cells.gate_sums import GateSums
from mubinn.hw.layer.lstm_layer import LstmLayer
from mubinn.sim.layer.layer_check import check_layer
from mubinn.sim.testbench.compare import SimulationMismatch


def halving(model, constant, dense=1):
    """Return the model with scales that halve, of one base a group, or all powers of two."""
    layer = model.layers[0]

    def quantizer(q, base):
        return replace(q, scales=base << np.arange(q.levels)[::-1])

    def weights(t, bases):
        return replace(t, scales=np.array(bases)[:, None] << np.arange(t.levels)[::-1])

    bases = [4, 4, 4, 4] if constant else [5, 7, 4, 9]
    own = 2 if constant else 3
    layer = replace(
        layer,
        x=quantizer(layer.x, own),
        quantizers={**layer.quantizers, "h": quantizer(layer.h, 2 * own)},
        wx=weights(layer.wx, bases),
        wh=weights(layer.wh, bases[::-1]),
    )
    classes = replace(model.dense, w=weights(model.dense.w, [dense]))
    return replace(model, layers=(layer,), dense=classes)


def codes(model):
    random = np.random.default_rng(2)
    return random.integers(0, 1 << model.layers[0].x.levels, (2, 4, model.features))


@pytest.mark.parametrize(
    ("constant", "levels", "units", "classify", "latency"),
    [
        (True, (2, 2), 4, False, 1),
        (True, (1, 1), 1, False, 1),
        (True, (2, 2), 8, True, 2),
        (False, (3, 2), 6, True, 3),
    ],
)
def test_merged_layer_equals_bit_true_model(
    random_model, constant, levels, units, classify, latency
):
    model = halving(random_model(seed=6, levels=levels, features=5, hidden=3), constant, 8)
    plan = LayerPlan(model.layers[0], model.dense if classify else None, units=units)
    assert plan.merged is not None
    assert plan.merged.constant == constant
    assert GateSums.latency(plan) == latency
    how = {"units": units, "classify": classify, "simulator": QUICK}
    assert check_layer(model, codes(model), pause=0.3, **how).tests == 2


def test_a_wrong_weight_is_found(random_model):
    model, other = (
        halving(random_model(seed=6, levels=(2, 2), features=5, hidden=3), True) for _ in range(2)
    )
    bits = other.layers[0].wh.bits.copy()
    bits[1, 3, 2] ^= 1
    object.__setattr__(other.layers[0].wh, "bits", bits)
    design = LstmLayer(LayerPlan(other.layers[0], units=4), trace=True)
    with pytest.raises(SimulationMismatch, match=r"signal z at step 0, cell 0, gate 1: expected"):
        check_layer(model, codes(model), units=4, design=design, simulator=QUICK)


@pytest.mark.parametrize("how", [{"units": 3}, {"units": 4, "lanes": 4}, {"folded_bias": False}])
def test_rows_of_several_cycles_do_not_merge(random_model, how):
    model = halving(random_model(levels=(2, 2), features=5, hidden=3), True)
    assert LayerPlan(model.layers[0], **how).merged is None


def test_free_scales_do_not_merge(random_model):
    model = random_model(levels=(2, 2), features=5, hidden=3)
    assert LayerPlan(model.layers[0], units=4).merged is None
