"""The one table of boards that people own: device, pins, clock, and how a bitstream gets there.

A new board is one entry of `BOARDS`: build, pages and tests know it then. Each entry names where
its pins were looked up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.boards.device import Device, find_device


@dataclass(frozen=True)
class Pin:
    """A pin of the package and what is wired to it.

    Attributes
    ----------
    site : str
        As the vendor names it.
    low : bool
        Pressed, lit or active when low.
    pull : "up", "down" or ""
        An input's resistor.
    volts : str
        Of its bank, as in ``LVCMOS33``.
    where : str
        Where people find it, if not on a chip of the board.
    """

    site: str
    low: bool = False
    pull: str = ""
    volts: str = "33"
    where: str = ""


@dataclass(frozen=True)
class Board:
    """A board.

    Attributes
    ----------
    name, title : str
        As given to ``--board``, and in full.
    device_name : str
        Of `mubinn.hw.boards.device.DEVICES`.
    clock, clock_mhz : Pin, float
        Of its oscillator.
    pll : str
        See `mubinn.hw.boards.pll.PRIMITIVES`.
    uart, spi : mapping of str to Pin
        By the names of `mubinn.hw.link.link_top.LinkTop`; ``ready`` and ``waiting`` with the SPI.
    load : str
        The command that loads ``{file}``.
    sources : tuple of str
        Where the pins stand.
    reset : Pin or None
        Its button; None: at power-on alone.
    leds : tuple of Pin
        The first says that the design runs, the second that something is to be sent.
    held : mapping of str to (Pin, int)
        Outputs that keep a value, by name.
    notes : tuple of str
        What to know before it runs, a sentence each.
    """

    name: str
    title: str
    device_name: str
    clock: Pin
    clock_mhz: float
    pll: str
    uart: Mapping[str, Pin] = field(repr=False)
    spi: Mapping[str, Pin] = field(repr=False)
    load: str
    sources: tuple[str, ...]
    reset: Pin | None = None
    leds: tuple[Pin, ...] = ()
    held: Mapping[str, tuple[Pin, int]] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def device(self) -> Device:
        """The FPGA."""
        return find_device(self.device_name)

    @property
    def suffix(self) -> str:
        """Of its bitstreams."""
        return SUFFIXES[self.device.family]

    def port(self, name: str) -> Mapping[str, Pin]:
        """Return the pins of a port, ``uart`` or ``spi``."""
        return self.uart if name == "uart" else self.spi

    def pins(self, port: str) -> dict[str, Pin]:
        """Return the pins that a design has, by its ports."""
        found = {"clk": self.clock}
        if self.reset is not None:
            found["button"] = self.reset
        found |= self.port(port)
        found |= {f"led_{k}": pin for k, pin in enumerate(self.leds)}
        return found | {name: pin for name, (pin, _) in self.held.items()}


PORTS = ("uart", "spi")

ADC = 16
"""Bits of an ADC's samples, where nothing else is asked for."""

ABOUT = "board.json"
"""The file of a built folder that says what its board is: what a driver or a host has to know."""

SUFFIXES = {"ice40": "bin", "ecp5": "bit", "gowin": "fs"}
"""Of bitstreams, by family: loaders know them by it."""


def _uart(rx: str, tx: str, where: str = "", volts: str = "33") -> dict[str, Pin]:
    return {
        "rx": Pin(rx, pull="up", volts=volts, where=where),
        "tx": Pin(tx, volts=volts, where=where),
    }


def _spi(where: str, sites: str, names: str) -> dict[str, Pin]:
    """Return the pins of an SPI on a header: their sites, and what is printed beside them."""
    ports = ("cs_n", "mosi", "miso", "sck", "ready", "waiting")
    pulled = {"cs_n": "up"}
    return {
        port: Pin(site, pull=pulled.get(port, ""), where=f"{where} {name}")
        for port, site, name in zip(ports, sites.split(), names.split(), strict=True)
    }


_ULX3S = {
    "clock": Pin("G2"),
    "clock_mhz": 25.0,
    "pll": "EHXPLLL",
    "uart": _uart("M1", "L4", "USB 1"),
    "spi": _spi("header J1", "B9 A10 A9 B11 A7 C8", "GP3 GP1 GP2 GP0 GP4 GP5"),
    "load": "openFPGALoader -b ulx3s {file}",
    "reset": Pin("R1", pull="down", where="button FIRE 1"),
    "leds": (Pin("B2", where="LED 0"), Pin("C2", where="LED 1")),
    "sources": (
        "github.com/emard/ulx3s doc/constraints/ulx3s_v20.lpf (clk_25mhz, ftdi_txd, ftdi_rxd, "
        "btn[1], led)",
        "github.com/amaranth-lang/amaranth-boards amaranth_boards/ulx3s.py (gpio)",
        "github.com/trabucayre/openFPGALoader src/board.hpp",
    ),
}


