"""The units of the three cells on both datapaths, and what their values are."""

from dataclasses import replace

import numpy as np
import pytest

from mubinn.golden.cells.graph import cell, encode, row, sigmoid, tanh
from mubinn.golden.cells.lowering import Rules
from mubinn.golden.cells.operations import Add, Scale, Search, Table, Wide
from mubinn.golden.cells.tabulate import tabulated
from mubinn.golden.ground.errors import MubinnError


def gate(name, lut="sigmoid", phase=0):
    """The units of Figure 3 of a gate that reads a row."""
    return [
        (f"{name}.z_q", "round_z", "Round", f"{name}.z", phase),
        (f"{name}.y", lut, "Activate", f"{name}.z_q", phase),
        (name, "encode_gate", "Encode", f"{name}.y", phase),
    ]


def searches(names, phase=0):
    return [(name, "search_gate", "Search", f"{name}.z", phase) for name in names]


def new_h(phase=0):
    return [
        ("_zh", "zh", "Table", "z old.h", phase),
        ("_zn", "zn", "Table", "z n", phase),
        ("h_raw", "sum_h", "Add", "_zh _zn", phase),
        ("h", "search_h", "Search", "h_raw", phase),
    ]


RESET_SUM = [
    ("rnh", "mac", "Scale", "r nh.z", 0),
    ("n_raw", "add_n_raw", "Add", "rnh nx.z", 0),
]
CODES_OF_C = [
    *searches("figo"),
    ("_fc", "fc", "Table", "f old.c", 0),
    ("_ig", "ig", "Table", "i g", 0),
    ("c_raw", "sum_c", "Add", "_fc _ig", 0),
    ("c", "search_c", "Search", "c_raw", 0),
]
UNITS = {
    ("lstm", "figure3"): [
        *gate("f"),
        *gate("i"),
        *gate("g", "tanh_g"),
        *gate("o"),
        ("c_raw", "pointwise", "Products", "f old.c i g", 0),
        ("c", "encode_c", "Encode", "c_raw", 0),
        ("_c_value", "decode_c", "Decode", "c", 0),
        ("c_q", "round_c", "Round", "_c_value", 0),
        ("tanh_c", "tanh_c", "Activate", "c_q", 0),
        ("h_raw", "mac", "Scale", "o tanh_c", 0),
        ("h", "encode_h", "Encode", "h_raw", 0),
    ],
    ("lstm", "threshold"): [*CODES_OF_C, ("h", "table_h", "Table", "o c", 0)],
    ("lstm, own offsets", "threshold"): [
        *CODES_OF_C,
        ("h_raw", "h_raw", "Table", "o c", 0),
        ("h", "search_h", "Search", "h_raw", 0),
    ],
    ("gru", "figure3"): [
        *gate("z"),
        *gate("r"),
        *RESET_SUM,
        ("n.z_q", "round_n", "Round", "n_raw", 0),
        ("n.y", "tanh_n", "Activate", "n.z_q", 0),
        ("n", "encode_n", "Encode", "n.y", 0),
        ("h_raw", "pointwise", "Products", "z old.h z n", 0),
        ("h", "encode_h", "Encode", "h_raw", 0),
    ],
    ("gru", "threshold"): [
        *searches("zr"),
        *RESET_SUM,
        ("n", "search_n", "Search", "n_raw", 0),
        *new_h(),
    ],
    ("gru_before", "figure3"): [
        *gate("z"),
        *gate("r"),
        ("s_raw", "pointwise", "Products", "r old.h", 0),
        ("s", "encode_s", "Encode", "s_raw", 0),
        *gate("n", "tanh_n", 1),
        ("h_raw", "pointwise_h_raw", "Products", "z old.h z n", 1),
        ("h", "encode_h", "Encode", "h_raw", 1),
    ],
    ("gru_before", "threshold"): [
        *searches("zr"),
        ("s", "table_s", "Table", "r old.h", 0),
        *searches("n", 1),
        *new_h(1),
    ],
}


@pytest.fixture
def layers(random_model, random_gru):
    """Return a layer of each cell."""
    return {
        "lstm": random_model(1, offsets=False).layers[0],
        "lstm, own offsets": random_model(1).layers[0],
        "gru": random_gru(1).layers[0],
        "gru_before": random_gru(1, reset="before").layers[0],
    }


@pytest.mark.parametrize(("name", "datapath"), UNITS)
def test_units_of_a_cell(layers, name, datapath):
    lowered = layers[name].on(datapath)
    found = [
        (u.name, u.role, type(u.operation).__name__, " ".join(u.operands), u.phase)
        for u in lowered.units
    ]
    assert found == UNITS[name, datapath]
    assert all(lowered[unit.name] is unit for unit in lowered.units)
    assert lowered.formats.keys() > {unit.name for unit in lowered.units}


@pytest.mark.parametrize("name", ["lstm", "lstm, own offsets", "gru", "gru_before"])
@pytest.mark.parametrize("datapath", ["figure3", "threshold"])
def test_units_of_a_role_are_one(layers, name, datapath):
    first = {}
    for unit in layers[name].on(datapath).units:
        own = first.setdefault(unit.role, unit)
        assert type(own.operation) is type(unit.operation)
        if not isinstance(unit.operation, Add):
            assert own.operation.params == unit.operation.params
        assert own.operation.format == unit.operation.format


