"""``mubinn papers``: runs of a small set beside the paper's numbers, resumed, drawn; faults."""

import json
import re
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.golden.ground.errors import MubinnError
from mubinn.reports.curves import Curves, read_curves
from mubinn.reports.measures import MEASURES
from mubinn.reports.papers import (
    headers,
    lines_of,
    papers_markdown,
    papers_pictures,
)
from mubinn.train.data.moving import moving
from mubinn.train.recipes import papers as recipes
from mubinn.train.recipes.stack import parse_layers
from mubinn.train.runs.checkpoint import read_log
from mubinn.train.texts.addition import addition


def run(*arguments, status=0):
    result = CliRunner().invoke(mubinn, ["papers", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A set of 70 reviews, of which word 5 or 6 tells the class, and a small network for it."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 50), ("test", 20)):
        x, y = rng.integers(7, 12, (count, 80)), rng.integers(0, 2, count)
        x[:, -3] = 5 + y
        arrays |= {f"x_{part}": x.astype(np.uint16), f"y_{part}": y.astype(np.uint8)}
    np.savez(tmp_path / "set.npz", **arrays)
    task = recipes.TASKS["imdb"]
    about = {"hidden": 4, "embedding": 3, "batch": 10, "epochs": 2, "dropout": 0.0}
    changed = {name: {**getattr(task, name), **about} for name in ("float_about", "about")}
    ways = {name: task.ways[name] for name in ("QC", "BC", "MuBiNN2 (2,2)")}
    monkeypatch.setitem(recipes.TASKS, "imdb", replace(task, **changed, ways=ways))
    return tmp_path


def test_a_task_that_is_made(monkeypatch, tmp_path):
    task = recipes.TASKS["addition"]
    about = {"hidden": 4, "embedding": 3, "batch": 10, "epochs": 2}
    changed = {name: {**getattr(task, name), **about} for name in ("float_about", "about")}
    ways = {"TC (UD)": task.ways["TC (UD)"]}
    made = replace(task, **changed, ways=ways, windows=lambda: addition(9))
    monkeypatch.setitem(recipes.TASKS, "addition", made)
    text = run("addition", "--runs", tmp_path / "runs", "--cells", "gru").stdout
    assert text.count("\n| gru ") == 2
    assert "leave" in run("addition", tmp_path, "--runs", tmp_path / "other", status=2).stderr
    assert not (tmp_path / "other").exists()


def test_runs_stand_beside_the_paper(small):
    about = "imdb", small / "set.npz", "--runs", small / "runs", "--cells", "lstm"
    text = run(*about, "-o", small / "page").stdout
    assert "| lstm   | FP " in text
    assert "82.87" in text
    assert "3.23" in text
    page = (small / "page" / "imdb.md").read_text()
    assert page.count("\n| lstm ") == 4
    assert "| integers " in page
    table = (small / "page" / "imdb.csv").read_text().splitlines()
    assert len(table) == 5
    for name in ("curves", "weights"):
        assert (small / "page" / f"{name}.png").stat().st_size > 5000
    curves = read_curves((small / "page" / "curves.csv").read_text(), MEASURES["accuracy"])
    rows = json.loads(run(*about, "--json").stdout)
    for row, ((cell, _), seeds) in zip(rows, curves.runs.items(), strict=True):
        log = read_log(small / "runs" / cell / row["run"] / "log.jsonl")
        own = [one["validation_accuracy"] for one in log if one["event"] == "epoch"]
        assert seeds[0] == pytest.approx(100 * np.array(own), abs=1e-4)
    logs = {path: path.stat().st_mtime_ns for path in small.glob("runs/*/*/log.jsonl")}
    rows = json.loads(run(*about, "--methods", "BC", "--json").stdout)
    assert [row["method"] for row in rows] == ["float", "weights"]
    both = "--methods", "BC, MuBiNN2 (2,2)"
    rows = json.loads(run(*about, *both, "--json").stdout)
    assert [row["method"] for row in rows] == ["float", "weights", "mubinn2"]
    assert {path: path.stat().st_mtime_ns for path in logs} == logs


@pytest.fixture
def text(monkeypatch, tmp_path):
    """Text in which each of 5 words is followed by the next, now and then by any."""
    rng = np.random.default_rng(1)
    for part, count in (("train", 900), ("valid", 200)):
        numbers = np.cumsum(np.where(rng.random(count) < 0.2, rng.integers(0, 5, count), 1)) % 5
        (tmp_path / f"{part}.txt").write_text(" ".join("abcde"[k] for k in numbers))
    task = recipes.TASKS["ptb"]
    about = {"hidden": 4, "embedding": 3, "batch": 10, "epochs": 2, "learning_rate": 0.02}
    changed = {name: {**getattr(task, name), **about} for name in ("float_about", "about")}
    monkeypatch.setitem(recipes.TASKS, "ptb", replace(task, **changed))
    return tmp_path


def test_language_models_are_told_in_perplexities(text):
    about = "ptb", text, "--runs", text / "runs", "--methods", "FP,BW", "-o", text / "page"
    page = run(*about).stdout
    assert "| Perplexity " in page
    assert "| Above float, % " in page
    assert "another network: 80.46, in full precision 81.53." in page
    full, bw = (line.split("|")[2:8] for line in page.splitlines() if line.startswith("| lstm"))
    logs = [read_log(path) for path in sorted(text.glob("runs/lstm/*/log.jsonl"))]
    for cells, rows in zip((full, bw), logs, strict=True):
        assert cells[1].strip() == f"{rows[-1]['test_perplexity']:.2f}"
    own, base = (rows[-1]["test_perplexity"] for rows in reversed(logs))
    assert bw[3].strip() == f"{100 * (own / base - 1):.2f}"
    assert [cells[4].strip() for cells in (full, bw)] == ["117.18", "-"]
    assert bw[5].strip() == "-1.31"
    assert (text / "page" / "ptb.csv").read_text().startswith("cell,method,seed,perplexity,")
    assert "of the set's part valid;" in (text / "page" / "ptb.md").read_text()


@pytest.fixture
def images(monkeypatch, tmp_path):
    """Images of bars, and a small network for movies of 8 x 8 pixels of them."""
    x = np.zeros((40, 20, 20), np.uint8)
    x[:20, 2:18, 8:12], x[20:, 8:12, 2:18] = 255, 255
    np.savez(tmp_path / "images.npz", x=x)
    task = recipes.TASKS["mnist"]
    layers = parse_layers("dense 2 over 8x8 by 3x3, peephole 3 over 8x8 by 3x3")
    about = {"layers": layers, "epochs": 1}
    changed = {name: {**getattr(task, name), **about} for name in ("float_about", "about")}
    made = partial(moving, movies=20, frames=10, pool=8, grey=True)
    monkeypatch.setitem(recipes.TASKS, "mnist", replace(task, **changed, windows=made))
    return tmp_path


FILES = {"FP": "float*/*.safetensors", "MuBiNN2 (2,2)": "mubinn2*/*.mubinn"}


@pytest.mark.parametrize("names", [("FP",), tuple(FILES)], ids=["floats", "integers"])
def test_movies_are_told_frame_by_frame(images, names):
    about = "mnist", images / "images.npz", "--runs", images / "runs", "--methods"
    page = run(*about, ",".join(names), "-o", images / "page").stdout
    assert "in its Fig. 23 FP is lowest" in page
    lines = (images / "page" / "frames.csv").read_text().splitlines()
    assert len(lines) == 1 + 3 * (len(names) + 3)
    found = {tuple(line.split(",")[:-1]): float(line.split(",")[-1]) for line in lines[1:]}
    shutil.copy(images / "runs" / "windows.npz", images / "movies.npz")
    for name in names:
        (path,) = images.glob(f"runs/peephole/{FILES[name]}")
        arguments = ["movies", str(path), str(images / "movies.npz"), "--given", "7", "--json"]
        told = json.loads(CliRunner().invoke(mubinn, arguments).stdout)["errors"]
        line = [own for own in lines if own.startswith((name, f'"{name}"'))]
        own = [float(one.split(",")[-1]) for one in line]
        assert own == pytest.approx(told["model"], abs=1e-6)
        row = next(one for one in page.splitlines() if one.startswith("| peephole | " + name))
        assert float(row.split("|")[3]) == pytest.approx(1000 * np.mean(own), abs=0.006)
        assert [found["black", "", str(k)] for k in (8, 9, 10)] == pytest.approx(
            told["black"], abs=1e-6
        )
    for name in ("errors", "frames", "curves", "weights"):
        assert (images / "page" / f"{name}.png").stat().st_size > 5000
    kept = next(images.glob("runs/peephole/float*/made.npz"))
    before = kept.stat().st_mtime_ns
    (row,) = json.loads(run(*about, "FP", "--json").stdout)
    assert kept.stat().st_mtime_ns == before
    assert row["errors"] == pytest.approx([found["FP", "0", str(k)] for k in (8, 9, 10)], abs=1e-6)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--cells", "rnn"), "--cells: 'rnn' is none of lstm; gru."),
        (("--methods", "TC"), "--methods: 'TC' is none of FP; QC; BC; MuBiNN2 (2,2)."),
        (("--seeds", "a"), "--seeds 'a' is no list of numbers such as 0,1."),
    ],
)
def test_what_is_not_there(small, more, message):
    text = run("imdb", small / "set.npz", "--runs", small / "runs", *more, status=2).stderr
    assert message in text
    assert not (small / "runs").exists()


