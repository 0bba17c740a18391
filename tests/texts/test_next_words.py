"""Windows of a language model: each label is the next word; labels of steps in files."""

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.about import describe
from mubinn.train.data.files import load_labelled, load_windows
from mubinn.train.texts.next_words import PIECES, next_characters, next_words


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def numbered(path, **more):
    rng = np.random.default_rng(0)
    parts = {"train": rng.integers(0, 9, 200), "valid": rng.integers(0, 9, 40)}
    return saved(path, **{**parts, **more}), parts


def test_each_label_is_the_next_word(tmp_path):
    path, parts = numbered(tmp_path / "t.npz")
    arrays, told = next_words(path, context=3, steps=5)
    x, y = arrays["X"][:, :, 0], arrays["y"]
    for fold, part in ((0, "valid"), (1, "train")):
        own, text = arrays["fold"] == fold, parts[part]
        count = (len(text) - 1 - 3) // 5
        assert (y[own, :3] == -1).all()
        assert (y[own, 3:].ravel() == text[4 : 4 + 5 * count]).all()
        assert (x[own, 4:] == y[own, 3:-1]).all()
        assert (x[own][1:, :3] == x[own][:-1, 5:]).all()  # the context is what stands before
    assert told == "words: 40 of valid, 200 of train; 5 of 8 steps labelled"


def test_pieces_are_whole_and_of_one_part(tmp_path):
    path, _ = numbered(tmp_path / "t.npz")
    arrays, _ = next_words(path, context=3, steps=2)
    subject, fold = arrays["subject"], arrays["fold"]
    assert (np.diff(subject) >= 0).all()
    assert sorted(np.unique(subject[fold == 1])) == list(range(PIECES, 2 * PIECES))
    assert subject[fold == 0].max() < PIECES


def texts(folder, **parts):
    for part, text in parts.items():
        (folder / f"{part}.txt").write_text(text)
    return folder


def test_texts_are_numbered_by_how_often_words_are_in_train(tmp_path):
    folder = texts(tmp_path, train="a b <unk>\na b a\n\n", valid="b c a\n")
    arrays, _ = next_words(folder, words=3, context=0, steps=1)
    assert arrays["classes"].tolist() == ["<unk>", "<eos>", "a"]
    train = arrays["X"][arrays["fold"] == 1, 0, 0].tolist()
    assert train == [2, 0, 0, 1, 2, 0, 2, 1]
    assert arrays["y"][arrays["fold"] == 0, 0].tolist() == [0, 2, 1]
    arrays, _ = next_words(folder, context=0, steps=1, characters=True)
    assert arrays["classes"].tolist()[:4] == ["<unk>", "U+0020", "U+000A", "a"]
    assert arrays["channels"] == ["character"]


def test_characters_of_texts_and_of_numbers(tmp_path):
    arrays, _ = next_characters(texts(tmp_path, train="ab\n" * 60, valid="ba\n" * 60))
    assert arrays["classes"].tolist() == ["<unk>", "U+000A", "a", "b"]
    assert arrays["X"].shape[1] == 120
    long = {part: np.arange(300) % 9 for part in ("train", "valid")}
    path, _ = numbered(tmp_path / "s.npz", **long, symbols=np.arange(97, 106))
    arrays, _ = next_characters(path)
    assert arrays["classes"].tolist() == list("abcdefghi")
    assert (arrays["y"][:, :20] == -1).all()


def test_numbers_may_be_named(tmp_path):
    path, _ = numbered(tmp_path / "w.npz", words=np.array(list("abcdefghi")))
    assert next_words(path, steps=5)[0]["classes"].tolist() == list("abcdefghi")
    path, _ = numbered(tmp_path / "s.npz", symbols=np.arange(32, 41))
    assert next_words(path, steps=5)[0]["classes"].tolist()[:2] == ["U+0020", "!"]
    path, _ = numbered(tmp_path / "n.npz")
    assert next_words(path, steps=5)[0]["classes"].tolist() == list("012345678")


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({}, {"context": 30, "steps": 20}, "has 40 words of valid, which fill no window"),
        ({}, {"words": 5}, "leave out --words and --characters"),
        ({}, {"context": -1}, "A context of -1 steps"),
        ({}, {"steps": 0}, "windows of a step or more"),
        ({"train": np.zeros((2, 2), int)}, {}, "no array 'train' of 1 dim"),
        ({"valid": np.full(99, -1)}, {}, "a part valid that are no numbers"),
        ({"words": np.array(["a"])}, {}, "names 1 words and has numbers up to 8"),
    ],
)
def test_faults_of_texts(tmp_path, arrays, options, message):
    path, _ = numbered(tmp_path / "t.npz", **arrays)
    with pytest.raises(MubinnError, match=message):
        next_words(path, **options)


X = np.zeros((4, 3, 2), np.float32)
Y = np.array([[-1, 5, 7], [5, -1, -1], [7, 7, 5], [-1, -1, -1]])


def test_labels_of_steps_in_a_file(tmp_path):
    data = load_labelled(saved(tmp_path / "d.npz", X=X, y=Y))
    assert data.of_steps
    assert data.classes == ("5", "7")
    assert data.y.tolist() == [[-1, 0, 1], [0, -1, -1], [1, 1, 0], [-1, -1, -1]]
    two = [tmp_path / "d.npz", saved(tmp_path / "e.npz", X=X, y=Y + 0)]
    assert load_labelled(two).y.tolist() == data.y.tolist() * 2
    assert load_windows(tmp_path / "d.npz").y.tolist() == data.y.tolist()
    assert describe(tmp_path / "d.npz")["classes"] == {"5": 3, "7": 3}
    named = saved(tmp_path / "n.npz", X=X, y=np.minimum(Y, 1), classes=["a", "b", "c"])
    with pytest.raises(MubinnError, match="All steps with a label belong to class 'b'"):
        load_labelled(named)
    one = saved(tmp_path / "o.npz", X=X, y=Y[:, 0])
    with pytest.raises(MubinnError, match=r"as numbers of steps and .* as numbers"):
        load_labelled([tmp_path / "d.npz", one])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": Y.astype(np.uint8)}, "up to 255, the largest uint8, which may stand for no label"),
        ({"y": Y - 1}, "labels of steps below 0"),
        ({"y": np.full((4, 3), -1)}, "no step with a label"),
        ({"classes": np.array([-1.0, 5, 7])}, "or a class -1"),
        ({"y": Y.astype(float)}, "labels of shape"),
        ({"y": Y[:, :2]}, "labels of shape"),
        ({"y": np.where(Y < 0, -1, Y - 5), "classes": ["a", "b"]}, "Labels run from -1 to 2"),
    ],
)
def test_faults_of_labels_of_steps(tmp_path, changes, message):
    with pytest.raises(MubinnError, match=message):
        load_labelled(saved(tmp_path / "d.npz", **{"X": X, "y": Y, **changes}))
