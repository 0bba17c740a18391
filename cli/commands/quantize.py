"""``mubinn quantize``: a float model in level bits and fixed-point scales."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.common import (
    FLOAT_MODEL,
    SCALE_FORM,
    bundled,
    datapath_option,
    encoder_option,
    json_option,
    print_json,
    progress_bar,
    working,
)
from mubinn.cli.shared.data_options import data_option, labelled_options, reading_of
from mubinn.cli.shared.group import command_line
from mubinn.cli.shared.imported import (
    check_prepared,
    import_options,
    open_float,
    say_taken,
    taken,
)
from mubinn.cli.shared.measures import in_words, measures
from mubinn.cli.shared.paths import Command, InputPath, OutputFile
from mubinn.golden.ground.errors import MubinnError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mubinn.golden.binarize.levels import Levels
    from mubinn.golden.inference.metrics import Metrics
    from mubinn.golden.model.float_model import FloatModel
    from mubinn.golden.model.quantized_model import QuantizedModel
    from mubinn.train.data.recordings import Recording
    from mubinn.train.data.windows import LabelledSet


@click.command(cls=Command)
@click.argument("model", type=InputPath(), required=False)
@click.option("--levels", required=True, metavar="A,W", help="Levels of the input, of all else.")
@click.option("--h-levels", type=int, metavar="N", help="Levels of h alone.")
@click.option("--c-levels", type=int, metavar="N", help="Levels of c alone.")
@click.option("--gate-levels", type=int, metavar="N", help="Levels of f, i, g, o alone.")
@click.option("--b-levels", type=int, metavar="N", help="Levels of the biases alone.")
@click.option(
    "--granularity",
    type=click.Choice(["gate", "row"]),
    default="gate",
    show_default=True,
    help="What shares one set of weight scales; `row` needs a memory M_s H times as large.",
)
@click.option(
    "--scale-form",
    type=SCALE_FORM,
    default="free",
    show_default=True,
    help="Scales of x, h and the weights: with `power-of-two` each level has half the scale of the "
    "one before, with `shift` all are powers of two. Hardware then merges the level pairs.",
)
@encoder_option
@click.option(
    "--gate-offset",
    type=float,
    default=0.5,
    show_default=True,
    help="Offset of the sigmoid gates; 0 is the paper's literal form.",
)
@datapath_option
@data_option
@labelled_options
@click.option(
    "--windows",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="Windows to calibrate on, spread over the data outside the held-out fold.",
)
@click.option(
    "--measure",
    is_flag=True,
    help="Measure the accuracy on the held-out fold, and note it in the model.",
)
@click.option("-o", "--output", type=OutputFile(), required=True, metavar="FILE")
@import_options
@json_option
@click.pass_context
def quantize(
    ctx: click.Context,
    /,
    model: Path | None,
    levels: str,
    h_levels: int | None,
    c_levels: int | None,
    gate_levels: int | None,
    b_levels: int | None,
    granularity: str,
    scale_form: str,
    encoders: tuple[str, ...],
    gate_offset: float,
    datapath: str | None,
    data: tuple[Path, ...],
    windows: int,
    measure: bool,
    output: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Turn the float MODEL (by default the bundled EEG model) into a .mubinn file.

    MODEL comes from `mubinn train`, or is a PyTorch state dictionary (.safetensors or .pt), a
    Keras model (.keras or .h5) or an ONNX graph, of LSTM, GRU or RNN layers with a dense one above.

    Scales are fitted to the weights, and to the activations that the float model has on some
    windows: those of --data, else of the shared data set where it is there, else of synthetic EEG.
    Windows of the fold that training held out are left out.

    \b
    Three levels for everything:
      mubinn quantize --levels 3,3 -o eeg_3_3.mubinn
    One level, but two for the states h and c:
      mubinn quantize my.safetensors --levels 1,1 --h-levels 2 --c-levels 2 -o my.mubinn
    For the smaller and faster hardware of the threshold datapath:
      mubinn quantize --levels 3,3 --datapath threshold -o small.mubinn
    Ternary weights of Eq. (21) and a quaternary h, the rest by Algorithm 1:
      mubinn quantize --levels 2,2 --encoder w=tc --encoder h=qc:0.674 -o ternary.mubinn
    Calibrated on your data, its accuracy measured on the held-out fold:
      mubinn quantize my.safetensors --levels 3,3 --data my.npz --measure -o my.mubinn
    The same of recordings; how they are cut is what the model was trained with:
      mubinn quantize my.safetensors --levels 3,3 --data recordings/ --measure -o my.mubinn
    A PyTorch model whose classifier reads the last step:
      mubinn quantize my.pt --readout last --levels 3,3 --data my.npz -o my.mubinn
    One with convolutions or further dense layers, which my.toml lists:
      mubinn quantize my.pt --describe my.toml --levels 3,3 --data my.npz -o my.mubinn
    """
    from mubinn.cli.shared.recordings import held_out, open_labelled, open_windows
    from mubinn.golden.binarize.levels import parse_levels
    from mubinn.golden.binarize.rules import parse_encoders
    from mubinn.golden.model.head import check_decides
    from mubinn.golden.model.model_file import save_model
    from mubinn.train.data.windows import LabelledSet

    own = {"h": h_levels, "c": c_levels, "gate": gate_levels, "b": b_levels}
    counts = parse_levels(levels, **{k: v for k, v in own.items() if v is not None})
    rules = parse_encoders(encoders)
    if not -1 <= gate_offset <= 1:
        raise MubinnError(
            f"The gate offset {gate_offset:g} is not between -1 and 1: give 0 or 0.5."
        )
    reading = reading_of(options)
    path = model or bundled(FLOAT_MODEL)
    start = open_float(path, **options)
    if measure:
        check_decides(start.head, start.readout, "--measure")
    if not data:
        check_prepared(path, options["normalise"])
    recorded, name = (
        open_labelled(data, reading, model=start)
        if measure
        else open_windows(data, reading, model=start, people=True)
    )
    fold = held_out(start, recorded, name)
    if measure and fold is None:
        raise MubinnError(
            "The model names no held-out fold that the data have: leave out --measure, or give "
            "the data it was trained on."
        )
    with working(f"quantizing at {counts}", as_json):
        how: dict[str, Any] = {
            "granularity": granularity,
            "scale_form": scale_form,
            "gate_offset": gate_offset,
            "encoders": rules,
        }
        made, used, left_out = _quantize(start, counts, recorded, fold, windows, how)
        chosen: Any = datapath or made.datapath
        made = made.with_datapath(chosen)
    notes = {
        **{k: v for k, v in start.meta.items() if k != "command" and not k.startswith("test_")},
        "command": command_line(ctx),
        "calibration": f"{used} windows of {name}" + ("" if fold is None else f", not fold {fold}"),
        "input_range": left_out,
        "granularity": granularity,
        "scale_form": scale_form,
        **({"encoder": ", ".join(f"{n} {rule}" for n, rule in rules.items())} if rules else {}),
    }
    if "command" in start.meta:
        notes["float_command"] = start.meta["command"]
    measured: dict[str, Metrics] = {}
    classes: Sequence[str] = ()
    if measure:
        assert isinstance(recorded, LabelledSet)
        classes = recorded.classes
        measured = _measure(start, made, recorded, fold, as_json)
        notes["measured_on"] = f"fold {fold}, {measured['float'].windows} windows"
        for kind, found in measured.items():
            notes |= found.notes(kind, classes)
    save_model(output, _noted(made, notes))
    _tell(output, counts, notes, measured, classes, as_json)


