"""Models behind UART and SPI, pin to pin: what is decided is what the bit-true model says."""

from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
from lines import damaged
from link_boards import STEPS, Board, numbers, packets_of, session, told

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.bit_true import run_from
from mubinn.golden.model.stamp import Stamp
from mubinn.hw.export.golden_vectors import drawn_windows
from mubinn.hw.layer.loadable_memory import contents
from mubinn.hw.link.host import Awaited, Dropped, Host, Loaded, Lost, Result, Status, Unloaded
from mubinn.hw.link.link_top import check_core
from mubinn.hw.link.packets import Receiver, check_room

WIDTH = 16
CASES = {
    "uart": ({"levels": (2, 1), "classes": 3, "readout": "mean"}, {"units": 4}, 6, 1),
    "uart, every step": (
        {"levels": (1, 1), "readout": "leaky:2"},
        {"units": 4, "stamp": Stamp(2, 12), "sleeps": True, "gated": True},
        *(7, 2),
    ),
    "spi, samples of an ADC": (
        {"levels": (1, 1), "readout": "every"},
        {"adc_width": 10, "units": 4},
        None,
        1,
    ),
    "spi": (
        {"levels": (2, 2), "readout": "last"},
        {"sample_width": WIDTH, "sleeps": True},
        *(None, 1),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_wrong_is_reported_and_what_is_whole_is_decided(random_model, case):
    about, options, divisor, steps_a_packet = CASES[case]
    random = np.random.default_rng(len(case))
    board = Board(random_model(features=2, hidden=2, **about), options, divisor, steps_a_packet)
    host, sent, expected = board.host, [], {}
    windows, results = board.windows(random, 8)
    for count, (data, wanted) in enumerate(zip(windows, results, strict=True)):
        number, frames = host.window(data)
        expected[number] = wanted
        lines = list(frames)
        # Two windows pass, then of every other one a packet is lost or damaged.
        if count >= 2 and count % 2:
            place = int(random.integers(len(lines)))
            lines[place] = b"" if count % 4 == 1 else damaged(random, frames[place])
        sent += lines
        if count % 5 == 4:
            sent.append(host.ask())
    # By the codec alone: the windows of which each packet arrives.
    arrived = {p.counter for p in Receiver(board.top.rules).feed(b"".join(sent)) if p}
    ends = {number: number + len(packets_of(board, windows[0])) for number in expected}
    whole = [n for n, end in ends.items() if arrived.issuperset(range(n, end))]
    assert 5 <= len(whole) < 8
    heard = session(board, [b"", *sent])
    over = deepcopy(host)
    events = told(board, host, heard, expected)
    decided = [e.window for e in events if isinstance(e, Result) and e.last]
    assert decided == whole
    assert sorted(decided + numbers(events, Dropped)) == sorted(expected)
    assert not [e for e in events if isinstance(e, Lost)]
    # What the board has counted is what has come to it; a result after a loss says so.
    status = [e for e in events if isinstance(e, Status)][-1]
    assert not status.working
    asked = 1 + 2
    total = sum(len(packets_of(board, data)) for data in windows) + asked
    assert status.counts["received"] + status.counts["lost"] == total == status.counts["expected"]
    assert status.counts["dropped"] == len(expected) - len(whole)
    flagged = [e for e in events if not isinstance(e, Dropped | Lost) and e.lost]
    assert len(flagged) >= len(expected) - len(whole)
    # The same with damage on the way back: fewer results, none of them wrong.
    lossy = bytearray(heard)
    for place in sorted(random.integers(0, len(heard), 8).tolist(), reverse=True):
        if random.random() < 0.5:
            del lossy[place]
        else:
            lossy[place] ^= 1 << int(random.integers(8))
    fewer = told(board, over, bytes(lossy), expected)
    found = [e.window for e in fewer if isinstance(e, Result) and e.last]
    assert len(found) <= len(decided)
    assert sorted(found + numbers(fewer, Dropped) + over.open) == sorted(expected)


def test_a_clear_forgets_what_came_before(random_model):
    about, options, divisor, steps_a_packet = CASES["uart"]
    board = Board(random_model(features=2, hidden=2, **about), options, divisor, steps_a_packet)
    host = board.host
    windows, results = board.windows(np.random.default_rng(1), 2)
    _, first = host.window(windows[0])
    cleared = host.clear()
    number, second = host.window(windows[1])
    # The board is switched on in the middle of a packet of a window.
    heard = session(board, [first[0][5:], *first[1:2], cleared, *second])
    events = told(board, host, heard, {number: results[1]})
    assert numbers(events, Result) == [number]
    # The packet without a beginning has one that gives it up, then the clear, two that ask.
    counts = [e.counts for e in events if isinstance(e, Status)]
    assert [(c["received"], c["refused"], c["dropped"]) for c in counts[1:]] == [
        (1, 0, 0),
        (5, 0, 0),
        (6, 0, 0),
    ]
    assert counts[0]["refused"] == 1
    assert counts[0]["dropped"] == 1


def by_the_rules(board, codes, sent):
    """Return the results of windows that are decided on, by number; `sent` has what became of each.

    A window that goes on from one that is dropped is dropped.
    """
    state, found = None, {}
    for own, (number, carried, whole) in zip(codes, sent, strict=True):
        if not whole or (carried and state is None):
            state = None
            continue
        _, scores, classes, state = run_from(board.model, own, state if carried else None)
        found[number] = [{"label": int(classes), "logits": scores.tolist()}]
    return found


def going_on(random_of, **options):
    """A board whose windows differ by what they go on from, its windows, and their codes."""
    model = random_of(seed=29, features=20, hidden=2, levels=(1, 2), classes=3, readout="last")
    board = Board(model, {"units": 4, **options}, 6, 2)
    x, codes = drawn_windows(board.top.core, 8, STEPS, 3)
    return board, [board.driver.pack(window) for window in x.tolist()], codes


def test_windows_say_whether_they_go_on(random_of):
    board, windows, codes = going_on(random_of, state="register", sleeps=True)
    host, lines, sent = board.host, [], []
    carried = [False, True, True, True, True, False, True, False]
    for k, (data, goes_on) in enumerate(zip(windows, carried, strict=True)):
        number, frames = host.window(data, carried=goes_on)
        sent.append((number, goes_on, k != 3))
        lines += frames[: 1 if k == 3 else None]
    expected = by_the_rules(board, codes, sent)
    # The fifth one is to go on from the lost one.
    assert [number for number, *_ in sent if number not in expected] == [sent[3][0], sent[4][0]]
    for others in ([False] * 8, [*carried[:7], True]):
        other = [(n, goes_on, whole) for (n, _, whole), goes_on in zip(sent, others, strict=True)]
        found = by_the_rules(board, codes, other)
        assert expected != {number: found[number] for number in expected}
    events = told(board, host, session(board, [b"", *lines]), expected)
    assert numbers(events, Result) == list(expected)
    assert sorted(numbers(events, Dropped) + list(expected)) == [number for number, *_ in sent]


HARMS = ("lost", "unheard", "hurt", "", "unheard", "lost", "hurt", "hurt", "twice", "unheard")


def test_no_window_is_taken_before_all_weights_are(random_of):
    board, windows, codes = going_on(random_of, loadable=True, sleeps=True, gated=True)
    host, weights, place = board.host, contents(board.top.core.plans), 0
    random, events = np.random.default_rng(1), []

    def listened(told=True):
        nonlocal place
        place, new = len(board.heard), bytes(board.heard[place:])
        events[:] = host.feed(new) if told else []
        return [event.packet for event in events if isinstance(event, Awaited)]

    def load(data, *harms):
        """Send each packet that is awaited; `harms` happen to them, one after the other."""
        _, frames = host.load(data)
        frame, left = frames[0], iter(harms)
        while frame is not None:
            harm = next(left, "")
            yield {"lost": b"", "hurt": damaged(random, frame), "twice": 2 * frame}.get(harm, frame)
            yield None
            awaited = listened(harm != "unheard")
            ended = any(isinstance(event, Loaded | Unloaded) for event in events)
            frame = frames[awaited[-1]] if awaited else None if ended else host.ask()

    def outcome():
        status = [event for event in events if isinstance(event, Status)][-1]
        about = [event for event in events if isinstance(event, Dropped | Loaded | Unloaded)]
        return status.empty, status.refused, [type(event) for event in about]

    def script():
        yield from (b"", *host.window(windows[0])[1], host.ask(), None)
        listened()
        assert outcome() == (True, False, [Dropped])
        # Of a load that goes no further nothing is decided on, whatever the host believes.
        yield from (host.load(weights)[1][0], None)
        assert listened() == [1]
        assert outcome() == (True, False, [])
        with pytest.raises(MubinnError, match="are not known to be in the board"):
            host.window(windows[0])
        yield from load(weights[:12])
        assert outcome() == (True, False, [Unloaded])
        yield from load(bytes([weights[0] ^ 1]) + weights[1:8])
        assert outcome() == (True, True, [Unloaded])
        yield from load(weights, *HARMS)
        assert outcome() == (False, False, [Loaded])
        number, frames = host.window(windows[1])
        sent.append((number, False, True))
        yield from frames

    sent = []
    heard = session(board, script())
    events = told(board, host, heard[place:], by_the_rules(board, codes[1:2], sent))
    assert numbers(events, Result) == [number for number, *_ in sent]


def test_what_a_link_cannot_have_is_told():
    for member, words in [
        ("carried", "says with the first step of a window whether"),
    ]:
        core = SimpleNamespace(signature=SimpleNamespace(members={member: None}))
        with pytest.raises(MubinnError, match=words):
            check_core(core)
    with pytest.raises(MubinnError, match="do not say whether they go on from the one before"):
        Host(2).window(bytes(2), carried=True)
    with pytest.raises(MubinnError, match="0 bytes are no weights"):
        Host(2).load(b"")
    for room, step in [(1, 6), (300, 6), (400, 300)]:
        with pytest.raises(
            MubinnError, match=f"Room for {room} bytes does not do for steps of {step}"
        ):
            check_room(room, step)
