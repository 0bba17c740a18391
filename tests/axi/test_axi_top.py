"""The AXI shell around a small core, held to the protocol by cocotbext-axi."""

import json
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from simulators import QUICK

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.axi.axi_top import AxiTop
from mubinn.hw.export.interface import interface
from mubinn.hw.stream.packet import beats, check_width, slot_size, slots
from mubinn.sim.runner.simulate import simulate

FEATURES, IN_WIDTH, OUT_WIDTH = 3, 11, 19
FRAME = data.StructLayout({"x": data.ArrayLayout(signed(IN_WIDTH), FEATURES), "last": 1})


class Totals(wiring.Component):
    """A core as small as one can be: the sum of each feature over a window, and the step count."""

    i: Any
    o: Any

    def __init__(self) -> None:
        sums = {"steps": 5, "sums": data.ArrayLayout(signed(OUT_WIDTH), FEATURES)}
        super().__init__(
            {
                "i": In(stream.Signature(FRAME)),
                "o": Out(stream.Signature(data.StructLayout(sums))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        fresh, rest = Signal(init=1), Signal(2)
        o = self.o.payload
        m.d.comb += self.i.ready.eq(~self.o.valid & (rest == 0))
        with m.If(rest != 0):
            m.d.sync += rest.eq(rest - 1)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [rest.eq(3), fresh.eq(self.i.payload.last)]
            m.d.sync += [
                self.o.valid.eq(self.i.payload.last),
                o.steps.eq(Mux(fresh, 0, o.steps) + 1),
            ]
            for total, x in zip(o.sums, self.i.payload.x, strict=True):
                m.d.sync += total.eq(Mux(fresh, 0, total) + x)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m


def padded(array, width):
    """Rows of little-endian bytes, filled up to whole beats."""
    raw = np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)
    return np.pad(raw, ((0, 0), (0, -raw.shape[1] % (width // 8))))


def packets(width):
    """Windows of random lengths as packets, and the packets of their results."""
    random = np.random.default_rng(width)
    lengths = [4, 1, 7, 1, 1, 12]
    inputs, outputs = [], []
    for steps in lengths:
        x = random.integers(-(1 << IN_WIDTH - 1), 1 << IN_WIDTH - 1, (steps, FEATURES))
        inputs.append(padded(x.astype("<i2"), width).ravel())
        sums = x.sum(0, keepdims=True).astype("<i4").view(np.uint8)
        result = np.concatenate([[steps, 0, 0, 0], sums.ravel()]).astype(np.uint8)
        outputs.append(padded(result[None], width).ravel())
    return {
        "inputs": np.concatenate(inputs),
        "input_sizes": np.array([len(p) for p in inputs]),
        "outputs": np.concatenate(outputs),
        "output_sizes": np.array([len(p) for p in outputs]),
        "beat": np.array(width // 8),
        "frame": np.array(beats(FRAME, width)),
    }


@pytest.mark.parametrize("width", [8, 32, 128])
def test_windows_pass_whatever_happens(width):
    design = AxiTop(Totals(), width=width)
    result = simulate(
        design,
        top="axi",
        bench="mubinn.sim.axi.tb_axi_top",
        stimulus=packets(width),
        simulator=QUICK,
    )
    assert result.tests == 8


def test_a_driver_is_all_that_a_user_needs():
    design = AxiTop(Totals(), width=32)
    about = json.dumps(interface(design)).encode()
    x = np.random.default_rng(5).integers(-1024, 1024, (4, 9, FEATURES))
    stimulus = {
        "about": np.frombuffer(about, np.uint8),
        "x": x,
        "result_steps": np.full(4, 9),
        "result_sums": x.sum(1),
    }
    result = simulate(
        design, top="axi", bench="mubinn.sim.axi.tb_driver", stimulus=stimulus, simulator=QUICK
    )
    assert result.tests == 1


def test_elements_have_native_sizes():
    assert [slot_size(n) for n in (1, 8, 9, 17, 33, 64, 65, 130)] == [
        8,
        8,
        16,
        32,
        64,
        64,
        128,
        192,
    ]
    assert [(s.name, s.start, s.size) for s in slots(FRAME)] == [
        ("x[0]", 0, 16),
        ("x[1]", 16, 16),
        ("x[2]", 32, 16),
    ]
    assert [beats(FRAME, width) for width in (8, 32, 128)] == [6, 2, 1]


@pytest.mark.parametrize("width", [0, 12, 2048])
def test_widths_that_axi_does_not_have(width):
    with pytest.raises(MubinnError, match=f"TDATA of {width} bits"):
        check_width(width)
