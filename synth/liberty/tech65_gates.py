"""The gates of the built-in 65-nm-class library: logical-effort parameters and their sources.

The model of an arc is that of docs/concepts/library.md. Sources:

M
    simulated with ngspice and the public PTM 65 nm bulk card (2006; 1.2 V, 25 C, schematics without
    wires, n 210 nm, p 270 nm): all `Arc` numbers unless marked
S
    widths of the ICsprout 55 nm open PDK (Apache-2.0, a 65 nm layout shrunk by 0.9) times a 9-track
    height of 1.8 um; the resulting NAND2_X1, 1.44 um^2, is that of a public report of a 65 nm
    9-track library
K
    general knowledge of such libraries: flip-flop timing in FO4 (clock to Q 3.3 to 4.3, setup 1 to
    2), leakage; FO4 of a typical low-power corner: 25 ps, within 18 (PTM) to 32
L
    internal energy as the public libraries of SkyWater (sky130_fd_sc_hd, 1.8 V) and IHP (sg13g2,
    1.2 V) have it, in units of ``C_INV V**2``: an inverter's output edge 0.34 and 0.41, that of an
    XOR 1.05 and 1.57, of a MUX's data 1.25 and 2.1, an edge at a flip-flop's clock pin 2.7 and 2.6;
    of a clock gate an edge at its clock pin 1.72 and 1.89, at its enable 2.3 and 5.2, at its output
    1.31 and 1.69, and the capacitance of clock pin and enable 1.80 and 1.72, 0.77 and 0.80
"""

from dataclasses import dataclass, replace

VDD = 1.2
CIN_FF = 0.81  # [M] input capacitance of INV_X1
HEIGHT_UM = 1.8  # [S] nine tracks

FO4_REF = 18.25  # [M] ps, average of rise and fall, chain of inverters with fan-out four
TAU_REF = 3.2508  # [M] ps per unit of fan-out in such a chain (its own input slew included)
SLEW_REF = 23.66  # [M] ps, 20-80 %, mean of rise and fall in that chain
R_INV = 2.5268  # [M] ps per unit of fan-out at a fixed input slew

# A chain's slew is taken proportional to its delay; what the chain's slope has beyond the slope at
# a fixed slew is then the effect of the input slew. FO4 of the model equals FO4_REF exactly.
S1 = SLEW_REF / FO4_REF * TAU_REF
S0_INV = SLEW_REF - 4 * S1
K_SLEW = (TAU_REF - R_INV) / S1
P0_INV = FO4_REF - 4 * R_INV - K_SLEW * SLEW_REF

LEAKAGE_NW_PER_UM2 = 0.014  # [K] low-power process, 25 C: about 50 pA per um of width that is off
# An arc's internal energy over what the capacitance that its p0 would charge takes at V; with the
# inverter's own, 0.375 / 1.61, those of NAND, NOR, AOI, AND and BUF are met within a third. XOR and
# MUX wait longer than they charge: less than half of it meets theirs. Adders, which one of the two
# libraries lacks and the other gives less than an XOR, count as XOR does.
INTERNAL_SHARE = 0.233  # [L]
XOR_SHARE = 0.1  # [L]
CLOCK_PIN_CV2 = 2.65  # [L] per edge, output and data unchanged
ICG_CLOCK_CIN, ICG_ENABLE_CIN = 1.76, 0.79  # [L] capacitances of a clock gate's pins
ICG_CLOCK_CV2, ICG_ENABLE_CV2, ICG_OUT_CV2 = 1.8, 3.8, 1.5  # [L] per edge of each
ICG_WIDTH_UM = 4.4  # [S] ICGX1H7R, which has a pin for tests as well
CLK_TO_Q_FO4, CLK_TO_Q_RESET_FO4, SETUP_FO4, HOLD_FO4 = 3.8, 4.1, 1.5, 0.0  # [K]

SLEW_AXIS = (0.2, 1.0, 6.0)  # in units of SLEW_REF
LOAD_AXIS = (0.0, 4.0, 32.0)  # in INV_X1 inputs per unit of drive


