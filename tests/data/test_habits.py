"""Recordings as people store them: read as meant, or refused by the name of what is wrong."""

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.files import load_labelled, load_windows
from mubinn.train.recipes.recipe import Recipe, split

X = np.random.default_rng(3).normal(0, 1, (20, 8, 2)).astype(np.float32)
Y = np.arange(20) % 2


def loaded(folder, name="rec.npz", **fields):
    with (folder / name).open("wb") as file:
        np.savez(file, **{"X": X, "y": Y, **fields})
    return load_labelled(folder / name)


WORDS = np.where(Y == 0, "open", "closed")
TURNED = {
    "text": (WORDS, np.array(["open", "closed"]), Y),
    "bytes": (WORDS.astype("S"), np.array([b"open", b"closed"]), Y),
    "an absent class": (WORDS, np.array(["rest", "open", "closed"]), Y + 1),
    "whole numbers": (Y, np.array(["open", "closed"]), Y),
    "whole floats": (Y.astype(float), np.array(["open", "closed"]), Y),
    "truth": (Y == 1, np.array(["open", "closed"]), Y),
    "values": (Y, np.array([1, 0]), 1 - Y),
    "a column": (Y[:, None], np.array(["open", "closed"]), Y),
    "a row": (WORDS[None], np.array(["open", "closed"]), Y),
}


@pytest.mark.parametrize("case", TURNED)
def test_labels_are_numbered_in_the_order_of_classes(tmp_path, case):
    y, classes, want = TURNED[case]
    data = loaded(tmp_path, y=y, classes=classes)
    assert data.y.tolist() == want.tolist()
    assert data.classes == tuple(c.decode() if isinstance(c, bytes) else str(c) for c in classes)


def test_bytes_are_text(tmp_path):
    data = loaded(tmp_path, y=WORDS.astype("S"), channels=np.array([b"O1", b"O2"]))
    assert data.classes == ("closed", "open")
    assert data.channels == ("O1", "O2")


def test_subjects_are_known_by_their_other_names(tmp_path):
    people = np.arange(20) // 2
    for name in ("subject", "subjects", "Subject", "groups", "subject_id"):
        assert loaded(tmp_path, **{name: people}).subject.tolist() == people.tolist()
    named = loaded(tmp_path, subject=np.array([f"p{k // 4}" for k in range(20)]))
    assert named.subject.tolist() == [k // 4 for k in range(20)]
    assert load_windows(tmp_path / "rec.npz").subject[4] == "p1"
    with pytest.raises(MubinnError, match="its array 'patients' has one value a window: call it"):
        loaded(tmp_path, patients=people)
    assert loaded(tmp_path, patients=people, subject=people).subject[19] == 9


def test_folds_without_subjects_stay_whole(tmp_path):
    fold = np.arange(20) % 4
    data = loaded(tmp_path, fold=fold)
    assert data.fold.tolist() == data.subject.tolist() == fold.tolist()


def test_content_tells_the_kind(tmp_path):
    for name in ("REC.NPZ", "rec", "rec.npy"):
        assert loaded(tmp_path, name).windows == 20
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "x.npy").rename(tmp_path / "x.npz")
    np.save(tmp_path / "x_y.npy", Y)
    assert load_labelled(tmp_path / "x.npz").y.tolist() == Y.tolist()


def test_one_person_is_divided_on_request(tmp_path):
    loaded(tmp_path, subject=0 * Y)
    data = load_labelled(tmp_path / "rec.npz", by_windows=True)
    assert np.bincount(data.fold).tolist() == [4] * 5


def test_windows_need_no_labels(tmp_path):
    np.savez(tmp_path / "a.npz", X=X)
    np.save(tmp_path / "b.npy", X)
    for name in ("a.npz", "b.npy"):
        read = load_windows(tmp_path / name)
        assert (read.x == X).all()
        assert read.subject is read.fold is None
    np.savez(tmp_path / "c.npz", X=X, y=Y)
    loaded(tmp_path)
    assert (
        load_windows(tmp_path / "c.npz").fold.tolist()
        == load_labelled(tmp_path / "c.npz").fold.tolist()
    )


FAULTS = {
    "foreign label": (
        {"y": WORDS, "classes": np.array(["open", "shut"])},
        "'closed', which is not",
    ),
    "two meanings": (
        {"classes": np.array(["1", "0"])},
        "names of classes as well as their numbers",
    ),
    "twice": ({"classes": np.array(["a", "a"])}, "names a class twice"),
    "parts": ({"y": Y + 0.5, "classes": np.array(["a", "b"])}, "labels such as 0.5 beside classes"),
    "one-hot": ({"y": np.eye(2)[Y]}, "take the argmax"),
    "both": ({"x": X}, "holds both 'X' and 'x'"),
    "float64": ({"X": X.astype(float) * 1e300}, "beyond float32: give them in another unit"),
    "infinite": ({"X": np.where(X > 2, np.inf, X.astype(float))}, "NaN or infinite samples"),
    "offset": ({"X": (X * 1000).astype(np.int32) + 2**30}, "take the mean off first"),
    "huge": ({"subject": np.full(20, 2**63, np.uint64)}, "give smaller numbers"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_cannot_be_meant_is_refused(tmp_path, case):
    fields, words = FAULTS[case]
    with pytest.raises(MubinnError, match=words):
        loaded(tmp_path, **fields)


WHOLE = [
    {"normalise": "subject"},
    {"subject_calibration": "subject"},
    {"subject_calibration": "trained", "batch": 15},
]


@pytest.mark.parametrize("change", WHOLE, ids=str)
def test_what_is_of_people_needs_to_know_them(tmp_path, change):
    recipe = Recipe(**{"batch": 4, **change})
    plain = loaded(tmp_path)
    assert not plain.people
    for data in (plain, loaded(tmp_path, fold=np.arange(20) % 4)):
        with pytest.raises(MubinnError, match="do not say whose each window is: give the subjects"):
            split(data, recipe)
    known = loaded(tmp_path, subject=np.arange(20) // 2)
    assert known.people
    assert len(split(known, recipe).test)
    assert len(split(plain, Recipe(batch=4)).test)
    assert plain.take(plain.fold > 0).people is False


def test_what_nothing_says_is_not_made_up(tmp_path):
    data = loaded(tmp_path)
    assert data.fs_hz is data.scale_uv is data.units is None
    data = loaded(tmp_path, fs_hz=np.float32(80), scale_uV=np.float64(0.1))
    assert (data.fs_hz, data.scale_uv, data.units) == (80, 0.1, ("0.1 uV",) * 2)
    assert load_windows(tmp_path / "rec.npz").fs_hz == 80
