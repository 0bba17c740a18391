"""Scores centred by subject: by hand, and as the trainer decides by them."""

from dataclasses import replace

import numpy as np
import pytest

from mubinn.golden.errors import MubinnError
from mubinn.golden.inference import infer
from mubinn.golden.levels import Levels
from mubinn.train.centring import centred
from mubinn.train.eeg import prepare, synthetic_eeg
from mubinn.train.method import Method
from mubinn.train.recipe import Recipe


def test_centred_by_hand():
    scores = np.array([[0, 4], [0, 6], [2, 0], [10, 0], [10, 2], [10, 7]])
    subject = np.array([1, 1, 1, 0, 0, 0])
    # Leads of class 1: 4, 6, -2 less 4, and -10, -8, -3 less -8.
    lead = np.array([0, 2, -6, -2, 0, 5])
    found = centred(scores, subject)
    assert (found == np.stack([-lead, lead], axis=1)).all()
    assert (centred(scores.astype(np.float32), subject) == found).all()
    three = centred(np.array([[1, 2, 6], [1, 2, 6], [4, 2, 0]]), np.zeros(3))
    assert (three == [[0, 0, 0], [0, 0, 0], [6 + 6, 0 + 3, -6 - 9]]).all()


def test_unknown_centre():
    with pytest.raises(MubinnError, match="centre 'both' is unknown"):
        Recipe(centre="both")


def test_the_trainer_decides_by_centred_scores():
    train = pytest.importorskip("mubinn.train.trainer").train
    data = synthetic_eeg(120, steps=32, channels=3, seed=2)
    recipe = Recipe(epochs=1, hidden=6, batch=16, method=Method("mubinn2", Levels.of(2, 1)))
    plain = train(data, recipe)
    made = train(data, replace(recipe, centre="subject"))
    test = data.fold == 0
    scores = infer(plain.model, prepare(data.x)[test]).scores
    decided = centred(scores, data.subject[test]).argmax(axis=1)
    assert made.bit_true_accuracy == (decided == data.y[test]).mean()
    assert plain.bit_true_accuracy == (scores.argmax(axis=1) == data.y[test]).mean()
    assert (decided != scores.argmax(axis=1)).any()
    assert 0 <= made.test_accuracy <= 1
    assert "recipe" in made.model.meta
