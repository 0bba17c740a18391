"""``mubinn bench``: the measurements that the project promises."""

from pathlib import Path
from typing import Any

import click

from mubinn.cli.shared.common import (
    DATAPATH,
    json_option,
    liberty_option,
    print_json,
    print_table,
    working,
)
from mubinn.cli.shared.paths import Command, InputPath, OutputFolder
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import check_folder, write_folder


@click.command(cls=Command)
@click.argument("name", required=False)
@click.argument("models", nargs=-1, type=InputPath())
@click.option("--list", "as_list", is_flag=True, help="List the names and what each measures.")
@liberty_option
@click.option(
    "--model",
    type=InputPath(),
    metavar="FILE",
    help="Float model of 'quantization', in place of the bundled one; with --data.",
)
@click.option(
    "--data",
    type=InputPath(),
    multiple=True,
    metavar="FILE",
    help="Windows that --model was trained on, an .npz, in place of the shared data set; of "
    "'layers' those of all MODELS, or repeated, those of each in their order.",
)
@click.option(
    "--device", metavar="NAME", help="Of 'layers': the FPGA whose logic counts.  [default: xc7]"
)
@click.option(
    "--datapath", type=DATAPATH, help="Of 'layers': another one than the model files name."
)
@click.option(
    "--windows",
    type=click.IntRange(min=1),
    help="Of 'layers': windows that are simulated with every value compared.  [default: 1]",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Of 'layers': first steps of these windows.  [default: all]",
)
@click.option(
    "--instruction-set",
    metavar="NAME",
    help="The one that 'xnor-gemm' measures, of portable, avx2 and avx512; by default all here.",
)
@click.option(
    "-o",
    "--output",
    type=OutputFolder(replaced=True),
    metavar="DIR",
    help="Folder for tables and pictures, of those that make any ('continuous', 'energy', "
    "'layers', 'power').",
)
@json_option
def bench(
    name: str | None,
    models: tuple[Path, ...],
    as_list: bool,
    liberty: tuple[Path, ...],
    model: Path | None,
    data: tuple[Path, ...],
    instruction_set: str | None,
    output: Path | None,
    as_json: bool,
    **of_layers: Any,
) -> None:
    """Run the measurement NAME and print its figures, beside what they are to reach.

    For 'libraries' and 'power' each --liberty is a library of its own. MODELS are for 'layers':
    quantized models and float ones, whose layers stand side by side in one table; and for
    'continuous': quantized models, and folders of mubinn train --runs, by default those of the
    documentation.

    \b
      mubinn bench --list
      mubinn bench simulate
      mubinn bench inference --json
      mubinn bench delay --liberty sky130hd_tt.lib.gz
      mubinn bench energy -o energy
      mubinn bench libraries --liberty sky130hd_tt.lib.gz --liberty sg13g2.lib
      mubinn bench power --liberty sky130hd_tt.lib.gz -o power
      mubinn bench xnor-gemm --instruction-set avx2
      mubinn bench quantization --model watch.safetensors --data watch.npz
      mubinn bench layers fp.safetensors my.mubinn --data my.npz -o layers
      mubinn bench continuous runs -o continuous
    """
    from mubinn.cli.benchmarks.table import ABOUT, BENCHMARKS, WITH_PROGRESS

    if as_list:
        if as_json:
            print_json(list(BENCHMARKS))
        else:
            width = max(map(len, ABOUT))
            click.echo("\n".join(f"{name:<{width}}  {about}" for name, about in ABOUT.items()))
        return
    if name is None:
        raise click.UsageError(f"Give a name: {', '.join(BENCHMARKS)}.")
    if name not in BENCHMARKS:
        raise MubinnError(f"There is no benchmark {name}: choose from {', '.join(BENCHMARKS)}.")
    options = {**_library_options(name, liberty), **_data_options(name, model, data)}
    options |= _layer_options(name, models, data, of_layers)
    options |= _instruction_options(name, instruction_set)
    if output is not None:
        _check_output(name, output)
    with working(f"measuring {name}", as_json) as show:
        if name in WITH_PROGRESS:
            options["progress"] = lambda what: show(f"measuring {name}: {what}")
        result = BENCHMARKS[name](**options)
    files = result.pop("files", {})
    if output is not None:
        from mubinn.reports.writer import MARK

        write_folder(output, files, MARK)
    if as_json:
        print_json(result)
        return
    figures: list[dict[str, Any]] = result["figures"]
    rows = [(f["name"], f"{f['value']:.6g}", f["unit"], f["goal"]) for f in figures]
    print_table(name, ("figure", "value", "unit", "goal"), rows)
    for title, table in result.get("tables", {}).items():
        click.echo()
        print_table(title, table["columns"], table["rows"])
    for title in ("parameters", "versions"):
        click.echo()
        print_table(title, ("name", "value"), list(result[title].items()))


