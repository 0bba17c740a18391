"""Clocks made of a board's own: the settings of each family's PLL, and its primitive."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Const, Instance, Signal

from mubinn.golden.ground.errors import MubinnError

TOLERANCE = 0.01
"""How far a clock may be from what was asked for, as a share of it."""


@dataclass(frozen=True)
class Pll:
    """A PLL and how it is set.

    Attributes
    ----------
    primitive : str
        A key of `PRIMITIVES`.
    source_mhz, mhz : float
        What goes in, and what comes out.
    settings : mapping of str to int
        Dividers, as the vendor names them.
    """

    primitive: str
    source_mhz: float
    mhz: float
    settings: Mapping[str, int] = field(hash=False)

    def instance(self, source: Signal, clock: Signal, locked: Signal) -> Instance:
        """Return the primitive between the clock that goes in and the one that comes out."""
        return PRIMITIVES[self.primitive].instance(self, source, clock, locked)


@dataclass(frozen=True)
class Primitive:
    """A kind of PLL.

    Attributes
    ----------
    choices : callable
        From the frequency that goes in to all that may come out, and their settings.
    instance : callable
        See `Pll.instance`.
    """

    choices: Callable[[float], Iterator[tuple[float, dict[str, int]]]]
    instance: Callable[[Pll, Signal, Signal, Signal], Instance]


def find_pll(primitive: str, source_mhz: float, mhz: float) -> Pll:
    """Return the PLL whose output is nearest to `mhz`.

    Raises
    ------
    MubinnError
        None is near enough.

    Example
    -------
    >>> found = find_pll("EHXPLLL", 25, 50)
    >>> found.mhz, found.settings["CLKFB_DIV"]
    (50.0, 2)
    """
    choices = list(PRIMITIVES[primitive].choices(source_mhz))
    made, settings = min(choices, key=lambda choice: abs(choice[0] - mhz))
    if abs(made - mhz) > TOLERANCE * mhz:
        raise MubinnError(
            f"A PLL makes no clock of {mhz:g} MHz of one of {source_mhz:g} MHz: take "
            f"{source_mhz:g} MHz itself, or {made:g} MHz, the nearest one."
        )
    return Pll(primitive, source_mhz, made, settings)


def _from_middle(dividers: Iterable[int], made: float, middle: float) -> list[int]:
    """Return dividers, those first whose oscillator is nearest the middle of its range."""
    return sorted(dividers, key=lambda out: abs(made * out - middle))


def _ice40(source: float) -> Iterator[tuple[float, dict[str, int]]]:
    """iCE40: Lattice FPGA-TN-02052, and icestorm's ``icepll``."""
    for divr in range(16):
        compared = source / (divr + 1)
        if not 10 <= compared <= 133:
            continue
        window = 1 + sum(compared >= limit for limit in (17, 26, 44, 66, 101))
        for divf in range(128):
            if not 533 <= compared * (divf + 1) <= 1066:
                continue
            for divq in range(1, 7):
                made = compared * (divf + 1) / 2**divq
                if 16 <= made <= 275:
                    settings = {"DIVR": divr, "DIVF": divf, "DIVQ": divq}
                    yield made, settings | {"FILTER_RANGE": window}


def _ice40_instance(pll: Pll, source: Signal, clock: Signal, locked: Signal) -> Instance:
    widths = {"DIVR": 4, "DIVF": 7, "DIVQ": 3, "FILTER_RANGE": 3}
    ports: dict[str, Any] = {f"p_{k}": Const(v, widths[k]) for k, v in pll.settings.items()}
    # The pin that is the PLL's own has no way round it.
    ports["i_PACKAGEPIN" if pll.primitive == "SB_PLL40_PAD" else "i_REFERENCECLK"] = source
    return Instance(
        pll.primitive,
        p_FEEDBACK_PATH="SIMPLE",
        i_RESETB=Const(1),
        i_BYPASS=Const(0),
        o_PLLOUTGLOBAL=clock,
        o_LOCK=locked,
        **ports,
    )


