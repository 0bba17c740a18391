"""Accuracy reports: statistics, tables, pictures, and the command."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.commands.accuracy import collected, logged
from mubinn.cli.main import mubinn
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.reports.accuracy import Run, datapath_difference, groups, measured
from mubinn.reports.accuracy_figures import FIGURES, accuracy_figure, accuracy_pictures
from mubinn.reports.accuracy_tables import accuracy_csv, accuracy_markdown


def row(method, fold, seed, graph, exact=None, pair=None, **more):
    levels = None if pair is None else vars(Levels.of(*pair))
    fields = {
        "method": method,
        "levels": levels,
        "scale_form": "free",
        "normalise": "window",
        "centre": "none",
        "fold": fold,
        "seed": seed,
        "graph_accuracy": graph,
        "bit_true_accuracy": exact,
        "agreement": None if exact is None else 0.999,
    }
    return fields | more


ROWS = [
    row("float", 0, 0, 0.84),
    row("float", 0, 1, 0.82),
    row("float", 1, 0, 0.80),
    row("mubinn2", 0, 0, 0.83, 0.82, (3, 3)),
    row("mubinn2", 0, 1, 0.83, 0.81, (3, 3)),
    row("mubinn2", 1, 0, 0.79, 0.79, (3, 3)),
    row("mubinn2", 0, 0, 0.80, 0.80, (1, 1)),
    row("mubinn2", 0, 0, 0.80, 0.79, (3, 3), scale_form="power-of-two"),
    row("mubinn1", 0, 0, 0.815, None, (2, 2)),
    row("b_lstm", 0, 0, 0.70, None, (1, 1)),
]


@pytest.fixture
def found():
    return groups(Run.of(one) for one in ROWS)


def test_groups_have_means_spreads_and_losses(found):
    by_name = {group.name: group for group in found}
    assert list(by_name) == [
        "float",
        "MuBiNN2 (1,1)",
        "MuBiNN2 (3,3)",
        "MuBiNN2 (3,3), power-of-two scales",
        "MuBiNN1 (2,2)",
        "B_LSTM (1,1)",
    ]
    own = by_name["MuBiNN2 (3,3)"]
    assert own.mean == pytest.approx(np.mean([82, 81, 79]))
    assert own.by_fold == pytest.approx({0: 81.5, 1: 79})
    assert own.spread == pytest.approx(np.std([81.5, 79], ddof=1))
    assert own.loss == pytest.approx(np.mean([2, 1, 1]))
    assert (own.runs, own.bit_true, own.paper, own.agreement) == (3, True, 82.94, 0.999)
    assert by_name["float"].loss is None
    assert by_name["float"].paper == 83.67
    assert by_name["MuBiNN1 (2,2)"].paper is None
    assert not by_name["MuBiNN1 (2,2)"].bit_true
    assert by_name["B_LSTM (1,1)"].loss == pytest.approx(14)
    assert by_name["B_LSTM (1,1)"].spread is None


def test_a_run_of_other_normalisation_is_compared_with_its_own_float():
    rows = [*ROWS, row("mubinn2", 0, 0, 0.9, 0.9, (2, 2), normalise="subject")]
    lone = [group for group in groups(map(Run.of, rows)) if group.pair == (2, 2)]
    assert [group.loss for group in lone if group.method == "mubinn2"] == [None]
    rows.append(row("float", 0, 0, 0.91, normalise="subject"))
    lone = [g for g in groups(map(Run.of, rows)) if g.variant == "normalised by subject"]
    assert [g.method for g in lone] == ["float", "mubinn2"]
    assert lone[1].loss == pytest.approx(1)


def test_rows_name_how_subjects_are_made_alike():
    ways = [("window", "subject"), ("referenced-window", "trained"), ("referenced-subject", "none")]
    names = [Run.of(row("float", 0, 0, 0.9, normalise=n, centre=c)).variant for n, c in ways]
    assert names == [
        "subject calibration",
        "average reference, subject calibration, trained for",
        "average reference, normalised by subject",
    ]
    exact = Run.of(row("mubinn2", 0, 0, 0.9, 0.9, (3, 3), datapath="threshold"))
    assert (exact.variant, Run.of(ROWS[3]).datapath) == ("threshold datapath", "figure3")


def test_other_networks_and_encoders_are_rows_of_their_own():
    def of(method, graph, recipe, **more):
        return Run.of(row(method, 0, 0, graph, recipe=recipe, **more))

    gru = {"cell": "gru", "hidden": 32, "readout": "last", "embedding": 8}
    ruled = {"name": "weights", "encoders": ["w=tc"], "weight_scales": "fitted"}
    found = groups(
        [
            of("float", 0.9, {}),
            of("float", 0.8, gru),
            of("float", 0.7, {"layers": ["conv 4x3", "gru 8"], "cell": "dense_gru", "hidden": 8}),
            of("weights", 0.75, {**gru, "method": ruled}, pair=(1, 2)),
        ]
    )
    network = "GRU, 32 cells, readout last, words of 8 numbers"
    assert {group.name: group.loss for group in found} == {
        "float": None,
        f"float, {network}": None,
        "float, layers conv 4x3, gru 8": None,
        f"binarized weights (1,2), {network}, w=tc, fitted scales of weights": pytest.approx(5.0),
    }


def test_datapaths_are_compared_run_by_run():
    def of(datapath, fold, seed, exact):
        return Run.of(row("mubinn2", fold, seed, 0.5, exact, (3, 3), datapath=datapath))

    runs = [
        *(of("figure3", fold, 0, exact) for fold, exact in enumerate((0.80, 0.82, 0.90))),
        *(of("threshold", fold, 0, exact) for fold, exact in enumerate((0.81, 0.81, 0.94))),
        of("threshold", 0, 1, 0.2),  # without another
        Run.of(row("float", 0, 0, 0.9)),
    ]
    found = datapath_difference(runs)
    assert (found.mean, found.pairs) == (pytest.approx(4 / 3), 3)
    assert found.error == pytest.approx(np.std([1, -1, 4], ddof=1) / 3**0.5)
    with pytest.raises(MubinnError, match="for each datapath"):
        datapath_difference(runs[2:4])


def test_tables_show_every_group(found):
    text = accuracy_markdown(found, "mubinn report --accuracy")
    assert "| MuBiNN2 (3,3) | 80.67 " in " ".join(text.split())
    assert "82.94" in text
    lines = accuracy_csv(found).splitlines()
    assert len(lines) == 1 + len(found)
    assert lines[0].endswith("fold_0,fold_1")
    assert lines[1].startswith("float,,,,82.0000,")


def test_pictures_are_the_same_bytes_each_time(found):
    first = accuracy_pictures(found)
    assert set(first) == {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    assert accuracy_pictures(found) == first
    figure = accuracy_figure(found, FIGURES["figure5"])
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx([81.5, 80, 242 / 3])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["81.5\n1 fold", "80.0\n1 fold", "80.7"]


@pytest.mark.parametrize(
    "change",
    [
        {"method": "other"},
        {"levels": None},
        {"datapath": "none"},
        {"graph_accuracy": 1.5, "bit_true_accuracy": 2},
    ],
)
def test_rows_that_make_no_sense(change):
    with pytest.raises(MubinnError, match="incomplete or out of range"):
        Run.of({**ROWS[3], **change})
    with pytest.raises(MubinnError, match="incomplete"):
        Run.of({"method": "float"})


def write_run(folder, fields, ended=True):
    recipe = {name: fields[name] for name in ("fold", "seed", "normalise", "centre")}
    method = {"name": fields["method"], "levels": fields["levels"], "scale_form": "free"}
    end = {"event": "end", "test_accuracy": fields["graph_accuracy"], "windows": 10, "epochs": 1}
    end |= {name: fields[name] for name in ("bit_true_accuracy", "agreement")} | {"notes": {}}
    rows = [{"event": "start", "recipe": {**recipe, "method": method}, "versions": {}}]
    rows += [{"event": "epoch", "epoch": 1, "loss": 0.5}] + [end] * ended
    folder.mkdir()
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))


def test_command_reads_logs_and_is_repeatable(tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    for k, fields in enumerate(ROWS[:6]):
        write_run(runs / str(k), fields)
    write_run(runs / "cut", ROWS[6], ended=False)
    assert len(logged(runs)) == 6
    assert [Run.of(one) for one in json.loads(collected(runs))["runs"]] == logged(runs)
    words = ["report", "--accuracy", "--logs", str(runs), "-o", str(tmp_path / "out")]
    for _ in range(2):
        result = CliRunner().invoke(mubinn, words)
        assert result.exit_code == 0, result.output
        assert "MuBiNN2 (3,3)" in result.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"accuracy.md", "accuracy.csv", "figure5.png", "figure5.svg"}
    # None of these runs belongs to Figure 4.
    assert not [name for name in names if name.startswith("figure4")]
    told = json.loads(CliRunner().invoke(mubinn, [*words, "--json"]).stdout)
    assert told["accuracies"][0]["name"] == "float"


FAULTS = [
    (["--logs", "@runs"], "belongs to --accuracy"),
    (["--accuracy", "--logs", "@nowhere"], "no folder of runs"),
    (["--accuracy", "--levels", "2,2"], "--levels is for a report on one model"),
    (["--accuracy", "--workers", "2"], "--workers is for a report on one model"),
    (["--accuracy", "--logs", "@empty"], "no finished runs"),
    (["--accuracy", "--logs", "@runs"], "no log of a training run"),
]


@pytest.mark.parametrize(("args", "words"), FAULTS)
def test_command_faults(tmp_path, args, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "runs" / "bad").mkdir(parents=True)
    (tmp_path / "runs" / "bad" / "log.jsonl").write_text("no json\n")
    args = [arg.replace("@", f"{tmp_path}/") for arg in args]
    result = CliRunner().invoke(mubinn, ["report", *args, "-o", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert words in result.stderr
    assert not (tmp_path / "out").exists()


def test_measured_runs_come_along():
    found = groups(measured())
    assert found[0].method == "float"
    assert all(group.runs >= 1 for group in found)
