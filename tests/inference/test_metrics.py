"""Accuracy, balanced accuracy, F1 and confusions, held to their definitions by counting."""

import json

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.metrics import cross_entropy, metrics, perplexity


def counted(truth, decided, classes):
    """Return accuracy, mean recall and F1 from precision and recall, window by window."""
    recalls, shares = [], []
    for one in range(classes):
        hits = sum(t == d == one for t, d in zip(truth, decided, strict=True))
        own, said = list(truth).count(one), list(decided).count(one)
        if own:
            recalls.append(hits / own)
        precision, recall = hits / said if said else 0, hits / own if own else 0
        both = precision + recall
        shares.append(2 * precision * recall / both if both else 0 if own or said else None)
    right = sum(t == d for t, d in zip(truth, decided, strict=True))
    return right / len(truth), sum(recalls) / len(recalls), shares


@pytest.mark.parametrize("seed", range(5))
def test_measures_are_those_of_their_definitions(seed):
    rng = np.random.default_rng(seed)
    truth, decided = rng.integers(0, [[5], [4]], (2, 40)).tolist()
    found = metrics(truth, decided, 6)
    accuracy, balanced, shares = counted(truth, decided, 6)
    assert abs(found.accuracy - accuracy) < 1e-12
    assert abs(found.balanced_accuracy - balanced) < 1e-12
    for got, want in zip(found.f1, shares, strict=True):
        assert (got is None) == (want is None)
        assert got is None or abs(got - want) < 1e-12
    assert found.windows == 40
    assert found.confusion[1, 2] == sum(
        (t, d) == (1, 2) for t, d in zip(truth, decided, strict=True)
    )


def test_notes_name_the_classes():
    notes = metrics([0, 0, 1], [0, 1, 1], 3).notes("bit_true", ["N", "V", "F"])
    assert notes["bit_true_accuracy"] == "0.6667"
    assert notes["bit_true_balanced_accuracy"] == "0.7500"
    assert json.loads(notes["bit_true_f1"]) == {"N": 0.6667, "V": 0.6667, "F": None}


@pytest.mark.parametrize(
    ("truth", "decided", "words"),
    [
        ([], [], "0 labels"),
        ([0, 1], [0], "2 labels for 1 decisions"),
        ([0, 2], [0, 1], "from 0 to 1"),
        ([0, 1], [0, -1], "from 0 to 1"),
        ([0.5, 1], [0, 1], "whole numbers"),
    ],
)
def test_what_is_no_decision_is_refused(truth, decided, words):
    with pytest.raises(MubinnError, match=words):
        metrics(truth, decided, 2)


def test_cross_entropy_of_logits_however_large():
    values = np.array([[1.0, 2.0, 0.5], [1e4, 0.0, -1e4]])
    own = np.exp(values[0])
    got = cross_entropy(values, np.array([1, 1]))
    assert got[0] == pytest.approx(-np.log(own[1] / own.sum()))
    assert got[1] == 1e4
    assert perplexity(1e4) == np.inf
    assert cross_entropy(np.array([[0.3]]), np.array([1])) == pytest.approx(np.log1p(np.exp(-0.3)))


def test_many_classes_take_no_table_of_all_pairs():
    found = metrics([0, 7, 9_999_999], [0, 7, 7], 10_000_000, 2.0)
    assert found.figures == {"accuracy": 2 / 3, "perplexity": np.exp(2.0)}
    assert found.windows == 3
    assert set(found.notes("test", ())) == {"test_accuracy", "test_perplexity"}