@pytest.mark.parametrize("name", recipes.TASKS)
def test_every_way_is_a_recipe(name):
    task = recipes.TASKS[name]
    for cell in task.cells:
        base = task.float_recipe(cell)
        assert set(task.printed[cell]) <= {recipes.FLOAT, *task.ways}
        for way in task.ways:
            own = task.recipe(cell, way)
            assert (own.embedding, own.hidden, own.head) == (base.embedding, base.hidden, base.head)
            assert own.method.name != "float"


def test_a_way_may_be_another_for_one_cell():
    task, name = recipes.TASKS["imdb"], "MuBiNN2 (2,2)"
    lstm, gru = (task.recipe(cell, name) for cell in ("lstm", "gru"))
    ((cell, changes),) = task.ways[name].otherwise
    assert cell == "gru"
    for field, value in changes:
        assert getattr(gru, field) == value != getattr(lstm, field)
    same = {field: getattr(lstm, field) for field, _ in changes}
    assert replace(gru, cell="lstm", **same) == lstm


def test_the_command_knows_every_task():
    assert {task.measure for task in recipes.TASKS.values()} == {*MEASURES}
    (name,) = (own for own in mubinn.get_command(None, "papers").params if own.name == "name")
    assert list(name.type.choices) == list(recipes.TASKS)


