"""EEG sets, their preparation, loaders and the synthetic stand-in."""

import subprocess
import sys

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.front_end import FrontEnd
from mubinn.train.data.windows import LabelledSet, find_data, load_labelled, prepare, synthetic_eeg

RNG = np.random.default_rng(3)


def small_fields(n=20, steps=24, channels=3):
    return {
        "X": RNG.integers(-500, 500, (n, steps, channels)).astype(np.int16),
        "y": (np.arange(n) % 2).astype(np.int8),
        "subject": (np.arange(n) // 2).astype(np.int16),
        "fold": (np.arange(n) // 4).astype(np.int8),
        "scale_uV": np.float32(0.5),
        "fs_hz": np.float32(80),
        "channels": np.array(["O1", "O2", "Oz"]),
        "classes": np.array(["open", "closed"]),
    }


def save(path, **fields):
    np.savez(path, **fields)
    return path


def test_import_needs_numpy_alone():
    code = (
        "import sys, mubinn.train.data.windows\n"
        "heavy = {'jax', 'optax', 'mne', 'scipy', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_npz_round_trip(tmp_path):
    fields = small_fields()
    data = load_labelled(save(tmp_path / "a.npz", **fields))
    assert data.x.dtype == np.int16
    for name in ("x", "y", "subject", "fold"):
        assert (getattr(data, name) == fields["X" if name == "x" else name]).all()
    assert (data.windows, data.steps, data.features) == (20, 24, 3)
    assert (data.scale_uv, data.fs_hz) == (0.5, 80.0)
    assert data.channels == ("O1", "O2", "Oz")
    assert data.classes == ("open", "closed")


def test_words_are_one_channel(tmp_path):
    x = RNG.integers(0, 20_000, (20, 8)).astype(np.uint16)
    data = load_labelled(save(tmp_path / "a.npz", x=x, y=np.arange(20) % 2))
    assert data.x.dtype == np.float32
    assert (data.x == x[:, :, None]).all()


def test_generic_npz_gets_contiguous_pseudo_subjects(tmp_path):
    x = RNG.standard_normal((20, 8, 2))
    labels = np.array(["rest"] * 10 + ["move"] * 10)
    data = load_labelled(save(tmp_path / "a.npz", x=x, y=labels), fs_hz=128)
    assert data.x.dtype == np.float32
    assert data.classes == ("move", "rest")
    assert data.y.tolist() == [1] * 10 + [0] * 10
    assert data.fold.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4] * 2
    assert data.fs_hz == 128.0
    assert data.channels == ("E1", "E2")


def test_npy_takes_sibling_or_named_labels(tmp_path):
    fields = small_fields()
    np.save(tmp_path / "rec.npy", fields["X"])
    with pytest.raises(MubinnError, match=r"rec_y\.npy is not beside it"):
        load_labelled(tmp_path / "rec.npy")
    np.save(tmp_path / "rec_y.npy", fields["y"])
    np.save(tmp_path / "who.npy", fields["subject"])
    data = load_labelled(tmp_path / "rec.npy", subjects=tmp_path / "who.npy")
    assert (data.y == fields["y"]).all()
    assert data.fold.tolist() == [k // 2 % 5 for k in range(20)]
    np.save(tmp_path / "flip.npy", 1 - fields["y"])
    flipped = load_labelled(tmp_path / "rec.npy", labels=tmp_path / "flip.npy")
    assert (flipped.y == 1 - fields["y"]).all()


BAD_FIELDS = {
    "NaN": ({"X": np.full((20, 24, 3), np.nan)}, "Window 0 holds NaN"),
    "flat X": ({"X": np.zeros((20, 24))}, r"need \[windows, steps, channels\]"),
    "text X": ({"X": np.full((20, 24, 3), "a")}, "real numbers"),
    "one class": ({"y": np.zeros(20, int)}, "at least two classes"),
    "label range": ({"y": np.arange(20) % 3}, "labels count from 0"),
    "label count": ({"y": np.arange(19) % 2}, "20 windows but 19 labels"),
    "label NaN": ({"y": np.full(20, np.nan)}, "labels that are NaN"),
    "label shape": ({"y": np.zeros((20, 2), int)}, "labels of shape"),
    "subject count": ({"subject": np.arange(3)}, "20 windows but 3 subjects"),
    "subject type": ({"subject": np.linspace(0, 1, 20)}, "give integers"),
    "subject in two folds": ({"fold": np.arange(20) % 5}, "lies in several folds"),
    "negative fold": ({"fold": -np.arange(20) // 4}, "folds count from 0"),
    "channel names": ({"channels": np.array(["O1"])}, "1 channel names are given for 3"),
    "scale": ({"scale_uV": np.float32(0)}, "scale must be a positive"),
    "scale shape": ({"scale_uV": np.ones(2)}, "not one number"),
    "rate": ({"fs_hz": np.float32(-1)}, "sampling rate"),
    "pickle": ({"y": np.array([{}] * 20, object)}, "pickled objects"),
}


@pytest.mark.parametrize("case", BAD_FIELDS)
def test_bad_fields_end_in_one_sentence(tmp_path, case):
    change, message = BAD_FIELDS[case]
    path = save(tmp_path / "a.npz", **(small_fields() | change))
    with pytest.raises(MubinnError, match=message) as info:
        load_labelled(path)
    assert "\n" not in str(info.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(MubinnError, match="does not exist"):
        load_labelled(tmp_path / "none.npz")
    (tmp_path / "rec.csv").write_text("1,2,3")
    with pytest.raises(MubinnError, match=r"neither \.npz nor \.npy"):
        load_labelled(tmp_path / "rec.csv")
    with pytest.raises(MubinnError, match="no array 'y'"):
        load_labelled(save(tmp_path / "x.npz", X=np.zeros((4, 4, 4))))
    whole = save(tmp_path / "a.npz", **small_fields()).read_bytes()
    array = tmp_path / "a.npy"
    np.save(array, small_fields()["X"])
    for length in (0, 10, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        with pytest.raises(MubinnError, match=r"cut\.npz"):
            load_labelled(tmp_path / "cut.npz")
        (tmp_path / "cut.npy").write_bytes(array.read_bytes()[: min(length, 2000)])
        with pytest.raises(MubinnError, match=r"cut\.npy"):
            load_labelled(tmp_path / "cut.npy", labels=array)
    damaged = bytearray(whole)
    damaged[400] ^= 0xFF  # inside X: the archive's checksum notices
    (tmp_path / "cut.npz").write_bytes(damaged)
    with pytest.raises(MubinnError, match="truncated or damaged"):
        load_labelled(tmp_path / "cut.npz")
    (tmp_path / "zip.npy").write_bytes(whole)
    assert load_labelled(tmp_path / "zip.npy").windows == 20


def test_set_refuses_other_types():
    data = synthetic_eeg(20, steps=16, channels=2)
    rest = (data.y, data.subject, data.fold, 1.0, 80.0, data.channels, data.classes)
    with pytest.raises(MubinnError, match="give int16 or float32"):
        LabelledSet(data.x.astype(np.float64), *rest)
    with pytest.raises(MubinnError, match=r"must be \[windows, steps, channels\]"):
        LabelledSet(data.x[:0], *rest)


def test_take_selects_windows():
    data = synthetic_eeg(40, steps=16, channels=2)
    part = data.take(data.fold == 3)
    assert set(part.subject.tolist()) == {3, 8}
    assert (part.x == data.x[data.fold == 3]).all()


def prepare_plainly(window, decimate):
    centred = window - window.mean(axis=0)
    scaled = centred / np.sqrt((centred**2).mean())
    return np.array(
        [scaled[k : k + decimate].mean(axis=0) for k in range(0, len(window), decimate)]
    )


@pytest.mark.parametrize("decimate", [1, 2, 4])
def test_prepare_follows_its_definition(decimate):
    x = synthetic_eeg(300, steps=32, channels=5).x
    got = prepare(x, decimate=decimate)
    assert got.dtype == np.float32
    assert got.shape == (300, 32 // decimate, 5)
    want = np.array([prepare_plainly(w.astype(np.float64), decimate) for w in x])
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)  # one float32 rounding


@pytest.mark.parametrize("rest", ["window", "subject"])
def test_the_average_reference_comes_first(rest):
    data = synthetic_eeg(60, steps=32, channels=5)
    got = prepare(data.x, normalise=f"referenced-{rest}", subject=data.subject)
    less = data.x.astype(np.float64)
    for n, t in np.ndindex(less.shape[:2]):
        less[n, t] -= sum(less[n, t].tolist()) / 5
    want = prepare(less.astype(np.float32), normalise=rest, subject=data.subject)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)  # `less` in float32
    assert np.abs(got - prepare(data.x, normalise=rest, subject=data.subject)).max() > 0.1
    # What all channels share is gone.
    hum = (1000 * np.sin(np.arange(32)))[:, None].astype(np.float32)
    loud = prepare(data.x + hum, normalise=f"referenced-{rest}", subject=data.subject)
    np.testing.assert_allclose(loud, got, rtol=1e-3, atol=1e-3)
    alone = synthetic_eeg(60, steps=32, channels=1)
    with pytest.raises(MubinnError, match="there is one channel alone; use 'window'"):
        prepare(alone.x, normalise=f"referenced-{rest}", subject=alone.subject)
    same = np.repeat(alone.x, 3, axis=2)
    with pytest.raises(MubinnError, match="constant beside the mean of all"):
        prepare(same, normalise=f"referenced-{rest}", subject=alone.subject)


def test_causal_windows_are_those_of_the_front_end():
    x = np.random.default_rng(0).normal(0, 40, (300, 22, 3)).astype(np.int16)
    got = prepare(x, normalise="causal", decimate=4)
    want, _ = FrontEnd(3, decimation=4).run(x[:, :20])
    assert got.dtype == np.float32
    assert (got * 4096 == want).all()
    assert (got == prepare(x.astype(np.float32), normalise="causal", decimate=4)).all()
    early = prepare(x[:, :12], normalise="causal", decimate=4)
    assert (early == got[:, :3]).all()  # what comes later has no say
    with pytest.raises(MubinnError, match="whole numbers, and these have fractions"):
        prepare(x.astype(np.float32) / 2, normalise="causal")
    with pytest.raises(MubinnError, match="a step of 3 samples there is not"):
        prepare(x, normalise="causal", decimate=3)


def test_prepare_ignores_scale_neighbours_and_the_tail():
    x = synthetic_eeg(300, steps=32, channels=5).x
    whole = prepare(x)
    assert (prepare(x[270:]) == whole[270:]).all()
    assert (prepare(x.astype(np.float32) * np.float32(0.25)) == whole).all()
    assert prepare(x, decimate=5).shape == (300, 6, 5)
    assert (prepare(x, normalise="none", decimate=1) == x).all()


def test_prepare_refuses_bad_windows():
    x = synthetic_eeg(300, steps=32, channels=5).x.astype(np.float32)
    dead = x.copy()
    dead[:, :, 1] = 7.0  # one dead electrode is no fault: the others carry the deviation
    assert np.isfinite(prepare(dead)).all()
    dead[280] = np.arange(5)
    with pytest.raises(MubinnError, match="Window 280 is flat"):
        prepare(dead)
    x[7, 3, 2] = np.inf
    with pytest.raises(MubinnError, match="Window 7 holds NaN"):
        prepare(x)
    with pytest.raises(MubinnError, match="Decimation 33"):
        prepare(synthetic_eeg(20, steps=32).x, decimate=33)
    with pytest.raises(MubinnError, match="needs to know whose window each is"):
        prepare(synthetic_eeg(20).x, normalise="subject")
    with pytest.raises(MubinnError, match="'referenced' is unknown; use one of window, subject, "):
        prepare(synthetic_eeg(20).x, normalise="referenced")


def band_power(data, low, high):
    spectrum = np.abs(np.fft.rfft(prepare(data.x, decimate=1), axis=1)) ** 2
    freq = np.fft.rfftfreq(data.steps, 1 / data.fs_hz)
    return spectrum[:, (freq >= low) & (freq <= high)].mean(axis=1)


def test_synthetic_is_reproducible_and_subject_wise():
    data = synthetic_eeg(200, seed=5)
    assert (data.x == synthetic_eeg(200, seed=5).x).all()
    assert (data.x != synthetic_eeg(200, seed=6).x).any()
    assert data.x.dtype == np.int16
    assert data.x.shape == (200, 320, 32)
    assert np.bincount(data.y).tolist() == [100, 100]
    assert np.bincount(data.fold).tolist() == [40] * 5
    assert np.bincount(data.subject).tolist() == [20] * 10


def test_synthetic_has_alpha_behind_and_blinks_in_front():
    data = synthetic_eeg(200, seed=1)
    back = [data.channels.index(name) for name in ("O1", "Oz", "O2")]
    front = [data.channels.index(name) for name in ("Fp1", "Fp2")]
    alpha, slow = band_power(data, 8, 12), band_power(data, 0.5, 4)
    peaks = set()
    for subject in range(10):
        own = data.subject == subject
        shut, wide = own & (data.y == 1), own & (data.y == 0)
        assert alpha[shut][:, back].mean() > 1.5 * alpha[wide][:, back].mean()
        assert alpha[shut][:, back].mean() > 2 * alpha[shut][:, front].mean()
        assert slow[wide][:, front].mean() > slow[wide][:, back].mean()
        spectrum = np.abs(np.fft.rfft(data.x[shut][:, :, back], axis=1)).mean(axis=(0, 2))
        peaks.add(28 + int(np.argmax(spectrum[28:52])))
    assert len(peaks) > 4  # individual alpha frequencies
    threshold = np.median(alpha[:, back].mean(axis=1))
    assert ((alpha[:, back].mean(axis=1) > threshold) == data.y).mean() < 0.95  # not trivial


def test_synthetic_sizes():
    assert synthetic_eeg(20, channels=1, steps=16).x.shape == (20, 16, 1)
    assert synthetic_eeg(20, channels=40, steps=16).channels[39] == "E40"
    for sizes in ({"windows": 19}, {"windows": 20, "steps": 15}, {"windows": 20, "channels": 0}):
        with pytest.raises(MubinnError, match="too small"):
            synthetic_eeg(**sizes)


def test_find_data_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MUBINN_SHARED", str(tmp_path))
    assert find_data() is None
    (tmp_path / "a.bin").touch()
    assert find_data("a.bin") == tmp_path / "a.bin"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.bin").touch()
    assert find_data("a.bin") == tmp_path / "data" / "a.bin"
    monkeypatch.delenv("MUBINN_SHARED")
    assert find_data("no such file") is None


@pytest.mark.skipif(find_data() is None, reason="the eegmmidb windows are not here")
def test_real_data():
    data = load_labelled(find_data())
    assert data.x.shape == (3270, 320, 32)
    assert np.bincount(data.fold).tolist() == [660, 660, 660, 660, 630]
    x = prepare(data.x[:64])
    assert x.shape == (64, 160, 32)
    assert np.isfinite(x).all()
