"""The built-in 65-nm-class Liberty library, written from the parameters in ``tech65_gates``."""

from collections.abc import Iterator
from dataclasses import replace
from math import sqrt

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.tech65_gates import (
    CIN_FF,
    CLK_TO_Q_FO4,
    CLK_TO_Q_RESET_FO4,
    CLOCK_PIN_CV2,
    FLIPFLOPS,
    FO4_REF,
    GATES,
    HEIGHT_UM,
    HOLD_FO4,
    ICG_CLOCK_CIN,
    ICG_CLOCK_CV2,
    ICG_ENABLE_CIN,
    ICG_ENABLE_CV2,
    ICG_OUT_CV2,
    ICG_WIDTH_UM,
    INTERNAL_SHARE,
    K_SLEW,
    LEAKAGE_NW_PER_UM2,
    LOAD_AXIS,
    R_INV,
    S0_INV,
    S1,
    SETUP_FO4,
    SLEW_AXIS,
    SLEW_REF,
    TAU_REF,
    TIES,
    VDD,
    Arc,
    Gate,
)

DEFAULT_FO4_PS = 25.0
LATCHED = "latch_posedge"
"""What Liberty calls a clock gate that passes the rising edges before which its enable is 1."""


def _num(value: float) -> str:
    return f"{value:.6g}"


def _axis(values: tuple[float, ...], factor: float) -> str:
    return ", ".join(_num(v * factor) for v in values)


def _table(kind: str, axes: tuple[float, float], f: tuple[float, float, float]) -> str:
    """One 3 x 3 table of ``f0 + f1 * slew + f2 * load``; `axes` are the units of slew and load."""
    slews = tuple(v * axes[0] for v in SLEW_AXIS)
    loads = tuple(v * axes[1] for v in LOAD_AXIS)
    rows = ", ".join(
        '"' + ", ".join(_num(f[0] + f[1] * s + f[2] * c) for c in loads) + '"' for s in slews
    )
    return (
        f'        {kind} (grid3) {{ index_1 ("{_axis(SLEW_AXIS, axes[0])}"); '
        f'index_2 ("{_axis(LOAD_AXIS, axes[1])}"); values ({rows}); }}'
    )


_SENSE = {"neg": "negative_unate", "pos": "positive_unate", "non": "non_unate"}


def _timing(arc: Arc, drive: int, stages: int, scale: float, kind: str = "") -> Iterator[str]:
    """The timing group of `arc` at `drive`, times multiplied by `scale`."""
    axes = (SLEW_REF * scale, CIN_FF * drive)
    # The input stage of a two-stage cell is sized by the root of the drive, so that its own
    # fan-out grows by the same root.
    p0 = arc.p0 + (TAU_REF * (sqrt(drive) - 1) if stages > 1 else 0.0)
    r = arc.r * scale / (CIN_FF * drive)
    s1 = S1 * arc.r / R_INV * scale / (CIN_FF * drive)
    yield f'      timing () {{ related_pin : "{arc.pin}";'
    yield (
        f"        timing_type : {kind};" if kind else f"        timing_sense : {_SENSE[arc.sense]};"
    )
    for edge, skew in (("rise", arc.skew), ("fall", 2 - arc.skew)):
        yield _table(f"cell_{edge}", axes, (skew * p0 * scale, K_SLEW, skew * r))
        yield _table(f"{edge}_transition", axes, (skew * arc.s0 * scale, 0.0, skew * s1))
    yield "      }"


def _energy(arc: Arc, drive: int, share: float) -> str:
    """Internal energy, fJ per output transition, of an arc: a share of p0 / r in C V^2."""
    fj = share * arc.p0 / arc.r * CIN_FF * drive * VDD**2
    return _internal(fj, f'related_pin : "{arc.pin}"; ')


def _internal(fj: float, related: str = "") -> str:
    return (
        f"      internal_power () {{ {related}"
        f'rise_power (scalar) {{ values ("{_num(fj)}"); }} '
        f'fall_power (scalar) {{ values ("{_num(fj)}"); }} }}'
    )


