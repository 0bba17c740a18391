"""``mubinn simulate``: the hardware held to the bit-true model."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.common import (
    json_option,
    open_quantized,
    print_json,
    print_table,
    simulator_option,
    working,
)
from mubinn.cli.shared.data_options import data_option, labelled_options, reading_of
from mubinn.cli.shared.device import DeviceRequest, device_options
from mubinn.cli.shared.paths import Command, InputPath, OutputFile
from mubinn.golden.ground.errors import MubinnError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mubinn.golden.ground.fixed import Ints
    from mubinn.golden.model.quantized_model import QuantizedModel


@dataclass(frozen=True)
class LayerReport:
    """What was compared in one layer, value by value and without a difference.

    Attributes
    ----------
    signals : dict of str to int
        Values of each signal.
    cycles : int
    cycles_per_step : int
    seconds : float
        Of the simulation, the golden model and the comparison included.
    wall_seconds : float
        With the making of the Verilog and its compilation.
    """

    layer: int
    signals: dict[str, int]
    cycles: int
    cycles_per_step: int
    seconds: float
    wall_seconds: float


@click.command(cls=Command)
@click.argument("model", type=InputPath(), required=False)
@data_option
@labelled_options
@click.option(
    "--windows",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Windows, evenly spread over the data.",
)
@click.option("--steps", type=click.IntRange(min=1), help="First steps of a window; default all.")
@simulator_option
@click.option(
    "--pause",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    help="Run the first windows once more, with both sides pausing with this probability.",
)
@click.option("--waves", type=OutputFile(), metavar="FILE.fst", help="Write waveforms.")
@partial(device_options, alone=("state",))
@json_option
def simulate(
    model: Path | None,
    data: tuple[Path, ...],
    windows: int,
    steps: int | None,
    simulator: str,
    pause: float,
    waves: Path | None,
    asked: DeviceRequest,
    as_json: bool,
    **options: Any,
) -> None:
    """Simulate the layers of MODEL (by default the bundled EEG model at (3,3)) on data.

    Every intermediate of every cell at every step - dot products, scaled products, sums, gates,
    c, h and their codes - has to equal the bit-true model exactly. The first difference ends the
    run: window, step, cell, signal, expected and got, exit code 2. Without --data the shared data
    set is taken where it is there, else synthetic EEG.

    With --device it is the whole accelerator as mubinn generate writes it, from the first pin to
    the last, by the bench of its folder: every result has to equal the bit-true model. With --state
    windows follow each other; layers alone carry the state of every second one with register, and
    the bench of a folder that of all.

    \b
      mubinn simulate
      mubinn simulate my.mubinn --data my.npz --windows 20
      mubinn simulate my.mubinn --data anna.edf --window 4
      mubinn simulate --steps 10 --simulator icarus --waves layer.fst
      mubinn simulate --datapath threshold
      mubinn simulate causal.mubinn --device ecp5 --adc 16 --data my.npz --windows 20
      mubinn simulate --state carried --windows 4 --steps 20
    """
    from mubinn.cli.shared.recordings import input_codes, open_windows

    loaded = open_quantized(model, asked.datapath)
    if asked.name is not None:
        for option, given in (("waves", waves is not None), ("pause", pause > 0)):
            if given:
                raise MubinnError(
                    f"--{option} is of layers: leave it out, or take the bench of mubinn generate."
                )
    if waves is not None and len(loaded.layers) > 1:
        raise MubinnError("Waveforms are of one layer, and the model has several: drop --waves.")
    state = asked.options.get("state", "cleared")
    kept = _kept(state, windows)
    recorded, name = open_windows(data, reading_of(options), model=loaded)
    if kept is not None and len(recorded.x) < 2:
        raise MubinnError(f"--state {state} needs two windows, the data have one: give more.")
    if asked.name is not None:
        with working(f"simulating on {simulator}", as_json):
            report = _whole(asked, loaded, recorded.x, windows, steps, simulator)
        _tell_whole(report, {"data": name, "simulator": simulator}, state, as_json)
        return
    codes = input_codes(loaded, recorded.x, windows, steps, kept)
    with working(f"simulating on {simulator}", as_json), _wave_folder(waves) as waved:
        reports = [
            _check(
                loaded,
                index,
                layer_codes,
                kept=kept and kept[: len(layer_codes)],
                simulator=simulator,
                pause=pause,
                **waved,
            )
            for index, layer_codes in enumerate(codes)
        ]
    _tell(reports, name, codes[0], simulator, state, waves, as_json)


def _whole(
    asked: DeviceRequest,
    model: QuantizedModel,
    x: NDArray[Any],
    windows: int,
    steps: int | None,
    simulator: str,
) -> dict[str, Any]:
    """Return what was compared of a whole accelerator, without a difference."""
    from mubinn.cli.shared.recordings import sent
    from mubinn.hw.export.accelerator_folder import bench_files
    from mubinn.sim.axi.folder_bench import run_bench

    design = asked.design(model)
    numbers, codes = sent(design.top.core, x, windows, steps)
    run = run_bench(bench_files(design, numbers, codes), simulator)
    return {
        "device": asked.name,
        "windows": len(codes),
        "steps": codes.shape[1],
        "samples_per_step": design.top.core.samples,
        "results": run.beats // design.top.writer.beats,
        "equal": True,
        "cycles": run.cycles,
        "cycles_per_step": design.top.core.cycles_per_step,
        "seconds": run.seconds,
    }


def _tell_whole(report: dict[str, Any], where: dict[str, str], state: str, as_json: bool) -> None:
    if as_json:
        print_json(where | _told(state) | report)
        return
    seconds = report["seconds"]
    click.echo(
        f"{report['windows']} windows of {report['steps']} steps of {where['data']}, on "
        f"{where['simulator']}{_said(state)}: all {report['results']:,} results equal the bit-true "
        "model.\n"
        f"{report['cycles']:,} cycles, {report['cycles_per_step']:,} a step, in {seconds:.1f} s: "
        f"{report['cycles'] / seconds:,.0f} cycles/s."
    )


def _said(state: str) -> str:
    return "" if state == "cleared" else f", --state {state}"


def _told(state: str) -> dict[str, str]:
    return {} if state == "cleared" else {"state": state}


def _kept(state: str, windows: int) -> list[bool] | None:
    """Return of which windows the state is kept; None where hardware clears it each time."""
    if state == "cleared":
        return None
    if windows < 2:
        raise MubinnError(
            f"--state {state} is of windows that follow each other: give --windows 2."
        )
    return [state == "carried" or window % 2 == 0 for window in range(windows)]


@contextmanager
def _wave_folder(waves: Path | None) -> Iterator[dict[str, Any]]:
    """Yield the options for waveforms; move them into place where all went well."""
    if waves is None:
        yield {}
        return
    target = waves.absolute()
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        yield {"waves": True, "run_dir": Path(folder)}
        os.replace(Path(folder) / "lstm_layer.fst", target)


def _check(model: QuantizedModel, index: int, codes: Ints, **options: Any) -> LayerReport:
    from mubinn.cli.shared.recordings import values
    from mubinn.sim.layer.layer_check import check_layer

    start = time.perf_counter()
    result = check_layer(model, codes, layer=index, **options)
    again = len(codes) if options["kept"] else min(2, len(codes))
    runs = len(codes) + (again if options["pause"] else 0)
    signals = values(model.layers[index], runs * codes.shape[1])
    return LayerReport(
        index,
        signals,
        result.cycles,
        int(result.outputs["cycles_per_step"]),
        result.seconds,
        time.perf_counter() - start,
    )


def _tell(
    reports: list[LayerReport],
    data: str,
    codes: Ints,
    simulator: str,
    state: str,
    waves: Path | None,
    as_json: bool,
) -> None:
    windows, steps = codes.shape[:2]
    if as_json:
        layers = [
            {**vars(report), "cycles_per_s": report.cycles / report.seconds} for report in reports
        ]
        where = {"data": data, "windows": windows, "steps": steps, "simulator": simulator}
        where |= _told(state)
        print_json(
            {**where, "equal": True, "waves": str(waves) if waves else None, "layers": layers}
        )
        return
    click.echo(f"{windows} windows of {steps} steps of {data}, on {simulator}{_said(state)}.\n")
    for report in reports:
        rows = [(name, f"{count:,}") for name, count in report.signals.items()]
        print_table(f"Layer {report.layer}: values compared", ("signal", "values"), rows)
        click.echo(
            f"\nAll {sum(report.signals.values()):,} values equal the bit-true model. "
            f"{report.cycles:,} cycles, {report.cycles_per_step:,} a step, in "
            f"{report.seconds:.1f} s: {report.cycles / report.seconds:,.0f} cycles/s."
        )
    if waves is not None:
        click.echo(f"Waveforms: {waves}")
