"""Equations in model files: what is written is read, and what is damaged is refused."""

import copy

import pytest
from own_cells import MORE, OWN, float_model, windows

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.cell_file import cell_from, equations_of
from mubinn.golden.cells.library import LAYERS, lstm
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import model_file
from mubinn.golden.model.model_file import load_any, save_model
from mubinn.golden.quantize import quantize


@pytest.mark.parametrize("cell", [*OWN, *LAYERS.values()], ids=lambda cell: cell.name)
def test_equations_come_back(cell):
    read = cell_from(cell.name, equations_of(cell))
    assert equations_of(read) == equations_of(cell)
    assert read.gate_names == cell.gate_names
    assert read.phases == cell.phases
    assert [node.name for node in read.rows] == [node.name for node in cell.rows]
    assert [node.name for node in read.kept] == [node.name for node in cell.kept]
    assert [node.label for node in read.encoders] == [node.label for node in cell.encoders]


def test_equal_equations_are_one_cell():
    assert cell_from("a", equations_of(lstm)) is cell_from("a", equations_of(lstm))
    assert cell_from("a", equations_of(lstm)) is not cell_from("b", equations_of(lstm))


def change(place, value):
    def apply(rows):
        rows[place[0]][place[1]] = value

    return apply


FAULTS = {
    "an operation that is none": change((4, 0), "power"),
    "an activation that is none": change((4, 2), "swish"),
    "a place that is none": change((4, 3), [99]),
    "a place after its own": change((3, 3), [7]),
    "too many operands": change((4, 3), [3, 3]),
    "x in a product": lambda rows: rows.append(["product", "", "sigmoid", [0, 1]]),
    "no state": lambda rows: rows.pop(1),
    "no new state": lambda rows: rows.pop(),
    "a new state of two": change((-1, 3), [5, 6]),
    "a name of a thousand letters": change((3, 1), "f" * 1000),
    "a row that is none": lambda rows: rows.append("row"),
    "very many nodes": lambda rows: rows.extend([rows[4]] * 1000),
}


@pytest.mark.parametrize("name", FAULTS)
def test_damage_is_refused(name):
    rows = copy.deepcopy(equations_of(lstm))
    FAULTS[name](rows)
    with pytest.raises(MubinnError, match="the equations of its cell 'own' are damaged"):
        cell_from("own", rows)


def test_equations_of_a_cell_that_got_a_name_are_that_cell(tmp_path, monkeypatch):
    model = float_model(LAYERS["mgu"])
    with monkeypatch.context() as older:
        older.setattr(model_file, "LAYERS", {"lstm": lstm})
        save_model(tmp_path / "m", model)
    assert b"equations" in (tmp_path / "m").read_bytes()
    assert load_any(tmp_path / "m").layers[0].cell is LAYERS["mgu"]


@pytest.mark.parametrize("rows", [None, {}, [], "lstm", 3])
def test_what_is_no_list_is_refused(rows):
    with pytest.raises(MubinnError, match="are damaged"):
        cell_from("own", rows)


def test_equations_that_make_no_cell_say_why():
    rows = copy.deepcopy(equations_of(lstm))
    for row in rows:
        if row[:2] == ["row", "i"]:
            row[1] = "f"
    with pytest.raises(MubinnError, match="cell own gives a name twice"):
        cell_from("own", rows)


@pytest.mark.parametrize("cell", MORE, ids=lambda cell: cell.name)
def test_float_and_quantized_models_come_back(cell, tmp_path):
    model = float_model(cell, depth=2)
    for name, made in (("f", model), ("q", quantize(model, Levels.of(2, 3), windows()))):
        save_model(tmp_path / name, made)
        read = load_any(tmp_path / name)
        save_model(tmp_path / "again", read)
        assert (tmp_path / "again").read_bytes() == (tmp_path / name).read_bytes()
        assert read.layers[0].cell is read.layers[1].cell
        assert set(read.layers[0].stored) == {node.name for node in cell.stored}
