"""Moving MNIST: digits go straight, bounce, and are in movies of one fold alone."""

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.train.data.files import load_labelled
from mubinn.train.data.moving import CANVAS, SPEED, SUBJECTS, drawn, moving, paths, pooled


@pytest.fixture
def digits(tmp_path):
    """Images of which each is known by its one level, none of them black."""
    count, side = 2 * SUBJECTS, 8
    levels = 6 * np.arange(1, count + 1, dtype=np.uint8)[:, None, None]
    np.savez(tmp_path / "digits.npz", x=np.broadcast_to(levels, (count, side, side)))
    return tmp_path / "digits.npz"


def test_digits_go_straight_on_and_turn_round_at_edges():
    own = paths(np.random.default_rng(3), 50, 40)
    way = np.diff(own, axis=1)
    inside = (own[:, 1:] > 0) & (own[:, 1:] < 1) & (own[:, :-1] > 0) & (own[:, :-1] < 1)
    free = inside.all(axis=2)
    assert 500 < free.sum() < 50 * 39
    np.testing.assert_allclose(np.hypot(*way[free].T), SPEED, rtol=0, atol=1e-12)
    along = np.abs(own[:, 1:-1]) % 1 == 0  # on an edge: the next step leads away from it
    assert along.any()
    before, after = way[:, :-1][along], way[:, 1:][along]
    assert (before * after <= 0).all()
    assert (np.abs(after) <= SPEED).all()


def test_the_brighter_digit_stands_where_they_overlap():
    images = np.stack([np.full((4, 4), 9, np.uint8), np.eye(4, dtype=np.uint8) * 20])
    movie = drawn(images, np.array([[[0.0, 1.0]], [[0.0, 1.0]]]))
    assert (movie[0, :4, CANVAS - 4 :] == np.maximum(*images)).all()
    assert movie.sum() == np.maximum(*images).sum()


def test_a_label_of_grey_is_white_as_often_as_its_grey_says(digits):
    about = {"movies": 200, "frames": 4, "pool": 4, "seed": 1}
    (plain, _), (grey, _) = moving(digits, **about), moving(digits, **about, grey=True)
    assert (plain["X"] == grey["X"]).all()
    following = grey["X"].reshape(200, 4, 256)[:, 1:]
    y = grey["y"].reshape(200, 4, 256)
    assert (y[:, 3] == -1).all()
    assert not y[:, :3][following == 0].any()
    for low in (0.1, 0.3, 0.6):
        own = (following > low) & (following < low + 0.2)
        assert own.sum() > 500
        wanted = following[own].mean()
        assert y[:, :3][own].mean() == pytest.approx(wanted, abs=4 * (0.25 / own.sum()) ** 0.5)
    assert (moving(digits, **about, grey=True)[0]["y"] == grey["y"]).all()


def test_a_label_is_the_pixel_of_the_next_frame(digits):
    arrays, told = moving(digits, movies=40, frames=4, pool=4, seed=1)
    assert told == "4 frames of 16 x 16 pixels, the last without labels"
    x, y = arrays["X"].reshape(40, 4, 256), arrays["y"].reshape(40, 4, 256)
    assert (y[:, 3] == -1).all()
    assert (y[:, :3] == (x[:, 1:] * 255 >= 128)).all()
    assert set(np.unique(y)) == {-1, 0, 1}


def test_no_digit_is_in_two_folds(digits):
    arrays, _ = moving(digits, movies=200, frames=2, pool=1)
    levels = [set(np.unique(np.rint(own * 255)).astype(int)) - {0} for own in arrays["X"]]
    folds = [
        set().union(*(levels[k] for k in np.flatnonzero(arrays["fold"] == f))) for f in range(5)
    ]
    assert sum(map(len, folds)) == len(set().union(*folds)) == 2 * SUBJECTS
    assert {fold % 5 for fold in arrays["subject"]} == set(range(5))


def test_means_of_four_keep_the_sum():
    movie = np.random.default_rng(0).integers(0, 256, (3, 8, 8)).astype(np.uint8)
    found = pooled(movie, 2)
    assert found[2, 1, 3] == movie[2, 2:4, 6:8].mean()
    np.testing.assert_allclose(found.sum() * 4, movie.sum(), rtol=1e-12)


def run(*arguments, status=0):
    result = CliRunner().invoke(mubinn, ["convert", "moving", *map(str, arguments)])
    assert result.exit_code == status, (result.output, result.stderr)
    return result


def test_movies_are_windows_to_train_on(digits, tmp_path):
    out = tmp_path / "m.npz"
    said = run(digits, "--movies", 20, "--frames", 3, "--pool", 8, "-o", out).stdout
    assert (
        "20 windows of 192 steps and 1 channels, 2 classes, 20 subjects (3 frames of 8 x 8" in said
    )
    data = load_labelled(out)
    assert data.y.shape == (20, 192)
    assert data.classes == ("black", "white")
    about = "--movies", 20, "--frames", 3, "--pool", 8
    run(digits, *about, "--grey", "-o", out)
    grey = moving(digits, movies=20, frames=3, pool=8, grey=True)[0]["y"]
    assert (load_labelled(out).y == grey).all()
    assert (data.y != grey).any()


WRONG = {
    "divide": (["--pool", 5], "5 pixels do not divide"),
    "movies": (["--movies", 0], "0 movies of 15 frames"),
    "frames": (["--frames", 1], "movies of 1 frames"),
    "seed": (["--seed", -1], "from seed -1"),
    "many": (["--movies", 10**6], "give fewer --movies"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_fits_no_movie_is_refused(digits, tmp_path, name):
    options, words = WRONG[name]
    assert words in run(digits, *options, "-o", tmp_path / "m.npz", status=2).stderr
    assert not (tmp_path / "m.npz").exists()


OTHERS = [((5, 8, 8), "u1"), ((40, 8, 8), "f4"), ((40, 9, 8), "u1"), ((40, 65, 65), "u1")]


@pytest.mark.parametrize(("shape", "kind"), OTHERS)
def test_other_images_are_refused(tmp_path, shape, kind):
    np.savez(tmp_path / "x.npz", x=np.zeros(shape, kind))
    refused = run(tmp_path / "x.npz", "-o", tmp_path / "m.npz", status=2)
    assert "give 20 images up, uint8" in refused.stderr
