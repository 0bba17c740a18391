"""Where a training run stands, and a display of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


@dataclass(frozen=True)
class Progress:
    """Where a run stands: handed to the progress callback after every step.

    Attributes
    ----------
    epoch, epochs, step, steps : int
        Epochs and steps of the epoch that are done, of how many.
    loss : float
        Mean training loss of the epoch so far.
    validation : str
        Of the latest epoch, in words; "-" for none.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    validation: str


@contextmanager
def rich_progress(console: Console | None = None) -> Iterator[Callable[[Progress], None]]:
    """Show one bar over all epochs while the context lasts.

    Yields the callback for `train`. The bar goes to stderr by default, so that stdout stays
    free for results, and shows nothing but its last state where stderr is no terminal.
    """
    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]}  validation {task.fields[validation]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console or Console(stderr=True)) as bar:
        task = bar.add_task("train", total=None, epoch="-", loss="-", validation="-")

        def show(now: Progress) -> None:
            bar.update(
                task,
                total=now.epochs * now.steps,
                completed=now.epoch * now.steps + now.step,
                epoch=f"{now.epoch + 1}/{now.epochs}",
                loss=f"{now.loss:.3f}",
                validation=now.validation,
            )

        yield show
