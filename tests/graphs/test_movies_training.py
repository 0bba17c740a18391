"""Training on movies whose later frames are those that the model has made."""

from dataclasses import replace

import numpy as np
import pytest
from sweeps import swept

from mubinn.golden.cells.library import dense, peephole
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.continuation import continued, next_frame
from mubinn.golden.model import reference
from mubinn.golden.model.float_model import Preprocessing
from mubinn.train.data.recordings import LabelledSet
from mubinn.train.recipes.chance import rounds
from mubinn.train.recipes.recipe import Recipe
from mubinn.train.recipes.stack import parse_layers
from mubinn.train.recipes.tuned import tuned
from mubinn.train.runs.made import made_over
from mubinn.train.runs.run import Run
from mubinn.train.runs.trainer import train

FRAMES, GIVEN = 6, 3


def network():
    over = Sweep(2, 3)
    made = swept([(dense, 2, over), (peephole, 3, over)], features=1)
    return replace(made, preprocessing=Preprocessing("none", 1))


def recipe(**changes):
    layers = parse_layers("dense 2 over 2x3, peephole 3 over 2x3")
    about = {"layers": layers, "head": "sigmoid", "readout": "every", "given": GIVEN}
    return tuned("float", **{**about, "batch": 4, "validation": 0.2, **changes})


@pytest.fixture
def movies():
    """White goes on by a pixel a frame, in a row of three."""
    random = np.random.default_rng(0)
    first = random.integers(0, 3, (24, 2))
    places = (first[:, None] + np.arange(FRAMES)[None, :, None]) % 3
    return (places[..., None] == np.arange(3)).astype(np.float32).reshape(24, -1, 1)


def labelled(x):
    y = np.full(x.shape[:2], -1)
    y[:, :-6] = x[:, 6:, 0] > 0.5
    subject = np.arange(len(x)) % 12
    return LabelledSet(
        x, y, subject, subject % 4, None, None, channels=("pixel",), classes=("black", "white")
    )


def test_rounds_make_frame_after_frame_as_a_movie_is_continued(movies):
    model = network()

    def evaluate(x):
        return reference.logits(model, x).astype(np.float32)

    whole = movies.reshape(24, FRAMES, 2, 3).astype(np.float64)
    wanted = continued(next_frame(model), whole[:, :GIVEN], FRAMES - GIVEN).reshape(24, -1, 6)
    assert made_over(movies, evaluate, GIVEN, 6, 0) is movies
    for count in range(1, 5):
        found = made_over(movies, evaluate, GIVEN, 6, count)
        assert found.dtype == np.float32
        assert (found[:, : 6 * GIVEN] == movies[:, : 6 * GIVEN]).all()
        same = np.abs(found[:, 6 * GIVEN :].reshape(24, -1, 6) - wanted).max(axis=(0, 2)) < 1e-6
        assert same.tolist() == [k < count for k in range(FRAMES - GIVEN)]


def test_rounds_are_drawn_up_to_the_frames_that_are_made():
    own = recipe(seed=3)
    found = rounds(own, 5, 400, 2)
    assert set(found.tolist()) == {0, 1, 2}
    assert (found == rounds(own, 5, 400, 2)).all()
    assert (found != rounds(own, 6, 400, 2)).any()
    assert not rounds(own, 0, 400, 0).any()


def test_epochs_are_judged_on_movies_that_are_continued(movies):
    """The validation of the last epoch is that of the model which training returns."""
    data, own = labelled(movies), recipe(epochs=1)
    result = train(data, own)
    plain = train(data, replace(own, given=0))
    # In the first epoch all frames are true.
    assert (result.model.layers[0].wx == plain.model.layers[0].wx).all()
    aside = np.isin(data.subject, _aside(data, own))
    x = data.x[aside]
    read = made_over(x, lambda x: reference.logits(result.model, x).astype(np.float32), GIVEN, 6, 2)
    z, y = reference.logits(result.model, read)[:, :-6, 0], data.y[aside][:, :-6]
    nats = np.logaddexp(0, z) - y * z
    (row,) = result.history
    assert row["validation_perplexity"] == pytest.approx(np.exp(nats.mean()), rel=1e-5)
    assert row["validation_perplexity"] != plain.history[0]["validation_perplexity"]


def test_frames_are_made_by_rows_as_they_are_normalised(movies, monkeypatch):
    """What makes frames has the parameters of the model, of which normalisation is no part."""
    layers = parse_layers("dense 2 over 2x3")
    own = recipe(layers=layers, epochs=2, method={"batch_norm": True})
    seen = []
    whole = Run._made_over

    def watched(self, x, rounds, params):
        seen.append(set(params))
        return whole(self, x, rounds, params)

    monkeypatch.setattr(Run, "_made_over", watched)
    train(labelled(movies), own)
    assert seen
    assert not any({"gains", "moments"} & names for names in seen)


def _aside(data, own):
    subjects = np.unique(data.subject[data.fold != 0])
    count = int(np.ceil(own.validation * len(subjects)))
    return np.random.default_rng(own.fold).permutation(subjects)[:count]


def test_training_on_what_is_made_goes_on_where_it_stopped(movies, tmp_path, monkeypatch):
    data, own = labelled(movies), recipe(epochs=3, learning_rate=0.05)
    whole = train(data, own)
    true = train(data, replace(own, given=0))
    assert (whole.model.layers[0].wx != true.model.layers[0].wx).any()

    def stop(progress):
        if progress.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data, own, checkpoint_dir=tmp_path, progress=stop)
    again = train(data, own, checkpoint_dir=tmp_path)
    for one, other in zip(again.model.layers, whole.model.layers, strict=True):
        assert (one.wx == other.wx).all()
    assert (again.model.wd == whole.model.wd).all()


@pytest.mark.parametrize("given", [FRAMES, FRAMES + 3])
def test_no_frame_left_to_make_is_refused(movies, given):
    with pytest.raises(MubinnError, match=f"{given} frames are given of windows of 6, .* 1 to 5"):
        train(labelled(movies), recipe(given=given))


@pytest.mark.parametrize(
    "changes", [{"readout": "mean"}, {"head": "classes"}, {"layers": parse_layers("lstm 3")}]
)
def test_models_that_make_no_frames_are_given_none(changes):
    with pytest.raises(MubinnError, match=r"give --head sigmoid --readout every .* leave --given"):
        recipe(**changes)
    assert "given" not in Recipe().to_json()
    assert recipe().to_json()["given"] == GIVEN
