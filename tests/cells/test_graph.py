"""Tracing of cells: what is read off a page of equations, and the sentences of its faults."""

import pytest

from mubinn.golden.cells.graph import cell, encode, row, sigmoid, stored, tanh, with_activations
from mubinn.golden.cells.library import LAYERS, cell_of, gru, gru_before, lstm
from mubinn.golden.ground.errors import MubinnError

PARTS = {
    "lstm": {
        "states": ["h", "c"],
        "rows": ["f", "i", "g", "o"],
        "encoders": ["f", "i", "g", "o", "c", "h"],
        "gates": ["f", "i", "g", "o"],
        "recurrent": ["h"],
        "kept": ["c"],
    },
    "gru": {
        "states": ["h"],
        "rows": ["z", "r", "nh", "nx"],
        "encoders": ["z", "r", "n", "h"],
        "gates": ["z", "r", "n"],
        "recurrent": ["h"],
        "kept": ["h"],
    },
    "gru_before": {
        "states": ["h"],
        "rows": ["z", "r", "n"],
        "encoders": ["z", "r", "s", "n", "h"],
        "gates": ["z", "r", "n"],
        "recurrent": ["h", "s"],
        "kept": ["h", "z"],
    },
    "rnn": {
        "states": ["h"],
        "rows": ["h"],
        "encoders": ["h"],
        "gates": [],
        "recurrent": ["h"],
        "kept": [],
    },
    "cifg": {
        "states": ["h", "c"],
        "rows": ["f", "g", "o"],
        "encoders": ["f", "g", "o", "c", "h"],
        "gates": ["f", "g", "o"],
        "recurrent": ["h"],
        "kept": ["c"],
    },
    "mgu": {
        "states": ["h"],
        "rows": ["f", "n"],
        "encoders": ["f", "s", "n", "h"],
        "gates": ["f", "n"],
        "recurrent": ["h", "s"],
        "kept": ["h", "f"],
    },
    "peephole": {
        "states": ["h", "c"],
        "rows": ["f", "i", "g", "o"],
        "encoders": ["f", "i", "g", "c", "o", "h"],
        "gates": ["f", "i", "g", "o"],
        "stored": ["pf", "pi", "po"],
        "recurrent": ["h"],
        "kept": ["c"],
    },
    "lstm_projected": {
        "states": ["h", "c"],
        "rows": ["f", "i", "g", "o", "r"],
        "encoders": ["f", "i", "g", "o", "c", "m", "h"],
        "gates": ["f", "i", "g", "o"],
        "recurrent": ["h", "m"],
        "kept": ["c"],
    },
}
PARTS["rnn_relu"] = PARTS["rnn"]


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_the_cells_by_name(name):
    made = cell_of(name, LAYERS)
    for part, names in PARTS[name].items():
        assert [node.name for node in getattr(made, part)] == names, part
    gates = PARTS[name]["gates"]
    assert made.gate_names == tuple(gates)
    assert made.state_names == tuple(n for n in PARTS[name]["encoders"] if n not in gates)
    assert [node.name for node in made.new] == PARTS[name]["states"]
    assert made.x.name == "x"
    assert [node.name for node in made.stored] == PARTS[name].get("stored", [])
    assert all(made.nodes.index(part) < k for k, n in enumerate(made.nodes) for part in n.operands)


def test_phases_begin_at_rows_that_read_what_the_step_made():
    assert lstm.phases == ((0, 1, 2, 3),)
    assert gru.phases == ((0, 1, 2, 3),)
    assert gru_before.phases == ((0, 1), (2,))
    phases = {node.name: gru_before.phase(node) for node in gru_before.encoders}
    assert phases == {"z": 0, "r": 0, "s": 0, "n": 1, "h": 1}


def test_rows_stand_by_phase_whatever_their_order_on_the_page():
    @cell
    def late(x, h):
        s = encode("s", sigmoid(row("r", x, h)))
        n = encode("n", tanh(row("n", x, s)))
        z = encode("z", sigmoid(row("z", x, h)))
        return encode("h", z * n)

    assert [node.name for node in late.rows] == ["r", "z", "n"]
    assert late.phases == ((0, 1), (2,))
    assert late.gate_names == ("n", "z")
    assert late.state_names == ("s", "h")
    assert [node.name for node in late.kept] == ["z"]


def test_rows_may_read_one_vector_alone():
    vectors = {node.name: gru.recurrent_of(node) for node in gru.rows}
    assert vectors["nx"] is None
    assert vectors["nh"] is gru.states[0]
    assert [[read.name for read in node.operands] for node in gru.rows[2:]] == [["h"], ["x"]]


def test_labels_are_made_of_their_operands():
    h, c = lstm.new
    assert c.operands[0].label == "f c + i g"
    assert h.operands[0].label == "o tanh(c)"
    assert gru.new[0].operands[0].label == "(1 - z) h + z n"
    (n,) = (node for node in gru.encoders if node.name == "n")
    assert n.operands[0].label == "tanh(r nh + nx)"
    assert n.label == "n"


def test_leaves_are_the_codes_of_a_value():
    h, c = lstm.new
    assert [node.name for node in lstm.leaves(c)] == ["f", "c", "i", "g"]
    assert list(lstm.leaves(c))[1] is lstm.states[1]
    assert list(lstm.leaves(h))[1] is c


