"""Several files of windows at once: one set, or a sentence that says where they differ."""

import csv
import io

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.model_file import save_model
from mubinn.train.data.files import load_labelled, load_windows

ABOUT = {"fs_hz": 80.0, "channels": ["Fz", "Cz", "Pz"], "classes": ["left", "right"]}
COLUMNS = {"y": ["left", "right"] * 4, "subject": np.arange(8) // 2}


def write(path, seed, count=8, **changed):
    fields = {"X": np.random.default_rng(seed).normal(0, 1, (count, 16, 3)).astype(np.float32)}
    fields |= ABOUT | COLUMNS | changed
    np.savez(path, **{name: value for name, value in fields.items() if value is not None})
    return path


def pair(folder, **changed):
    other = {"subject": 4 + COLUMNS["subject"]} | changed
    return [write(folder / "a.npz", 1), write(folder / "b.npz", 2, **other)]


def test_windows_follow_each_other(tmp_path):
    paths = pair(tmp_path)
    one, other = (load_labelled(path) for path in paths)
    for data in (load_labelled(paths), load_windows(paths)):
        assert (data.x == np.concatenate([one.x, other.x])).all()
        assert (data.y == np.concatenate([one.y, other.y])).all()
        assert data.who.tolist() == [str(k) for k in np.arange(16) // 2]
        assert (data.fs_hz, data.channels, data.notes) == (80.0, ("Fz", "Cz", "Pz"), ())
        assert (data.fold == (np.arange(16) // 2) % 5).all()


def test_people_of_several_files_are_told(tmp_path):
    paths = pair(tmp_path, subject=3 + COLUMNS["subject"])
    data = load_labelled(paths)
    assert data.notes == ("subjects 3 of several files are taken as one each",)
    assert len(set(data.fold[data.subject == 3])) == 1


def test_classes_without_names_are_put_together(tmp_path):
    one = write(tmp_path / "a.npz", 1, classes=None, y=[1] * 8)
    other = write(tmp_path / "b.npz", 2, classes=None, y=[0] * 8)
    data = load_labelled([one, other])
    assert data.classes == ("0", "1")
    assert data.y.tolist() == [1] * 8 + [0] * 8


DIFFERENT = {
    "rate": ({"fs_hz": 100.0}, "differ in fs_hz, 80.0 and 100.0"),
    "no rate": ({"fs_hz": None}, r"a.npz states a rate and .*b.npz does not"),
    "channels": ({"channels": ["Fz", "Pz", "Cz"]}, "differ in channels, Fz, Cz, Pz and Fz, Pz, Cz"),
    "classes": ({"classes": ["right", "left"]}, "differ in classes, left, right and right, left"),
    "fewer": ({"X": np.zeros((8, 16, 2), np.float32)}, "windows of 3 channels and .* of 2"),
    "shorter": ({"X": np.zeros((8, 15, 3), np.float32)}, "windows of 16 steps and .* of 15"),
    "people": ({"subject": None}, "a.npz states subjects and .*b.npz does not"),
    "folds": ({"fold": np.zeros(8, int)}, "b.npz states folds and .*a.npz does not"),
    "scale": ({"scale_uV": 0.1}, "b.npz states a scale and .*a.npz does not"),
    "names": ({"subject": list("abcdefgh")}, "a.npz has subjects as numbers and .*b.npz as text"),
    "count": ({"y": ["left"] * 7}, r"b.npz has 8 windows but 7 labels"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_files_that_differ_are_refused(tmp_path, name):
    changed, words = DIFFERENT[name]
    paths = pair(tmp_path, **changed)
    for load in (load_labelled, load_windows):
        with pytest.raises(MubinnError, match=words):
            load(paths)


def test_a_file_is_given_once(tmp_path):
    path, _ = pair(tmp_path)
    with pytest.raises(MubinnError, match="is given twice: name each file once"):
        load_labelled([path, tmp_path / "." / "a.npz"])


def test_labels_from_elsewhere_are_of_one_file(tmp_path):
    np.save(tmp_path / "y.npy", np.arange(8) % 2)
    with pytest.raises(MubinnError, match=r"y.npy has the labels of one file .* there are 2"):
        load_labelled(pair(tmp_path), labels=tmp_path / "y.npy")


def run(*words):
    return CliRunner().invoke(mubinn, list(map(str, words)))


def test_commands_take_several_files(tmp_path, small_float):
    plain = {"classes": None, "y": [0, 1] * 4}
    paths = [write(tmp_path / name, seed, **plain) for seed, name in enumerate(("a.npz", "b.npz"))]
    quantized = tmp_path / "m.mubinn"
    model = tmp_path / "m.safetensors"
    save_model(model, small_float)
    both = [word for path in paths for word in ("--data", path)]
    made = run("quantize", model, "--levels", "2,2", *both, "--windows", "4", "-o", quantized)
    assert "4 windows of a.npz and 1 more" in made.output, made.output
    rows = list(csv.DictReader(io.StringIO(run("predict", quantized, *paths).stdout)))
    alone = list(csv.DictReader(io.StringIO(run("predict", quantized, paths[1]).stdout)))
    assert len(rows) == 16
    assert [row["score_0"] for row in rows[8:]] == [row["score_0"] for row in alone]
    options = ["--hidden", 4, "--batch", 4, "--epochs", 1, "--fold", 0]
    trained = run("train", *paths, *options, "-o", tmp_path / "t.safetensors")
    assert trained.exit_code == 0, trained.output


@pytest.fixture
def small_float():
    from conftest import build_float

    return build_float(features=3, hidden=4, classes=2)
