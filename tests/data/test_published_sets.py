"""Public sets as they are published: WISDM's text, MIT-BIH's records, both made anew here."""

import numpy as np
import pytest
from click.testing import CliRunner
from set_files import CODES, PLACES, SLOPES, moving, record, sensor

from mubinn.cli.main import mubinn
from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data import beats, watch
from mubinn.train.data.files import load_labelled
from mubinn.train.data.resample import resample
from mubinn.train.data.wfdb import read_annotations, read_record


def run(*arguments, status=0):
    result = CliRunner().invoke(mubinn, ["convert", *map(str, arguments)])
    assert result.exit_code == status, (result.output, result.stderr)
    return result


@pytest.mark.parametrize("below", ["", "raw/watch"])
def test_text_of_the_watch_is_brought_to_steps_of_both_sensors(tmp_path, below):
    place = tmp_path / "wisdm" / below
    moving(place, 1600, "B")
    moving(place, 1601, "S")
    sensor(place, "accel", 1602, "A", np.arange(400) / 20)
    said = run("watch", tmp_path / "wisdm", "-o", tmp_path / "w.npz", "--copies", 1).stdout
    assert "2 subjects (1 recordings of one sensor left out, 0 gaps)" in said
    data = load_labelled(tmp_path / "w.npz")
    assert data.classes[:2] == ("walking", "jogging")
    assert len(data.classes) == 18
    assert data.y.tolist() == [1] * 4 + [17] * 4
    assert set(data.who) == {"1600", "1601"}
    begin = 0.31 + np.random.default_rng(1600).uniform(0, 0.02, 2)[1]
    own = (begin + np.arange(590)[:, None] / 20) * SLOPES / watch.ONE
    wanted = watch.channels_of(own)[100:300]
    np.testing.assert_allclose(data.x[1], wanted, rtol=0, atol=1e-5)


def test_no_window_of_the_watch_crosses_a_gap(tmp_path):
    moving(tmp_path, 1600, "A", without=[(12, 13)])
    moving(tmp_path, 1601, "C", seconds=12)
    said = run("watch", tmp_path, "-o", tmp_path / "w.npz").stdout
    assert "(0 recordings of one sensor left out, 1 gaps)" in said
    # 12 s and 17 s hold one and two windows of 10 s every 5 s
    assert np.bincount(load_labelled(tmp_path / "w.npz").y, minlength=3).tolist()[:3] == [3, 0, 1]


LINES = {
    "cut": "1600,A,5000000000,0.1,0.2",
    "no number": "1600,A,5000000000,0.1,0.2,nan;",
    "strange": "1600,N,5000000000,0.1,0.2,0.3;",
    "person": "x,A,5000000000,0.1,0.2,0.3;",
    "number": f"{'9' * 20},A,5000000000,0.1,0.2,0.3;",
}


@pytest.mark.parametrize("name", LINES)
def test_lines_of_the_watch_that_are_wrong_are_named(tmp_path, name):
    moving(tmp_path, 1600, "A")
    path = tmp_path / "gyro" / "data_1600_gyro_watch.txt"
    lines = path.read_text().splitlines()
    lines[4] = LINES[name]
    path.write_text("\n".join(lines) + "\n")
    said = run("watch", tmp_path, "-o", tmp_path / "w.npz", status=2).stderr
    assert f"gyro_watch.txt, line 5: {LINES[name]!r} is no person" in said


def test_times_that_lie_days_apart_are_refused(tmp_path):
    moving(tmp_path, 1600, "A")
    for name in ("accel", "gyro"):
        sensor(tmp_path, name, 1600, "A", [1e9])
    refused = run("watch", tmp_path, "-o", tmp_path / "w.npz", status=2)
    assert "person 1600, activity A, that lie more than 24 hours apart" in refused.stderr


def test_folders_that_are_none_of_the_watch_are_refused(tmp_path):
    refused = run("watch", tmp_path, "-o", tmp_path / "w.npz", status=2)
    assert "no folders accel and gyro" in refused.stderr
    moving(tmp_path, 1600, "A")
    (tmp_path / "gyro" / "data_1600_gyro_watch.txt").write_bytes(b"\xff\xfe")
    refused = run("watch", tmp_path, "-o", tmp_path / "w.npz", status=2)
    assert "it is no plain text" in refused.stderr
    (tmp_path / "gyro" / "data_1600_gyro_watch.txt").write_text("\n")
    refused = run("watch", tmp_path, "-o", tmp_path / "w.npz", status=2)
    assert "gyro_watch.txt is empty" in refused.stderr
    (tmp_path / "gyro" / "data_1600_gyro_watch.txt").unlink()
    refused = run("watch", tmp_path, "-o", tmp_path / "w.npz", status=2)
    assert "holds no .txt files" in refused.stderr


