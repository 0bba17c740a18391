"""The reader of EDF, EDF+ and BDF: values, times and texts, and what is refused."""

import contextlib

import numpy as np
import pytest
from edf_files import Line, edf_bytes

from mubinn.golden.ground.errors import MubinnError
from mubinn.train.data.edf import read_edf
from mubinn.train.data.signals import Annotation, Stretch

RNG = np.random.default_rng(5)
SECONDS = 6


def noise(rate=160):
    return RNG.normal(0, 100, rate * SECONDS)


def three(**change):
    return [Line(name, noise(), **change) for name in ("Fc5.", "Cz..", "O1..")]


def read(folder, data, name="a.edf"):
    (folder / name).write_bytes(data)
    return read_edf(folder / name)


@pytest.mark.parametrize(("kind", "step"), [("EDF", 2000 / 65535), ("BDF", 2000 / (2**24 - 1))])
@pytest.mark.parametrize("seconds", [1, 0.5, 2])
def test_samples_are_what_was_written(tmp_path, kind, step, seconds):
    lines = [Line("Cz", noise()), Line("SaO2", noise(4), "%", 4, 2000), Line("O1", noise())]
    signals = read(tmp_path, edf_bytes(lines, kind=kind, seconds=seconds))
    assert signals.kind.startswith(f"{kind}, ")
    assert [(one.name, one.unit, one.rate_hz) for one in signals.channels] == [
        ("Cz", "uV", 160),
        ("SaO2", "%", 4),
        ("O1", "uV", 160),
    ]
    assert signals.stretches == (Stretch(0, SECONDS),)
    for number, line in enumerate(lines):
        (samples,) = signals.samples(number)
        assert samples.shape == (SECONDS * line.rate,)
        assert np.abs(samples - line.values).max() <= 0.51 * step * line.limit / 1000


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("uV", 1), ("\xb5V", 1), ("mV", 1e3), ("V", 1e6), ("nV", 1e-3), ("", 1), ("%", 1), ("g", 1)],
)
def test_voltages_become_microvolts_and_nothing_else_does(tmp_path, unit, factor):
    (line,) = lines = [Line("A", noise(), unit)]
    signals = read(tmp_path, edf_bytes(lines))
    (samples,) = signals.samples(0)
    np.testing.assert_allclose(samples, line.values * factor, atol=0.02 * factor)
    volts = unit.endswith("V")
    assert signals.channels[0].taken_unit == ("uV" if volts else unit)
    if volts:
        assert signals.chosen(None) == (0,)
    else:
        with pytest.raises(MubinnError, match=rf"not in volts \(A in {unit or 'no unit'}\)"):
            signals.chosen(None)
    assert signals.chosen(["a"]) == signals.chosen(["all"]) == (0,)


def test_a_negative_range_turns_the_signal(tmp_path):
    (line,) = lines = [Line("A", noise(), fields={"low": 1000, "high": -1000})]
    (samples,) = read(tmp_path, edf_bytes(lines)).samples(0)
    np.testing.assert_allclose(samples, -line.values, atol=0.1)


def test_gaps_and_texts_have_their_times(tmp_path):
    starts = [0.5, 1.5, 2.5, 100, 101, 300.25]
    texts = [("open", 1.5, 2), ("beep", 4, 0), ("shut", 4.5, 1)]
    data = edf_bytes(three(), kind="EDF+D", starts=starts, texts=texts)
    signals = read(tmp_path, data)
    assert signals.stretches == (Stretch(0.5, 3), Stretch(100, 2), Stretch(300.25, 1))
    assert [len(part) for part in signals.samples(0)] == [480, 320, 160]
    assert signals.annotations == (
        Annotation(1.5, 2, "open"),
        Annotation(4, 0, "beep"),
        Annotation(4.5, 1, "shut"),
    )
    assert [one.name for one in signals.channels] == ["Fc5", "Cz", "O1"]
    whole = np.concatenate(signals.samples(1))
    plain = read(tmp_path, edf_bytes(three(), kind="BDF+C", texts=texts), "b.bdf")
    assert plain.stretches == (Stretch(0, 6),)
    assert plain.notes == ()
    assert whole.shape == plain.samples(1)[0].shape
    odd = read(tmp_path, edf_bytes(three(), kind="EDF+C", starts=starts), "c.edf")
    assert len(odd.stretches) == 3
    assert odd.notes == ("it says EDF+C, but its records leave gaps",)


