"""Energy of a step of a layer: its netlist against the bit-true model, and binary32 by hand."""

import numpy as np
import pytest

from mubinn.golden.cells.library import rnn_relu
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_layer import FloatLayer, gru_layer
from mubinn.hw.export.layer_folder import layer_designs, memories
from mubinn.hw.layer.lstm_layer import cycles_per_step
from mubinn.synth.energy import energy_layer
from mubinn.synth.energy.energy import EnergyLibrary
from mubinn.synth.energy.energy_float import FloatWork, float_stimulus
from mubinn.synth.energy.energy_layer import layer_energy
from mubinn.synth.flow.strategies import LEAST_GATED
from mubinn.synth.liberty.library import builtin_library

CELLS = EnergyLibrary.of(builtin_library())


def codes_of(layer, windows=64, steps=4):
    rng = np.random.default_rng(5)
    return rng.integers(0, 1 << layer.x.levels, (windows, steps, layer.features))


@pytest.mark.parametrize("datapath", ["threshold", "figure3"])
def test_a_layer_takes_what_its_parts_take(random_model, datapath):
    model = random_model(seed=2, levels=(1, 2), features=3, hidden=2).with_datapath(datapath)
    (design,) = layer_designs(model)
    found = layer_energy(CELLS, design, codes_of(model.layers[0]))
    assert found.steps == 4
    assert found.values == 4 * 64 * 2
    assert found.cycles == cycles_per_step(design.layer.plan)
    assert found.total_fj == pytest.approx(found.logic.total + sum(found.memory_fj.values()))
    assert all(found.logic.parts.values())
    assert 0 < found.glitch_fj < found.logic.total
    assert {name.split(".")[-1] for name in found.memory_fj} >= {"m_w", "m_b", "m_g"}
    assert all(found.memory_fj.values())


def test_clock_gates_take_less_and_change_nothing(random_model):
    """Outputs equal the bit-true model's, or it would be refused."""
    model = random_model(seed=2, levels=(1, 2), features=3, hidden=2).with_datapath("threshold")
    (design,) = layer_designs(model)
    codes = codes_of(model.layers[0])
    cells = EnergyLibrary.of(builtin_library(clock_gates=True))
    plain, found = (layer_energy(cells, design, codes, gated=gated) for gated in (False, True))
    assert (plain.gates, plain.gated) == (0, 0)
    assert 0 < LEAST_GATED * found.gates <= found.gated < found.registers == plain.registers
    assert found.values == plain.values
    assert found.cycles == plain.cycles
    assert found.logic.clock < 0.8 * plain.logic.clock
    assert found.memories == plain.memories
    with pytest.raises(MubinnError, match="has no clock gate of kind latch_posedge"):
        layer_energy(CELLS, design, codes, gated=True)


def test_constants_as_logic_do_what_memories_do(random_model):
    model = random_model(seed=2, levels=(1, 2), features=3, hidden=2).with_datapath("threshold")
    (design,) = layer_designs(model, logic=True)
    # Its outputs equal the bit-true model's, or it would have been refused.
    found = layer_energy(CELLS, design, codes_of(model.layers[0]))
    assert found.values == 4 * 64 * 2
    assert found.cycles == cycles_per_step(design.layer.plan)
    assert [name.split(".")[-1] for name in found.memory_fj] == ["m_g"]
    assert [memory["name"] for memory in memories(design.layer)] == ["m_g"]
    # Cells of the built-in library leak by their area.
    assert found.leakage_nw == pytest.approx(0.014 * found.area_um2)
    assert found.registers > 0


def test_a_netlist_that_says_something_else_is_refused(random_model, monkeypatch):
    model = random_model(seed=2, levels=(1, 1), features=3, hidden=2).with_datapath("threshold")
    (design,) = layer_designs(model)
    whole = energy_layer.map_netlists

    def altered(job, library, **options):
        ((name, module),) = whole(job, library, **options).items()
        (weights,) = (c for own, c in module["cells"].items() if own.endswith("m_w"))
        flipped = weights["parameters"]["INIT"].translate(str.maketrans("01", "10"))
        weights["parameters"]["INIT"] = flipped
        return {name: module}

    monkeypatch.setattr(energy_layer, "map_netlists", altered)
    with pytest.raises(MubinnError, match="differs from the bit-true model"):
        layer_energy(CELLS, design, codes_of(model.layers[0]))
    for few in (codes_of(model.layers[0], windows=63), codes_of(model.layers[0], steps=1)):
        with pytest.raises(MubinnError, match="needs 64 windows of two steps"):
            layer_energy(CELLS, design, few)


def float_gru(hidden=4, features=3):
    rng = np.random.default_rng(1)
    wx, wh = rng.normal(size=(3 * hidden, features)), rng.normal(size=(3 * hidden, hidden))
    return gru_layer(wx, wh, rng.normal(size=3 * hidden), rng.normal(size=hidden))


def test_work_of_a_gru_by_hand():
    work = FloatWork.of(float_gru())
    macs = 4 * (2 * (3 + 4) + 4 + 3)  # z and r read both, n each in a row of its own
    # r nh, (1 - z) h, z n; the sum of nh and nx, the complement, the sum of h.
    assert work.activations == {"sigmoid": 8, "tanh": 4}
    assert (work.products, work.sums) == (macs + 3 * 4 + 12, macs + 3 * 4 + 12)
    assert work.memories["weights"].bits == 32 * (macs + 4 * 4)
    assert work.memories["state"].accessed == 32 * (macs / 4 + 4 + 4)


def test_operands_of_a_gru_are_those_of_its_rows():
    layer = float_gru()
    x = np.random.default_rng(2).normal(size=(20, 5, 3)).astype(np.float32)
    fields = float_stimulus(layer, x, 64 * 40)

    def values(unit, name=""):
        f = {key: fields[unit][f"{name}{key}"] for key in ("sign", "exponent", "fraction")}
        bits = f["sign"] << 31 | f["exponent"] << 23 | f["fraction"]
        return bits.astype(np.uint32).view(np.float32)

    a, b = values("float_mult", "a."), values("float_mult", "b.")
    assert (values("float_add", "a.") == a * b).all()
    # The first block is z and r of the cells 0 and 1, all of which meet the first input.
    assert a[:4].tolist() == layer.wx[[0, 4, 1, 5], 0].astype(np.float32).tolist()
    assert b[:4].tolist() == [x[0, -1, 0]] * 4


def test_activations_without_a_unit_are_refused():
    layer = FloatLayer(rnn_relu, np.ones((2, 3)), np.ones((2, 2)), np.zeros(2))
    with pytest.raises(MubinnError, match="no binary32 unit"):
        FloatWork.of(layer)
