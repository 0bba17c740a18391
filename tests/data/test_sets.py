"""Converters of public sets: made anew in their compact form, and read back as windows."""

from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.train.data import beats, digits, watch
from mubinn.train.data.compact import differences
from mubinn.train.data.files import load_labelled


def run(*arguments, status=0):
    result = CliRunner().invoke(mubinn, ["convert", *map(str, arguments)])
    assert result.exit_code == status, (result.output, result.stderr)
    return result


def coded(samples):
    """Return int16 differences along the last axis, which add up to the samples around its ends."""
    wide = np.diff(samples.astype(np.int64), prepend=0, axis=-1)
    return ((wide + 2**15) % 2**16 - 2**15).astype(np.int16)


@pytest.fixture
def moved(tmp_path):
    """Two people's recordings of two activities, 300, 260, 90 and 300 steps."""
    rng = np.random.default_rng(0)
    lengths = [300, 260, 90, 300]
    off = np.concatenate([[0], np.cumsum(lengths)])
    samples = rng.normal(0, 300, (6, off[-1])).round()
    samples[3, 10], samples[3, 11] = 30000, -30000  # their difference leaves int16
    arrays = {"dx": coded(samples), "off": off.astype(np.int32)}
    arrays |= {"subject": np.array([7, 7, 9, 9], np.uint16), "y": np.array([1, 0, 1, 0], np.uint8)}
    np.savez(tmp_path / "compact.npz", **arrays, activities=["sit", "walk"])
    return tmp_path, samples, off, arrays


def test_windows_of_the_watch_are_cut_within_recordings(moved):
    folder, _, _, _ = moved
    said = run("watch", folder / "compact.npz", "-o", folder / "w.npz", "--hop", 2).stdout
    data = load_labelled(folder / "w.npz")
    # (length - 200) // 40 + 1 windows of each; the third recording is shorter than a window.
    assert np.bincount(data.subject)[[7, 9]].tolist() == [3 + 2, 3]
    assert data.y.tolist() == [1] * 3 + [0] * 2 + [0] * 3
    assert data.classes == ("sit", "walk")
    assert data.fs_hz == 20.0
    assert data.channels[:3] == ("gravity ax", "gravity ax (2)", "gravity ay")
    assert (data.x[:, :, ::2] == data.x[:, :, 1::2]).all()
    assert "8 windows of 200 steps and 30 channels, 2 classes, 2 subjects" in said
    run("watch", folder / "compact.npz", "-o", folder / "one.npz", "--hop", 2, "--copies", 1)
    one = load_labelled(folder / "one.npz")
    assert one.channels == watch.CHANNELS
    assert (one.x == data.x[:, :, ::2]).all()
    assert (np.unique(data.fold[data.subject == 7]) != data.fold[data.subject == 9]).all()


def test_channels_of_the_watch_are_those_of_their_definitions(moved):
    folder, samples, off, _ = moved
    run("watch", folder / "compact.npz", "-o", folder / "w.npz", "--copies", 1)
    x = load_labelled(folder / "w.npz").x[2]  # the second recording's first
    own = samples[:, off[1] : off[2]].T / watch.UNITS
    for step in (60, 150):
        gravity = own[step - 39 : step + 1, :3].mean(axis=0)
        np.testing.assert_allclose(x[step, :3], gravity, rtol=0, atol=1e-5)
        slow = np.stack([own[k - 39 : k + 1, :3].mean(axis=0) for k in range(step - 19, step + 1)])
        change = np.concatenate(
            [1.5 * (own[step - 19 : step + 1, :3] - slow), own[step - 19 : step + 1, 3:]], axis=1
        )
        np.testing.assert_allclose(x[step, 3:9], change[-1], rtol=0, atol=1e-5)
        deviation = np.sqrt((change**2).mean(axis=0))
        np.testing.assert_allclose(x[step, 9:], np.log(deviation + 0.05) + 1.2, rtol=0, atol=1e-4)


def test_differences_that_leave_int16_come_back(moved):
    _, samples, _, arrays = moved
    assert np.abs(np.diff(samples)).max() > 2**15
    assert (differences(arrays["dx"]) == samples).all()