@pytest.mark.parametrize(
    "name",
    [
        "Status",
        "STATUS",
        "TRIG",
        "Trigger 1",
        "STI 014",
        "Event marker",
        "Events",
        "MARKER",
        "Stim",
    ],
)
def test_triggers_are_no_signals(tmp_path, name):
    lines = [Line("Cz", noise()), Line(name, noise()), Line("O1", noise())]
    signals = read(tmp_path, edf_bytes(lines))
    assert signals.chosen(None) == signals.chosen(["all"]) == (0, 2)
    assert signals.chosen([name]) == (1,)
    assert signals.left_out((0, 2)) == (name,)


def test_channels_are_chosen_by_name_and_pattern(tmp_path):
    names = ["EEG Fpz-Cz", "EEG Pz-Oz", "EOG", "Resp"]
    lines = [Line(name, noise(), "" if name == "Resp" else "uV") for name in names]
    signals = read(tmp_path, edf_bytes(lines))
    assert signals.chosen(["EOG", "eeg*"]) == (2, 0, 1)
    assert signals.chosen(["all"]) == (0, 1, 2, 3)
    with pytest.raises(MubinnError, match="no channel 'Cz': it has EEG Fpz-Cz, EEG Pz-Oz"):
        signals.chosen(["Cz"])
    twice = read(tmp_path, edf_bytes([Line("A", noise()), Line("a.", noise())]))
    with pytest.raises(MubinnError, match="has 2 channels 'A'"):
        twice.chosen(["A"])


def test_annotations_alone_are_no_recording(tmp_path):
    signals = read(tmp_path, edf_bytes([], kind="EDF+C", seconds=1, texts=[("x", 0, 0)]))
    assert signals.annotations == (Annotation(0, 0, "x"),)
    with pytest.raises(MubinnError, match="holds annotations alone"):
        signals.chosen(None)


def test_an_open_number_of_records_is_counted(tmp_path):
    data = edf_bytes(three(), head={"records": -1})
    signals = read(tmp_path, data)
    assert signals.length_s == SECONDS
    assert signals.notes == ("its header leaves the number of records open",)
    with pytest.raises(MubinnError, match="shorter than"):
        read(tmp_path, data[:-1])


HEADS = {
    "text for a number": ({"size": "many"}, "a length of its header 'many', which is no number"),
    "NULs for a number": ({"records": b"\0" * 8}, "a number of records ''"),
    "another size": ({"size": 512}, "3 signals but a header of 512 bytes"),
    "more signals": ({"count": 9999}, "states 9999 signals"),
    "no signals": ({"count": 0}, "states 0 signals"),
    "negative time": ({"seconds": -1}, "records of -1 s"),
    "no time": ({"seconds": 0}, "records of 0 s"),
    "infinite time": ({"seconds": "1e999"}, "is no number"),
    "not a number": ({"seconds": "nan"}, "is no number"),
    "more records": ({"records": 7}, "shorter than its EDF header says"),
    "fewer records": ({"records": 5}, "longer than its EDF header says: it states 5"),
    "no records": ({"records": 0}, "longer than"),
    "negative records": ({"records": -3}, "states -3 records"),
    "EDF+D without times": ({"reserved": "EDF+D"}, "no annotations that say when they begin"),
}


@pytest.mark.parametrize("case", HEADS)
def test_a_damaged_header_ends_in_a_sentence(tmp_path, case):
    head, words = HEADS[case]
    with pytest.raises(MubinnError, match=words) as info:
        read(tmp_path, edf_bytes(three(), head=head))
    assert "\n" not in str(info.value)


FIELDS = {
    "a NUL in a label": ({"name": b"C\0z"}, r"a label 'C\\x00z'"),
    "a line in a label": ({"name": b"C\nz"}, "a label"),
    "no samples": ({"count": 0}, "has 0 samples of Cz"),
    "text of samples": ({"count": "x"}, "number of samples of Cz 'x'"),
    "a comma": ({"low": "-3,5"}, "physical range of Cz '-3,5', which is no number"),
    "turned digits": ({"first": 5, "last": -5}, "digital range of Cz from 5 to -5"),
    "24 bits in 16": ({"first": -8388608, "last": 8388607}, "none of 16 bits"),
}


