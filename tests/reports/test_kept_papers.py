"""Results of `mubinn papers` that come along: whole, beside their tasks, as page and picture."""

import csv
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.golden.ground.errors import MubinnError
from mubinn.reports.kept_papers import COMMANDS, kept, kept_markdown, losses
from mubinn.reports.measures import MEASURES
from mubinn.reports.movies import read_frame_errors
from mubinn.reports.papers import papers_csv, read_papers_csv
from mubinn.train.recipes.papers import FLOAT, TASKS

DATA = files("mubinn.reports").joinpath("data")
DOCS = Path(__file__).parents[2] / "docs/concepts"


def rows_of(name):
    return list(csv.DictReader(DATA.joinpath(f"{name}.csv").read_text().splitlines()))


def run(*arguments, status=0):
    result = CliRunner().invoke(mubinn, ["report", "--papers", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


def test_each_table_has_its_task_commands_and_versions():
    made = json.loads(DATA.joinpath(COMMANDS).read_text())
    tables = {path.name for path in DATA.iterdir() if path.name.endswith(".csv")}
    assert tables == {f"{name}.csv" for name in made}.union(*(own.tables for own in kept()))
    assert set(made) <= set(TASKS)
    for name, about in made.items():
        assert set(about["versions"]) == {"mubinn", "jax", "optax", "numpy"}
        for command in about["commands"]:
            assert command.startswith(f"mubinn papers {name} ")


@pytest.mark.parametrize("own", kept(), ids=lambda own: own.name)
def test_tables_are_of_the_ways_and_cells_of_their_tasks(own):
    task = own.task
    assert {line.cell for line in own.lines} <= set(task.cells)
    assert {line.name for line in own.lines} <= {FLOAT, *task.ways}
    for row in rows_of(own.name):
        printed = task.printed[row["cell"]].get(row["method"])
        assert row["paper"] == ("" if printed is None else str(printed))


@pytest.mark.parametrize("own", kept(), ids=lambda own: own.name)
def test_losses_are_those_of_the_values(own):
    floats = {line.cell: line.values for line in own.lines if line.name == FLOAT}
    for line in own.lines:
        assert line.bit_true == line.name.startswith("MuBiNN")
        if line.name == FLOAT:
            assert not line.losses
            continue
        assert set(line.losses) == set(line.values)
        for seed, lost in line.losses.items():
            full, value = floats[line.cell][seed], line.values[seed]
            # Tables have four digits, of both values and of the loss.
            slopes = 100 * (1 + value / full) / full if own.measure.lower else 2
            off = 0.5001e-4 * (1 + slopes)
            assert lost == pytest.approx(own.measure.loss(full, value), abs=off, rel=0)


def test_errors_of_all_frames_are_the_means_of_those_by_frame():
    (own,) = (own for own in kept() if own.task.measure == "squared error")
    assert own.frames.given == own.task.recipe("peephole", FLOAT).given
    assert set(own.frames.models) == {line.name for line in own.lines}
    for line in own.lines:
        errors = own.frames.models[line.name]
        assert set(errors) == set(line.values)
        for seed, value in line.values.items():
            assert value == pytest.approx(1000 * errors[seed].mean(), abs=1e-3)


def test_curves_are_of_the_runs_and_epochs_of_their_table():
    those = [own for own in kept() if own.curves]
    assert "addition" in {own.name for own in those}
    for own in those:
        assert set(own.curves.runs) == {(line.cell, line.name) for line in own.lines}
        for line in own.lines:
            runs = own.curves.runs[line.cell, line.name]
            assert set(runs) == set(line.values)
            epochs = own.task.recipe(line.cell, line.name).epochs
            assert {len(values) for values in runs.values()} == {epochs}


@pytest.mark.parametrize("own", kept(), ids=lambda own: own.name)
def test_a_table_is_read_as_it_was_written(own):
    task = own.task
    about = task.printed, FLOAT, own.measure, task.elsewhere
    assert tuple(read_papers_csv(papers_csv(own.lines, own.measure), *about)) == own.lines
    for name, text in own.tables.items():
        assert text == DATA.joinpath(name).read_text()


def test_a_table_of_another_measure_is_refused():
    text = DATA.joinpath("imdb.csv").read_text()
    with pytest.raises(MubinnError, match="The table has no column 'perplexity'"):
        read_papers_csv(text, {}, FLOAT, MEASURES["perplexity"])
    with pytest.raises(MubinnError, match="The table has no columns method, seed, frame"):
        read_frame_errors(text)


def test_the_report_has_a_table_for_each_task_and_what_papers_print(tmp_path):
    page = run("-o", tmp_path / "papers").stdout
    assert page.count("\n### ") == len(kept())
    assert re.search(r"\| lstm +\| TC +\| [\d. |]+\| 76\.86 +\| 6\.01 ", page)
    assert "-1.31" in page  # of the network of 1,500 cells
    for own in kept():
        assert (tmp_path / "papers" / f"{own.name}.csv").exists()
    again = json.loads(run("-o", tmp_path / "papers", "--json").stdout)
    assert len(again["results"]) == sum(len(own.lines) for own in kept())
    found = [row for row in again["results"] if row["task"] == "ptb" and row["method"] == "XNOR"]
    assert found[0]["paper_loss"] == pytest.approx(17.2, abs=0.01)
    assert found[0]["errors"] is found[0]["curves"] is None
    (black,) = (own.frames.known["black"] for own in kept() if own.frames)
    assert f"| black | {1000 * black[0]:.1f} " in re.sub(" +", " ", page)
    floats = [row for row in again["results"] if row["task"] == "mnist" and row["method"] == FLOAT]
    (curves,) = (own.curves for own in kept() if own.name == "addition")
    assert f"{curves.headline}:\n\n{curves.table()}" in page
    for row in again["results"]:
        if row["task"] == "addition":
            seeds = curves.runs[row["cell"], row["method"]]
            assert row["curves"] == {str(seed): own.tolist() for seed, own in seeds.items()}
    for seed, value in floats[0]["squared error"].items():
        errors = floats[0]["errors"][seed]
        assert 1000 * sum(errors) / len(errors) == pytest.approx(value, abs=1e-3)


def test_the_picture_shows_each_loss_and_its_seeds():
    found = kept()
    axes = [axis for axis in losses(found).axes if axis.get_visible()]
    for axis, own in zip(axes, found, strict=True):
        assert len(axis.get_yticklabels()) == len(own.lost)
        told = [text.get_text() for text in axis.texts]
        for line, text in zip(own.lost, told, strict=True):
            mean = sum(line.losses.values()) / len(line.losses)
            assert float(text) == pytest.approx(mean, abs=0.006)
        dots = sum(len(line.losses) for line in own.lost)
        drawn = sum(len(line.get_xdata()) for line in axis.get_lines() if line.get_marker() == ".")
        assert drawn == dots


def test_what_belongs_to_other_reports_is_refused(tmp_path):
    for more in (("--accuracy",), ("--levels", "2,2")):
        text = run("-o", tmp_path / "out", *more, status=2).stderr
        assert f"{more[0]} is no part of --papers: leave it out." in text
    assert not (tmp_path / "out").exists()


def test_the_pages_have_the_tables_of_the_report():
    page = "".join((DOCS / f"{name}.md").read_text() for name in ("papers", "movies"))
    tables = re.findall(r"(?:^\|.*\n)+", kept_markdown(kept(), "mubinn report --papers"), re.M)
    assert len(tables) == sum(1 + len(own.tables) for own in kept())
    for table in tables:
        assert table in page