def test_sums_of_sums_are_one():
    a, b, c = (stored(name) for name in "abc")
    assert [node.name for node in ((a + b) + c).operands] == ["a", "b", "c"]
    assert [node.name for node in (a + (b + c)).operands] == ["a", "b", "c"]


def test_numbers_in_memory_are_parts_of_their_own():
    @cell
    def peephole(x, h, c):
        """A gate that looks at c."""
        f = encode("f", sigmoid(row("f", x, h) + stored("p") * c))
        c = encode("c", f * c)
        return encode("h", tanh(c)), c

    assert [node.name for node in peephole.stored] == ["p"]
    assert peephole.text == "A gate that looks at c."
    assert peephole.name == "peephole"


def tied(x, h):
    return encode("h", tanh(row("h", x, h)))


def other_end(x, h):
    return encode("g", tanh(row("g", x, h)))


def no_code(x, h):
    return tanh(row("g", x, h))


def two_rows(x, h):
    f = encode("f", sigmoid(row("f", x, h)))
    return encode("h", f * tanh(row("f", x, h)))


def two_encoders(x, h):
    f = encode("f", sigmoid(row("f", x, h)))
    return encode("h", f * encode("f", tanh(row("g", x, h))))


def rowless(x, h):
    return encode("h", tanh(h))


def two_vectors(x, h):
    f = f_of(x, h)
    g = encode("g", tanh(row("g", x, f)))
    n = encode("n", tanh(row("n", x, encode("s", f * h))))
    return encode("h", g * n)


def state_of_its_own(x, h, c):
    g = encode("g", tanh(row("g", x, c)))
    return encode("h", tanh(g)), encode("c", g * c)


def no_rows_before(x, h):
    return encode("h", tanh(row("n", x, encode("s", tanh(h)))))


def one_of_two(x, h, c):
    return encode("h", f_of(x, h) * c)


def f_of(x, h):
    return encode("f", sigmoid(row("f", x, h)))


FAULTS = [
    (other_end, r"cell other_end has to end in encode\('h', ...\)\."),
    (no_code, r"cell no_code has to end in encode\('h', ...\)\."),
    (two_rows, "cell two_rows gives a name twice: f, f"),
    (two_encoders, "cell two_encoders gives a name twice: f, f, h"),
    (rowless, "cell rowless has no row of weights"),
    (two_vectors, "rows of cell two_vectors read several vectors in phase 1"),
    (
        state_of_its_own,
        "the row g of cell state_of_its_own reads another vector: rows read the",
    ),
    (no_rows_before, "a pass over the cells of no_rows_before has no row of weights"),
    (one_of_two, "cell one_of_two returns 1 of 2 states"),
    (lambda h, c: c, "a cell is a function of x, of h"),
    (lambda x: x, "a cell is a function of x, of h"),
    (lambda x, h: encode("h", 2 - f_of(x, h)), "subtract a code from 1, and nothing else"),
    (lambda x, h: encode("h", 1 - tanh(h)), "subtract a code from 1, and nothing else"),
    (lambda x, h: encode("h", row("f")), "the row f reads x, or one encoded vector, or both"),
    (lambda x, h: encode("h", row("f", h, h)), "the row f reads x, or one encoded vector"),
    (lambda x, h: encode("h", row("f", x, x)), "the row f reads x, or one encoded vector"),
    (lambda x, h: encode("h", row("f", x, h, h)), "the row f reads x, or one encoded vector"),
    (lambda x, h: encode("h", row("f", tanh(h))), "the row f reads x, or one encoded vector"),
]


@pytest.mark.parametrize(("equations", "words"), FAULTS)
def test_equations_that_make_no_cell_are_a_fault(equations, words):
    with pytest.raises(MubinnError, match=words):
        cell(equations)


def test_cells_are_found_by_name():
    assert cell_of("gru_before") is gru_before
    with pytest.raises(
        MubinnError, match="unknown cell 'elman': give one of lstm, gru, gru_before"
    ):
        cell_of("elman")
    assert cell_of("lstm") is lstm
    assert [cell(tied).gate_names, cell(tied).state_names] == [(), ("h",)]


def test_activations_are_changed_by_name():
    hard = with_activations(lstm, dict.fromkeys("fi", "ramp(1/6, 1/2, 0)") | {"c": "sigmoid"})
    assert hard.name == "lstm_ramp_sigmoid"
    kinds = [node.kind for node in hard.of("activation")]
    assert kinds == ["ramp(1/6, 1/2, 0)"] * 2 + ["tanh", "sigmoid", "sigmoid"]
    for part in ("rows", "gates", "new", "states", "kept"):
        assert [n.name for n in getattr(hard, part)] == [n.name for n in getattr(lstm, part)]
    assert with_activations(gru, {"n": "sigmoid"}).of("activation")[2].kind == "sigmoid"
    assert with_activations(lstm, {"c": "tanh", "q": "sigmoid"}) is lstm


def test_gates_have_rows_of_their_own():
    def two(x, h):
        z = row("z", x, h)
        f, g = encode("f", sigmoid(z)), encode("g", tanh(z))
        return encode("h", f * g)

    with pytest.raises(MubinnError, match="gates f and g of cell two read one row"):
        cell(two)
