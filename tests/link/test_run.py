"""`mubinn run` with a board's Verilog behind a virtual serial port: pin to pin, by pyserial."""

import csv
import gc
import io
import json
import re
import signal
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from edf_files import Line, edf_bytes

from mubinn.cli.commands.run import _source
from mubinn.cli.main import mubinn
from mubinn.cli.shared.board import Board, open_board
from mubinn.cli.shared.data_options import Reading
from mubinn.cli.shared.run_check import Checker
from mubinn.cli.shared.run_state import read_state, state_text
from mubinn.golden.binarize.scales import LevelTensor
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.model_file import save_model
from mubinn.hw.accelerator.link_accelerator import link_top, pauses
from mubinn.hw.accelerator.state_parts import WholeState, state_bytes
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.hw.layer.loadable_memory import contents, without_contents
from mubinn.hw.link.host import Result
from mubinn.hw.link.packets import Flags, Kind
from mubinn.hw.link.session import Session
from mubinn.hw.stream.component import asked_alone
from mubinn.sim.link.virtual_board import VirtualBoard
from mubinn.train.data.windows import find_data

FEATURES, STEPS, WIDTH, DIVISOR = 3, 60, 12, 6


def causal(random_model, **about):
    about = {"levels": (1, 1), "features": FEATURES, "hidden": 2, "readout": "every"} | about
    return replace(random_model(**about), preprocessing=Preprocessing("causal", 2))


def recorded(path, steps=STEPS):
    x = np.random.default_rng(1).normal(0, 200, (1, 2 * steps, FEATURES)).round()
    np.savez(path, X=x.astype(np.int16), fs_hz=100)
    return path


