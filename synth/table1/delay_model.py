"""The delay of a cell as a sum of unit delays, one use after the other, as data.

docs/concepts/table1.md has its formulas, of all forms of a cell.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mubinn.synth.table1.cell_units import Config

GROUPS = ("multiply", "scale", "accumulate", "activate", "encode", "Eq. (5), (6)")
"""What a step is for: products of the matrices, level scales, sums and biases, sigmoid and tanh
with their rounding, conversions to and from level bits, and the products of the state."""

MULTIPLY, SCALE, ACCUMULATE, ACTIVATE, ENCODE, STATE = GROUPS


@dataclass(frozen=True)
class Workload:
    """Sizes of the layer: inputs I, cells H, time steps T."""

    features: int = 32
    hidden: int = 100
    steps: int = 1300

    @property
    def cells(self) -> int:
        """Cell operations of a window, H T."""
        return self.hidden * self.steps


PAPER = Workload()
"""The sizes of the paper's Table I."""


@dataclass(frozen=True)
class Step:
    """`count` uses a cell of units that work side by side, the slowest of which counts."""

    units: tuple[str, ...]
    count: int
    group: str


@dataclass(frozen=True)
class DelayModel:
    """A cell's steps, and its units in series.

    Attributes
    ----------
    steps : tuple of Step
    series : tuple of tuple of str
        The units that a value passes from input to state, each once; alternatives side by side.
    """

    steps: tuple[Step, ...]
    series: tuple[tuple[str, ...], ...]

    def cell_delay(self, delays: Mapping[str, float]) -> float:
        """Return the delay of one cell, in the unit of `delays`: all uses of all units."""
        return sum(self.group_delays(delays).values())

    def group_delays(self, delays: Mapping[str, float]) -> dict[str, float]:
        """Return the share of each group in the delay of one cell, in the order of `GROUPS`."""
        shares = dict.fromkeys(GROUPS, 0.0)
        for step in self.steps:
            shares[step.group] += step.count * max(delays[unit] for unit in step.units)
        return shares

    def depth(self, depths: Mapping[str, int]) -> int:
        """Return the sum of the depths of the units in series, each once."""
        return sum(max(depths[unit] for unit in units) for units in self.series)

    def terms(self) -> str:
        """Return the delay of one cell as a sum, such as ``36 max(xnor_x, xnor_h) + ...``."""
        return " + ".join(
            f"{step.count} {step.units[0]}"
            if len(step.units) == 1
            else f"{step.count} max({', '.join(step.units)})"
            for step in self.steps
        )


def delay_model(config: Config, load: Workload = PAPER, *, decoded: bool = False) -> DelayModel:
    """Return the delay model of configuration (A, W); None is full precision.

    With `decoded` a mixed cell decodes its level bits and multiplies.
    """
    a, w = config
    if w is None:
        return _float_delay_model(a, load, decoded)
    steps: list[Step] = []
    series: list[tuple[str, ...]] = []
    if a is None:
        steps += [*_mixed_sums(w, load, decoded), Step(("to_fixed",), 4, ENCODE)]
        first = (("decode",), ("float_mult",), ("float_add",))
        series += [*(first if decoded else (first[2], first[1])), ("to_fixed",)]
        sides: tuple[str, ...] = ("h",)
        passes = w * w
    else:
        sides, passes = ("x", "h"), max(a * w, w * w)
    xnor, mult = (tuple(f"{kind}_{side}" for side in sides) for kind in ("xnor", "mult"))
    steps += [
        Step(xnor, 4 * passes, MULTIPLY),
        Step(mult, 4 * passes, SCALE),
        Step(("add",), 4 * passes, ACCUMULATE),
        Step(("round_z",), 4, ACTIVATE),
        Step(("sigmoid",), 3, ACTIVATE),
        Step(("tanh_g",), 1, ACTIVATE),
        Step(("encode_gate",), 4, ENCODE),
    ]
    series += [xnor, mult, ("add",), ("round_z",), ("sigmoid", "tanh_g"), ("encode_gate",)]
    state = [
        Step((unit,), 1, group)
        for unit, group in (
            ("pointwise", STATE),
            ("encode_c", ENCODE),
            ("decode_c", ENCODE),
            ("round_c", ACTIVATE),
            ("tanh_c", ACTIVATE),
            ("mac", STATE),
            ("encode_h", ENCODE),
        )
    ]
    return DelayModel((*steps, *state), (*series, *(step.units for step in state)))


def _mixed_sums(levels: int, load: Workload, decoded: bool) -> Iterable[Step]:
    """x W_x of the four gates with one operand in level bits.

    I signed additions a level, each sum times its scale; or I decoded values multiplied.
    """
    if decoded:
        products = 4 * load.features
        return (
            Step(("decode",), products, ENCODE),
            Step(("float_mult",), products, MULTIPLY),
            Step(("float_add",), products, ACCUMULATE),
        )
    return (
        Step(("float_add",), 4 * levels * load.features, MULTIPLY),
        Step(("float_mult",), 4 * levels, SCALE),
        Step(("float_add",), 4 * levels, ACCUMULATE),
    )


def _float_delay_model(a: int | None, load: Workload, decoded: bool) -> DelayModel:
    """Weights and internals in binary32."""
    steps: list[Step] = []
    products = load.hidden
    if a is None:
        products += load.features
    else:
        steps += _mixed_sums(a, load, decoded)
    steps += [
        Step(("float_mult",), 4 * products, MULTIPLY),
        Step(("float_add",), 4 * products + 4, ACCUMULATE),
        Step(("sigmoid",), 3, ACTIVATE),
        Step(("tanh",), 2, ACTIVATE),
        Step(("float_mult",), 3, STATE),
        Step(("float_add",), 1, STATE),
    ]
    series: list[tuple[str, ...]] = [("float_mult",), ("float_add",), ("sigmoid", "tanh")]
    if a is not None and decoded:
        series.insert(0, ("decode",))
    return DelayModel(tuple(steps), tuple(series))
