"""The FPGAs that are known: what they hold, and how tools are called for them."""

from collections.abc import Mapping
from dataclasses import dataclass

from mubinn.golden.ground.errors import MubinnError


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


@dataclass(frozen=True)
class Router:
    """Place and route: `nextpnr` for the family, its options, the program that packs bits.

    ``options`` hold what names the device, ``constraints`` what lets ports without a pin be placed,
    ``text`` the option and file of the placed design, ``pack`` the options of the packer.
    """

    family: str
    packer: str
    options: tuple[str, ...]
    text: str
    pack: tuple[str, ...]

    @property
    def module(self) -> str:
        """The Python package that brings both programs."""
        return f"yowasp_nextpnr_{self.family}"


@dataclass(frozen=True)
class Target:
    """A device.

    Attributes
    ----------
    name, device : str
        As given to ``--target``, and in full.
    synth : str
        The Yosys command.
    resources : mapping of str to Resource
        By the name that nextpnr gives them, where it does.
    router : Router or None
        None: synthesis only.
    network : str
        What the hardware's adder networks are made for, the ``network`` of
        `mubinn.golden.folding.layer_plan.LayerPlan`.
    clock_mhz : float
        What place and route aim at.
    """

    name: str
    device: str
    synth: str
    resources: Mapping[str, Resource]
    router: Router | None
    clock_mhz: float
    network: str = "lut4"


LOGIC_ADVICE = "take fewer units, fewer lanes or the threshold datapath"
RAM_ADVICE = "take fewer cells, layers or weight levels, or load the weights at run time"
PIN_ADVICE = "take a narrower TDATA"

_ICE_FF = [f"SB_DFF{n}{e}{s}" for n in ("", "N") for e in ("", "E") for s in ("", "SR", "SS", "R")]
_ICE_FF += [f"SB_DFF{n}{e}S" for n in ("", "N") for e in ("", "E")]


def _ice40(lcs: int, rams: int, pins: int, sprams: int = 0, dsps: int = 0) -> dict[str, Resource]:
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


def _ice40_router(device: str, package: str) -> Router:
    return Router(
        "ice40",
        "icepack",
        (f"--{device}", "--package", package, "--pcf-allow-unconstrained"),
        "--asc",
        (),
    )


_ECP5_25K = {
    "TRELLIS_COMB": Resource(
        "4-input LUTs", 24288, {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4}, LOGIC_ADVICE
    ),
    "TRELLIS_FF": Resource("flip-flops", 24288, {"TRELLIS_FF": 1}, LOGIC_ADVICE),
    "DP16KD": Resource("18-kbit block RAMs", 56, {"DP16KD": 1, "PDPW16KD": 1}, RAM_ADVICE),
    "MULT18X18D": Resource("multipliers", 28, {"MULT18X18D": 1}, LOGIC_ADVICE),
    "TRELLIS_IO": Resource("pins", 197, {}, PIN_ADVICE),
}

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

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(
            "ice40-up5k",
            "Lattice iCE40 UP5K, package SG48",
            "synth_ice40 -device u -spram -top {top}",
            _ice40(5280, 30, 39, sprams=4, dsps=8),
            _ice40_router("up5k", "sg48"),
            12.0,
        ),
        Target(
            "ice40-hx8k",
            "Lattice iCE40 HX8K, package CT256",
            "synth_ice40 -device hx -top {top}",
            _ice40(7680, 32, 206),
            _ice40_router("hx8k", "ct256"),
            24.0,
        ),
        Target(
            "ecp5-25k",
            "Lattice ECP5 LFE5U-25F, speed grade 6, package CABGA381",
            "synth_ecp5 -top {top}",
            _ECP5_25K,
            Router(
                "ecp5",
                "ecppack",
                ("--25k", "--package", "CABGA381", "--speed", "6", "--lpf-allow-unconstrained"),
                "--textcfg",
                ("--compress",),
            ),
            50.0,
        ),
        Target(
            "xc7",
            "AMD Artix-7 XC7A35T",
            "synth_xilinx -family xc7 -noiopad -flatten -top {top}",
            _XC7A35T,
            None,
            100.0,
            network="xc7",
        ),
    )
}
"""All targets by name."""


def find_target(name: str) -> Target:
    """Return a target; raise `MubinnError` on an unknown name."""
    if name not in TARGETS:
        raise MubinnError(f"There is no target {name}: choose from {', '.join(TARGETS)}.")
    return TARGETS[name]


def estimate(target: Target, cells: Mapping[str, int]) -> dict[str, float]:
    """Return how much of each resource a Yosys netlist takes at least."""
    return {
        key: sum(n * cells.get(cell, 0) for cell, n in resource.cells.items())
        for key, resource in target.resources.items()
    }


def check_fit(target: Target, used: Mapping[str, float], top: str) -> None:
    """Raise `MubinnError` where a device has less than is used; every such resource is named."""
    over = [
        (resource, used[key])
        for key, resource in target.resources.items()
        if used.get(key, 0) > resource.available
    ]
    if not over:
        return
    what = " and ".join(
        f"{count:g} {r.name} of {r.available} ({100 * (count / r.available - 1):.0f} % too many)"
        for r, count in over
    )
    advice = ", or ".join(dict.fromkeys(r.advice for r, _ in over))
    raise MubinnError(f"{top} does not fit {target.name}: it takes {what}; {advice}.")
