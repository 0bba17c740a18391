"""Sets of texts: published folders and compact forms say the same, and faults are told."""

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.files import load_labelled
from mubinn.train.texts.reviews import reviews
from mubinn.train.texts.sentences import sentences, tree

REVIEWS = {
    "train/neg/0_1.txt": "Bad, bad film.",
    "train/pos/0_9.txt": "Good film! A good, good film<br />",
    "test/neg/0_2.txt": "Not good.",
    "test/pos/0_8.txt": "good",
}
NUMBERS = {"film": 4, "good": 5, "bad": 6, "a": 7, "br": 8}
TREES = {
    "train": "(3 (2 It) (4 works))\n(0 (2 It) (1 (1 fails) (2 again)))\n",
    "dev": "(4 (3 works) (2 again))\n",
}


def written(folder, files, ending=""):
    for name, text in files.items():
        path = folder / f"{name}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def compact_reviews(path, **changes):
    arrays = {
        "x_train": np.array([[0, 1, 6, 6, 5], [5, 7, 4, 4, 5]], np.uint16),
        "y_train": np.array([0, 1], np.uint8),
        "x_test": np.array([[0, 0, 1, 2, 4], [0, 0, 0, 1, 4]], np.uint16),
        "y_test": np.array([0, 1], np.uint8),
    }
    return saved(path, **{**arrays, **changes})


def test_reviews_by_their_last_words(tmp_path):
    arrays, told = reviews(written(tmp_path, REVIEWS), steps=5)
    f, g, b, a, br = NUMBERS.values()
    assert arrays["X"][:, :, 0].tolist() == [
        [0, 0, 1, 2, g],
        [0, 0, 0, 1, g],
        [0, 1, b, b, f],
        [a, g, g, f, br],
    ]
    assert arrays["y"].tolist() == [0, 1, 0, 1]
    assert arrays["fold"].tolist() == [0, 0, 1, 1]
    assert told == "1 cut to their last 5 words"


def test_rare_words_are_all_one(tmp_path):
    arrays, _ = reviews(written(tmp_path, REVIEWS), steps=4, words=6)
    assert arrays["X"][2, :, 0].tolist() == [1, 2, 2, 4]


def test_reviews_in_compact_form(tmp_path):
    arrays, told = reviews(compact_reviews(tmp_path / "a.npz"), steps=5)
    assert arrays["X"][:, :, 0].tolist()[:2] == [[0, 0, 1, 2, 4], [0, 0, 0, 1, 4]]
    assert arrays["fold"].tolist() == [0, 0, 1, 1]
    assert told == "1 cut to their last 5 words"
    fewer, told = reviews(tmp_path / "a.npz", steps=2, words=6)
    assert fewer["X"][:, :, 0].tolist() == [[2, 4], [1, 4], [2, 5], [4, 5]]
    assert told == "3 cut to their last 2 words"
    np.savez(tmp_path / "made.npz", **arrays)
    assert load_labelled(tmp_path / "made.npz").channels == ("word",)


def test_a_tree_is_its_phrases():
    found = tree("(0 (2 It) (1 (1 fails) (2 again)))")
    assert found.words == ["It", "fails", "again"]
    assert [tuple(phrase) for phrase in found.phrases] == [
        (0, 3, 0),
        (1, 3, 1),
        (2, 3, 2),
        (1, 2, 1),
        (0, 1, 2),
    ]


@pytest.mark.parametrize(
    "text", ["(3 (2 It) (4 works)", "It works", "(3 It) works", "(7 It)", "()", "(3 It))"]
)
def test_what_is_no_tree(text):
    with pytest.raises(MubinnError, match="is no tree of phrases"):
        tree(text)


def compact_sentences(path, **changes):
    spans = [(0, 0, 2, 3), (0, 0, 1, 2), (0, 1, 2, 4), (1, 0, 3, 0), (1, 0, 1, 2), (1, 1, 3, 1)]
    arrays = {
        "x_train": np.array([[2, 5, 0], [2, 4, 3]], np.uint16),
        "len_train": np.array([2, 3], np.uint8),
        "span_train": np.array([*spans, (1, 1, 2, 1), (1, 2, 3, 2)]),
        "x_dev": np.array([[5, 3]], np.uint16),
        "len_dev": np.array([2], np.uint8),
        "span_dev": np.array([(0, 0, 2, 4), (0, 0, 1, 3), (0, 1, 2, 2)]),
    }
    return saved(path, **{**arrays, **changes})


@pytest.mark.parametrize("phrases", [False, True])
def test_sentences_of_both_forms_are_the_same(tmp_path, phrases):
    own, _ = sentences(written(tmp_path / "trees", TREES, ".txt"), steps=3, phrases=phrases)
    x = own["X"][:, :, 0]
    assert x[:3].tolist() == [[0, 5, 3], [0, 2, 5], *([[0, 0, 5]] if phrases else [[2, 4, 3]])]
    assert len(x) == (9 if phrases else 3)
    other, _ = sentences(compact_sentences(tmp_path / "a.npz"), steps=3, phrases=phrases)

    def rows(arrays):
        keys = ("y", "subject", "fold")
        return sorted(
            (*x.ravel().tolist(), *about)
            for x, *about in zip(arrays["X"], *(arrays[k].tolist() for k in keys), strict=True)
        )

    assert rows(own) == rows(other)


def test_a_test_part_is_what_is_held_out(tmp_path):
    made, told = sentences(written(tmp_path, {**TREES, "test": "(1 fails)"}, ".txt"), steps=2)
    assert made["fold"].tolist() == [0, 1, 1, 2]
    assert made["y"].tolist() == [1, 3, 0, 4]
    assert told == "1 cut to their last 2 words"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: reviews(p / "none"), "none"),
        (lambda p: reviews(p), "neg holds no reviews"),
        (lambda p: reviews(compact_reviews(p / "a.npz", y_test=np.array([0, 2]))), "do not fit"),
        (lambda p: reviews(compact_reviews(p / "a.npz"), steps=6), "the last 5 words alone"),
        (lambda p: reviews(compact_reviews(p / "a.npz"), words=4), "more than 4 words"),
        (lambda p: sentences(p), "train.txt cannot be read"),
        (lambda p: sentences(written(p, {**TREES, "dev": "good"}, ".txt")), "no tree of phrases"),
        (
            lambda p: sentences(compact_sentences(p / "a.npz", len_dev=np.array([1]))),
            "a sentence without a class",
        ),
        (
            lambda p: sentences(compact_sentences(p / "a.npz", span_dev=np.array([[0, 0, 2]]))),
            "do not fit",
        ),
    ],
)
def test_faults_of_sets(tmp_path, make, message):
    with pytest.raises(MubinnError, match=message):
        make(tmp_path)
