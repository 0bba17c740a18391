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
    right = f"{100 * found.accuracy:.2f} % of the"
    if found.nats is not None:
        told = f"perplexity {found.figures['perplexity']:.2f}"
        return f"{told}, {right} steps with a label of fold {fold} right"
    return f"{right} windows of fold {fold} right"


def in_words(found: Metrics | Errors, classes: Sequence[str]) -> str:
    """Return the measures as a sentence: the errors, or accuracies, perplexity and F1."""
    from mubinn.golden.inference.metrics import Errors

    if isinstance(found, Errors):
        return f"mean absolute error {found.mean_absolute_error:.6g}, R^2 {found.r2:.4f}."
    told = [f"accuracy {100 * found.accuracy:.2f} %"]
    if found.nats is not None:
        told += [f"perplexity {found.figures['perplexity']:.2f}"]
    if found.named:
        shares = zip(classes, found.f1, strict=True)
        each = ", ".join(f"{name} {'-' if f1 is None else f'{f1:.3f}'}" for name, f1 in shares)
        told += [f"balanced accuracy {100 * found.balanced_accuracy:.2f} %", f"F1 {each}"]
    return f"{', '.join(told)}."


def measures(found: Metrics | Errors, classes: Sequence[str]) -> dict[str, Any]:
    """Return all measures by name, as JSON types."""
    from mubinn.golden.inference.metrics import Errors

    if isinstance(found, Errors):
        return {"windows": found.windows, **found.figures}
    told = {"windows" if found.nats is None else "steps": found.windows, **found.figures}
    if not found.named:
        return told
    shares = dict(zip(classes, found.f1, strict=True))
    return {**told, "f1": shares, "confusion": found.confusion.tolist()}