def _cell_head(name: str, width: float) -> Iterator[str]:
    area = width * HEIGHT_UM
    yield f"  cell ({name}) {{"
    yield f"    area : {_num(area)};"
    yield f"    cell_leakage_power : {_num(area * LEAKAGE_NW_PER_UM2)};"


def _input(pin: str, cin: float) -> str:
    return f"    pin ({pin}) {{ direction : input; capacitance : {_num(cin * CIN_FF)}; }}"


def _gate(gate: Gate, drive: int, width: float, scale: float) -> Iterator[str]:
    yield from _cell_head(f"{gate.name}_X{drive}", width)
    pins: dict[str, float] = {}
    for _, _, arcs in gate.outputs:
        for a in arcs:
            pins[a.pin] = max(pins.get(a.pin, 0.0), a.cin)
    # Sized as the timing above assumes.
    factor = drive if gate.stages == 1 else sqrt(drive)
    if gate.name == "MUX2":
        pins["B"] = pins["A"]
    for pin, cin in pins.items():
        yield _input(pin, cin * factor)
    for pin, function, arcs in gate.outputs:
        yield f'    pin ({pin}) {{ direction : output; function : "{function}";'
        yield f"      max_capacitance : {_num(LOAD_AXIS[-1] * CIN_FF * drive)};"
        for a in arcs:
            yield from _timing(a, drive, gate.stages, scale)
            yield _energy(a, drive, gate.share)
        yield "    }"
    yield "  }"


def _clock_gate(scale: float) -> Iterator[str]:
    """A clock gate of drive 1, whose clock passes what an AND2 is."""
    unit = CIN_FF * VDD**2
    (through,) = (gate for gate in GATES if gate.name == "AND2")
    yield from _cell_head("ICG_X1", ICG_WIDTH_UM)
    yield f'    clock_gating_integrated_cell : "{LATCHED}"; dont_use : true;'
    yield '    statetable ("CK EN", "IQ") { table : "L L : - : L, L H : - : H, H - : - : N"; }'
    yield "    pin (CK) { direction : input; clock : true; clock_gate_clock_pin : true;"
    yield f"      capacitance : {_num(ICG_CLOCK_CIN * CIN_FF)};"
    yield _internal(ICG_CLOCK_CV2 * unit)
    yield "    }"
    yield "    pin (EN) { direction : input; clock_gate_enable_pin : true;"
    yield f"      capacitance : {_num(ICG_ENABLE_CIN * CIN_FF)};"
    yield _internal(ICG_ENABLE_CV2 * unit)
    yield _constraint("setup_rising", SETUP_FO4, scale)
    yield _constraint("hold_rising", HOLD_FO4, scale)
    yield "    }"
    yield "    pin (IQ) { direction : internal; }"
    yield '    pin (GCK) { direction : output; clock_gate_out_pin : true; state_function : "CK*IQ";'
    yield f"      max_capacitance : {_num(LOAD_AXIS[-1] * CIN_FF)};"
    arc = replace(through.outputs[0][2][0], pin="CK")
    yield from _timing(arc, 1, through.stages, scale)
    yield _internal(ICG_OUT_CV2 * unit, 'related_pin : "CK"; ')
    yield "    }"
    yield "  }"


def _constraint(kind: str, fo4s: float, scale: float) -> str:
    value = _num(fo4s * FO4_REF * scale)
    edges = " ".join(f'{e}_constraint (scalar) {{ values ("{value}"); }}' for e in ("rise", "fall"))
    return f'      timing () {{ related_pin : "CK"; timing_type : {kind}; {edges} }}'


