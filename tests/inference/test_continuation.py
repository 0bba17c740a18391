"""Movies continued frame by frame: each frame that is made is read next."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from sweeps import swept

from mubinn.cli.main import mubinn
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.library import dense, peephole
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.continuation import continued, frame_errors, next_frame, yardsticks
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel, Preprocessing
from mubinn.golden.model.model_file import save_model
from mubinn.golden.quantize import quantize


def pixelwise(head="sigmoid", readout="every", normalise="none"):
    """A network that reads each pixel alone."""
    rng = np.random.default_rng(1)
    layer = FloatLayer(dense, rng.normal(0, 2, (3, 1)), np.zeros((3, 0)), rng.normal(0, 1, 3))
    return FloatModel(
        (layer,),
        rng.normal(0, 2, (1, 3)),
        np.zeros(1),
        readout,
        head=head,
        preprocessing=Preprocessing(normalise, 1),
    )


@pytest.fixture
def movies():
    return np.random.default_rng(0).uniform(0, 1, (10, 5, 2, 3)).astype(np.float32)


def convolutional(height=2, width=3):
    """A ConvLSTM, and a convolution over the frame of what it makes."""
    over = Sweep(height, width)
    made = swept([(peephole, 3, over), (dense, 2, over)], features=1)
    return replace(made, preprocessing=Preprocessing("none", 1))


MADE = [pixelwise, convolutional]


def kinds(movies, made=pixelwise):
    start = made()
    return start, quantize(start, Levels.of(3, 3), movies.reshape(10, -1, 1).astype(float))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("place", [0, 1])
def test_each_frame_that_is_made_is_read_next(movies, place, made):
    model = kinds(movies, made)[place]
    found = continued(next_frame(model), movies[:, :3], 2)
    frames = [*np.moveaxis(movies[:, :3].astype(np.float64), 1, 0)]
    for _ in range(2):
        x = np.stack(frames, axis=1).reshape(10, -1, 1)
        if place:
            x = x.astype(np.float32)
            z = model.values(bit_true.run(model, model.encode_input(x))[1], x.shape[1])
        else:
            z = reference.logits(model, x)
        frames.append(sigmoid(z[:, -6:, 0]).reshape(10, 2, 3))
    np.testing.assert_allclose(found, np.stack(frames[3:], axis=1), rtol=0, atol=1e-12)
    assert np.abs(found[:, 0] - found[:, 1]).max() > 0.01


def test_errors_are_means_of_squares_and_yardsticks_know_no_motion():
    movies = np.zeros((2, 4, 1, 2))
    movies[:, 1, 0, 0], movies[:, 3] = 1, 0.5
    others = np.full((3, 4, 1, 2), 0.25)
    found = yardsticks(movies, 2, others)
    assert {name: own.tolist() for name, own in found.items()} == {
        "black": [0.0, 0.25],
        "mean frame": [0.0625, 0.0625],
        "last frame held": [0.5, 0.25],
    }
    assert frame_errors(movies, movies).tolist() == [0.0] * 4


def test_models_that_make_no_pixels_are_refused():
    for wrong in ({"readout": "mean"}, {"head": "regression"}):
        with pytest.raises(MubinnError, match="makes no pixels"):
            next_frame(pixelwise(**wrong))
    with pytest.raises(MubinnError, match="fed back as they are"):
        next_frame(pixelwise(normalise="window"))


def test_frames_of_another_size_are_refused(movies):
    following = next_frame(convolutional(3, 2))()
    with pytest.raises(
        MubinnError, match="frames of 2 x 3 pixels, and the model sweeps those of 3 x 2"
    ):
        following(movies)


@pytest.fixture
def folder(movies, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("m.npz", X=movies.reshape(10, -1, 1), fold=np.arange(10) % 5, frame=[2, 3])
    for name, model in zip(("a.safetensors", "a.mubinn"), kinds(movies), strict=True):
        save_model(name, model)


def run(*arguments, status=0):
    result = CliRunner().invoke(mubinn, ["movies", *map(str, arguments)])
    assert result.exit_code == status, (result.output, result.stderr)
    return result


@pytest.mark.parametrize("name", ["a.safetensors", "a.mubinn"])
def test_the_command_tells_the_error_of_each_frame(folder, movies, name):
    told = json.loads(run(name, "m.npz", "--given", 3, "--json", "-o", "f.npz").stdout)
    assert (told["movies"], told["frames"]) == (2, [4, 5])
    frames, truth = np.load("f.npz")["made"], movies[[0, 5], 3:]
    wanted = np.square(frames - truth.astype(np.float64)).mean(axis=(0, 2, 3))
    np.testing.assert_allclose(told["errors"]["model"], wanted, rtol=0, atol=1e-12)
    mean = movies[np.arange(10) % 5 > 0].mean(axis=(0, 1), dtype=np.float64)
    wanted = np.square(mean - truth.astype(np.float64)).mean(axis=(0, 2, 3))
    np.testing.assert_allclose(told["errors"]["mean frame"], wanted, rtol=0, atol=1e-12)
    table = run(name, "m.npz", "--given", 4, "--most", 1).stdout.splitlines()
    assert table[0] == "squared error a pixel, 1 movies"
    assert table[-1].split()[0] == "5"


WRONG = {
    "given": (["--given", 5], "5 frames given of movies of 5"),
    "fold": (["--fold", 7], "0 movies of fold 7, and 10 others"),
    "most": (["--most", 0], "--most 0 leaves no movie"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_continued_is_refused(folder, name):
    options, words = WRONG[name]
    assert words in run("a.mubinn", "m.npz", *options, status=2).stderr


def test_windows_that_are_no_movies_are_refused(folder, movies):
    np.savez("n.npz", X=movies.reshape(10, -1, 1), fold=np.arange(10) % 5, frame=[4, 4])
    assert "no movies of 4 x 4 pixels" in run("a.mubinn", "n.npz", status=2).stderr