def _quantize(
    model: FloatModel,
    levels: Levels,
    recorded: LabelledSet | Recording,
    fold: int | None,
    windows: int,
    how: dict[str, Any],
) -> tuple[QuantizedModel, int, str]:
    """Return the model, quantized as `how` says, how many windows it saw, and what it cuts off."""
    import numpy as np

    from mubinn.cli.shared.recordings import prepared, spread
    from mubinn.golden.quantization.clipped import clipped
    from mubinn.golden.quantize import quantize as fit

    pool = np.arange(len(recorded.x)) if fold is None else np.flatnonzero(recorded.fold != fold)
    chosen = spread(windows, pool)
    calibration = prepared(model, recorded.x[chosen]).astype(np.float64)
    made = fit(model, levels, calibration, **how)
    return made, len(chosen), clipped(made.layers[0].x, model.embedded(calibration))


def _measure(
    start: FloatModel, made: QuantizedModel, recorded: LabelledSet, fold: int | None, quiet: bool
) -> dict[str, Metrics]:
    """Return the measures of both models on the windows of `fold`."""
    import numpy as np

    from mubinn.cli.shared.recordings import float_scores, prepared
    from mubinn.golden.inference.metrics import metrics
    from mubinn.golden.inference.run import infer
    from mubinn.golden.model.head import head_of

    test = np.flatnonzero(recorded.fold == fold)
    x, y = prepared(start, recorded.x[test]), recorded.y[test]
    with progress_bar("float accuracy", quiet) as show:
        scores = float_scores(start, x, show)
    with working("bit-true accuracy", quiet):
        decided = {"float": head_of(start.head).decide(scores), "bit_true": infer(made, x).classes}
    return {name: metrics(y, classes, start.classes) for name, classes in decided.items()}


def _noted(model: QuantizedModel, notes: dict[str, str]) -> QuantizedModel:
    from dataclasses import replace

    return replace(model, meta=notes)


def _tell(
    output: Path,
    levels: Levels,
    notes: dict[str, str],
    measured: dict[str, Metrics],
    classes: Sequence[str],
    as_json: bool,
) -> None:
    if as_json:
        shares = {
            f"{kind}_{name}": value
            for kind, found in measured.items()
            for name, value in measures(found, classes).items()
        }
        print_json(
            {
                "model": str(output),
                "levels": str(levels),
                "calibration": notes["calibration"],
                "granularity": notes["granularity"],
                "scale_form": notes["scale_form"],
                "encoder": notes.get("encoder", "mlb"),
                **taken(notes),
                **shares,
            }
        )
        return
    click.echo(f"{output}: levels {levels}, calibrated on {notes['calibration']}.")
    say_taken(notes)
    for kind, found in measured.items():
        label = f"{kind.replace('_', '-')}, {notes['measured_on']}"
        click.echo(f"{label}: {in_words(found, classes)}")