def _ecp5(source: float) -> Iterator[tuple[float, dict[str, int]]]:
    """ECP5: Lattice FPGA-TN-02200 and FPGA-DS-02012, and Trellis's ``ecppll``."""
    for into in range(1, 129):
        compared = source / into
        if not 3.125 <= compared <= 400:
            continue
        for back in range(1, 81):
            made = compared * back
            for out in _from_middle(range(1, 129), made, 600):
                if 400 <= made * out <= 800:
                    yield made, {"CLKI_DIV": into, "CLKFB_DIV": back, "CLKOP_DIV": out}


def _ecp5_instance(pll: Pll, source: Signal, clock: Signal, locked: Signal) -> Instance:
    dividers: dict[str, Any] = {f"p_{k}": v for k, v in pll.settings.items()}
    still = ["RST", "STDBY", "PLLWAKESYNC"]
    still += [f"PHASE{name}" for name in ("SEL0", "SEL1", "DIR", "STEP", "LOADREG")]
    return Instance(
        "EHXPLLL",
        a_FREQUENCY_PIN_CLKI=f"{pll.source_mhz:g}",
        a_FREQUENCY_PIN_CLKOP=f"{pll.mhz:g}",
        a_ICP_CURRENT="12",
        a_LPF_RESISTOR="8",
        a_MFG_ENABLE_FILTEROPAMP="1",
        a_MFG_GMCREF_SEL="2",
        p_FEEDBK_PATH="CLKOP",
        p_CLKOP_ENABLE="ENABLED",
        p_CLKOP_CPHASE=pll.settings["CLKOP_DIV"] - 1,
        p_CLKOP_FPHASE=0,
        i_CLKI=source,
        i_CLKFB=clock,
        i_ENCLKOP=Const(0),
        o_CLKOP=clock,
        o_LOCK=locked,
        **{f"i_{name}": Const(0) for name in still},
        **dividers,
    )


def _gowin(source: float) -> Iterator[tuple[float, dict[str, int]]]:
    """GW1NR-9C of speed C6/I5: Gowin UG286 and DS117."""
    for into in range(64):
        compared = source / (into + 1)
        if not 3 <= compared <= 400:
            continue
        for back in range(64):
            made = compared * (back + 1)
            for out in _from_middle((2, 4, 8, *range(16, 129, 16)), made, 800):
                if 400 <= made * out <= 1200 and made >= 3.125:
                    yield made, {"IDIV_SEL": into, "FBDIV_SEL": back, "ODIV_SEL": out}


def _gowin_instance(pll: Pll, source: Signal, clock: Signal, locked: Signal) -> Instance:
    dividers: dict[str, Any] = {f"p_{k}": v for k, v in pll.settings.items()}
    still = {"FBDSEL": 6, "IDSEL": 6, "ODSEL": 6, "PSDA": 4, "DUTYDA": 4, "FDLY": 4}
    still |= {"CLKFB": 1, "RESET": 1, "RESET_P": 1}
    fixed = dict.fromkeys(("DYN_IDIV_SEL", "DYN_FBDIV_SEL", "DYN_ODIV_SEL", "DYN_DA_EN"), "false")
    return Instance(
        "rPLL",
        p_FCLKIN=f"{pll.source_mhz:g}",
        p_DEVICE="GW1NR-9C",
        p_CLKFB_SEL="internal",
        i_CLKIN=source,
        o_CLKOUT=clock,
        o_LOCK=locked,
        **{f"p_{name}": value for name, value in fixed.items()},
        **{f"i_{name}": Const(0, width) for name, width in still.items()},
        **dividers,
    )


PRIMITIVES = {
    "SB_PLL40_PAD": Primitive(_ice40, _ice40_instance),
    "SB_PLL40_CORE": Primitive(_ice40, _ice40_instance),
    "EHXPLLL": Primitive(_ecp5, _ecp5_instance),
    "rPLL": Primitive(_gowin, _gowin_instance),
}
"""By the vendors' names; those of an iCE40 take a clock from the PLL's own pin, or from any net."""