def _ulx3s(name: str, size: str, device: str) -> Board:
    """Return the ULX3S with an FPGA of a size."""
    return Board(name, f"Radiona ULX3S with an LFE5U-{size}", device, **_ULX3S)  # type: ignore[arg-type]


BOARDS: dict[str, Board] = {
    board.name: board
    for board in (
        Board(
            "icebreaker",
            "1BitSquared iCEBreaker",
            "ice40-up5k",
            clock=Pin("35"),
            clock_mhz=12.0,
            pll="SB_PLL40_PAD",
            uart=_uart("6", "9", "USB, the second port"),
            # As a Pmod of type 2 has them; ready and waiting are pins 7 and 8 of it.
            spi=_spi("PMOD1A", "4 2 47 45 3 48", "1 2 3 4 7 8"),
            reset=Pin("10", low=True, pull="up", where="user button"),
            leds=(Pin("37", low=True, where="green"), Pin("11", low=True, where="red")),
            load="openFPGALoader -b ice40_generic {file}",
            sources=(
                "github.com/amaranth-lang/amaranth-boards amaranth_boards/icebreaker.py",
                "github.com/litex-hub/litex-boards platforms/1bitsquared_icebreaker.py",
                "github.com/trabucayre/openFPGALoader src/board.hpp",
            ),
        ),
        Board(
            "upduino3",
            "tinyVision UPduino 3",
            "ice40-up5k",
            clock=Pin("20"),
            clock_mhz=12.0,
            pll="SB_PLL40_CORE",
            uart=_uart("15", "14", "USB"),
            spi=_spi("header", "26 23 25 27 32 31", "26 23 25 27 32 31"),
            held={"flash_cs_n": (Pin("16"), 1)},
            load="iceprog {file}",
            sources=(
                "github.com/XarkLabs/upduino-example upduino_v3.pcf",
                "github.com/tinyvision-ai-inc/UPduino-v3.0 specs.rst (UPduino Pinout)",
                "github.com/amaranth-lang/amaranth-boards amaranth_boards/upduino_v3.py (iceprog)",
            ),
            notes=(
                "Jumper OSC (R16) has to be closed: it brings the 12 MHz to pin 20.",
                "The UART shares its pins with the flash, which stays deselected.",
            ),
        ),
        _ulx3s("ulx3s", "85F", "ecp5-85k"),
        _ulx3s("ulx3s-25f", "25F", "ecp5-25k"),
        _ulx3s("ulx3s-12f", "12F", "ecp5-12k"),
        Board(
            "orangecrab",
            "OrangeCrab r0.2 with an LFE5U-25F",
            "ecp5-25k-csfbga285",
            clock=Pin("A9"),
            clock_mhz=48.0,
            pll="EHXPLLL",
            uart=_uart("N17", "M18", "header, pins 0 (rx) and 1 (tx)"),
            spi=_spi("header", "B10 N16 N15 R17 B9 C8", "5 MOSI MISO SCK 6 9"),
            leds=(Pin("M3", low=True, where="green"), Pin("J3", low=True, where="blue")),
            load="openFPGALoader -b orangeCrab {file}",
            sources=(
                "github.com/litex-hub/litex-boards platforms/gsd_orangecrab.py (clk48, "
                "feather_serial, feather_spi)",
                "github.com/orangecrab-fpga/orangecrab-hardware r0.2.1.md (pinouts)",
                "github.com/amaranth-lang/amaranth-boards amaranth_boards/orangecrab_r0_2.py",
                "github.com/trabucayre/openFPGALoader src/board.hpp",
            ),
            notes=(
                "Its USB is wired to the FPGA itself: the UART is on the header.",
                "Hold the button while it is plugged in: the bootloader then takes the bitstream.",
            ),
        ),
        Board(
            "tangnano9k",
            "Sipeed Tang Nano 9K",
            "gw1nr-9c",
            clock=Pin("52"),
            clock_mhz=27.0,
            pll="rPLL",
            uart=_uart("18", "17", "USB"),
            spi=_spi("header", "25 26 27 28 29 30", "25 26 27 28 29 30"),
            reset=Pin("3", low=True, pull="up", volts="18", where="button S2"),
            load="openFPGALoader -b tangnano9k {file}",
            sources=(
                "github.com/litex-hub/litex-boards platforms/sipeed_tang_nano_9k.py",
                "github.com/amaranth-lang/amaranth-boards amaranth_boards/tang_nano_9k.py",
                "github.com/trabucayre/openFPGALoader src/board.hpp",
            ),
        ),
    )
}
"""All boards by name."""


def find_board(name: str) -> Board:
    """Return a board by its name; raise `MubinnError` on an unknown one."""
    if name not in BOARDS:
        raise MubinnError(f"There is no board {name}: choose from {', '.join(BOARDS)}.")
    return BOARDS[name]
