"""What docs/concepts/link.md says of packets and size, against the codec and place and route."""

import re
from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from mubinn.hw.accelerator.plans import plans
from mubinn.hw.boards.device import find_device
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.hw.layer.loadable_memory import load_layout
from mubinn.hw.link.link_top import LinkTop
from mubinn.hw.link.packets import (
    COUNTS,
    FIELDS,
    FLAGS,
    GIVING,
    LOADING,
    MAX_LENGTH,
    STAMP,
    TO_HOST,
    Flags,
    Kind,
    crc16,
)
from mubinn.synth.flow.flow import SynthJob
from mubinn.synth.fpga.place_and_route import implement

PAGE = (Path(__file__).parents[2] / "docs/concepts/link.md").read_text()
PARTS = {
    "every packet": FIELDS,
    "result": STAMP,
    "status": COUNTS,
    "status, where weights are loaded": LOADING,
    "status, where a state goes out and in": GIVING,
}


class Nothing(wiring.Component):
    """A core that answers a window with its last byte; it may have weights, which it sums up."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, plans=()):
        self.plans = list(plans)
        frame = data.StructLayout({"x": data.ArrayLayout(8, 1), "last": 1})
        result = data.StructLayout({"label": 8})
        load = {"load": In(load_layout(self.plans))} if plans else {}
        ports = {"i": In(stream.Signature(frame)), "o": Out(stream.Signature(result))}
        super().__init__(ports | load)

    def elaborate(self, platform):
        m = Module()
        last = self.i.payload.last
        m.d.comb += [
            self.o.valid.eq(self.i.valid & last),
            self.i.ready.eq(self.o.ready | ~last),
            self.o.payload.label.eq(self.i.payload.x[0]),
        ]
        if self.plans:
            parity = Signal()
            with m.If(self.load.layers != 0):
                m.d.sync += parity.eq(parity ^ self.load.as_value().xor())
            m.d.comb += self.o.payload.label.eq(self.i.payload.x[0] ^ parity)
        return m


def test_the_page_has_the_packets_of_the_codec():
    rows = [f"| {part} | {n} | {bits} |" for part, own in PARTS.items() for n, bits in own.items()]
    for kind in Kind:
        side = "board" if kind in TO_HOST else "host"
        flags = ", ".join(f"{name.lower()} {Flags[name].value}" for name in FLAGS.get(kind, ()))
        rows.append(
            f"| {kind.name.lower()} | {kind.value} | {side} | {flags} |".replace("  |", " |")
        )
    assert "\n".join(rows[: -len(Kind)]) in PAGE
    assert "\n".join(rows[-len(Kind) :]) in PAGE
    assert f'of "123456789" 0x{crc16(b"123456789"):04X}' in PAGE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("port", "divisor", "loads", "carries"),
    [
        ("UART", 104, False, False),
        ("SPI", None, False, False),
        ("UART, windows that go on", 104, False, True),
        ("UART, weights of 20 kB", 104, True, False),
    ],
)
def test_the_page_has_the_size_that_is_measured(random_of, port, divisor, loads, carries):
    model = random_of(seed=1, features=32, hidden=100, levels=(3, 3))
    core = Nothing(plans(model, 16) if loads else ())
    top = LinkTop(core, divisor=divisor, room=MAX_LENGTH, carries=carries)
    device = find_device("ice40-up5k")
    found = implement(SynthJob(verilog_text(top, "link"), "link"), device)
    row = re.search(rf"^\| {port} \| (\S+) \| (\S+) \| (\S+) \|$", PAGE, re.M)
    assert row
    used = [f"{found.used[name]:g}" for name in ("ICESTORM_LC", "ICESTORM_RAM")]
    assert [*used, f"{found.fmax_mhz:.1f}"] == list(row.groups())