@dataclass(frozen=True)
class Arc:
    """One input-to-output path at drive 1.

    Attributes
    ----------
    pin : str
        Input pin.
    cin : float
        Input capacitance over that of INV_X1.
    r : float
        Slope, ps per INV_X1 input of load.
    p : float
        Delay without load, ps, at the input slew SLEW_REF.
    skew : float
        Delay of the rising output edge over the mean; the falling edge has ``2 - skew``.
    sense : str
        ``neg``, ``pos`` or ``non`` (unate).
    slew0 : float
        Output slew without load, ps; 0 takes it from `p`, as for a single stage.
    """

    pin: str
    cin: float
    r: float
    p: float
    skew: float = 1.0
    sense: str = "neg"
    slew0: float = 0.0

    @property
    def p0(self) -> float:
        """Delay without load and with a zero input slew, ps."""
        return self.p - K_SLEW * SLEW_REF

    @property
    def s0(self) -> float:
        """Output slew without load, ps."""
        return self.slew0 or S0_INV * self.p0 / P0_INV


INV = Arc("A", 1.0, R_INV, P0_INV + K_SLEW * SLEW_REF, 1.181)
# Inner pins of a stack are slower than outer ones by what NAND2 and NOR2 show.
NAND2 = (Arc("A", 1.0, 2.892, 11.74), Arc("B", 0.98, 2.802, 14.33, 0.94))
NAND3 = (Arc("A", 1.0, 3.252, 15.4), Arc("B", 0.98, 3.252, 18.0), Arc("C", 0.98, 3.252, 20.6, 0.96))
NOR2 = (Arc("A", 1.0, 4.067, 12.08, 1.425), Arc("B", 0.98, 4.079, 15.85, 1.42))
NOR3 = (
    Arc("A", 1.0, 5.857, 19.6, 1.585),
    Arc("B", 0.97, 5.857, 23.3, 1.585),
    Arc("C", 0.97, 5.857, 27.1, 1.585),
)
# NAND4 extrapolates INV, NAND2, NAND3 (nearly linear in the fan-in).
NAND4 = tuple(
    Arc(q, 0.98, 3.66, p, 0.93) for q, p in zip("ABCD", (19.1, 21.7, 24.3, 26.9), strict=True)
)
_AOI_A, _AOI_C = Arc("A", 0.97, 4.519, 20.18, 1.268), Arc("C", 1.0, 4.065, 11.76, 1.418)
_OAI_A, _OAI_C = Arc("A", 0.96, 4.456, 25.42, 1.328), Arc("C", 1.0, 2.888, 11.68, 1.005)
AOI21 = (_AOI_A, replace(_AOI_A, pin="B"), _AOI_C)
OAI21 = (_OAI_A, replace(_OAI_A, pin="B"), _OAI_C)
# The second stack of AOI22 and OAI22 adds what the lone transistor adds to an inverter.
AOI22 = tuple(replace(_AOI_A, pin=q, p=_AOI_A.p + _AOI_C.p - INV.p) for q in "ABCD")
OAI22 = tuple(replace(_OAI_A, pin=q, p=_OAI_A.p + _OAI_C.p - INV.p) for q in "ABCD")
# The mean over the other input's two values; the mean input capacitance likewise.
XOR2 = (
    Arc("A", 0.91, 2.707, 33.87, sense="non", slew0=S0_INV),
    Arc("B", 0.70, 2.764, 48.88, sense="non", slew0=S0_INV),
)
FA_SUM = (
    Arc("A", 3.4, 2.889, 66.2, 1.1, "non", S0_INV),
    Arc("B", 3.4, 2.889, 66.2, 1.1, "non", S0_INV),
    Arc("CI", 2.05, 2.701, 70.2, 1.07, "non", S0_INV),
)
FA_CARRY = (
    Arc("A", 3.4, 2.815, 46.2, 1.1, "pos", S0_INV),
    Arc("B", 3.4, 2.815, 46.2, 1.1, "pos", S0_INV),
    Arc("CI", 2.05, 2.939, 38.2, 1.02, "pos", S0_INV),
)


def _then_inverter(arcs: tuple[Arc, ...]) -> tuple[Arc, ...]:
    """The arcs of a gate followed by an inverter of the same drive within one gate."""
    done = []
    for a in arcs:
        slew = S1 * a.r / R_INV + a.s0
        p = a.p + a.r + P0_INV + K_SLEW * slew
        done.append(replace(a, r=R_INV, p=p, skew=1.05, sense="pos", slew0=S0_INV))
    return tuple(done)


