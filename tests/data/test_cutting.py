"""Windows of recordings: where they lie, of which class and whose they are."""

import numpy as np
import pytest
from edf_files import Line, edf_bytes

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.cutting import Cutting, cut_recordings, load_edf, load_recordings
from mubinn.train.data.naming import classes_of, part_of
from mubinn.train.data.sources import recordings_of

RATE = 20
CUT = Cutting(2.0)


def ramp(seconds=12, rate=RATE, unit="uV", **change):
    """A signal that tells its time: as many microvolts as seconds, from its first sample."""
    return Line("Cz", np.arange(seconds * rate) / rate, unit, rate, **change)


def save(path, lines=None, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(edf_bytes([ramp()] if lines is None else lines, **how))
    return path


def begins(data):
    return np.rint(data.x[:, 0, 0].astype(float) * RATE).astype(int).tolist()


def test_windows_follow_each_other(tmp_path):
    path = save(tmp_path / "a.edf")
    data = cut_recordings(path, CUT)
    assert data.x.shape == (6, 40, 1)
    assert data.x.dtype == np.float32
    assert begins(data) == [0, 40, 80, 120, 160, 200]
    assert (data.fs_hz, data.channels, data.units) == (20, ("Cz",), ("uV",))
    assert begins(cut_recordings(path, Cutting(5.0))) == [0, 100]
    assert begins(cut_recordings(path, Cutting(5.0, 2.5))) == [0, 50, 100]
    step = np.diff(cut_recordings(path, CUT).x[:, :, 0], axis=1)
    np.testing.assert_allclose(step, 1 / RATE, atol=0.04)


def test_no_window_crosses_a_gap(tmp_path):
    starts = [*range(5), *range(100, 103), *range(200, 204)]
    path = save(tmp_path / "a.edf", kind="EDF+D", starts=starts)
    assert begins(cut_recordings(path, CUT)) == [0, 40, 100, 160, 200]
    data = cut_recordings(path, Cutting(4.0, 0.5))
    assert begins(data) == [0, 10, 20, 160]
    assert data.notes == (f"{path}: 1 of 3 parts without a gap hold no window",)
    with pytest.raises(MubinnError, match="no window of 6 s without a gap"):
        cut_recordings(path, Cutting(6.0))


def test_annotations_say_the_class(tmp_path):
    texts = [("rest", 1, 4.5), ("beep", 6, 0), ("go", 7, 1), ("go", 8, 4), ("beep", 11, 0)]
    path = save(tmp_path / "a.edf", kind="EDF+C", texts=texts)
    data = load_recordings(path, Cutting(2.0, events=("move=go", "rest")))
    assert data.classes == ("move", "rest")
    assert (data.y.tolist(), begins(data)) == ([1, 1, 0, 0], [20, 60, 160, 200])
    assert data.notes == (f"{path}: 1 of 3 annotations hold no window",)
    at = load_recordings(path, Cutting(2.0, events=("rest", "beep")))
    assert (at.y.tolist(), begins(at)) == ([0, 0, 1], [20, 60, 120])
    every = load_recordings(path, Cutting(1.0, events=("all",)))
    assert every.classes == ("beep", "go", "rest")
    for events, words in (
        (("stop",), "no annotation 'stop': there are beep, go, rest"),
        (("a=go", "b=go"), "'go' to two classes"),
        (("rest",), "at least two classes"),
    ):
        with pytest.raises(MubinnError, match=words):
            load_recordings(path, Cutting(2.0, events=events))
    both = save(tmp_path / "b.edf", kind="EDF+C", texts=[("rest", 1, 4), ("go", 4, 3)])
    with pytest.raises(MubinnError, match="two classes at once, 'go' at 4 s"):
        load_recordings(both, Cutting(2.0, events=("all",)))
    with pytest.raises(MubinnError, match="no annotations: name classes with --labels"):
        load_recordings(save(tmp_path / "c.edf"), Cutting(2.0, events=("all",)))


def test_annotations_in_a_gap_hold_no_window(tmp_path):
    starts = [0, 1, 2, 3, 104, 105, 106, 107, 108, 109, 110, 111]
    texts = [("a", 1, 10), ("b", 3, 0), ("b", 5, 2), ("b", 11, 97)]
    path = save(tmp_path / "a.edf", kind="EDF+D", starts=starts, texts=texts[:1])
    with pytest.raises(MubinnError, match="at least two classes"):
        load_recordings(path, Cutting(1.0, events=("all",)))
    path = save(tmp_path / "a.edf", kind="EDF+D", starts=starts, texts=texts)
    data = load_recordings(path, Cutting(2.0, 1.0, events=("a", "b")))
    assert (data.y.tolist(), begins(data)) == ([0, 0, 1, 1, 1], [20, 40, 80, 100, 120])
    assert data.notes == (f"{path}: 2 of 4 annotations hold no window",)


def test_files_say_the_class_and_the_person(tmp_path):
    for person in ("S001", "S002", "S003"):
        for run in ("R01", "R02", "R03"):
            save(tmp_path / "all" / f"{person}{run}.edf")
    (tmp_path / "all" / "README").write_text("about")
    rules = ("shut=*R02.edf", "open=*R01")
    data = load_recordings(tmp_path / "all", Cutting(4.0, labels=rules, subjects="S{}R*"))
    assert data.classes == ("shut", "open")
    assert data.y.tolist() == [1, 1, 1, 0, 0, 0] * 3
    assert data.subject.tolist() == np.repeat([0, 1, 2], 6).tolist()
    assert data.people
    first = tmp_path / "all" / "S001R03.edf"
    assert data.notes == (
        f"{tmp_path / 'all'}: 1 files left out, no recordings",
        f"{first} and 2 more: left out, of no class",
    )
    alone = load_recordings(tmp_path / "all", Cutting(4.0, labels=("*R{}",)))
    assert alone.classes == ("01", "02", "03")
    assert len(set(alone.subject.tolist())) == 9
    pieces = load_recordings(tmp_path / "all", Cutting(4.0, labels=("*R{}",)), by_windows=True)
    assert not pieces.people
    assert len(set(pieces.subject.tolist())) == 5
    with pytest.raises(MubinnError, match="windows that do not overlap"):
        load_recordings(tmp_path / "all", Cutting(4.0, 1.0, labels=("*R{}",)), by_windows=True)


def test_folders_may_say_both(tmp_path):
    for name in ("open/anna.edf", "open/bert.edf", "shut/anna.edf", "shut/.hidden.edf"):
        save(tmp_path / name)
    how = Cutting(6.0, labels=("{}/*",), subjects="{}")
    data = load_recordings(tmp_path, how)
    assert data.classes == ("open", "shut")
    assert data.y.tolist() == [0, 0, 0, 0, 1, 1]
    assert data.subject.tolist() == [0, 0, 1, 1, 0, 0]
    assert (
        cut_recordings(tmp_path, how).subject.tolist() == ["anna"] * 2 + ["bert"] * 2 + ["anna"] * 2
    )


def test_patterns(tmp_path):
    paths = [tmp_path / name for name in ("a_open.edf", "b_shut.edf", "c.x_open.edf")]
    assert [part_of(path, "*_{}") for path in paths] == ["open", "shut", "open"]
    assert [part_of(path, "{}_*.edf") for path in paths] == ["a", "b", "c.x"]
    assert classes_of(paths, ["o=*open*", "s=b_[s]hut"]) == ([0, 1, 0], ["o", "s"])
    for rules, words in (
        (["open"], "give CLASS=FILES, such as"),
        (["=*"], "give CLASS=FILES"),
        (["o=*closed*"], "'o=\\*closed\\*' fits none of the files"),
        (["o=*open*", "x=a*"], "a_open.edf is of two classes"),
        (["{}{}"], "2 places {}"),
        (["x-{}"], "'x-{}' fits none"),
    ):
        with pytest.raises(MubinnError, match=words):
            classes_of(paths, rules)
    with pytest.raises(MubinnError, match=r"--subjects 'p{}' does not fit"):
        cut_recordings(save(tmp_path / "a.edf"), Cutting(2.0, subjects="p{}"))


def test_files_agree(tmp_path):
    a = save(tmp_path / "a.edf")
    rate = save(tmp_path / "rate.edf", [ramp(rate=40)])
    unit = save(tmp_path / "unit.edf", [ramp(unit="g")])
    volts = save(tmp_path / "volts.edf", [ramp(unit="mV", limit=100)])
    other = save(tmp_path / "other.edf", [Line("Oz", noise(), rate=RATE)])
    for second, words in (
        (rate, "has 40 Hz, the files before it 20 Hz: bring all to one rate with --rate"),
        (unit, "has Cz in g, the files before it in uV"),
        (other, "has no channel 'Cz': it has Oz"),
        (a, "is given twice"),
    ):
        with pytest.raises(MubinnError, match=words):
            cut_recordings([a, second], CUT)
    both = cut_recordings([a, volts], CUT)
    np.testing.assert_allclose(both.x[6:], 1000 * both.x[:6], atol=20)
    more = save(tmp_path / "more.edf", [Line("Oz", noise(), rate=RATE), ramp()])
    assert cut_recordings([a, more], CUT).notes == (f"{more}: channels left out: Oz",)


def noise(seconds=12, rate=RATE):
    return np.random.default_rng(1).normal(0, 9, seconds * rate)


def test_rates_are_brought_to_one_on_request(tmp_path):
    lines = [Line("Cz", noise(), rate=RATE), Line("O1", noise(rate=40), rate=40)]
    path = save(tmp_path / "a.edf", lines)
    with pytest.raises(MubinnError, match="Cz of 20 Hz and O1 of 40 Hz: choose"):
        cut_recordings(path, CUT)
    assert cut_recordings(path, Cutting(2.0, channels=("O1",))).x.shape == (6, 80, 1)
    data = cut_recordings(path, Cutting(2.0, rate_hz=20))
    assert (data.x.shape, data.fs_hz) == ((6, 40, 2), 20)
    np.testing.assert_allclose(data.x[:, :, 0].ravel(), lines[0].values, atol=0.02)


def test_one_patient_in_several_files_is_noted(tmp_path):
    paths = [save(tmp_path / f"{k}.edf", head={"patient": "MCH-0234567 F"}) for k in range(3)]
    (note,) = cut_recordings(paths, CUT).notes
    assert note.startswith(f"{paths[1]} and 1 more: names the patient of another file")
    assert cut_recordings(paths, Cutting(2.0, subjects="{}")).notes == ()
    nobody = [save(tmp_path / f"{k}.edf", head={"patient": "X X X X"}) for k in range(3)]
    assert cut_recordings(nobody, CUT).notes == ()


@pytest.mark.parametrize("change", [{"hop_s": 0.0}, {"rate_hz": -1.0}, {"window_s": float("nan")}])
def test_numbers_are_positive(change):
    with pytest.raises(MubinnError, match="it must be a positive number"):
        Cutting(**{"window_s": 1.0, **change})


def test_windows_are_whole_samples(tmp_path):
    path = save(tmp_path / "a.edf")
    with pytest.raises(MubinnError, match=r"0.33 s are 6.6 samples at 20 Hz: .* such as 0.35 s"):
        cut_recordings(path, Cutting(0.33))
    with pytest.raises(MubinnError, match="Classes come from --labels or from --events"):
        Cutting(1.0, labels=("a=b",), events=("c",))
    with pytest.raises(MubinnError, match="whose classes have to be named"):
        load_recordings(path, CUT)


def test_memory_is_bounded(tmp_path, monkeypatch):
    path = save(tmp_path / "a.edf")
    monkeypatch.setattr("mubinn.train.data.cutting.memory_limit", lambda: 1000)
    with pytest.raises(MubinnError, match="gives 201 windows, too many for half of"):
        cut_recordings(path, Cutting(2.0, 0.05))


def test_one_class_a_file(tmp_path):
    time = np.arange(160 * 9) / 160
    for name, hertz in (("a.edf", 10), ("b.edf", 20)):
        tones = [50 * np.sin(2 * np.pi * hertz * time) * k for k in (1, 2, 1)]
        names = ("Oz..", "O1.", "C3")
        save(tmp_path / name, [Line(n, x) for n, x in zip(names, tones, strict=True)])
    paths = [tmp_path / "a.edf", tmp_path / "b.edf"]
    data = load_edf(paths, ["shut", "open"], channels=["O1", "Oz"])
    assert data.x.shape == (4, 320, 2)
    assert data.classes == ("open", "shut")
    assert data.y.tolist() == [1, 1, 0, 0]
    assert data.fold.tolist() == [0, 0, 1, 1]
    spectrum = np.abs(np.fft.rfft(data.x, axis=1))
    assert spectrum[:, :, 0].argmax(axis=1).tolist() == [40, 40, 80, 80]
    middle = data.x[:2, 80:240]
    assert abs(middle[:, :, 1].std() - 50 / np.sqrt(2)) < 1
    assert abs(middle[:, :, 0].std() - 100 / np.sqrt(2)) < 2
    raw = load_edf(paths, ["shut", "open"], [7, 7], fs_hz=None, band_hz=None)
    assert (raw.x.shape, raw.subject.tolist()) == ((4, 640, 3), [7] * 4)
    for change, words in (
        ({"channels": ["Pz"]}, "no channel 'Pz'"),
        ({"window_s": 30}, "no window of 30 s"),
        ({"band_hz": (1, 90)}, "needs more than 180 Hz"),
    ):
        with pytest.raises(MubinnError, match=words):
            load_edf(paths, ["shut", "open"], **change)
    with pytest.raises(MubinnError, match="one label and one subject for each"):
        load_edf(paths, [])


def test_what_of_a_folder_are_recordings(tmp_path):
    for name in ("a.edf", "b/none", "b/c.bdf"):
        save(tmp_path / name, kind="BDF" if name.endswith("bdf") else "EDF")
    for name in ("d.vhdr", "d.vmrk", "d.eeg", "e.eeg", "f.mff/info.xml", "g.txt", ".h.edf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("nothing of EDF")
    found, notes = recordings_of([tmp_path])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        *("a.edf", "b/c.bdf", "b/none", "d.vhdr", "e.eeg", "f.mff"),
    ]
    assert notes == [(tmp_path, "3 files left out, no recordings")]