def built(folder, model, top, verilog, weights="initialised"):
    """A folder as `mubinn build` leaves it, with what a host reads of it."""
    folder.mkdir()
    save_model(folder / "model.mubinn", model)
    (folder / "board.v").write_text(verilog)
    about = {
        "link": "board.link",
        "verilog": "board.v",
        "model": "model.mubinn",
        "divisor": top.divisor,
        "clock_hz": 12_000_000,
        "sleep": "DCCA" if top.gated else None,
        "baud": 115200,
        "adc": WIDTH,
        "state": "carried",
        "state_bytes": top.state_bytes,
        "weights": weights,
        "step_bytes": top.rules.step,
        "room": top.rules.room,
        "max_steps": None,
    }
    (folder / "board.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="module")
def verilog(random_model):
    """A model, its link, and the Verilog as a board's file has it."""
    model = causal(random_model)
    asleep = {"sleeps": True, "gated": True}
    top = link_top(model, divisor=DIVISOR, steps=2, adc_width=WIDTH, state="carried", **asleep)
    return model, top, verilog_text(top, "board.link")


def told(*words, code=0, **more):
    found = CliRunner().invoke(mubinn, ["run", *map(str, words)], **more)
    assert found.exit_code == code, found.output
    return found


def rows(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_a_built_board_is_played_to_and_checked(verilog, tmp_path):
    model, top, text = verilog
    board, data = built(tmp_path / "b", model, top, text), recorded(tmp_path / "x.npz")
    out, picture = tmp_path / "d.csv", tmp_path / "d.png"
    words = (board, data, "--simulate", "--check", "-o", out, "--json")
    found = json.loads(told(*words, "--picture", picture).stdout)
    assert found["equal"]
    assert (found["compared"], found["dropped"]) == (STEPS, 0)
    cycles, asleep = (found["simulated"][name] for name in ("cycles", "asleep"))
    awake = cycles - asleep
    # A result that waits for the one before to be sent keeps it awake.
    assert STEPS * top.core.cycles_per_step < awake < cycles / 2, (awake, cycles)
    assert found["asleep"] == 1 - awake / STEPS * 50 / 12e6
    lines = rows(out)
    assert [int(line["step"]) for line in lines] == list(range(STEPS))
    # A packet has two steps, each step two samples at 100 Hz.
    assert (lines[5]["window"], lines[5]["time_s"]) == ("2", "0.12")
    assert picture.read_bytes().startswith(b"\x89PNG")
    # Longer windows, with some of what is sent lost or spoiled on its way, there and back.
    more = ("--window", 5, "--faults", 2e-3, "--seed", 4)
    found = json.loads(told(*words, *more).stdout)
    line = found["simulated"]
    assert found["equal"]
    assert 0 < found["compared"] < STEPS
    dropped = [row for row in rows(out) if "dropped" in row["flags"]]
    assert not any(row["class"] or row["score_0"] for row in dropped)
    assert 0 < len(dropped) <= line["to_board"]["touched"] + line["from_board"]["touched"]
    # Samples that come, the last of them half a window.
    x = np.load(data)["X"][0, :16]
    text = "\n".join(",".join(map(str, row)) for row in x.tolist())
    told(board, "-", "--simulate", "--check", "--window", 3, "-o", out, input=text)
    assert [row["class"] for row in rows(out)] == [row["class"] for row in lines[:8]]


def test_a_recording_of_people_is_played_as_an_adc_would_have_it(verilog, tmp_path):
    """An EDF in microvolts, its channels in another order, with a gap, is its whole numbers."""
    model, top, text = verilog
    names, rate, lsb, limit = ("Fz", "C3", "O1"), 20, 0.5, 1000.0
    meta = {"channels": json.dumps(names), "rate_hz": f"{rate:.1f}"}
    board = built(tmp_path / "b", replace(model, meta=meta), top, text)
    values = np.random.default_rng(5).normal(0, 100, (3, 3 * rate))
    lines = [Line(name, one, rate=rate) for name, one in zip(names, values, strict=True)]
    edf, out = tmp_path / "x.edf", tmp_path / "d.csv"
    starts = [0.0, 1.0, 7.0]
    edf.write_bytes(edf_bytes(lines[::-1], kind="EDF+D", starts=starts))
    words = ("--simulate", "--check", "--json", "-o", out)
    found = json.loads(told(board, edf, "--lsb", lsb, *words).stdout)
    assert (found["equal"], found["compared"]) == (True, 3 * rate // 2)
    steps = np.rint((values + limit) / (2 * limit) * 65535)
    codes = np.rint((steps / 65535 * 2 * limit - limit) / lsb).T.astype(np.int16)
    played = tmp_path / "codes.npz"
    np.savez(played, X=codes[None], fs_hz=rate)
    assert np.array_equal(np.concatenate(_windows(board, edf, lsb=lsb)), codes)
    # Windows are as long as those that the model was trained on, where it notes them.
    about = {**meta, "recordings": json.dumps({"window": 0.3, "lsb": lsb})}
    noted = built(tmp_path / "n", replace(model, meta=about, readout="last"), top, text)
    assert [len(one) // 2 for one in _windows(noted, edf)] == [3] * 6 + [2] + [3] * 3 + [1]
    others = edf_bytes([Line(n, v, rate=rate) for n, v in zip("abc", values, strict=True)])
    (tmp_path / "others.edf").write_bytes(others)
    fast = edf_bytes([Line(n, v, rate=30) for n, v in zip(names, values, strict=True)])
    (tmp_path / "fast.edf").write_bytes(fast)
    for data, own, sentence in (
        (edf, (), "these have fractions: give .* --lsb"),
        (edf, ("--lsb", 1e-6), "beyond 24 bits in steps of 1e-06: give a larger --lsb"),
        (tmp_path / "others.edf", ("--lsb", lsb), "has no channel 'Fz': it has a, b, c"),
        (tmp_path / "others.edf", ("--lsb", lsb, "--channels", "a,b"), "2 channels, the model rea"),
        (tmp_path / "fast.edf", ("--lsb", lsb), "trained on 20 Hz: resample it to 20 Hz before"),
        (played, ("--lsb", lsb), "--lsb is for recordings"),
        ("-", ("--lsb", lsb), "--lsb is of a recording"),
    ):
        shown = told(board, data, *own, *words, code=2).output.replace("\n", " ")
        assert re.search(sentence, shown), shown


def _windows(board, recording, **reading):
    """The windows as which a recording is played."""
    return list(_source(open_board(board, {}), recording, Reading(**reading), None, None).windows)


def test_a_port_is_any_path(verilog, tmp_path):
    model, top, text = verilog
    board, data = built(tmp_path / "b", model, top, text), recorded(tmp_path / "x.npz", 9)
    out = tmp_path / "d.csv"
    design, name = open_board(board, {}).verilog()
    with VirtualBoard(design, name, DIVISOR, settle=9999) as there:
        for rate in ((), ("--rate", 600)):
            words = (board, data, "--port", there.port, "--baud", 9600, "--check", "-o", out)
            found = told(*words, *rate)
            assert "All 9 results compared equal" in found.output
        counted = there.close()
    assert counted.to_board.packets > 2 * 5
    assert counted.to_board.touched == 0


def test_another_result_than_the_models_ends_with_a_sentence(verilog, tmp_path):
    model, top, text = verilog
    b = model.dense.b
    other = LevelTensor(b.bits, b.scales + 1, b.fraction)
    wrong = replace(model, dense=replace(model.dense, b=other))
    board, data = built(tmp_path / "b", wrong, top, text), recorded(tmp_path / "x.npz")
    out = tmp_path / "d.csv"
    found = told(board, data, "--simulate", "--check", "-o", out, code=1)
    assert "result 0 of window 0 is" in found.output
    assert "and the bit-true model has" in found.output


def test_weights_are_loaded_before_windows_and_where_a_board_has_none(
    random_model, verilog, tmp_path, monkeypatch
):
    """The Verilog knows no weights: those of any model with its constants may come, no others."""
    model = causal(random_model, seed=1)  # whose state moves
    wx = model.layers[0].wx
    flipped = replace(model.layers[0], wx=replace(wx, bits=1 - wx.bits))
    others = replace(model, layers=(flipped,))
    options = {"divisor": DIVISOR, "steps": 2, "adc_width": WIDTH, "state": "carried"}
    top = link_top(model, loadable=True, **options)
    text = without_contents(verilog_text(top, "board.link"), single_port=True)
    data, out = recorded(tmp_path / "x.npz"), tmp_path / "d.csv"
    words, faults = (data, "--simulate", "--check", "-o", out), ("--faults", 5e-4, "--seed", 3)
    boards = [built(tmp_path / m, n, top, text, "loaded") for m, n in (("m", model), ("o", others))]
    found, tables = [], []
    for board in boards:
        found.append(json.loads(told(board, *words, "--json").stdout))
        tables.append(out.read_text())
    assert tables[0] != tables[1]
    weights = contents(top.core.plans)
    for one in found:
        assert (one["equal"], one["compared"], one["dropped"]) == (True, STEPS, 0)
        assert (one["loads"], one["load_bytes"]) == (1, len(weights))
    found = json.loads(told(boards[0], *words, *faults, "--json").stdout)
    assert (found["equal"], found["loads"]) == (True, 1)
    assert found["compared"] > 0

    # A load that is begun, behind the second window's results, and not gone on with.
    whole = Session.run

    def emptied(self, windows):
        for event in whole(self, windows):
            yield event
            if isinstance(event, Result) and event.window == second and event.last:
                self._send(self._host._packet(Kind.WEIGHTS, weights[:4], Flags.FIRST))

    second = int(-(-len(weights) // top.rules.room)) + 2
    monkeypatch.setattr(Session, "run", emptied)
    shown = told(boards[0], *words)
    monkeypatch.setattr(Session, "run", whole)
    assert f"{len(weights)} bytes of weights were loaded 2 times." in shown.output
    dropped = [row for row in rows(out) if "dropped" in row["flags"]]
    assert 1 <= len(dropped) <= 4
    assert len(rows(out)) == STEPS - len(dropped)

    # A bit of each word is another one.
    wrong = weights[:4] + bytes(byte ^ 1 for byte in weights[4:])
    monkeypatch.setattr(Board, "contents", wrong)
    assert "and the bit-true model has" in told(boards[0], *words, code=1).output
    monkeypatch.undo()
    b = model.dense.b
    scaled = LevelTensor(b.bits, b.scales + 1, b.fraction)
    foreign = replace(model, dense=replace(model.dense, b=scaled))
    for name, own, design, kind, sentence in (
        ("f", foreign, text, "loaded", "refuses the weights"),
        ("w", model, text, "initialised", "waits for weights"),
        ("t", model, verilog[2], "loaded", "takes no weights"),
    ):
        board = built(tmp_path / name, own, top, design, kind)
        shown = told(board, *words, code=2).output.replace("\n", " ")
        assert re.search(sentence, shown)


def test_an_interruption_leaves_what_is_there(verilog, tmp_path, monkeypatch):
    model, top, text = verilog
    board, data = built(tmp_path / "b", model, top, text), recorded(tmp_path / "x.npz")
    out, picture = tmp_path / "d.csv", tmp_path / "d.png"
    whole = Session.run

    def interrupted(self, windows):
        for event in whole(self, windows):
            yield event
            if isinstance(event, Result) and event.index == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(Session, "run", interrupted)
    words = (board, data, "--simulate", "--check", "-o", out, "--picture", picture)
    found = told(*words, code=130)
    assert "All 2 results compared equal" in found.output
    assert [row["step"] for row in rows(out)] == ["0", "1"]
    assert picture.exists()


def test_a_master_plays_to_a_spi(random_model, tmp_path):
    model = causal(random_model, readout="running", classes=1, head="sigmoid")
    save_model(tmp_path / "m.mubinn", model)
    data, out = recorded(tmp_path / "x.npz"), tmp_path / "d.csv"
    words = (tmp_path / "m.mubinn", data, "--simulate", "--link", "spi", "--check", "--json")
    words += ("--load-weights",)
    words += ("--window", 20, "--adc", WIDTH, "-o", out)
    found = json.loads(told(*words).stdout)
    assert (found["equal"], found["compared"]) == (True, STEPS)
    found = json.loads(told(*words, "--faults", 4e-3, "--seed", 3).stdout)
    assert found["equal"]
    assert found["dropped"] > 0
    assert {row["class"] for row in rows(out) if row["score"]} <= {"0", "1"}


def test_a_design_that_is_asked_alone_is_not_told_of_as_forgotten(verilog, tmp_path):
    board = open_board(built(tmp_path / "b", *verilog), {})
    assert board.top.core.layers
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        del board
        gc.collect()
    assert [one for one in found if "never used" in str(one.message)] == []


def test_what_cannot_be_run_is_told(verilog, tmp_path, monkeypatch):
    model, top, text = verilog
    board, data = built(tmp_path / "b", model, top, text), recorded(tmp_path / "x.npz")
    alone = tmp_path / "b" / "model.mubinn"
    empty = tmp_path / "empty"
    empty.mkdir()
    for words, sentence in (
        ((board, data), "Give the board's --port, or --simulate"),
        ((board, data, "--port", "p", "--simulate"), "Give the board's --port, or --simulate"),
        ((board, data, "--port", "p", "--faults", 0.1), "--faults is of a simulated line"),
        ((board, data, "--simulate", "--baud", 9600), "--baud is of a port"),
        ((board, data, "--simulate", "--seed", 1), "--seed is of faults"),
        ((board, data, "--simulate", "--json"), "--json takes the terminal"),
        ((board, data, "--simulate", "--adc", 12), "--adc is what .* was built with"),
        ((board, data, "--simulate", "--save-state", tmp_path / "s"), "or leave out --save-state"),
        ((board, data, "--simulate", "--load-state", data), "does not go out or in: build it with"),
        ((empty, data, "--simulate"), "is no folder of a board"),
        ((alone, "-", "--simulate"), "Samples that come have no windows"),
        ((alone, data, "--simulate", "--link", "spi", "--divisor", 9), "leave it out with --link"),
        ((alone, data, "--simulate", "--divisor", 5), "5 clock cycles a bit are too few"),
        ((board, data, "--port", tmp_path / "none"), "cannot be opened"),
    ):
        assert re.search(sentence, told(*words, code=2).output.replace("\n", " "))
    monkeypatch.setitem(sys.modules, "serial", None)
    found = told(board, data, "--simulate", code=2)
    assert "pip install 'mubinn[serial]'" in found.output


def decided(path):
    own = ("class", "score")
    return [{k: v for k, v in row.items() if k.startswith(own)} for row in rows(path)]


def _interrupted(whole, results):
    """A session in which Ctrl-C is pressed at one of its results."""

    def run(self, windows):
        for n, event in enumerate(whole(self, windows)):
            yield event
            if isinstance(event, Result) and n > results and not pressed:
                pressed.append(n)
                signal.raise_signal(signal.SIGINT)

    pressed = []
    return run


def test_results_are_held_to_the_state_that_they_go_on_from(random_model, tmp_path):
    save_model(tmp_path / "m", causal(random_model, hidden=3, seed=1))
    board = open_board(tmp_path / "m", {"adc": WIDTH, "state": "carried", "state_port": True})
    early, late = np.random.default_rng(1).integers(-500, 500, (2, 2 * STEPS, FEATURES))
    front_end, layers = Checker(board)._run(early, None)[1]
    state = state_bytes(board.core, WholeState(layers, front_end))
    found = dict(enumerate(Checker(board)._run(late, (front_end, layers))[0]))
    begun, anew = Checker(board, state), Checker(board, state)
    assert begun.ended(0, late, found, whole=True) is None
    anew.anew()
    for other in (anew, Checker(board)):
        assert other.ended(0, late, found, whole=True) is not None


def test_a_state_goes_in_no_faster_than_a_board_takes_it(random_model):
    model = causal(random_model, features=31, hidden=60)
    options = {"adc_width": 16, "state": "carried", "state_port": True}
    top = asked_alone(link_top(model, divisor=DIVISOR, steps=2, **options))
    words = [-(-bits // 8) for bits, count in top.core.ring.shapes for _ in range(count)]
    ends = np.cumsum(words)
    assert ends[-1] == top.state_bytes > top.rules.room
    # A word waits a cycle to be read and one to be moved; two flags and a head come meanwhile.
    busy = top.rules.room + 2 * int(np.searchsorted(ends, top.rules.room))
    given = pauses(top, 1).given
    assert busy <= (given + 6) * 10 * DIVISOR
    assert 0 < given < 10


@pytest.mark.parametrize(
    ("readout", "options"),
    [
        ("every", ("--window", 1)),
        ("leaky:3", ("--window", 5, "--link", "spi", "--load-weights")),
    ],
)
def test_a_recording_goes_on_where_a_board_was_switched_off(
    random_model, tmp_path, monkeypatch, readout, options
):
    """The state of the first half, in a file, has a board anew decide as if never switched off."""
    model = causal(random_model, hidden=3, seed=1, readout=readout)
    save_model(tmp_path / "m.mubinn", model)
    x = np.load(recorded(tmp_path / "x.npz"))["X"]
    for name, half in (("a", x[:, :STEPS]), ("b", x[:, STEPS:])):
        np.savez(tmp_path / f"{name}.npz", X=half, fs_hz=100)
    kept, after = tmp_path / "kept", tmp_path / "after"
    common = ("--simulate", "--adc", WIDTH, "--state", "carried", "--state-port", *options)

    def play(name, *more, code=0):
        out = tmp_path / f"{name}.csv"
        words = (tmp_path / "m.mubinn", tmp_path / f"{name}.npz", *common, "--check", "-o", out)
        found = json.loads(told(*words, *more, "--json", code=code).stdout)
        assert found["equal"]
        return found, decided(out)

    whole, wanted = play("x", "--save-state", after)
    assert (whole["dropped"], whole["restarts"]) == (0, 0)
    first, early = play("a", "--save-state", kept)
    assert first["saved_bytes"] == whole["saved_bytes"] > 0
    _, late = play("b", "--load-state", kept, "--save-state", tmp_path / "last")
    assert [*early, *late] == wanted
    assert (tmp_path / "last").read_bytes() == after.read_bytes() != kept.read_bytes()
    # It is the state that does so.
    assert play("b")[1] != late
    # A first Ctrl-C has what is under way end, and the state kept.
    with monkeypatch.context() as patch:
        patch.setattr(Session, "run", _interrupted(Session.run, 5))
        _, begun = play("x", "--save-state", kept, code=130)
    place = len(begun)  # a result each step
    assert 0 < place < STEPS
    np.savez(tmp_path / "c.npz", X=x[:, 2 * place :], fs_hz=100)
    assert [*begun, *play("c", "--load-state", kept)[1]] == wanted
    # Where the line loses what the state was, it begins anew: nothing wrong is decided.
    found, _ = play("a", "--load-state", kept, "--save-state", after, "--faults", 3e-3)
    assert found["restarts"] > 0
    assert found["compared"] > 0


def test_a_state_of_something_else_is_refused(random_model, tmp_path):
    model, other = causal(random_model), causal(random_model, seed=1)
    for name, one in (("m", model), ("o", other), ("n", replace(model, meta={"by": "me"}))):
        save_model(tmp_path / name, one)
    ported = {"adc": WIDTH, "state": "carried", "state_port": True}
    board = open_board(tmp_path / "m", ported)
    state, kept = bytes(range(board.top.state_bytes)), tmp_path / "kept"
    kept.write_text(text := state_text(board, state))
    # Notes are no other model.
    assert read_state(kept, open_board(tmp_path / "n", ported)) == state
    for name, content in (
        ("flipped", text.replace(state.hex(), state[::-1].hex())),
        ("shorter", text.replace(state.hex(), state[1:].hex())),
        ("numbers", "7"),
        ("bytes", "\x00"),
    ):
        (tmp_path / name).write_text(content)
    for name, own, adc, sentence in (
        *((name, "m", WIDTH, "is no state of a board") for name in ("flipped", "shorter")),
        *((name, "m", WIDTH, "is no state of a board") for name in ("numbers", "bytes", "m")),
        ("kept", "o", WIDTH, "is the state of another model: give"),
        ("kept", "m", WIDTH + 8, "bytes of a board that was built in another way, and this one"),
        ("none", "m", WIDTH, "cannot be read: no such file"),
    ):
        words = (tmp_path / own, tmp_path / "x.npz", "--simulate", "--adc", adc)
        words += ("--state", "carried", "--state-port", "--load-state", tmp_path / name)
        shown = told(*words, code=2).output.replace("\n", " ")
        assert re.search(sentence, shown), (name, shown)


@pytest.mark.slow
@pytest.mark.parametrize(("link", "minutes"), [("uart", 1), ("spi", 1), ("spi", 10)])
def test_nothing_wrong_is_a_decision_on_minutes_of_eeg(random_model, tmp_path, link, minutes):
    """At full size, windows of one packet: each packet that no fault touches is decided on."""
    eeg = find_data()
    if eeg is None:
        pytest.skip("no EEG")
    save_model(tmp_path / "m.mubinn", causal(random_model, features=32, hidden=100, classes=2))
    np.savez(tmp_path / "x.npz", X=np.load(eeg)["X"][: 15 * minutes].reshape(1, -1, 32))
    words = ("--simulate", "--link", link, "--state", "carried", "--check", "--json")
    words += ("--faults", 1e-3, "--seed", 1, "-o", tmp_path / "d.csv")
    found = json.loads(told(tmp_path / "m.mubinn", tmp_path / "x.npz", *words).stdout)
    assert found["equal"]
    assert found["compared"] + found["dropped"] == found["steps"] == 2400 * minutes
    line = found["simulated"]
    touched = line["to_board"]["touched"] + line["from_board"]["touched"]
    assert 100 < found["dropped"] <= touched