@dataclass(frozen=True)
class Gate:
    """A combinational gate family: outputs as (pin, function, arcs), sizes as (drive, width um).

    `share` is the part of an arc's p0 / r that its internal energy is.
    """

    name: str
    outputs: tuple[tuple[str, str, tuple[Arc, ...]], ...]
    sizes: tuple[tuple[int, float], ...]
    stages: int = 1
    share: float = INTERNAL_SHARE


_MUX2 = (*_then_inverter(AOI22[:2]), replace(_then_inverter(AOI22[:1])[0], pin="S", cin=1.97))
_MUX2 = (*_MUX2[:2], replace(_MUX2[2], p=_MUX2[2].p + INV.p, sense="non"))
_XOR_SIZES = ((1, 2.0), (2, 2.4), (4, 2.6))
_MUX_SIZES = ((1, 2.0), (2, 2.6), (4, 2.8))

GATES = (
    Gate("INV", (("Y", "!A", (INV,)),), ((1, 0.6), (2, 0.8), (4, 1.4), (8, 2.6))),
    Gate("BUF", (("Y", "A", _then_inverter((INV,))),), ((1, 0.8), (2, 1.0), (4, 1.4), (8, 2.0)), 2),
    Gate("NAND2", (("Y", "!(A&B)", NAND2),), ((1, 0.8), (2, 1.4), (4, 2.4))),
    Gate("NAND3", (("Y", "!(A&B&C)", NAND3),), ((1, 1.0), (2, 2.0), (4, 3.6))),
    Gate("NAND4", (("Y", "!(A&B&C&D)", NAND4),), ((1, 1.4), (2, 1.6))),
    Gate("NOR2", (("Y", "!(A|B)", NOR2),), ((1, 0.8), (2, 1.4), (4, 2.4))),
    Gate("NOR3", (("Y", "!(A|B|C)", NOR3),), ((1, 1.0), (2, 1.8))),
    Gate("AND2", (("Y", "A&B", _then_inverter(NAND2)),), ((1, 1.2), (2, 1.4), (4, 2.4)), 2),
    Gate("OR2", (("Y", "A|B", _then_inverter(NOR2)),), ((1, 1.2), (2, 1.4), (4, 1.8)), 2),
    Gate("AOI21", (("Y", "!((A&B)|C)", AOI21),), ((1, 1.0), (2, 1.4), (4, 2.6))),
    Gate("AOI22", (("Y", "!((A&B)|(C&D))", AOI22),), ((1, 1.4), (2, 2.4), (4, 4.6))),
    Gate("OAI21", (("Y", "!((A|B)&C)", OAI21),), ((1, 1.0), (2, 1.6), (4, 2.4))),
    Gate("OAI22", (("Y", "!((A|B)&(C|D))", OAI22),), ((1, 1.4), (2, 1.8), (4, 3.0))),
    Gate("XOR2", (("Y", "A^B", XOR2),), _XOR_SIZES, 2, XOR_SHARE),
    Gate("XNOR2", (("Y", "!(A^B)", XOR2),), _XOR_SIZES, 2, XOR_SHARE),
    Gate("MUX2", (("Y", "(A&!S)|(B&S)", _MUX2),), _MUX_SIZES, 2, XOR_SHARE),
    Gate(
        "HA",
        (("S", "A^B", XOR2), ("CO", "A&B", _then_inverter(NAND2))),
        ((1, 4.0), (2, 5.0)),
        2,
        XOR_SHARE,
    ),
    Gate(
        "FA",
        (("S", "A^B^CI", FA_SUM), ("CO", "(A&B)|(A&CI)|(B&CI)", FA_CARRY)),
        ((1, 4.8), (2, 5.0)),
        2,
        XOR_SHARE,
    ),
)
TIES = (("TIEHI", "1", 0.8), ("TIELO", "0", 0.8))
# Name, width um, drive, has a reset pin.
FLIPFLOPS = (
    ("DFF", 4.4, 1, False),
    ("DFF", 4.6, 2, False),
    ("DFFR", 5.6, 1, True),
    ("DFFR", 5.6, 2, True),
)
