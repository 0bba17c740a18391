"""The addition problem: every pair once, its text, its answer, and folds without a sum in two."""

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.recipes.papers import TASKS
from mubinn.train.texts.addition import CHARACTERS, addition


def text_of(numbers):
    return "".join(CHARACTERS[k] for k in numbers if k >= 0)


@pytest.mark.parametrize(("largest", "width", "answer"), [(3, 3, 1), (10, 5, 2), (99, 5, 3)])
def test_texts_are_additions(largest, width, answer):
    arrays, told = addition(largest)
    found = set()
    for x, y in zip(arrays["X"][:, :, 0], arrays["y"], strict=True):
        asked, said = text_of(x), text_of(y)
        assert (len(asked), asked[width:]) == (width + answer, " " * answer)
        assert (y[:width] == -1).all()
        assert len(said) == answer
        a, b = map(int, asked.strip().split("+"))
        assert int(said) == a + b
        assert asked.strip() == f"{a}+{b}"
        assert said.strip() == str(a + b)
        found.add((a, b))
    assert len(found) == len(arrays["X"]) == largest**2
    assert told == f"additions: {largest**2}, of {largest * (largest + 1) // 2} pairs"


def test_no_fold_has_a_pair_of_another():
    arrays, _ = addition(20)
    pairs = {}
    for x, subject, fold in zip(arrays["X"], arrays["subject"], arrays["fold"], strict=True):
        pair = tuple(sorted(map(int, text_of(x[:, 0]).split("+"))))
        assert pairs.setdefault(pair, (subject, fold)) == (subject, fold)
    assert len({subject for subject, _ in pairs.values()}) == len(pairs) == 210
    counts = np.bincount([fold for _, fold in pairs.values()])
    assert counts.tolist() == [42] * 5
    assert (addition(20, seed=1)[0]["fold"] != arrays["fold"]).any()


@pytest.mark.parametrize("largest", [2, 1000])
def test_too_few_or_too_many(largest):
    with pytest.raises(MubinnError, match="are no task: give 3 to 999"):
        addition(largest)


def test_what_is_made_has_no_source(tmp_path):
    with pytest.raises(MubinnError, match=r"makes its own windows: leave .*a.npz out"):
        TASKS["addition"].arrays(tmp_path / "a.npz")
    with pytest.raises(MubinnError, match=r"IMDB film reviews.* give SOURCE, the set as it is"):
        TASKS["imdb"].arrays(None)