def test_what_gates_read_a_row_and_what_traces_show(layers):
    direct = {name: layer.lowered.direct for name, layer in layers.items()}
    assert direct["lstm"] == tuple("figo")
    assert direct["gru"] == ("z", "r")
    assert layers["gru"].lowered.derived == ("n",)
    assert direct["gru_before"] == ("z", "r", "n")
    shown = [unit.name for unit in layers["lstm"].on("threshold").shown]
    assert shown == [*"figo", "c_raw", "c", "h"]
    assert "_c_value" not in [unit.name for unit in layers["lstm"].on("figure3").shown]


def test_gates_share_a_search_with_a_tree_for_each_row(layers):
    lowered = layers["gru_before"].on("threshold")
    own = [lowered[name].operation for name in "zrn"]
    assert [operation.tree for operation in own] == [0, 1, 2]
    assert len({id(operation.params) for operation in own}) == 1
    assert len(own[0].params.trees) == 3


def test_fractions_are_those_of_each_product(layers):
    layer = layers["gru_before"]
    r, h, z, n = (layer.quantizers[name].fraction for name in "rhzn")
    formats = layer.lowered.formats
    assert formats["s_raw"].fraction == layer.fraction_of("s") == r + h
    assert formats["h_raw"].fraction == layer.fraction_of("h") == max(z + h, z + n)
    lowered = layers["gru"].lowered
    assert isinstance(lowered["rnh"].operation, Scale)
    assert isinstance(lowered["n_raw"].operation, Add)
    q = layers["gru"].quantizers["r"]
    assert lowered.formats["rnh"].fraction == q.fraction + layers["gru"].z_fraction
    assert lowered["n_raw"].operation.shifts == (0, q.fraction)
    assert lowered.formats["nx.z"] == Wide(layers["gru"].z_bound, layers["gru"].z_fraction)


def test_run_makes_the_values_of_one_phase(layers):
    layer = layers["gru_before"]
    values = {f"{name}.z": np.arange(-2, 3) << layer.z_fraction for name in "zr"}
    values["old.h"] = np.arange(5)
    layer.lowered.run(values, 0)
    assert "s" in values
    assert "n" not in values
    values["n.z"] = values["z.z"]
    layer.lowered.run(values, 1)
    assert values["h"].shape == (5,)


def test_a_table_is_all_that_its_units_make_of_codes(layers):
    lowered = layers["lstm"].on("threshold")
    leaves = ["f", "old.c", "i", "g"]
    words = np.array(tabulated(lowered, "c", leaves))
    sizes = [lowered.formats[leaf].width for leaf in leaves]
    codes = np.random.default_rng(0).integers(0, 1 << np.array(sizes)[:, None], (4, 200))
    index = sum(code << sum(sizes[:k]) for k, code in enumerate(codes))
    total = lowered["_fc"].operation(codes[0], codes[1])
    total = total + lowered["_ig"].operation(codes[2], codes[3])
    assert (words[index] == lowered["c"].operation(total)).all()
    assert isinstance(lowered["c"].operation, Search)
    assert isinstance(lowered["h"].operation, Table)


def lowered_by(layer, equations, datapath):
    """Lower other equations with the numbers of `layer`, whose names they use."""
    made = cell(equations)
    names = {node.name for node in made.encoders}
    quantizers = {name: q for name, q in layer.quantizers.items() if name in names}
    rows = {}
    for name in ("wx", "wh", "b"):
        part = getattr(layer, name)
        count = len(made.rows) * layer.hidden
        rows[name] = replace(part, bits=part.bits[:, :count], scales=part.scales[: len(made.rows)])
    return replace(layer, cell=made, quantizers=quantizers, **rows).on(datapath)


def two_wide(x, h):
    return encode("h", tanh(row("f", x, h)) * tanh(row("g", x, h)))


def wide_complement(x, h):
    f = encode("f", sigmoid(row("f", x, h)))
    return encode("h", (1 - f) * tanh(row("g", x, h)))


def table_in_a_sum(x, h, c):
    f = encode("f", sigmoid(row("f", x, h)))
    c = encode("c", f * c)
    return encode("h", f * tanh(c) + f * c), c


FAULTS = [
    (two_wide, "figure3", r"computes tanh\(f\) tanh\(g\): a product needs a code on one side"),
    (wide_complement, "figure3", r"computes \(1 - f\) tanh\(g\): a product needs a code"),
    (table_in_a_sum, "threshold", "f tanh.c. . f c: thresholds are exact for one activation"),
]


@pytest.mark.parametrize(("equations", "datapath", "words"), FAULTS)
def test_equations_without_units_are_a_fault(layers, equations, datapath, words):
    with pytest.raises(MubinnError, match=words):
        lowered_by(layers["lstm"], equations, datapath)


def test_rules_are_a_datapaths_own(layers):
    with pytest.raises(NotImplementedError):
        Rules(layers["lstm"]).lowered()
