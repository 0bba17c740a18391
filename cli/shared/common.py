"""What the commands share: options, the bundled models, displays, and output written whole."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mubinn.cli.shared.paths import InputPath
from mubinn.golden.ground.errors import MubinnError

if TYPE_CHECKING:
    from mubinn.golden.model.quantized_model import QuantizedModel

FLOAT_MODEL = "eeg_float.safetensors"
QUANTIZED_MODEL = "eeg_3_3.mubinn"


class AliasedOption(click.Option):
    """An option of which help shows the first name alone; the others are those it once had."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return name and help."""
        names, self.opts = self.opts, self.opts[:1]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = names


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
"""``--json``: nothing but one JSON document goes to stdout, and no progress is shown."""

DATAPATH = click.Choice(["figure3", "threshold"])
_FOR_GOOD = ("cleared", "carried")
STATE_FOR_GOOD = click.Choice(_FOR_GOOD)
"""What windows begin with where no register says so."""
STATE = click.Choice([*_FOR_GOOD, "register"])
SCALE_FORM = click.Choice(["free", "power-of-two", "shift"])
"""Spelled out, so that ``--help`` imports no model."""

NORMALISE = ("--normalise", "--front-end", "normalise")
"""Both names of what stands before the first layer, and that of its parameter."""


class ReadoutName(click.ParamType):  # type: ignore[type-arg]
    """The name of a readout, as `mubinn.golden.model.head` has them."""

    name = "readout"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Return what stands for it in help."""
        return "READOUT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the shortest name of the same."""
        from mubinn.golden.model.head import reading_of

        return reading_of(value).name


READOUT = ReadoutName()
READOUT_FORMS = (
    "last, mean: of the last step, or of all; every, running, leaky: at every step of that step, "
    "the mean so far, or a leaky mean (leaky:K, S += s - (S >> K), K 7 where none is given); or "
    "WHAT@WHEN, of last, mean or leaky:K at end, step or every n-th step, as leaky:6@40"
)

simulator_option = click.option(
    "--simulator",
    type=click.Choice(["verilator", "icarus"]),
    default="verilator",
    show_default=True,
)

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Synthesis runs side by side.",
)

datapath_option = click.option(
    "--datapath",
    type=DATAPATH,
    help="What follows the sums of the gates: the units of the paper's Figure 3, or thresholds and "
    "tables of exact sigmoid and tanh, by default the model's own.",
)
"""``--datapath``: another one than the model file names."""

encoder_option = click.option(
    "--encoder",
    "encoders",
    multiple=True,
    metavar="[TENSOR=]RULE[:FACTOR]",
    help="What gives values their codes: `mlb` (Algorithm 1, the default), `bc` (signs, 1 level), "
    "`tc` (-a, 0, a; 2 levels) or `qc` (-a, -a/2, a/2, a; 2 levels), with thresholds at mean + "
    "FACTOR deviations, 1 for tc and 0.25 for qc where none is given, as printed (Eq. 21, 23). "
    "TENSOR is x, w (of the recurrent layers), h, c or gate; without one the rule is for all. May "
    "be repeated.",
)
"""``--encoder``: what quantization and training give codes by."""

liberty_option = click.option(
    "--liberty",
    type=InputPath(),
    multiple=True,
    metavar="FILE",
    help="Liberty file in place of the built-in library, plain or gzipped; repeated where several "
    "make one library.",
)
"""``--liberty``: the cell library."""

fo4_option = click.option(
    "--fo4",
    type=float,
    metavar="PS",
    help="FO4 delay of the built-in library.  [default: 25]",
)
"""``--fo4``: the speed of the built-in library."""


def open_quantized(path: Path | None, datapath: str | None) -> "QuantizedModel":
    """Return the quantized model of a file, by default the bundled one, with a datapath."""
    from mubinn.golden.model.model_file import load_model

    model = load_model(path or bundled(QUANTIZED_MODEL))
    chosen: Any = datapath
    return model if datapath is None else model.with_datapath(chosen)


def bundled(name: str) -> Path:
    """Return the path of a model that comes with the program."""
    spec = find_spec("mubinn.train")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "models" / name


LEAST_WIDTH = 20
"""Of a column that is wrapped."""


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, wrap: bool = False
) -> None:
    """Print a table; columns of numbers stand to the right.

    With `wrap` the lines of the last column are broken where the terminal ends.
    """
    from tabulate import tabulate

    texts = [[str(cell) for cell in row] for row in rows]
    sides = [
        "right" if all(re.fullmatch(r"-?[\d.,]+", text) for text in column) else "left"
        for column in zip(*texts, strict=True)
    ]
    click.echo(f"{title}\n")
    # Numbers stay as they were written: 27.0 does not become 27.
    widths: list[int | None] = [None] * len(columns)
    if wrap:
        before = sum(max(map(len, column)) + 2 for column in [*zip(*texts, strict=True)][:-1])
        widths[-1] = max(shutil.get_terminal_size().columns - before, LEAST_WIDTH)
    table = tabulate(
        texts,
        headers=columns,
        tablefmt="simple",
        disable_numparse=True,
        colalign=sides,
        maxcolwidths=widths,
    )
    click.echo(table)


@contextmanager
def working(text: str, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show a spinner and `text` on stderr while the context lasts; yields how to change the text.

    Shows nothing with `quiet`, or where stderr is no terminal.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _: None
        return
    with console.status(text) as status:
        yield status.update


@contextmanager
def progress_bar(text: str, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar on stderr while the context lasts; yields ``show(name, done, total)``.

    Shows nothing with `quiet`, or where stderr is no terminal.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[latest]}"),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(text, total=None, latest="")

        def show(name: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, latest=name)

        yield show


def refuse_given(why: str, *names: str) -> None:
    """Raise `MubinnError` where the command line gives one of these parameters of its command.

    `why` follows the option, as in ``--workers is for units: leave it out with --device.``
    """
    ctx = click.get_current_context()
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name in names and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = max(parameter.opts, key=len)
            raise MubinnError(f"{option} {why}")
