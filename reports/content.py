"""What a report holds: measured by others, handed over whole, shown as it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from mubinn.synth.table1.table import Table1


@dataclass(frozen=True)
class Verification:
    """One simulation of the Figure 3 cell in its layer, held to the bit-true model.

    Attributes
    ----------
    levels : str
        Configuration, ``(3,3)``.
    features, hidden, windows, steps : int
        Sizes; `steps` are those of one window.
    stimulus : str
        Where the windows come from.
    simulator : str
        With its version.
    compared : mapping of str to int
        Values compared, and found equal, by signal; the total is under ``all``.
    cycles, cycles_per_step : int
    seconds : float
        Wall time of the simulation.
    cycles_per_s : float
    """

    levels: str
    features: int
    hidden: int
    windows: int
    steps: int
    stimulus: str
    simulator: str
    compared: Mapping[str, int]
    cycles: int
    cycles_per_step: int
    seconds: float
    cycles_per_s: float


@dataclass(frozen=True)
class Accuracy:
    """Float and bit-true accuracy on held-out windows, 0 to 1.

    Attributes
    ----------
    data : str
        Name of the data file.
    fold, windows : int
        The held-out fold and its windows.
    levels : str
    float_accuracy, bit_true_accuracy : float
    post_training_accuracy : float or None
        Bit-true, quantized after training; None where that is the model itself.
    loss_points : float
        Their difference in percentage points; negative where the bit-true model is better.
    """

    data: str
    fold: int
    windows: int
    levels: str
    float_accuracy: float
    bit_true_accuracy: float
    post_training_accuracy: float | None
    loss_points: float


@dataclass(frozen=True)
class GeneratedFile:
    """A file of the report that a later tool may want."""

    name: str
    size: int
    what: str


@dataclass(frozen=True)
class Generation:
    """The model that was built, how it was made, and what was generated from it."""

    model: str
    levels: str
    made: str
    files: tuple[GeneratedFile, ...]


@dataclass(frozen=True)
class ReportContent:
    """All of a report.

    Attributes
    ----------
    command : str
        What made the report.
    commands : mapping of str to str
        The command that gives each group of numbers by itself.
    versions : mapping of str to str
        Of tools and packages.
    accuracy : Accuracy or None
        None where no data were found.
    """

    table1: Table1
    verification: Verification
    accuracy: Accuracy | None
    generation: Generation
    versions: Mapping[str, str]
    command: str
    commands: Mapping[str, str]