@pytest.mark.parametrize("case", FIELDS)
def test_damaged_fields_end_in_a_sentence(tmp_path, case):
    fields, words = FIELDS[case]
    lines = [Line("A", noise()), Line("Cz", noise(), fields=fields)]
    with pytest.raises(MubinnError, match=words):
        read(tmp_path, edf_bytes(lines))


def test_a_channel_without_a_scale_is_refused_where_it_is_taken(tmp_path):
    lines = [Line("A", noise()), Line("B", noise(), fields={"low": 0, "high": 0})]
    signals = read(tmp_path, edf_bytes(lines))
    assert len(signals.samples(0)[0]) == 960
    with pytest.raises(MubinnError, match="gives B the physical range 0 to 0"):
        signals.samples(1)


def test_padding_by_nul_is_a_blank(tmp_path):
    lines = [Line("A", noise(), fields={"name": b"Cz" + b"\0" * 14, "unit": b"uV" + b"\0" * 6})]
    (channel,) = read(tmp_path, edf_bytes(lines)).channels
    assert (channel.name, channel.unit) == ("Cz", "uV")


def test_fields_that_decide_nothing_may_hold_anything(tmp_path):
    head = {"patient": b"\0\t\xe9", "recording": b"\0", "date": "31.02.xx", "reserved": b"\xff\0"}
    signals = read(tmp_path, edf_bytes(three(), head=head))
    assert signals.kind == "EDF, 16 bits"


TIMES = {
    "no time": (b"+0\x14\x14\0", b"xxxx\x14", "damaged annotations in record 0"),
    "a text first": (b"+0\x14\x14\0", b"+0\x14x\x14", "does not say when record 0 begins"),
    "blank": (b"+1\x14\x14\0", b"\0\0\0\0\0", "does not say when record 1 begins"),
    "backwards": (b"+2\x14\x14\0", b"+1\x14\x14\0", "a record, 2, that begins before"),
}


@pytest.mark.parametrize("case", TIMES)
def test_damaged_times_end_in_a_sentence(tmp_path, case):
    old, new, words = TIMES[case]
    data = edf_bytes(three(), kind="EDF+D")
    assert old in data
    with pytest.raises(MubinnError, match=words):
        read(tmp_path, data.replace(old, new, 1))


def test_a_file_cut_or_altered_anywhere_is_a_fault_or_read(tmp_path):
    data = edf_bytes(three(), kind="EDF+D", texts=[("x", 1, 2)])
    for length in [*range(8, 1300, 37), len(data) // 2, len(data) - 1]:
        with pytest.raises(MubinnError):
            read(tmp_path, data[:length])
    rng = np.random.default_rng(0)
    for place in rng.integers(8, len(data), 300):
        changed = bytearray(data)
        changed[place] = rng.integers(256)
        with contextlib.suppress(MubinnError):
            signals = read(tmp_path, bytes(changed))
            [signals.samples(k) for k in range(len(signals.channels))]


@pytest.mark.parametrize("kind", ["EDF", "BDF", "EDF+C", "BDF+C"])
def test_other_readers_agree(tmp_path, kind):
    mne = pytest.importorskip("mne")
    ending = kind[:3].lower()
    data = edf_bytes(three(), kind=kind, texts=[("open", 1.5, 2), ("shut", 4, 0)])
    ours = read(tmp_path, data, f"a.{ending}")
    reader = mne.io.read_raw_edf if ending == "edf" else mne.io.read_raw_bdf
    raw = reader(tmp_path / f"a.{ending}", verbose="error")
    theirs = raw.get_data(units="uV")
    for number in range(3):
        np.testing.assert_allclose(ours.samples(number)[0], theirs[number], atol=1e-6)
    assert [(one.start_s, one.length_s, one.text) for one in ours.annotations] == [
        (one["onset"], one["duration"], one["description"]) for one in raw.annotations
    ]
