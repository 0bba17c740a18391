"""How good decisions are, in words and as JSON types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mubinn.golden.inference.metrics import Errors, Metrics


def headline(found: Metrics | Errors, fold: int) -> str:
    """Return the first measure as the middle of a sentence about a held-out fold."""
    from mubinn.golden.inference.metrics import Errors

    if isinstance(found, Errors):
        return f"R^2 {found.r2:.4f} on the windows of fold {fold}"
    return f"{100 * found.accuracy:.2f} % of the windows of fold {fold} right"


def in_words(found: Metrics | Errors, classes: Sequence[str]) -> str:
    """Return accuracy, balanced accuracy and F1 of each class as a sentence, or the errors."""
    from mubinn.golden.inference.metrics import Errors

    if isinstance(found, Errors):
        return f"mean absolute error {found.mean_absolute_error:.6g}, R^2 {found.r2:.4f}."
    shares = zip(classes, found.f1, strict=True)
    each = ", ".join(f"{name} {'-' if f1 is None else f'{f1:.3f}'}" for name, f1 in shares)
    return (
        f"accuracy {100 * found.accuracy:.2f} %, balanced accuracy "
        f"{100 * found.balanced_accuracy:.2f} %, F1 {each}."
    )


def measures(found: Metrics | Errors, classes: Sequence[str]) -> dict[str, Any]:
    """Return all measures by name, as JSON types."""
    from mubinn.golden.inference.metrics import Errors

    if isinstance(found, Errors):
        return {"windows": found.windows, **found.figures}
    return {
        "windows": found.windows,
        "accuracy": found.accuracy,
        "balanced_accuracy": found.balanced_accuracy,
        "f1": dict(zip(classes, found.f1, strict=True)),
        "confusion": found.confusion.tolist(),
    }
