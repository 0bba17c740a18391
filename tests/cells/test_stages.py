"""The stage of every unit and the latency of the three cells on both datapaths."""

from dataclasses import replace

import pytest

from mubinn.golden.cells.graph import cell, encode, row, tanh
from mubinn.golden.folding.cell_design import CellDesign
from mubinn.hw.cells.stages import Stages
from mubinn.hw.cells.state_stage import PipelinedState

NEW_H = {"_zh": 2, "_zn": 2, "h_raw": 3, "h": 4}
NEW_C = {"_fc": 1, "_ig": 1, "c_raw": 2, "c": 3}
STAGES = {
    ("lstm", "figure3"): {
        **{"c_raw": 3, "c": 4, "_c_value": 5, "c_q": 5, "tanh_c": 5},
        **{"h_raw": 6, "h": 7},
    },
    ("lstm", "threshold"): {**NEW_C, "h": 3},
    ("lstm, own offsets", "threshold"): {**NEW_C, "h_raw": 3, "h": 4},
    ("gru", "figure3"): {"n.z_q": 3, "n.y": 3, "n": 4, "h_raw": 5, "h": 6},
    ("gru", "threshold"): {"n": 2, **NEW_H},
    ("gru_before", "figure3"): {"s_raw": 3, "s": 4, "h_raw": 3, "h": 4},
    ("gru_before", "threshold"): {"s": 2, **NEW_H},
}
LATENCY = {
    ("lstm", "figure3"): 7,
    ("lstm", "threshold"): 3,
    ("lstm, own offsets", "threshold"): 4,
    ("gru", "figure3"): 6,
    ("gru", "threshold"): 4,
    ("gru_before", "figure3"): 4,
    ("gru_before", "threshold"): 4,
}


@pytest.fixture
def layer_of(random_model, random_gru):
    """Return what gives a layer of a cell on a datapath."""

    def made(name, datapath):
        model = {
            "lstm": lambda: random_model(1, offsets=False),
            "lstm, own offsets": lambda: random_model(1),
            "gru": lambda: random_gru(1),
            "gru_before": lambda: random_gru(1, reset="before"),
        }[name]()
        return model.with_datapath(datapath).layers[0]

    return made


@pytest.mark.parametrize(("name", "datapath"), STAGES)
def test_stage_of_each_unit(layer_of, name, datapath):
    stages = Stages(layer_of(name, datapath))
    assert {unit.name: at for unit, at in stages.later.items()} == STAGES[name, datapath]
    assert stages.front == (1 if datapath == "threshold" else 2)


@pytest.mark.parametrize(("name", "datapath"), LATENCY)
def test_latency(layer_of, name, datapath):
    layer = layer_of(name, datapath)
    assert Stages(layer).count == LATENCY[name, datapath]
    assert PipelinedState.latency(CellDesign(layer)) == LATENCY[name, datapath]


@pytest.mark.parametrize("datapath", ["figure3", "threshold"])
def test_every_unit_works_once(layer_of, datapath):
    for name in ("lstm", "gru", "gru_before"):
        stages = Stages(layer_of(name, datapath))
        front = [unit for unit in stages.lowered.units if stages.is_front(unit)]
        assert {unit.name.partition(".")[0] for unit in front} == set(stages.lowered.direct)
        groups = front, list(stages.early), list(stages.later)
        names = [unit.name for group in groups for unit in group]
        assert sorted(names) == sorted(unit.name for unit in stages.lowered.units)


@pytest.mark.parametrize("datapath", ["figure3", "threshold"])
def test_sums_of_rows_are_used_as_they_come(layer_of, datapath):
    early = {
        name: [unit.name for unit in Stages(layer_of(name, datapath)).early]
        for name in ("lstm", "gru", "gru_before")
    }
    assert early == {"lstm": [], "gru": ["rnh", "n_raw"], "gru_before": []}


def test_one_row_without_a_gate_has_no_front(layer_of):
    layer = layer_of("lstm", "figure3")

    @cell
    def rnn(x, h):
        return encode("h", tanh(row("h", x, h)))

    parts = {name: getattr(layer, name) for name in ("wx", "wh", "b")}
    rows = {
        name: replace(part, bits=part.bits[:, : layer.hidden], scales=part.scales[:1])
        for name, part in parts.items()
    }
    stages = Stages(replace(layer, cell=rnn, quantizers={"h": layer.h}, **rows))
    assert stages.front == 0
    assert {unit.name: at for unit, at in stages.later.items()} == {"h_q": 1, "h_raw": 1, "h": 2}
