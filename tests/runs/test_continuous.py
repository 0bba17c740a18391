"""Models that go on from sample to sample: what they are worth on recordings."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.bit_true import run, run_from
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.front_end import FrontEnd
from mubinn.golden.model.head import Reading
from mubinn.golden.model.model_file import save_model
from mubinn.reports.continuous import as_json, continuous_csv, measured, pooled, tables
from mubinn.train.data.recordings import LabelledSet
from mubinn.train.data.streams import DISTURBANCES, changes, disturbed, streams
from mubinn.train.runs.continuous import judged_on

WINDOW = 8
ROWS = {(4, 0): 15, (4, 1): 10, (4, 2): 5, (9, 1): 15, (9, 0): 5, (11, 0): 5, (11, 2): 5}
"""Windows in a row by person and class."""


def recorded():
    count = list(ROWS.values())
    x = np.random.default_rng(2).normal(0, 40, (sum(count), WINDOW, 3)).cumsum(axis=1)
    subject, label = (np.repeat([key[part] for key in ROWS], count) for part in (0, 1))
    return LabelledSet(
        x.round().astype(np.int16),
        label,
        subject,
        (subject == 11).astype(np.int64),
        1.0,
        80.0,
        tuple("abc"),
        ("open", "shut", "gone"),
    )


@pytest.fixture
def model(random_model):
    made = random_model(seed=1, features=3, hidden=3, levels=(2, 2), readout="mean")
    about = {"recipe": json.dumps({"fold": 0, "seed": 5})}
    return replace(made, preprocessing=Preprocessing("causal", 2, gain=3), meta=about)


def by_hand(model, windows, k):
    """Return S after each step of windows in a row, each run on from the one before."""
    front_end, state, before, found = FrontEnd.of(model, 16), None, None, []
    each, total = replace(model, readout="every"), [0] * model.outputs
    for window in windows:
        x, before = front_end.run(window, before)
        codes = model.encode_input(x / (1 << INPUT_FRACTION))
        _, scores, _, state = run_from(each, codes, state)
        for step in scores.tolist():
            total = [s + own - s // 2**k for s, own in zip(total, step, strict=True)]
            found.append(total)
    return np.array(found)


def test_decisions_are_those_of_states_that_are_carried(model):
    data, steps = recorded(), WINDOW // 2
    found = judged_on(model, data, 0)
    own = streams(data, 0)
    told = {(one.subject, one.label): len(one.windows) for one in own}
    assert told == {key: count for key, count in ROWS.items() if key[0] != 11}
    right, alone = {6: 0, 7: 0}, 0
    for one in own:
        for k in right:
            sums = by_hand(model, one.windows, k)[steps - 1 :: steps]
            right[k] += int((sums.argmax(axis=1) == one.label).sum())
        x, _ = FrontEnd.of(model, 16).run(one.windows)
        alone += int(
            (run(model, model.encode_input(x / (1 << INPUT_FRACTION)))[2] == one.label).sum()
        )
    assert found["windows"] == 50
    assert found["right"]["as recorded"] == {"reset": alone, "k6": right[6], "k7": right[7]}
    assert found["changes"] == 8
    for k in right:
        hits = np.zeros(5 * steps, int)
        for one, other in changes(own):
            sums = by_hand(model, [*one.windows, *other.windows], k)[steps * len(one.windows) :]
            hits += sums[: 5 * steps].argmax(axis=1) == other.label
        assert found["reaction"][f"k{k}"] == hits[3::4].tolist()
    assert found["every_s"] == 0.1
    assert 0 < alone < 50
    assert 0 < right[7] < 50


def test_leaky_sums_round_down():
    scores = np.random.default_rng(0).integers(-99, 99, (3, 50, 2))
    for k in (1, 7):
        total = [0] * 6
        for t, made in enumerate(Reading("leaky", 1, k).leaky(scores).swapaxes(0, 1)):
            own = scores[:, t].ravel().tolist()
            total = [s + one - s // 2**k for s, one in zip(total, own, strict=True)]
            assert made.ravel().tolist() == total


def test_each_disturbance_is_the_same_one_each_time():
    own = streams(recorded(), 0)
    for name in DISTURBANCES:
        made = [disturbed(one, name, 1.0, 8.0).samples for one in own]
        again = [disturbed(one, name, 1.0, 8.0).samples for one in own]
        assert all((a == b).all() for a, b in zip(made, again, strict=True))
        assert any((a != one.samples).any() for a, one in zip(made, own, strict=True)), name
    quiet = replace(own[0], windows=np.zeros((50, WINDOW, 3), np.int64))
    walk = disturbed(quiet, "walk of 2 uV a root sample").samples
    assert (abs(abs(walk[0]) - 20_000) < 10).all()
    assert 1.8 < np.diff(walk, axis=0).std() < 2.2
    noisy = disturbed(quiet, "one noisy channel", 0.5).samples  # a step of 1/2 uV
    assert sorted((noisy != 0).any(axis=0)) == [False, False, True]
    assert 550 < noisy.std(axis=0).max() < 650
    jumps = np.diff(disturbed(quiet, "electrode steps", 1.0, 8.0).samples, axis=0)
    assert set(np.unique(abs(jumps))) == {0, 500}
    assert (jumps != 0).sum() == 10


def test_what_cannot_go_on_is_refused(model):
    data = recorded()
    for own, fold, why in (
        (
            replace(model, preprocessing=Preprocessing("window", 2)),
            0,
            "train with --normalise causal",
        ),
        (replace(model, readout="every"), 0, "needs one class a window"),
        (model, 3, "Fold 3 has no windows"),
    ):
        with pytest.raises(MubinnError, match=why):
            judged_on(own, data, fold)
    with pytest.raises(MubinnError, match="name the person"):
        streams(replace(data, people=False), 0)


def test_the_command_measures_runs_together(model, tmp_path, monkeypatch):
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path / "cache"))
    data = recorded()
    np.savez(tmp_path / "d.npz", X=data.x, y=data.y, subject=data.subject, fold=data.fold)
    (tmp_path / "runs/one").mkdir(parents=True)
    save_model(tmp_path / "runs/one/model.mubinn", model)
    asked = ["bench", "continuous", str(tmp_path / "runs"), "--data", str(tmp_path / "d.npz")]
    told = CliRunner().invoke(mubinn, [*asked, "-o", str(tmp_path / "out"), "--json"])
    assert told.exit_code == 0, told.output
    figures = {one["name"]: one["value"] for one in json.loads(told.stdout)["figures"]}
    counts = judged_on(model, data, 0)["right"]["as recorded"]
    name = "2_2_high_pass_2_gain_3_clamp_2"
    assert figures == {f"{way}_{name}": 2.0 * count for way, count in counts.items()}
    (row,) = json.loads((tmp_path / "out/continuous.json").read_text())["rows"]
    assert (row["run"], row["fold"], row["seed"]) == ("one", 0, 5)
    assert (tmp_path / "out/continuous.png").read_bytes().startswith(b"\x89PNG")
    for options, why in (
        ([str(tmp_path)], "has no quantized model"),
        (["--data", str(tmp_path / "d.npz")], "--data belongs to models"),
        ([str(tmp_path / "runs"), "--steps", "3"], "has no --steps"),
    ):
        told = CliRunner().invoke(mubinn, ["bench", "continuous", *options])
        assert why in (told.output + str(told.exception)), told.output


def row(levels, fold, right, reaction):
    counts = {"as recorded": dict(zip(("reset", "k6", "k7"), right, strict=True))}
    counts["one noisy channel"] = dict.fromkeys(("reset", "k6", "k7"), 5)
    hits = {"k6": reaction, "k7": reaction[::-1]}
    about = {"levels": levels, "fold": fold, "windows": 10, "changes": 5, "every_s": 0.5}
    return {**about, "right": counts, "reaction": hits}


def test_runs_of_equal_levels_are_counted_together():
    rows = [
        row("(3,3)", 0, (6, 7, 8), [1, 3, 4, 4]),
        row("(3,3)", 1, (8, 7, 10), [2, 3, 4, 5]),
        row("(1,1)", 0, (5, 5, 5), [0, 0, 1, 1]),
    ]
    few, most = pooled(json.loads(as_json(rows, {}))["rows"])
    assert (few.levels, most.levels, most.windows) == ("(1,1)", "(3,3)", 20)
    assert [most.share(way) for way in ("reset", "k6", "k7")] == [70, 70, 90]
    assert most.loss("k7", "one noisy channel") == 40
    assert (most.reacted("k6"), most.reacted("k7"), few.reacted("k6")) == (1.5, 0.5, None)
    made = tables([few, most])
    assert made["right by fold, %"][1][3] == ("(3,3)", "carried, k = 7", "80.00", "100.00")
    assert made["right by fold, %"][1][0] == ("(1,1)", "each window anew", "50.00", "-")
    assert made["lost to disturbances, points"][1] == [
        ("one noisy channel", "+0.00", "+0.00", "+20.00", "+40.00")
    ]
    assert '"(3,3)",2,20,as recorded,k7,90.0000' in continuous_csv([few, most])
    with pytest.raises(MubinnError, match="There are no models"):
        pooled([])


def test_what_comes_along_is_of_all_people():
    found = {one.levels: one for one in pooled(measured())}
    assert {name: one.windows for name, one in found.items()} == dict.fromkeys(found, 2 * 3270)
    assert all(one.changes == 2 * 218 and len(one.by_fold) == 5 for one in found.values())