@pytest.fixture
def hearts(tmp_path):
    """Four patients' records, one paced, of both parts of the split; and a person in both."""
    rng = np.random.default_rng(1)
    numbers, parts = [101, 102, 106, 201, 202], [1, 0, 1, 1, 2]
    signals = rng.normal(0, 60, (5, 6000)).round()
    peaks = [20 + np.cumsum(rng.integers(70, 130, 50)) for _ in numbers]
    off = np.concatenate([[0], np.cumsum([len(p) for p in peaks])])
    classes = rng.integers(0, 4, off[-1])
    classes[30] = 4
    arrays = {"dsig": coded(signals), "rec": numbers, "ds": parts, "beat_off": off}
    arrays |= {"beat_pos": np.concatenate(peaks), "beat_cls": classes}
    np.savez(tmp_path / "compact.npz", **arrays)
    return tmp_path, signals, peaks, arrays


def test_beats_have_their_signal_and_their_intervals(hearts):
    folder, signals, peaks, arrays = hearts
    run("ecg", folder / "compact.npz", "-o", folder / "b.npz")
    data = load_labelled(folder / "b.npz")
    assert data.x.shape[1:] == (84, 7)
    assert data.classes == beats.CLASSES
    first = np.insert(np.flatnonzero(data.subject == 101), 29, -1)  # the beat of class Q is out
    own = np.delete(arrays["beat_cls"][1:49], 29)
    assert data.y[data.subject == 101].tolist() == own.tolist()
    spans = [slice(int(at) - 36, int(at) + 48) for at in peaks[0]]
    raw = [
        signals[0, span] - np.median(signals[0, max(0, at - 600) : at + 600])
        for at, span in zip(peaks[0], spans, strict=True)
    ]
    for k in (3, 20):  # the usual beat is of 20 on each side, where there are so many
        usual = np.median(raw[max(1, k - 20) : min(k + 21, 49)], axis=0)
        beat, usual = np.clip(raw[k] / usual.std(), -8, 8), usual / usual.std()
        window = data.x[first[k - 1]]
        np.testing.assert_allclose(window[:, 0], beat, rtol=0, atol=1e-5)
        np.testing.assert_allclose(window[:, 1], beat - usual, rtol=0, atol=1e-5)
        middle = np.median(np.diff(peaks[0])[max(0, k - 8) : k + 8])
        around = np.diff(peaks[0])[k - 1 : k + 1]
        np.testing.assert_allclose(window[5, 2:4], 3 * np.log(around / middle), atol=1e-5)
        far = np.sqrt(((beat - usual) ** 2).mean() / (usual**2).mean())
        alike = np.corrcoef(beat, usual)[0, 1]
        np.testing.assert_allclose(window[:, 4], np.log(far + 0.05) + 1, atol=1e-4)
        np.testing.assert_allclose(window[:, 5], 2 * alike - 1, atol=1e-4)


def test_wide_beats_are_told_from_narrow_ones():
    steps = np.arange(84) - 36
    narrow, wide = (np.exp(-0.5 * (steps / size) ** 2)[None] for size in (3, 9))
    distance, likeness, width = beats.likenesses(
        np.concatenate([narrow, wide]), np.concatenate([narrow, narrow])
    )
    assert width[0] == 0
    assert width[1] > 1
    assert likeness[0] == pytest.approx(1)
    assert likeness[1] < 0.8
    assert distance[1] > distance[0]
    turned = beats.likenesses(-2 * narrow, narrow)
    assert turned[1] == pytest.approx(-3)
    assert turned[2] == pytest.approx(0, abs=0.01)


def test_a_person_of_both_parts_is_tested_alone_and_paced_hearts_are_left_out(hearts):
    folder, _, _, arrays = hearts
    run("ecg", folder / "compact.npz", "-o", folder / "b.npz")
    data = load_labelled(folder / "b.npz")
    assert set(data.subject) == {101, 106, 201}
    assert set(data.subject[data.fold == 0]) == {201}
    assert set(data.fold[data.subject != 201]) == {1, 2}
    one = {**arrays, "ds": np.array([1, 0, 1, 1, 1])}
    np.savez(folder / "one.npz", **one)
    run("ecg", folder / "one.npz", "-o", folder / "b.npz")
    dealt = load_labelled(folder / "b.npz").fold  # by patient, in turn
    assert sorted(set(dealt)) == [0, 1, 2]


