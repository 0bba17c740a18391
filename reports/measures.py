"""What tasks are judged by: names, units, and what a value loses against that of floats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mubinn.golden.ground.errors import MubinnError


@dataclass(frozen=True)
class Measure:
    """What a task is judged by.

    Attributes
    ----------
    name, plural : str
        As logs and sentences have it.
    factor : float
        From a log's value to the table's.
    unit : str
        Of the table, behind the name; ``""`` for a bare number.
    lower : bool
        Whether lower is better. Losses are then shares of the float network's value, in percent;
        else differences to it, in points.
    headers : tuple of str
        Of the loss, the paper's value and the paper's loss.
    on : str
        What a method is measured on that has no integers.
    followed : str
        The measure that logs have of each epoch where that is another one.
    """

    name: str
    plural: str
    factor: float
    unit: str
    lower: bool
    headers: tuple[str, str, str]
    on: str = "training graph"
    followed: str = ""

    @property
    def in_training(self) -> Measure:
        """The measure that logs have of each epoch."""
        return MEASURES[self.followed or self.name]

    @property
    def title(self) -> str:
        """The name and unit, such as ``"accuracy, %"``."""
        return f"{self.name}{self.unit}"

    def loss(self, full: float, own: float) -> float:
        """Return what a value loses against that of the float network.

        >>> round(MEASURES["accuracy"].loss(82.87, 79.64), 2)
        3.23
        >>> round(MEASURES["perplexity"].loss(117.18, 137.34), 1)
        17.2
        """
        return 100 * (own / full - 1) if self.lower else full - own

    def of(self, row: Mapping[str, Any]) -> tuple[float, bool]:
        """Return a run's value, and whether it is the integers', from its summary.

        Raises
        ------
        MubinnError
            The run was not measured so.
        """
        exact, graph = row.get(f"bit_true_{self.name}"), row.get(f"graph_{self.name}")
        value = graph if exact is None else exact
        if value is None:
            raise MubinnError(
                f"A run of seed {row['seed']} has no {self.name}: train it again in another --runs."
            )
        return self.factor * float(value), exact is not None


MEASURES = {
    one.name: one
    for one in (
        Measure(
            "accuracy",
            "Accuracies",
            100,
            ", %",
            False,
            ("Loss to float, points", "The paper, %", "The paper's loss"),
        ),
        Measure(
            "perplexity",
            "Perplexities",
            1,
            "",
            True,
            ("Above float, %", "The paper", "The paper's, above float, %"),
        ),
        Measure(
            "squared error",
            "Squared errors of the pixels of all frames that are made",
            1000,
            ", thousandths",
            True,
            ("Above float, %", "The paper", "The paper's, above float, %"),
            on="binarized weights",
            followed="perplexity",
        ),
    )
}
"""Measures by name."""