def _flipflop(name: str, width: float, drive: int, reset: bool, scale: float) -> Iterator[str]:
    yield from _cell_head(f"{name}_X{drive}", width)
    clear = ' clear : "!RN";' if reset else ""
    yield f'    ff (IQ, IQN) {{ next_state : "D"; clocked_on : "CK";{clear} }}'
    yield f"    pin (CK) {{ direction : input; clock : true; capacitance : {_num(CIN_FF)};"
    yield _internal(CLOCK_PIN_CV2 * CIN_FF * VDD**2)
    yield "    }"
    yield f"    pin (D) {{ direction : input; capacitance : {_num(CIN_FF)};"
    yield _constraint("setup_rising", SETUP_FO4, scale)
    yield _constraint("hold_rising", HOLD_FO4, scale)
    yield "    }"
    if reset:
        yield _input("RN", 1.5)
    fo4s = CLK_TO_Q_RESET_FO4 if reset else CLK_TO_Q_FO4
    arc = Arc("CK", 1.0, R_INV, fo4s * FO4_REF - 4 * R_INV, 1.0, "non", S0_INV)
    yield '    pin (Q) { direction : output; function : "IQ";'
    yield f"      max_capacitance : {_num(LOAD_AXIS[-1] * CIN_FF * drive)};"
    yield from _timing(arc, drive, 1, scale, "rising_edge")
    yield _energy(arc, drive, INTERNAL_SHARE)
    if reset:
        yield from _timing(replace(arc, pin="RN"), drive, 1, scale, "clear")
    yield "    }"
    yield "  }"


def _header(fo4_ps: float) -> Iterator[str]:
    yield f"/* 65-nm-class library, generated; FO4 {_num(fo4_ps)} ps */"
    yield "library (mubinn_tech65) {"
    yield "  delay_model : table_lookup;"
    yield '  time_unit : "1ps"; voltage_unit : "1V"; current_unit : "1uA";'
    yield '  pulling_resistance_unit : "1kohm"; leakage_power_unit : "1nW";'
    yield "  capacitive_load_unit (1, ff);"
    yield f"  nom_process : 1; nom_temperature : 25; nom_voltage : {VDD};"
    for edge in ("rise", "fall"):
        yield f"  slew_lower_threshold_pct_{edge} : 20; slew_upper_threshold_pct_{edge} : 80;"
        yield f"  input_threshold_pct_{edge} : 50; output_threshold_pct_{edge} : 50;"
    yield "  slew_derate_from_library : 1;"
    yield "  lu_table_template (grid3) { variable_1 : input_net_transition; "
    yield "    variable_2 : total_output_net_capacitance; "
    yield '    index_1 ("1, 2, 3"); index_2 ("1, 2, 3"); }'


def tech65_liberty(fo4_ps: float = DEFAULT_FO4_PS, *, clock_gates: bool = False) -> str:
    """Return the library as Liberty text, the same text for the same `fo4_ps`.

    Parameters
    ----------
    fo4_ps : float
        Fan-out-of-four delay of INV_X1, the mean of rise and fall, in ps: 1 to 1000. It scales all
        times; areas, capacitances, energies and leakage stay.
    clock_gates : bool
        With a clock gate, which the library is without where nothing asks for one.

    Returns
    -------
    str
        Units: ps, fF, um^2, fJ, nW, V.

    Raises
    ------
    MubinnError
        If `fo4_ps` is not within 1 to 1000.
    """
    if not 1.0 <= fo4_ps <= 1000.0:
        raise MubinnError(f"FO4 of {fo4_ps} ps is out of range: give 1 to 1000 ps.")
    scale = fo4_ps / FO4_REF
    lines = list(_header(fo4_ps))
    for gate in GATES:
        for drive, width in gate.sizes:
            lines.extend(_gate(gate, drive, width, scale))
    for name, width, drive, reset in FLIPFLOPS:
        lines.extend(_flipflop(name, width, drive, reset, scale))
    if clock_gates:
        lines.extend(_clock_gate(scale))
    for name, function, width in TIES:
        lines.extend(_cell_head(name, width))
        lines.append(f'    pin (Y) {{ direction : output; function : "{function}"; }}')
        lines.append("  }")
    lines.append("}")
    return "\n".join(lines) + "\n"
