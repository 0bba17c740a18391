"""Recordings of other formats, through MNE: units, gaps, texts and triggers."""

import sys

import numpy as np
import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.cutting import Cutting, cut_recordings, load_recordings
from mubinn.train.data.signals import Annotation, Stretch
from mubinn.train.data.sources import read_signals

RATE, SECONDS = 50, 20
X = np.random.default_rng(2).normal(0, 30, (3, RATE * SECONDS))
"""Microvolts of two channels; the third counts."""


@pytest.fixture(scope="module")
def mne():
    return pytest.importorskip("mne")


@pytest.fixture
def fif(tmp_path, mne):
    info = mne.create_info(["Cz", "O1", "TRIG"], RATE, ["eeg", "eeg", "stim"])
    raw = mne.io.RawArray(np.concatenate([1e-6 * X[:2], np.rint(X[2:])]), info, verbose="error")
    texts = [("open", 1, 4), ("BAD_ACQ_SKIP", 6, 2), ("shut", 9, 5), ("boundary", 16, 0)]
    words, onsets, lengths = zip(*texts, strict=True)
    raw.set_annotations(mne.Annotations(onsets, lengths, words))
    path = tmp_path / "a_raw.fif"
    raw.save(path, verbose="error")
    return path


def test_a_fif_file(fif):
    signals = read_signals(fif)
    assert [(one.name, one.unit, one.rate_hz) for one in signals.channels] == [
        ("Cz", "V", RATE),
        ("O1", "V", RATE),
    ]
    assert signals.channels[0].taken_unit == "uV"
    assert signals.stretches == (Stretch(0, 6), Stretch(8, 8), Stretch(16, 4))
    assert signals.annotations == (Annotation(1, 4, "open"), Annotation(9, 5, "shut"))
    assert signals.notes == ("its channels of triggers are left out: TRIG",)
    assert "through MNE" in signals.kind
    data = load_recordings(fif, Cutting(2.0, events=("open", "shut")))
    assert data.x.shape == (4, 100, 2)
    np.testing.assert_allclose(data.x[2].T, X[:2, 450:550], atol=1e-3)
    np.testing.assert_allclose(cut_recordings(fif, Cutting(4.0)).x[1].T, X[:2, 400:600], atol=1e-3)


def brain_vision(folder, unit):
    (folder / "a.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=a.eeg\n"
        "MarkerFile=a.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\nNumberOfChannels=2\n"
        f"SamplingInterval={1_000_000 // RATE}\n[Binary Infos]\nBinaryFormat=INT_16\n"
        f"[Channel Infos]\nCh1=Cz,,0.1,{unit}\nCh2=O1,,0.1,{unit}\n",
        encoding="utf-8",
    )
    (folder / "a.vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\nDataFile=a.eeg\n"
        "[Marker Infos]\nMk1=New Segment,,1,1,0,20200101000000000000\n"
        f"Mk2=Stimulus,S  1,{5 * RATE + 1},1,0\nMk3=New Segment,,{8 * RATE + 1},1,0\n"
    )
    (folder / "a.eeg").write_bytes(np.rint(10 * X[:2]).astype("<i2").T.tobytes())
    return folder / "a.vhdr"


def test_brain_vision(tmp_path, mne):
    signals = read_signals(brain_vision(tmp_path, "\xb5V"))
    assert signals.stretches == (Stretch(0, 8), Stretch(8, 12))
    assert signals.annotations == (Annotation(5, 1 / RATE, "Stimulus/S  1"),)
    np.testing.assert_allclose(np.concatenate(signals.samples(0)), X[0], atol=0.051)
    marks = (tmp_path / "a.vmrk").read_text().replace("Mk3=New Segment", "Mk3=Stimulus,S  2")
    (tmp_path / "a.vmrk").write_text(marks.replace("S  2,,", "S  2,"))
    data = load_recordings(tmp_path / "a.vhdr", Cutting(2.0, events=("all",)))
    assert data.y.tolist() == [0, 1]
    np.testing.assert_allclose(data.x[1, :, 1], X[1, 8 * RATE : 10 * RATE], atol=0.051)
    odd = read_signals(brain_vision(tmp_path, "%"))
    with pytest.raises(MubinnError, match="channels that are not in volts"):
        odd.chosen(None)
    np.testing.assert_allclose(np.concatenate(odd.samples(1)), X[1], atol=0.051)


def test_what_mne_cannot_read_is_a_sentence(tmp_path, mne):
    for name in ("a.vhdr", "a.fif", "a.set", "a.xyz"):
        (tmp_path / name).write_text("nothing of the kind")
        with pytest.raises(MubinnError, match="MNE cannot read it") as info:
            read_signals(tmp_path / name)
        assert "\n" not in str(info.value)


def test_mne_is_asked_for_by_name(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mne", None)
    (tmp_path / "a.vhdr").write_text("Brain Vision Data Exchange Header File")
    with pytest.raises(MubinnError, match=r"run pip install 'mubinn\[mne\]', or convert it"):
        read_signals(tmp_path / "a.vhdr")
