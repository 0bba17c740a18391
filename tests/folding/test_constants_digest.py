"""The number by which accelerators are told apart whose weights may not be exchanged."""

from dataclasses import replace

from mubinn.golden.folding.constants_digest import constants_digest
from mubinn.hw.accelerator.plans import plans


def test_weights_alone_may_differ(random_model):
    model = random_model(seed=2, depth=2)
    own = constants_digest(plans(model))
    assert 0 <= own < 1 << 32
    assert constants_digest(plans(random_model(seed=2, depth=2))) == own
    layer = model.layers[1]
    flipped = replace(layer, wx=replace(layer.wx, bits=1 - layer.wx.bits))
    assert constants_digest(plans(replace(model, layers=(model.layers[0], flipped)))) == own
    dense = replace(model.dense, w=replace(model.dense.w, bits=1 - model.dense.w.bits))
    assert constants_digest(plans(replace(model, dense=dense, meta={"a": "b"}))) == own


def test_every_constant_and_the_order_of_the_weights_count(random_model):
    model = random_model(seed=2)
    layer = model.layers[0]
    c = layer.quantizers["c"]
    moved = {**layer.quantizers, "c": replace(c, offset=c.offset + 1)}
    others = [
        replace(layer, b=replace(layer.b, bits=1 - layer.b.bits)),
        replace(layer, wh=replace(layer.wh, scales=layer.wh.scales + 1)),
        replace(layer, quantizers=moved),
        replace(layer, formats=replace(layer.formats, y_fraction=layer.formats.y_fraction - 1)),
    ]
    models = [replace(model, layers=(other,)) for other in others]
    models.append(model.with_datapath("threshold"))
    models.append(replace(model, readout="last"))
    dense = model.dense
    bias = replace(dense.b, scales=dense.b.scales + 1)
    models.append(replace(model, dense=replace(dense, b=bias)))
    numbers = [constants_digest(plans(m)) for m in (model, *models)]
    numbers += [
        constants_digest(plans(model, lanes, units)) for lanes, units in ((4, 1), (None, 3))
    ]
    assert len(set(numbers)) == len(numbers)
