"""``mubinn info``: what a model file holds."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.common import QUANTIZED_MODEL, bundled, json_option, print_json, print_table
from mubinn.cli.shared.paths import Command, InputPath

if TYPE_CHECKING:
    from mubinn.golden.cells.cell import QuantizedLayer
    from mubinn.golden.model.float_model import FloatLayer, FloatModel
    from mubinn.golden.model.quantized_model import QuantizedModel


@click.command(cls=Command)
@click.argument("model", type=InputPath(), required=False)
@json_option
def info(model: Path | None, as_json: bool) -> None:
    """Show kind, sizes, levels, formats and notes of MODEL (by default the bundled EEG model).

    \b
      mubinn info
      mubinn info my.safetensors --json
    """
    from mubinn.golden.model.model_file import load_any

    path = model or bundled(QUANTIZED_MODEL)
    loaded = load_any(path)
    about = describe(loaded)
    if as_json:
        print_json({"file": str(path), **about})
        return
    how = about["preprocessing"]
    rows = [
        ("kind", about["kind"]),
        *((f"layer {k}", _line(layer)) for k, layer in enumerate(about["layers"])),
        ("classes", about["classes"]),
        ("readout", about["readout"]),
        ("preprocessing", f"normalise {how['normalise']}, decimate {how['decimate']}"),
        *((name, _lines(note)) for name, note in about["notes"].items()),
    ]
    print_table(str(path), ("property", "value"), rows, wrap=True)


def _lines(note: str) -> str:
    """Return a note as lines, one for each field where it is JSON with fields, as a recipe is."""
    try:
        fields = json.loads(note)
    except ValueError:
        return note
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
        "layers": [_layer(layer) for layer in model.layers],
        "classes": model.classes,
        "readout": model.readout,
        "preprocessing": asdict(model.preprocessing),
        "notes": dict(model.meta),
    }


def _layer(layer: FloatLayer | QuantizedLayer) -> dict[str, Any]:
    from mubinn.golden.cells.gru_before_layer import QuantizedGruBefore
    from mubinn.golden.cells.lstm_layer import QuantizedLstm
    from mubinn.golden.model.float_model import FloatGru, FloatLstm

    sizes: dict[str, Any] = {"features": layer.features, "hidden": layer.hidden}
    if isinstance(layer, FloatLstm):
        return {"cell": "lstm", **sizes, "c_clip": layer.c_clip}
    if isinstance(layer, FloatGru):
        return {"cell": "gru", **sizes, "reset": layer.reset}
    stored = {name: getattr(layer, name) for name in ("wx", "wh", "b")}
    scales = {name: len(part.scales) for name, part in stored.items()}
    cell = {"cell": "lstm"}
    if not isinstance(layer, QuantizedLstm):
        reset = "before" if isinstance(layer, QuantizedGruBefore) else "after"
        cell = {"cell": "gru", "reset": reset}
    return {
        **cell,
        **sizes,
        "levels": asdict(layer.levels),
        "datapath": layer.datapath,
        "scale_groups": scales,
        "formats": asdict(layer.formats),
    }


def _line(layer: dict[str, Any]) -> str:
    kind = "GRU of " if layer["cell"] == "gru" else ""
    text = f"{kind}{layer['features']} inputs, {layer['hidden']} cells"
    if "reset" in layer:
        text = f"{text}, reset {layer['reset']} the product"
    if "levels" not in layer:
        return f"{text}, c clipped at {layer['c_clip']}" if layer.get("c_clip") else text
    levels = ", ".join(f"{name} {count}" for name, count in layer["levels"].items())
    return f"{text}, levels {levels}, datapath {layer['datapath']}"
