"""Numbers and names as text, the same in every form of the report."""

from collections.abc import Iterable

from mubinn.synth.table1.delay_model import GROUPS

LEVELS = ("1", "2", "3", "4", "5", "FP")

BINARIZED = LEVELS[:-1]

VARIANT_TEXT = {
    "thresholds": "Sums of Figure 3 and thresholds",
    "merged": "Merged sums and thresholds",
}
"""The variants of Table I by name."""

GROUP_TEXT = dict(
    zip(
        GROUPS,
        (
            "XNOR or binary32 products",
            "scaling by g",
            "accumulation, bias",
            "rounding, sigmoid, tanh",
            "MLB encoding, conversion",
            "Eq. (5) and (6)",
        ),
        strict=True,
    )
)


def seconds(value: float) -> str:
    """Return a time in seconds with three significant digits, without an exponent."""
    return fixed(value, 3)


def printed(value: float) -> str:
    """Return a time in seconds as the paper prints it."""
    return f"{value:.3f}"


def fixed(value: float, digits: int) -> str:
    """Return `value` with `digits` significant digits, without an exponent."""
    # Of the rounded number: 0.9996 becomes 1.00.
    exponent = int(f"{value:.{digits - 1}e}".split("e")[1])
    return f"{round(value, digits - 1 - exponent):.{max(0, digits - 1 - exponent)}f}"


def ratio(value: float) -> str:
    """Return a ratio with three significant digits."""
    return fixed(value, 3)


def count(value: float) -> str:
    """Return a whole number with thin spaces between thousands."""
    return f"{value:,.0f}".replace(",", "\u202f")


def percent(value: float, digits: int = 2) -> str:
    """Return a share as percent."""
    return f"{100 * value:.{digits}f}\u202f%"


def used_by(entries: Iterable[str]) -> str:
    """Return entries ``A,W`` briefly: by their levels where they are all pairs of those."""
    pairs = [tuple(entry.split(",")) for entry in entries]
    a, w = ([level for level in LEVELS if level in side] for side in zip(*pairs, strict=True))
    if len(pairs) == len(a) * len(w):
        return f"A {_levels(a)}; W {_levels(w)}"
    return " ".join(f"({left},{right})" for left, right in pairs)


def _levels(levels: list[str]) -> str:
    numbers = [int(level) for level in levels if level != "FP"]
    full = ["FP"] if "FP" in levels else []
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return ", ".join([f"{numbers[0]}\u2013{numbers[-1]}", *full])
    return ", ".join([*map(str, numbers), *full])
