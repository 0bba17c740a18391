"""``mubinn info``: what a model file holds, or a file of data."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.common import QUANTIZED_MODEL, bundled, json_option, print_json, print_table
from mubinn.cli.shared.paths import Command, InputPath

if TYPE_CHECKING:
    from mubinn.golden.cells.layer import QuantizedLayer
    from mubinn.golden.model.float_layer import FloatLayer
    from mubinn.golden.model.float_model import FloatModel, Preprocessing
    from mubinn.golden.model.quantized_model import QuantizedModel

LONG, SHOWN = 256, 8
"""Names from beyond which a list is not shown whole, and how many of it are."""


@click.command(cls=Command)
@click.argument("file", type=InputPath(), required=False)
@json_option
def info(file: Path | None, as_json: bool) -> None:
    """Show what FILE holds, by default the bundled EEG model.

    Of a model kind, sizes, levels, formats and notes. Of data, windows (npz, npy) or a recording
    (EDF, BDF and what MNE reads), channels with units and ranges, rate, duration and classes.

    \b
      mubinn info
      mubinn info my.safetensors --json
      mubinn info anna.edf
    """
    from mubinn.golden.model.model_file import load_any

    path = file or bundled(QUANTIZED_MODEL)
    if _is_data(path):
        _tell_data(path, as_json)
        return
    loaded = load_any(path)
    about = describe(loaded)
    if as_json:
        print_json({"file": str(path), **about})
        return
    how = about["preprocessing"]
    rows = [
        ("kind", about["kind"]),
        *([("words", about["words"])] if "words" in about else []),
        *((f"layer {k}", _line(layer)) for k, layer in enumerate(about["layers"])),
        ("head", _head(about)),
        ("readout", about["readout"]),
        ("preprocessing", ", ".join(f"{name} {value}" for name, value in how.items())),
        *((name, _lines(note)) for name, note in about["notes"].items()),
    ]
    print_table(str(path), ("property", "value"), rows, wrap=True)


def _is_data(path: Path) -> bool:
    from mubinn.train.data.sources import is_arrays, is_recording

    return (path.is_file() and is_arrays(path)) or (path.exists() and is_recording(path))


def _tell_data(path: Path, as_json: bool) -> None:
    """Print what a file of data holds."""
    from mubinn.train.data.about import describe as describe_data

    about = describe_data(path)
    if as_json:
        print_json({"file": str(path), **about})
        return
    parts = about.pop("parts", [])
    rows = [(name, value) for name, value in about.items() if name != "channels" and value]
    rows = [(name.replace("_s", ", s"), _worded(value)) for name, value in rows]
    if len(parts) > 1:
        rows.append(("parts", ", ".join(f"{begin:g} to {end:g} s" for begin, end in parts)))
    rows += [("channels", f"{len(about['channels'])}")]
    rows += [(one["name"], _ranged(one)) for one in about["channels"]]
    print_table(str(path), ("property", "value"), rows, wrap=True)


def _worded(value: Any) -> str:
    if isinstance(value, dict):
        return _listed([f"{name} {count}" for name, count in value.items()])
    if isinstance(value, list):
        return "; ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _listed(names: list[str]) -> str:
    """Return a list in words; of one that is long, as of a language model, the first ones.

    >>> _listed(["a", "b"]), _listed(["a"] * 999)
    ('a, b', 'a, a, a, a, a, a, a, a and 991 more')
    """
    if len(names) <= LONG:
        return ", ".join(names)
    return f"{', '.join(names[:SHOWN])} and {len(names) - SHOWN} more"


def _ranged(channel: dict[str, Any]) -> str:
    """Return a line on a channel."""
    unit = channel["unit"] or "in no unit that the file states"
    rate = "" if channel["rate_hz"] is None else f", {channel['rate_hz']:g} Hz"
    marks = ", called as triggers are" if channel.get("triggers") else ""
    if channel["least"] is None:
        return f"no samples{rate}{marks}"
    return f"{channel['least']:.6g} to {channel['largest']:.6g} {unit}{rate}{marks}"


def _lines(note: str) -> str:
    """Return a note as lines, one for each field where it is JSON with fields, as a recipe is."""
    try:
        fields = json.loads(note)
    except ValueError:
        return note
    if isinstance(fields, list) and len(fields) > LONG:
        return _listed([json.dumps(one) for one in fields])
    if not isinstance(fields, dict):
        return note
    return "\n".join(
        f"{name} {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in fields.items()
    )


def describe(model: FloatModel | QuantizedModel) -> dict[str, Any]:
    """Return what a model is, as JSON types."""
    from mubinn.golden.model.quantized_model import QuantizedModel

    quantized = isinstance(model, QuantizedModel)
    return {
        "kind": "quantized" if quantized else "float",
        **({} if model.embedding is None else {"words": len(model.embedding)}),
        "layers": [_layer(layer) for layer in model.layers],
        "classes": model.classes,
        "outputs": model.outputs,
        "head": model.head,
        "readout": model.readout,
        "preprocessing": model.preprocessing.to_json() | _constants(model.preprocessing),
        "notes": dict(model.meta),
    }


def _constants(how: Preprocessing) -> dict[str, int]:
    """Return the constants of a front end, where there is one."""
    from mubinn.golden.model.float_model import CAUSAL

    return how.constants if how.normalise == CAUSAL else {}


def _head(about: dict[str, Any]) -> str:
    """Return a line on what the numbers of the dense layer are."""
    counts = {"classes": f"{about['classes']} classes", "sigmoid": "one sigmoid, 2 classes"}
    return counts.get(about["head"], f"regression, {about['outputs']} values")


def _layer(layer: FloatLayer | QuantizedLayer) -> dict[str, Any]:
    from mubinn.golden.cells.library import gru, gru_before
    from mubinn.golden.model.float_layer import FloatLayer
    from mubinn.golden.model.model_file import cell_fields, clip_fields

    sizes: dict[str, Any] = {"features": layer.inputs, "hidden": layer.hidden}
    if layer.cell.projects:
        sizes["outputs"] = layer.outputs
    if not layer.frames.plain:
        sizes["frames"] = asdict(layer.frames)
    if not layer.place.plain:
        sizes["place"] = layer.place.words
    cell = cell_fields(layer.cell)
    resets = layer.cell in (gru, gru_before)
    if resets:
        cell = {"cell": "gru", "reset": "after", **cell}
    if isinstance(layer, FloatLayer):
        return {**cell, **sizes, **clip_fields(layer)}
    stored = {name: getattr(layer, name) for name in ("wx", "wh", "b")}
    scales = {name: len(part.scales) for name, part in stored.items()}
    return {
        **cell,
        **sizes,
        "levels": asdict(layer.levels),
        "encoders": layer.thresholds,
        "datapath": layer.datapath,
        "scale_groups": scales,
        "formats": asdict(layer.formats),
    }


def _reads(own: dict[str, int]) -> str:
    """Return what a layer reads."""
    if "height" in own:
        return (
            f"sweeps frames of {own['height']} x {own['width']} pixels, "
            f"{own['rows']} x {own['columns']} of them at each"
        )
    before = f", after {own['before']} of 0" if own["before"] else ""
    return f"frames of {own['taps']} steps, {own['stride']} apart{before}"


def _line(layer: dict[str, Any]) -> str:
    kind = {"lstm": "", "gru": "GRU of "}.get(layer["cell"], f"{layer['cell']} of ")
    text = f"{kind}{layer['features']} inputs, {layer['hidden']} cells"
    if "outputs" in layer:
        text = f"{text} projected to {layer['outputs']} outputs"
    if "frames" in layer:
        text = f"{text}, {_reads(layer['frames'])}"
    if "place" in layer:
        text = f"{text}, {layer['place']}"
    if "reset" in layer:
        text = f"{text}, reset {layer['reset']} the product"
    if "levels" not in layer:
        clips = {key.removesuffix("_clip"): n for key, n in layer.items() if key.endswith("_clip")}
        return text + "".join(f", {name} clipped at {n}" for name, n in clips.items() if n)
    levels = ", ".join(f"{name} {count}" for name, count in layer["levels"].items())
    own = "".join(
        f", {name} encoded by thresholds {', '.join(f'{n:.4g}' for n in numbers)}"
        for name, numbers in layer["encoders"].items()
    )
    return f"{text}, levels {levels}{own}, datapath {layer['datapath']}"
