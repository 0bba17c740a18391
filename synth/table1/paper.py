"""The paper's Table I, and the law that its 36 values follow."""

from mubinn.synth.table1.cell_units import Config

LEVELS: tuple[int | None, ...] = (1, 2, 3, 4, 5, None)
"""Rows and columns of Table I; None is full precision (FP)."""

CONFIGS: tuple[Config, ...] = tuple((a, w) for a in LEVELS for w in LEVELS)
"""All entries (A, W), row by row."""

_ROWS = (
    (0.042, 0.066, 0.089, 0.120, 0.160, 4.262),
    (0.054, 0.067, 0.090, 0.121, 0.161, 4.263),
    (0.059, 0.072, 0.091, 0.122, 0.162, 4.264),
    (0.066, 0.079, 0.098, 0.123, 0.163, 4.265),
    (0.075, 0.088, 0.107, 0.132, 0.164, 4.266),
    (1.065, 1.079, 1.098, 1.123, 1.154, 4.294),
)

DELAY_S: dict[Config, float] = dict(zip(CONFIGS, (v for row in _ROWS for v in row), strict=True))
"""Table I: the LSTM cell operation delay in seconds, 65 nm, by (A, W)."""

FP_LEVELS = 32
X_S, W_S, CONSTANT_S, ONE_S = 0.000992, 0.00101, 0.0429, 0.00896
"""The law's coefficients, in seconds."""

LAW = (
    f"T(A, W) = {X_S} f(A, W) + 3 * {W_S} f(W, W) + {CONSTANT_S} - {ONE_S} [A = W = 1],  "
    f"f(a, b) = max(a, b)² + min(a, b),  FP = {FP_LEVELS}"
)


def law_s(config: Config) -> float:
    """Return what the law gives for (A, W), in seconds.

    One product is A by W, three are W by W: A is the level count of the layer's input alone.
    """
    a, w = (FP_LEVELS if level is None else level for level in config)

    def f(left: int, right: int) -> int:
        return max(left, right) ** 2 + min(left, right)

    return X_S * f(a, w) + 3 * W_S * f(w, w) + CONSTANT_S - ONE_S * (a == w == 1)


def law_error() -> float:
    """Return the law's worst relative error over the paper's 36 values."""
    return max(abs(law_s(config) / paper - 1) for config, paper in DELAY_S.items())