def test_a_weight_far_out_leaves_the_histogram_its_shape():
    own = np.random.default_rng(0).normal(size=20_000)
    signs = np.repeat([-1.0, 1.0], 10)
    key = "lstm", "FP"
    curves = Curves({key: {0: np.ones(1)}}, MEASURES["accuracy"])
    near, far, two = (
        papers_pictures(curves, {key: values})["weights.svg"].decode()
        for values in (own, np.append(own, 400.0), signs)
    )
    # What the picture says, numbers at the axis among it.
    assert re.findall("<!-- (.*) -->", far) == re.findall("<!-- (.*) -->", near)
    assert ["but for the greatest 1 %" in picture for picture in (near, far, two)] == [
        True,
        True,
        False,
    ]


def test_losses_are_of_the_same_seed():
    def row(seed, graph, exact=None):
        return {"seed": seed, "graph_accuracy": graph, "bit_true_accuracy": exact}

    rows = {
        ("gru", "FP"): [row(0, 0.8), row(1, 0.9)],
        ("gru", "BC"): [row(1, 0.85), row(0, 0.7)],
        ("gru", "ours"): [row(0, 0.5, 0.79)],
    }
    full, bc, ours = lines_of(rows, {"gru": {"FP": 80.35, "BC": 76.12}}, "FP")
    assert bc.losses == pytest.approx({1: 5.0, 0: 10.0})
    assert bc.printed_loss == pytest.approx(4.23)
    assert (full.losses, full.printed_loss, full.bit_true) == ({}, None, False)
    assert ours.values == pytest.approx({0: 79.0})
    assert (ours.printed, ours.bit_true) == (None, True)
    with pytest.raises(MubinnError, match="Seed 2 of gru has no float run"):
        lines_of({**rows, ("gru", "QC"): [row(2, 0.5)]}, {}, "FP")


def test_perplexities_lose_shares():
    measure = MEASURES["perplexity"]
    rows = {
        ("lstm", "FP"): [{"seed": 0, "graph_perplexity": 120.0}],
        ("lstm", "ours"): [
            {"seed": 0, "graph_perplexity": 1.0, "bit_true_perplexity": 150.0, "graph_accuracy": 1}
        ],
    }
    printed = {"lstm": {"FP": 117.18, "ours": 137.34}}
    full, ours = lines_of(rows, printed, "FP", measure)
    assert (full.values, ours.values) == ({0: 120.0}, {0: 150.0})
    assert ours.losses == pytest.approx({0: 25.0})
    assert ours.printed_loss == pytest.approx(100 * 20.16 / 117.18)
    assert (full.bit_true, ours.bit_true) == (False, True)
    page = papers_markdown([full, ours], "T", "P", "c", {}, measure)
    assert all(name in page for name in headers(measure))
    with pytest.raises(MubinnError, match="A run of seed 0 has no accuracy"):
        lines_of(rows, printed, "FP")
