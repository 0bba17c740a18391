"""Learning curves as pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import write_file

KINDS = (".png", ".svg", ".pdf")
_LOSS, _VALIDATION = "#0072B2", "#D55E00"


def check_curve(path: Path) -> None:
    """Raise `MubinnError` where the name of a picture has no known ending."""
    if path.suffix not in KINDS:
        raise MubinnError(f"{path} is no picture's name: end it in {', '.join(KINDS)}.")


def write_curve(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Draw training loss, and validation accuracy where there is one, over the epochs.

    Parameters
    ----------
    path : Path
        Ends in .png, .svg or .pdf; replaced whole.
    history : sequence of mapping
        As `TrainResult.history`.

    Raises
    ------
    MubinnError
        On another ending, or where the file cannot be written.
    """
    check_curve(path)
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axis = figure.subplots()
    axis.plot(epochs, [row["loss"] for row in history], "o-", color=_LOSS, label="training loss")
    axis.set_xlabel("epoch")
    axis.set_ylabel("loss", color=_LOSS)
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.spines[["top"]].set_visible(False)
    decides = not any("validation_r2" in row for row in history)
    name = "validation_accuracy" if decides else "validation_r2"
    shares = [row[name] for row in history]
    if None not in shares:
        other = axis.twinx()
        drawn = [100 * share if decides else share for share in shares]
        other.plot(epochs, drawn, "s--", color=_VALIDATION)
        label = "validation accuracy, %" if decides else "validation R^2"
        other.set_ylabel(label, color=_VALIDATION)
        other.spines[["top"]].set_visible(False)
    else:
        axis.spines[["right"]].set_visible(False)
    data = io.BytesIO()
    dated = {"Date": None} if path.suffix == ".svg" else None
    with rc_context({"svg.hashsalt": "mubinn"}):
        figure.savefig(data, format=path.suffix[1:], dpi=150, metadata=dated)
    write_file(path, data.getvalue(), parents=True)
