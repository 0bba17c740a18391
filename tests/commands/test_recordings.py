"""Recordings on the command line: in every command, by the same options."""

import json
from dataclasses import replace

import click
import numpy as np
import pytest
from click.testing import CliRunner
from edf_files import Line, edf_bytes
from simulators import QUICK

from mubinn.cli.main import mubinn
from mubinn.cli.shared.data_options import Reading, labelled_options, options_of, reading_of
from mubinn.cli.shared.recordings import open_labelled, open_windows
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.model_file import load_any, save_model

NAMES = ("Fz", "C3", "C4", "O1", "O2")
RATE = 16


@pytest.fixture(autouse=True)
def no_shared_data(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("MUBINN_SHARED", str(tmp_path_factory.mktemp("shared")))


def lines(seed, names=NAMES, unit="uV", seconds=40, rate=RATE):
    rng = np.random.default_rng(seed)
    return [Line(name, rng.normal(0, 50, rate * seconds), unit, rate) for name in names]


@pytest.fixture
def folder(tmp_path, random_float, random_model):
    """Return a folder with recordings of four people, two each, and models that read them."""
    for k in range(8):
        path = tmp_path / "edf" / f"S{k // 2}R{k % 2}.edf"
        path.parent.mkdir(exist_ok=True)
        texts = [("T1", 2, 16), ("T2", 20, 16)]
        path.write_bytes(edf_bytes(lines(k), kind="EDF+C", texts=texts))
    meta = {
        "channels": json.dumps(NAMES),
        "classes": '["open", "shut"]',
        "rate_hz": f"{RATE:.1f}",
        "units": json.dumps(["uV"] * 5),
        "recipe": '{"fold": 1}',
    }
    start = replace(random_float(features=5, hidden=4, classes=2), meta=meta)
    save_model(tmp_path / "start.safetensors", start)
    made = random_model(levels=(2, 2), features=5, hidden=4, classes=2)
    save_model(tmp_path / "made.mubinn", replace(made, meta=meta))
    np.savez(tmp_path / "x.npz", X=np.ones((4, 16, 5), np.float32), y=np.arange(4) % 2)
    return tmp_path


def run(folder, *args, status=0):
    result = CliRunner().invoke(mubinn, [str(arg).replace("@", f"{folder}/") for arg in args])
    assert result.exit_code == status, result.output
    return result


def fault(folder, *args):
    result = run(folder, *args, status=2)
    assert result.stdout == ""
    said = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert len(said) == 1, result.stderr
    return said[0]


BY_FILE = ("--labels", "open=*R0", "--labels", "shut=*R1", "--subjects", "S{}R*")
TRAIN = ("--window", 2, "--batch", 4, "--epochs", 1, "--hidden", 4)
SIMULATE = ("simulate", "@made.mubinn", "--steps", 2, "--simulator", QUICK)


def test_a_model_is_trained_on_recordings_and_quantized_as_it_was(folder):
    pytest.importorskip("jax")
    out = folder / "own.safetensors"
    text = run(folder, "train", "@edf", *BY_FILE, *TRAIN, "-o", out).stdout
    assert "epochs, on edf.\n" in text
    meta = load_any(out).meta
    assert json.loads(meta["channels"]) == list(NAMES)
    assert json.loads(meta["classes"]) == ["open", "shut"]
    assert (json.loads(meta["rate_hz"]), json.loads(meta["units"])) == (RATE, ["uV"] * 5)
    assert json.loads(meta["windows"]) == {"train": 120, "validation": 0, "test": 40}
    assert json.loads(meta["recordings"]) == {
        **{"window": 2.0, "labels": ["open=*R0", "shut=*R1"], "subjects": "S{}R*"},
    }
    args = ("quantize", out, "--levels", "2,2", "--data", "@edf", "--measure", "-o", "@q.mubinn")
    about = json.loads(run(folder, *args, "--json").stdout)
    assert about["calibration"] == "120 windows of edf, not fold 0"
    assert load_any(folder / "q.mubinn").meta["measured_on"] == "fold 0, 40 windows"
    assert load_any(folder / "q.mubinn").meta["recordings"] == meta["recordings"]
    assert json.loads(meta["held_out"]) == ["0"]
    files = [word for k in (2, 3, 6, 0, 1) for word in ("--data", f"@edf/S{k // 2}R{k % 2}.edf")]
    some = ("quantize", out, "--levels", "2,2", *files, "--measure", "-o", "@q.mubinn")
    about = json.loads(run(folder, *some, "--json").stdout)
    assert about["calibration"] == "60 windows of S1R0.edf and 4 more, not fold 0"
    assert load_any(folder / "q.mubinn").meta["measured_on"] == "fold 0, 40 windows"
    alone = json.loads(run(folder, *some[:-3], "-o", "@q.mubinn", "--json").stdout)
    assert alone["calibration"] == about["calibration"]
    said = run(folder, "calibrate", "@q.mubinn", "@edf/S3R1.edf", "-o", "@anna.mubinn").stderr
    words = "--window 2 --subjects 'S{}R*'"
    assert said == f"note: recordings are cut as the model was trained: {words}.\n"
    strangers = ("quantize", out, "--levels", "2,2", *files[:6], "--measure", "-o", "@r.mubinn")
    assert "names no held-out fold that the data have" in fault(folder, *strangers)


def test_training_goes_on_with_other_people_in_their_own_folds(folder):
    pytest.importorskip("jax")
    start = load_any(folder / "start.safetensors")
    meta = {**start.meta, "recipe": '{"fold": 0}', "held_out": '["0"]'}
    save_model(folder / "start.safetensors", replace(start, meta=meta))
    paths = [f"@edf/S{k}R{run}.edf" for k in (1, 3) for run in (0, 1)]
    more = ("--float-model", "@start.safetensors", "-o", "@more.safetensors")
    text = run(folder, "train", *paths, *BY_FILE, *TRAIN, *more).stdout
    assert "of fold 0 right" in text


def test_annotations_are_classes(folder):
    pytest.importorskip("jax")
    out = folder / "own.safetensors"
    events = ("--events", "left=T1", "--events", "right=T2")
    run(folder, "train", "@edf", *events, *TRAIN, "-o", out)
    meta = load_any(out).meta
    assert json.loads(meta["classes"]) == ["left", "right"]
    assert json.loads(meta["windows"]) == {"train": 96, "validation": 0, "test": 32}


def test_windows_of_recordings_are_calibrated_on_and_simulated(folder):
    one = "@edf/S0R0.edf"
    args = ("quantize", "@start.safetensors", "--levels", "2,2", "--windows", 6, "--window", 2)
    said = run(folder, *args, "--data", one, "--data", "@edf/S1R0.edf", "-o", "@q.mubinn").stdout
    assert "6 windows of S0R0.edf and 1 more, not fold 1" in said
    made = ("-o", "@anna.mubinn", "--json")
    both = (one, "@edf/S0R1.edf", "--window", 2)
    about = json.loads(run(folder, "calibrate", "@made.mubinn", *both, *made).stdout)
    assert about["windows"] == 40
    assert load_any(folder / "anna.mubinn").meta["calibrated_on"] == (
        "40 windows of S0R0.edf and 1 more"
    )


def test_windows_are_simulated(folder):
    text = run(folder, *SIMULATE, "--data", "@edf/S0R0.edf", "--window", 2).stdout
    assert text.startswith("1 windows of 2 steps of S0R0.edf")


def of_model(folder, change=None):
    model = load_any(folder / "made.mubinn")
    return replace(model, meta={**model.meta, **(change or {})})


def test_channels_are_those_of_the_model_in_its_order(folder, capsys):
    turned = folder / "turned.edf"
    order = (3, 1, 5, 0, 2, 4)
    own = [*lines(0), Line("Status", np.zeros(640), rate=RATE)]
    turned.write_bytes(edf_bytes([own[k] for k in order]))
    (folder / "plain.edf").write_bytes(edf_bytes(lines(0)))
    reading = Reading(window=2.0)
    want, _ = open_windows(folder / "plain.edf", reading, model=of_model(folder))
    assert capsys.readouterr().err == ""
    data, _ = open_windows(turned, reading, model=of_model(folder))
    assert data.channels == NAMES
    assert (data.x == want.x).all()
    assert capsys.readouterr().err == f"note: {turned}: channels left out: Status.\n"
    lower = of_model(folder, {"channels": json.dumps([f"{name.lower()}." for name in NAMES])})
    assert open_windows(turned, reading, model=lower)[0].channels == NAMES
    counted = of_model(folder, {"channels": '["E1", "E2", "E3", "E4", "E5"]'})
    assert open_windows(turned, reading, model=counted)[0].channels == (
        *("O1", "C3", "Fz", "C4", "O2"),
    )
    other = Reading(window=2.0, channels="o1, o2, c?, fz")
    names = open_windows(turned, other, model=of_model(folder))[0].channels
    assert names == ("O1", "O2", "C3", "C4", "Fz")


def test_arrays_are_held_to_the_model_as_well(folder):
    x = np.random.default_rng(0).normal(0, 1, (8, 16, 5)).astype(np.float32)
    order = [4, 0, 1, 2, 3]
    fields = {"X": x[..., order], "y": np.arange(8) % 2, "classes": np.array(["shut", "open"])}
    path = folder / "a.npz"
    np.savez(path, **fields, channels=np.array(NAMES)[order])
    data, _ = open_labelled(path, model=of_model(folder))
    assert (data.x == x).all()
    assert (data.classes, data.y.tolist()) == (("open", "shut"), [1, 0] * 4)
    assert open_labelled(path, Reading(channels="C3,F*"))[0].channels == ("C3", "Fz")
    np.savez(path, **fields, fs_hz=32.0)
    with pytest.raises(MubinnError, match="has 32 Hz, the model was trained on 16 Hz"):
        open_labelled(path, model=of_model(folder))
    np.savez(path, **{**fields, "classes": np.array(["shut", "half"])})
    with pytest.raises(MubinnError, match="has the class 'half', the model was trained on open"):
        open_labelled(path, model=of_model(folder))


ONE = ("--data", "@edf/S0R0.edf")
CALIBRATE = ("calibrate", "@made.mubinn", "@edf/S0R0.edf", "-o", "@o")
OTHER = ("--labels", "a=*R*", "--labels", "b=unit")
FAULTS = [
    ((*SIMULATE, *ONE), "give --window, the seconds of one"),
    ((*SIMULATE, *ONE, "--window", 90), "no window of 90 s"),
    ((*SIMULATE, *ONE, "--window", 2, "--rate", 8), "has 8 Hz, the model was trained on 16 Hz"),
    ((*SIMULATE, *ONE, "--window", 2, "--channels", "Fz"), "1 channels, the model reads 5"),
    ((*SIMULATE, *ONE, "--window", 2, "--channels", "Fz,Pz"), "has no channel 'Pz'"),
    ((*SIMULATE, "--data", "@x.npz", "--window", 2), "--window is for recordings"),
    ((*SIMULATE, "--data", "@x.npz", "--hop", 2), "--hop is for recordings"),
    ((*SIMULATE, "--data", "@x.npz", "--rate", 2), "--rate is for recordings"),
    ((*SIMULATE, "--data", "@x.npz", "--band", "1,2"), "--band is for recordings"),
    ((*SIMULATE, *ONE, "--window", 2, "--band", "1"), "--band '1' is no band"),
    ((*SIMULATE, *ONE, "--window", 2, "--band", "3,1"), "from 3 to 1 Hz is none"),
    ((*SIMULATE, *ONE, "--window", 2, "--band", "1,9"), "needs more than 18 Hz"),
    ((*SIMULATE, "--data", "@x.npz", "--events", "all"), "--events is for recordings"),
    ((*SIMULATE, "--data", "@x.npz", *ONE), "does not: give windows alone, or"),
    ((*SIMULATE, "--window", 2), "--window is for data of your own"),
    ((*SIMULATE, "--data", "@edf/none.edf"), "does not exist"),
    ((*SIMULATE, "--data", "@empty", "--window", 2), "holds no recordings"),
    ((*SIMULATE, "--data", "@text.edf"), "does not begin as EDF or BDF does"),
    ((*SIMULATE, "--data", "@unit.edf", "--window", 2), "model was trained on uV, and its input"),
    (("train", "@edf", "--window", 2, "-o", "@o"), "whose classes have to be named"),
    (("train", "@unit.edf", "--window", 2, *BY_FILE, "-o", "@o"), "fits none of the files"),
    (("train", "@edf", *BY_FILE, "-o", "@o"), "give --window"),
    (("train", "@edf", "--window", 2, "--labels", "y.npy", "-o", "@o"), "give CLASS=FILES"),
    (
        ("train", "@edf", "--window", 2, *BY_FILE, "--split", "windows", "-o", "@o"),
        "knows no subjects",
    ),
    (
        ("train", "@unit.edf", "@edf", "--window", 2, *OTHER, "-o", "@o"),
        "channels that are not in volts (Fz in no unit; C3 in no unit; ",
    ),
    ((*CALIBRATE, "--window", 2, "--subject", "7"), "--subject is for windows in arrays"),
    ((*CALIBRATE, "--window", 8), "too few"),
]


@pytest.mark.parametrize(("args", "words"), FAULTS, ids=[" ".join(map(str, a)) for a, _ in FAULTS])
def test_a_fault_is_one_sentence(folder, args, words):
    if args[0] == "train":
        pytest.importorskip("jax")
    (folder / "empty").mkdir()
    (folder / "text.edf").write_text("no recording")
    (folder / "unit.edf").write_bytes(edf_bytes(lines(0, unit="")))
    model = of_model(folder)
    if "@unit.edf" in args and args[0] == "simulate":
        model = replace(model, preprocessing=replace(model.preprocessing, normalise="none"))
        save_model(folder / "made.mubinn", model)
    assert words in fault(folder, *args)


def test_what_nobody_reads_is_told_without_mne(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mne", None)
    (folder / "x.vhdr").write_text("Brain Vision Data Exchange Header File")
    words = fault(folder, *SIMULATE, "--data", "@x.vhdr", "--window", 2)
    assert "other formats are read through MNE, which is not installed: run pip install" in words


def test_info_says_units_ranges_rates_and_times(folder):
    own = [*lines(0, NAMES[:2], "mV"), Line("Status", np.zeros(640), "", RATE)]
    starts = [float(k) for k in (*range(30), *range(60, 70))]
    texts = [("go", 1, 0), ("go", 2, 3), ("rest", 5, 2)]
    data = edf_bytes(own, kind="EDF+D", starts=starts, texts=texts)
    (folder / "a.rec").write_bytes(data)
    about = json.loads(run(folder, "info", "@a.rec", "--json").stdout)
    assert about["kind"] == "recording, EDF+D, 16 bits"
    assert (about["duration_s"], about["parts"]) == (40, [[0, 30], [60, 70]])
    assert about["annotations"] == {"go": 2, "rest": 1}
    first, _, status = about["channels"]
    assert (first["name"], first["unit"], first["rate_hz"]) == ("Fz", "uV", RATE)
    assert abs(first["least"] - 1000 * own[0].values.min()) < 20
    assert abs(first["largest"] - 1000 * own[0].values.max()) < 20
    assert (status["unit"], status["triggers"]) == ("", True)
    text = " ".join(run(folder, "info", "@a.rec").stdout.split())
    assert "duration, s 40 " in text
    assert "0 to 30 s, 60 to 70 s" in text
    assert "in no unit that the file states, 16 Hz, called as triggers are" in text


def test_info_of_windows_says_the_same(folder):
    x = np.random.default_rng(0).integers(-500, 500, (6, 32, 2)).astype(np.int16)
    fields = {"y": ["b", "a"] * 3, "subject": [1, 1, 2, 2, 3, 3], "channels": ["Fz", "Cz"]}
    np.savez(folder / "w.npz", X=x, fs_hz=16.0, scale_uV=0.5, **fields)
    about = json.loads(run(folder, "info", "@w.npz", "--json").stdout)
    assert (about["windows"], about["steps"], about["window_s"]) == (6, 32, 2)
    assert (about["classes"], about["subjects"]) == ({"a": 3, "b": 3}, 3)
    assert about["channels"][1] == {
        **{"name": "Cz", "unit": "uV", "rate_hz": 16, "least": x[..., 1].min() / 2},
        "largest": x[..., 1].max() / 2,
    }
    np.save(folder / "w.npy", x)
    text = run(folder, "info", "@w.npy").stdout
    assert "in no unit that the file states" in text
    assert "model" not in text


def test_options_are_told_as_they_are_typed(folder):
    rules = ("open=*R0", "shut=*R1")
    said = Reading(2.0, 0.5, 80.0, "1,35", "Fz,C*", rules, ("a=b c",), "S{}R*", 0.5)
    words = options_of(said)
    assert words[:4] == ["--window", "2", "--hop", "0.5"]
    got = []

    @click.command()
    @labelled_options
    def command(**options):
        got.append(reading_of(options))

    assert CliRunner().invoke(command, words).exit_code == 0
    assert got == [said]


def test_a_report_reads_recordings(folder):
    from mubinn.cli.commands.report_stages import Task

    reading = Reading(window=2.0, labels=("open=*R0", "shut=*R1"), subjects="S{}R*")
    task = Task.load(folder / "start.safetensors", [folder / "edf"], reading)
    assert (task.source, task.fold) == ("edf", 1)
    assert task.recorded.x.shape == (160, 32, 5)


def test_labels_are_not_overwritten(folder):
    np.save(folder / "y.npy", np.arange(4) % 2)
    before = (folder / "y.npy").read_bytes()
    args = ("train", "@x.npz", "--labels", "@y.npy", "-o", "@y.npy")
    assert "is what --labels names, and would replace it" in fault(folder, *args)
    assert (folder / "y.npy").read_bytes() == before


def test_recordings_are_predicted(folder):
    args = ("predict", "@made.mubinn", "@edf", "--window", 2, "--json")
    about = json.loads(run(folder, *args).stdout)
    assert len(about["windows"]) == 160
    assert {row["subject"] for row in about["windows"][:40]} == {"S0R0.edf", "S0R1.edf"}
    assert "label" not in about["windows"][0]
    rules = ("--labels", "open=*R0", "--subjects", "S{}R*")
    labelled = json.loads(run(folder, *args, *rules).stdout)
    assert len(labelled["windows"]) == 80
    first = labelled["windows"][0]
    assert (first["subject"], first["label"], first["class"]) == (
        *("0", "open"),
        about["windows"][0]["class"],
    )