def test_a_record_is_read_as_it_was_written(tmp_path):
    wave = record(tmp_path, "100", PLACES, CODES, leads=("MLII", "V5"))
    signal, rate, places, codes = read_record(tmp_path / "100.hea")
    np.testing.assert_allclose(signal, wave, rtol=0, atol=1e-12)
    assert rate == 360
    assert places.tolist() == [18, *PLACES]
    assert codes.tolist() == [28, *CODES]
    record(tmp_path, "100", PLACES, CODES, leads=("V5", "MLII"))
    signal, *_ = read_record(tmp_path / "100.hea")
    assert signal.min() < -1


def test_beats_of_records_are_those_of_their_signal_at_120_hz(tmp_path):
    waves = {name: record(tmp_path, name, PLACES, CODES) for name in ("100", "101", "102", "106")}
    run("ecg", tmp_path, "-o", tmp_path / "b.npz")
    data = load_labelled(tmp_path / "b.npz")
    assert set(data.subject) == {100, 101, 106}  # 102 is paced
    assert set(data.fold[data.subject == 100]) == {0}
    assert set(data.fold[data.subject != 100]) == {1, 2}
    beat = CODES != 14  # noise is none
    signal = resample(waves["100"] / 0.005, 360, 120)
    made, used = beats.windows_of(signal, np.rint(PLACES[beat] / 3).astype(int))
    classes = np.array([*[0] * 5, *[1] * 4, *[2] * 2, 3, *[4] * 3, *[0] * 8])[used]
    own = data.subject == 100
    assert data.y[own].tolist() == classes[classes < 4].tolist()
    assert (data.x[own] == made[classes < 4]).all()
    assert np.argmax(made[3, :, 0]) == beats.BEFORE


def cut(name, size):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def said(word, other):
    def change(folder):
        path = folder / "100.hea"
        path.write_text(path.read_text().replace(word, other))

    return change


FAULTS = {
    "checksum": (lambda folder: record(folder, "100", PLACES, CODES, more=1), "sums up to"),
    "format": (lambda folder: record(folder, "100", PLACES, CODES, kind=16), "another format than"),
    "samples": (cut("100.dat", 999), "has 999 bytes, and its header speaks of 27000"),
    "beats": (cut("100.atr", 20), "is cut or no file of annotations"),
    "header": (cut("100.hea", 30), "is no header of a WFDB record"),
    "zero": (said("1024", "9" * 20), "is no header of a WFDB record"),
    "gain": (said("200", "0"), "is no header of a WFDB record"),
    "no rate": (said(" 360 ", " nan "), "is no header of a WFDB record"),
    "rate": (said(" 360 ", " 0.1 "), "speaks of 0.1 Hz, not of MIT-BIH's 360"),
    "absent": (lambda folder: (folder / "100.atr").unlink(), "100.atr cannot be read: no such"),
    "late": (lambda f: record(f, "100", PLACES, CODES, count=8000), "beyond its record"),
    "other": (lambda f: record(f, "300", PLACES, CODES), "300.hea is no record of the MIT-BIH"),
    "none": (lambda f: (f / "100.hea").unlink(), "holds no .hea files"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_records_that_are_damaged_or_others_are_refused(tmp_path, name):
    record(tmp_path, "100", PLACES, CODES)
    change, words = FAULTS[name]
    change(tmp_path)
    said = run("ecg", tmp_path, "-o", tmp_path / "b.npz", status=2).stderr
    assert words in said
    assert not (tmp_path / "b.npz").exists()


def test_files_of_annotations_of_chance_end_in_beats_or_a_sentence(tmp_path):
    rng, cut_short = np.random.default_rng(0), 0
    for _ in range(200):
        (tmp_path / "100.atr").write_bytes(rng.bytes(int(rng.integers(0, 60))))
        try:
            places, codes = read_annotations(tmp_path / "100.atr")
            assert len(places) == len(codes)
        except MubinnError:
            cut_short += 1
    assert cut_short > 100
