"""Tables of accuracies: a page in Markdown, and one line a group in CSV."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from mubinn.reports.accuracy import Group
from mubinn.reports.csv_text import csv_text

HEADERS = (
    "Model",
    "Accuracy, %",
    "Spread over folds",
    "Loss to float, points",
    "The paper, %",
    "Measured on",
    "Least agreement, %",
    "Runs",
)


def _cells(group: Group) -> list[str]:
    def number(value: float | None, digits: int = 2) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    least = None if group.agreement is None else 100 * group.agreement
    kind = "exported integers" if group.bit_true else "training graph"
    return [
        group.name,
        number(group.mean),
        number(group.spread),
        number(group.loss),
        number(group.paper),
        kind,
        number(least),
        str(group.runs),
    ]


def accuracy_markdown(found: Sequence[Group], command: str) -> str:
    """Return the table of all groups, and one of the folds."""
    rows = tabulate([_cells(g) for g in found], HEADERS, "github", disable_numparse=True)
    folds = sorted({fold for group in found for fold in group.by_fold})
    per_fold = tabulate(
        [
            [g.name, *(f"{g.by_fold[k]:.2f}" if k in g.by_fold else "-" for k in folds)]
            for g in found
        ],
        ["Model", *(f"Fold {k}" for k in folds)],
        "github",
        disable_numparse=True,
    )
    return (
        f"# Accuracy on held-out subjects\n\nMade by `{command}`. Mean over folds and seeds; the "
        "spread is the standard deviation of the folds' means. The loss compares each run with "
        "the float model of the same fold and seed. The paper does not name its data, so its "
        f"values stand beside ours for the differences alone.\n\n{rows}\n\n## By fold, %\n\n"
        f"{per_fold}\n"
    )


def accuracy_csv(found: Sequence[Group]) -> str:
    """Return all groups, one a line, with the mean of each fold."""
    folds = sorted({fold for group in found for fold in group.by_fold})
    fixed = ["method", "a", "w", "variant", "mean", "spread", "loss", "paper", "bit_true", "runs"]
    rows = []
    for g in found:
        values = [g.mean, g.spread, g.loss, g.paper]
        numbers = ["" if value is None else f"{value:.4f}" for value in values]
        means = [f"{g.by_fold[fold]:.4f}" if fold in g.by_fold else "" for fold in folds]
        pair = ["" if count is None else count for count in g.pair]
        rows.append([g.method, *pair, g.variant, *numbers, int(g.bit_true), g.runs, *means])
    return csv_text([*fixed, *(f"fold_{fold}" for fold in folds)], rows)
