"""Level counts: what a configuration named (A, W) means."""

from dataclasses import dataclass, fields, replace

from mubinn.golden.ground.errors import MubinnError

MAX_LEVELS = 8
"""Most levels of any tensor; the paper uses 1 to 5."""


@dataclass(frozen=True)
class Levels:
    """How many binarization levels each tensor has; ``None`` leaves a tensor in full precision.

    Attributes
    ----------
    x : int or None
        The layer's input, the paper's A.
    w, b : int or None
        Weights and biases.
    h, c : int or None
        Hidden and cell state.
    gate : int or None
        The outputs f, i, g, o of the activation functions.
    """

    x: int | None
    w: int | None
    h: int | None
    c: int | None
    gate: int | None
    b: int | None

    def __post_init__(self) -> None:
        """Raise `MubinnError` on a count that is neither 1..MAX_LEVELS nor ``None``."""
        for field in fields(self):
            count = getattr(self, field.name)
            if count is not None and (type(count) is not int or not 1 <= count <= MAX_LEVELS):
                raise MubinnError(
                    f"unknown level count {count!r} for {field.name}: "
                    f"give 1 to {MAX_LEVELS}, or FP."
                )

    @classmethod
    def of(cls, a: int | None, w: int | None, **own: int | None) -> "Levels":
        """Return the configuration (A, W): A levels of x, W levels of everything else.

        Keyword arguments set single tensors, as in ``Levels.of(1, 1, h=2, c=2)``.
        """
        return replace(cls(x=a, w=w, h=w, c=w, gate=w, b=w), **own)

    def count(self, name: str) -> int:
        """Return the level count of tensor `name`; raise `MubinnError` for full precision."""
        count: int | None = getattr(self, name)
        if count is None:
            raise MubinnError(f"{self} keeps {name} in full precision: give it a level count.")
        return count

    @property
    def passes(self) -> int:
        """Level-pair products that share one pass over x and h: ``max(A W, W_h W)``."""
        return max(self.count("x"), self.count("h")) * self.count("w")

    def __str__(self) -> str:
        """Return the short name, ``(3,3)`` or ``(1,1) h=2 c=2``."""
        base = Levels.of(self.x, self.w)
        names = [f.name for f in fields(self) if getattr(self, f.name) != getattr(base, f.name)]
        own = "".join(f" {name}={level_name(getattr(self, name))}" for name in names)
        return f"({level_name(self.x)},{level_name(self.w)}){own}"


def level_name(count: int | None) -> str:
    """Return ``"FP"`` for full precision, else the number."""
    return "FP" if count is None else str(count)


def parse_level(text: str) -> int | None:
    """Return the level count that `text` names, ``None`` for ``FP``; raise `MubinnError`."""
    if text.strip().upper() == "FP":
        return None
    try:
        count = int(text)
    except ValueError:
        count = 0
    if not 1 <= count <= MAX_LEVELS:
        raise MubinnError(f"unknown level {text!r}: give a number from 1 to {MAX_LEVELS}, or FP.")
    return count


def parse_levels(text: str, **own: int | None) -> Levels:
    """Return the configuration that ``"A,W"`` names, such as ``"3,3"`` or ``"FP,2"``."""
    parts = text.strip().strip("()").split(",")
    if len(parts) != 2:
        raise MubinnError(f"unknown levels {text!r}: give two counts such as 3,3 or FP,2.")
    return Levels.of(parse_level(parts[0]), parse_level(parts[1]), **own)
