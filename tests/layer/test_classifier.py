"""The classifier's sums by themselves: the longest window, at the largest sums there can be."""

import pytest
from amaranth.sim import Simulator

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.layer.classifier import Classifier, result_layout
from mubinn.sim.layer.layer_check import check_layer


def decided(plan, sums):
    """Return label and logits after steps of sums [T, C]."""
    design = Classifier(plan)
    found = []

    async def bench(ctx):
        for step, row in enumerate(sums):
            ctx.set(design.first, int(step == 0))
            ctx.set(design.last, int(step == len(sums) - 1))
            for value in row:
                ctx.set(design.z[0], value)
                ctx.set(design.valid, 1)
                await ctx.tick()
            ctx.set(design.valid, 0)
        await ctx.tick().repeat(2)
        assert ctx.get(design.o.valid)
        logits = [ctx.get(value) for value in design.o.payload.logits]
        found.append((ctx.get(design.o.payload.label), logits))

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found[0]


@pytest.mark.parametrize(
    ("readout", "steps"), [("mean", 1), ("mean", 5), ("mean", 64), ("last", 1)]
)
def test_the_longest_window_is_held_exactly(random_model, readout, steps):
    model = random_model(seed=3, levels=(1, 1), features=2, hidden=2, classes=3, readout=readout)
    plan = LayerPlan(model.layers[0], model.dense, readout=readout, max_steps=steps)
    most = plan.dense_bound
    label, logits = decided(plan, [[-most, 1, most]] * steps)
    assert logits == [-most * steps, steps, most * steps]
    assert label == 2
    # No bit is there in vain.
    width = result_layout(plan)["logits"].shape.elem_shape.width
    assert most * steps >= 1 << width - 2


@pytest.mark.parametrize("leak", [1, 3])
def test_a_leaky_mean_of_any_length_is_held_exactly(random_model, leak):
    made = {"levels": (1, 1), "features": 2, "hidden": 2, "readout": f"leaky:{leak}@end"}
    model = random_model(seed=3, **made)
    plan = LayerPlan(model.layers[0], model.dense, readout=model.readout, max_steps=1)
    most, steps = plan.dense_bound, 40 << leak
    label, logits = decided(plan, [[-most, 1, most]] * steps)
    # S >> k is then the sum of a step.
    assert logits == [-((most - 1) << leak) - 1, 1 << leak, most << leak]
    assert label == 2
    assert plan.step_limit is None
    width = result_layout(plan)["logits"].shape.elem_shape.width
    assert most << leak >= 1 << width - 2


@pytest.mark.parametrize("readout", ["last", "every"])
def test_zero_is_class_1_of_a_sigmoid(random_model, readout):
    made = {"levels": (1, 1), "features": 2, "hidden": 2, "readout": readout}
    model = random_model(head="sigmoid", classes=1, **made)
    plan = LayerPlan(model.layers[0], model.dense, readout=readout)
    for value, label in ((-1, 0), (0, 1), (1, 1)):
        assert decided(plan, [[value]]) == (label, [value])


def test_longer_windows_are_refused(random_model):
    model = random_model(levels=(1, 1), features=2, hidden=2)
    plan = LayerPlan(model.layers[0], model.dense, max_steps=5)
    plan.check_steps(5)
    with pytest.raises(MubinnError, match=r"6 steps is longer than the 5 .*: make .* for 6 steps"):
        plan.check_steps(6)
    LayerPlan(model.layers[0], model.dense, readout="last", max_steps=5).check_steps(6)
    with pytest.raises(MubinnError, match="4097 steps is longer than the 4096"):
        check_layer(model, [[[0, 0]] * 4097], classify=True)
    with pytest.raises(MubinnError, match="results of every step, and the readout last@3 is of"):
        LayerPlan(model.layers[0], readout="last@3")
    with pytest.raises(MubinnError, match="0 steps compute nothing"):
        LayerPlan(model.layers[0], max_steps=0)
