"""Streams that share an accelerator: the whole state goes out, and in again."""

from types import SimpleNamespace

import numpy as np
import pytest
from window_cases import (
    CASES,
    followed,
    model_of,
    restore,
    save,
    send,
    simulate,
    take,
    windows_of,
)

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.front_end import FrontEndState
from mubinn.golden.model.layer_state import LayerState
from mubinn.golden.model.stamp import Stamp
from mubinn.hw.accelerator.accelerator import Accelerator
from mubinn.hw.accelerator.state_parts import WholeState, state_bytes, whole_state
from mubinn.hw.accelerator.state_ring import check_port, unpack
from mubinn.hw.stream.component import asked_alone

STREAMS = {
    **{
        name: case
        for name, case in CASES.items()
        if name not in ("convolution", "frames of pixels")
    },
    # Of several channels, and of samples of an ADC that are more than a cell has.
    "an ADC, three cells": (
        CASES["samples of an ADC, every"][0] | {"seed": 1, "hidden": 3},
        {"adc_width": 10, "stamp": Stamp(settle=4)},
    ),
    "leaky mean behind an ADC, five classes": (
        {"seed": 3, "levels": (1, 2), "hidden": 2, "classes": 5, "readout": "leaky:2@2"},
        {"adc_width": 10, "stamp": Stamp(bits=2), "units": 2},
    ),
}


def drawn(design, random):
    """Return a state of any codes and numbers."""
    layers = []
    for plan in design.plans:
        layer = plan.layer
        codes = [
            random.integers(0, 1 << layer.quantizers[n.name].levels, layer.sizes.count(n))
            for n in layer.cell.states
        ]
        layers.append(LayerState(tuple(codes), np.zeros((0, layer.inputs), np.int64)))
    if design.model.reading.leak:
        sums = random.integers(-4, 4, design.model.outputs)
        layers[-1] = layers[-1]._replace(scores=sums)
    front_end = None
    if design.front_end is not None:
        own = design.front_end.front_end
        most = 1 << own.slow_width - 1
        slow = random.integers(-most, most, own.channels)
        front_end = FrontEndState(5, slow, np.int64(1234))
    return WholeState(tuple(layers), front_end, 2 if design.stamp else 0)


def plain(state):
    """Return a state's numbers as lists."""
    layers = [
        (
            [codes.tolist() for codes in own.codes],
            None if own.scores is None else own.scores.tolist(),
        )
        for own in state.layers
    ]
    own = state.front_end
    return layers, own and (own.step, own.slow.tolist(), int(own.size)), state.steps


@pytest.mark.parametrize("name", STREAMS)
def test_streams_share_an_accelerator(random_of, name):
    about, how = STREAMS[name]
    model = model_of(random_of, about)
    design = Accelerator(model, state="carried", state_port=True, **how)
    windows = windows_of(design, [2, 1, 1, 3, 2, 1])
    alone = [list(followed(model, design, windows[k::2], [True] * 3)) for k in range(2)]
    wanted = [alone[n % 2][n // 2] for n in range(6)]
    # What the other stream leaves would be told apart.
    together = list(followed(model, design, windows, [True] * 6))
    assert [rows for rows, _ in together] != [rows for rows, _ in wanted]
    found, ended = [], []

    async def bench(ctx):
        first = await save(ctx, design)
        assert first == state_bytes(design)
        other = state_bytes(design, drawn(design, np.random.default_rng(2)))
        await restore(ctx, design, other)
        assert await save(ctx, design) == other != first
        states = [first, first]
        for number, (rows, left) in enumerate(wanted):
            if number == 3:
                # As after a reset: what is restored is all that is left.
                ctx.set(design.abort, 1)
                await ctx.tick()
                ctx.set(design.abort, 0)
                assert await save(ctx, design) == first
            await restore(ctx, design, states[number % 2])
            started.append(number)
            found.append(await take(ctx, model, design, len(rows), None))
            assert found[-1] == rows, number
            while ctx.get(design.busy):
                await ctx.tick()
            states[number % 2] = saved = await save(ctx, design)
            # To have it read changes nothing.
            assert await save(ctx, design) == saved != first
            own = whole_state(design, saved)
            again = state_bytes(design, own)
            assert again == state_bytes(design, left)
            assert plain(whole_state(design, again)) == plain(own)
            # What is made of numbers is as good as what was saved.
            states[number % 2] = again if number % 3 else saved
        ended.append(True)

    async def produce(ctx):
        for number, numbers in enumerate(windows):
            while number not in started:
                await ctx.tick()
            await send(ctx, model, design, [numbers], [True], None)

    started = []
    simulate(design, bench, produce)
    assert ended


def test_where_no_state_goes_out(random_of):
    with pytest.raises(
        MubinnError, match="a state of 2 bytes is another accelerator's: give the 3"
    ):
        unpack([(9, 1), (3, 1)], bytes(2))
    for name, state, words in [
        ("convolution", "carried", "of convolutions and of projected cells does not go in or out"),
        ("frames of pixels", "register", "layers that sweep frames"),
        ("stack, readout last", "cleared", "a state that each window clears is worth no port"),
    ]:
        about, how = CASES[name]
        with pytest.raises(MubinnError, match=words):
            Accelerator.__init__(
                SimpleNamespace(), model_of(random_of, about), state=state, state_port=True, **how
            )
    with pytest.raises(MubinnError, match="a clock that runs"):
        check_port("carried", sleeps=True)
    check_port("register", sleeps=False)
    # Of bytes and numbers of others.
    model = model_of(random_of, CASES["samples of an ADC, every"][0])
    design = asked_alone(Accelerator(model, state="carried", state_port=True, adc_width=10))
    with pytest.raises(MubinnError, match="exactly where the accelerator has a front end"):
        state_bytes(design, whole_state(design, state_bytes(design))._replace(front_end=None))