def _library_options(name: str, liberty: tuple[Path, ...]) -> dict[str, Any]:
    """Return what ``--liberty`` means to a benchmark."""
    from mubinn.cli.benchmarks.table import WITH_LIBRARIES, WITH_LIBRARY
    from mubinn.synth import load_library

    if name in WITH_LIBRARIES:
        return {"libraries": [load_library(path) for path in liberty]}
    if not liberty:
        return {}
    if name not in WITH_LIBRARY:
        raise MubinnError(f"The benchmark {name} maps to no cell library: leave out --liberty.")
    return {"library": load_library(list(liberty))}


def _layer_options(
    name: str, models: tuple[Path, ...], data: tuple[Path, ...], options: dict[str, Any]
) -> dict[str, Any]:
    """Return what models and all that belongs to layers mean to a benchmark."""
    from mubinn.cli.benchmarks.table import WITH_MODELS, WITH_RUNS

    given = {option: value for option, value in options.items() if value is not None}
    if name in WITH_MODELS:
        return {"models": models, "data": data, **given}
    if name in WITH_RUNS and not given:
        return {"models": models, "data": data}
    if models and name not in WITH_RUNS:
        raise MubinnError(f"The benchmark {name} is not of models of yours: leave out {models[0]}.")
    if given:
        raise MubinnError(f"The benchmark {name} has no --{min(given)}: leave it out.")
    return {}


def _data_options(name: str, model: Path | None, data: tuple[Path, ...]) -> dict[str, Any]:
    """Return what ``--model`` and ``--data`` mean to a benchmark of one model."""
    from mubinn.cli.benchmarks.table import WITH_DATA, WITH_MODELS, WITH_RUNS

    if model is None and (not data or name in (*WITH_MODELS, *WITH_RUNS)):
        return {}
    if name not in WITH_DATA:
        raise MubinnError(
            f"The benchmark {name} takes no other model or data: leave out --model and --data."
        )
    if model is None or not data:
        raise MubinnError("A model is measured on the data it was trained on: give both.")
    if len(data) > 1:
        raise MubinnError(f"The benchmark {name} takes one file of data: give --data once.")
    from mubinn.cli.shared.recordings import open_labelled
    from mubinn.golden.model.model_file import load_float

    found = load_float(model)
    return {"model": found, "data": open_labelled(data[0], model=found)[0]}


def _instruction_options(name: str, instruction_set: str | None) -> dict[str, Any]:
    """Return what ``--instruction-set`` means to a benchmark."""
    from mubinn.cli.benchmarks.table import WITH_INSTRUCTION_SET

    if instruction_set is None:
        return {}
    if name not in WITH_INSTRUCTION_SET:
        raise MubinnError(
            f"The benchmark {name} is not one of an instruction set: leave out --instruction-set."
        )
    return {"instruction_set": instruction_set}


def _check_output(name: str, folder: Path) -> None:
    """Demand, before long work begins, that there will be files and that they may go there."""
    from mubinn.cli.benchmarks.table import WITH_FILES
    from mubinn.reports.writer import MARK

    if name not in WITH_FILES:
        raise MubinnError(f"The benchmark {name} makes no files: leave out --output.")
    check_folder(folder, MARK)