@pytest.fixture
def spoken(tmp_path):
    """Two speakers' two digits, six takes each, of 3 to 14 frames and 4 coefficients."""
    rng = np.random.default_rng(2)
    take = np.tile(np.arange(6), 4)
    y = np.repeat([0, 0, 7, 7], 6)
    lengths = rng.integers(3, 15, 24)
    off = np.concatenate([[0], np.cumsum(lengths)])
    x = (rng.normal(0, 1, (off[-1], 4)) * [10, 3, 1, 1] - [50, 0, 0, 0]).astype(np.float16)
    np.savez(tmp_path / "compact.npz", x=x, off=off, y=y, index=take, speaker=take)
    return tmp_path, x, off, take


def test_digits_are_normalised_padded_and_cut(spoken):
    folder, x, off, take = spoken
    said = run("digits", folder / "compact.npz", "-o", folder / "d.npz", "--frames", 8).stdout
    data = load_labelled(folder / "d.npz")
    lengths = np.diff(off)
    assert f"{(lengths < 8).sum()} recordings padded behind, {(lengths > 8).sum()} cut" in said
    assert (lengths < 8).any()
    assert (lengths > 8).any()
    for k, (begin, end) in enumerate(pairwise(off)):
        own = x[begin:end].astype(np.float64)
        want = ((own - own.mean(axis=0)) / own.std(axis=0))[:8]
        np.testing.assert_allclose(data.x[k, : len(want)], want, rtol=0, atol=1e-5)
        assert (data.x[k, len(want) :] == 0).all()
    assert (data.subject == take).all()
    assert ((data.fold == 0) == (take < 5)).all()
    assert data.classes == tuple("0123456789")
    assert data.y.max() == 7


@pytest.mark.parametrize(
    ("command", "change", "words"),
    [
        ("watch", {"off": [0, 300, 560, 650, 5000]}, "offsets 'off' that do not cut"),
        ("watch", {"off": [0, 300, 200, 650, 950]}, "offsets 'off' that do not cut"),
        ("watch", {"off": [0, 950]}, "offsets 'off' that do not cut"),
        ("watch", {"dx": None}, "has no array 'dx' of 2 dimensions"),
        ("watch", {"y": [[1, 0, 1, 0]]}, "has no array 'y' of 1 dimensions"),
    ],
)
def test_damaged_forms_end_in_a_sentence(moved, command, change, words):
    folder, _, _, arrays = moved
    made = {**arrays, "activities": ["sit", "walk"], **change}
    made = {name: value for name, value in made.items() if value is not None}
    np.savez(folder / "odd.npz", **made)
    assert words in run(command, folder / "odd.npz", "-o", folder / "w.npz", status=2).stderr
    assert not (folder / "w.npz").exists()


def test_lengths_that_make_no_window_end_in_a_sentence(moved, spoken):
    folder = moved[0]
    # The fixture of digits has written its own compact form over that of the watch.
    np.savez(folder / "watch.npz", **moved[3], activities=["sit", "walk"])
    out = ("-o", folder / "w.npz")
    said = run("watch", folder / "watch.npz", "--window", 20, *out, status=2).stderr
    assert "no run of 20 s: give a shorter --window" in said
    assert (
        "0.05 s at least" in run("watch", folder / "watch.npz", "--hop", 0, *out, status=2).stderr
    )
    assert (
        "a frame at least"
        in run("digits", folder / "compact.npz", "--frames", 0, *out, status=2).stderr
    )


def test_beats_out_of_order_end_in_a_sentence(hearts):
    folder, _, _, arrays = hearts
    turned = arrays["beat_pos"].copy()
    turned[[3, 4]] = turned[[4, 3]]
    np.savez(folder / "odd.npz", **{**arrays, "beat_pos": turned})
    said = run("ecg", folder / "odd.npz", "-o", folder / "b.npz", status=2).stderr
    assert "beats out of order in record 101" in said
    np.savez(folder / "odd.npz", **{**arrays, "ds": [0] * 5})
    said = run("ecg", folder / "odd.npz", "-o", folder / "b.npz", status=2).stderr
    assert "no beat of an unpaced heart" in said
    assert digits.TEST_TAKES == 5
