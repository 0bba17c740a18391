"""Model files: one file holds a quantized model (``.mubinn``) or a float one (``.safetensors``).

The container is `mubinn.golden.model.container`. A quantized file names its tensors after the
memories of the paper's Figure 3 that hold them, for layer 0, 1, ...:

=====================================  =========================================================
``0.M_x.x.scales``, ``.offset``        quantizer of the input; layers above read the h below them
``0.M_w.wx``, ``0.M_w.wh``             weight level bits
``0.M_B.b``                            level bits of the folded bias
``0.M_s.wx``, ``.wh``, ``.b``          scales of weights and bias, int64 [groups, levels]
``0.M_g.f.scales``, ``.offset``, ...   quantizers of f, i, g, o, c and h; of a GRU z, r, n and h,
                                       and s = r h where it resets before the product
``0.M_g.read.scales``, ``.offset``     of the first levels of h, where rows read these alone
``0.M_g.f.thresholds``, ``.codes``     of those that encode by ordered thresholds; the field
                                       ``encoders`` names them, the others have Algorithm 1
``dense.M_w.w``, ``dense.M_B.b``       classifier level bits, and ``dense.M_s.w``, ``dense.M_s.b``
``M_x.embedding``                      codes of x by the number that names them, uint8 [V, I]
=====================================  =========================================================

Level bits of shape [N, R, n] are flattened in C order and packed eight to a byte, the first in the
most significant bit. Where groups of rows that share scales differ in size, ``group_rows`` has
their sizes. Scales and offsets are int64; their fraction bits, the shapes of the level
bits, formats, datapath, readout, head, preprocessing and notes stand in the structure. A float file
holds ``0.wx``, ``0.wh``, ``0.b`` (and ``0.bn`` of a GRU), ..., ``dense.wd`` and ``dense.bd`` in
float32.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.ordered import Ordered
from mubinn.golden.binarize.scales import LevelTensor, Quantizer
from mubinn.golden.cells.cell_file import cell_from, equations_of
from mubinn.golden.cells.constants import RESETS
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.graph import Cell
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.library import LAYERS, cell_of, gru, gru_before, lstm
from mubinn.golden.cells.place import Place
from mubinn.golden.cells.sweep import LARGEST, Reads, Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Bits, Floats
from mubinn.golden.model.container import Container, Tensors, read_container, write_container
from mubinn.golden.model.float_layer import FloatLayer, gru_layer, gru_parts
from mubinn.golden.model.float_model import CONSTANTS, FloatModel, Preprocessing
from mubinn.golden.model.quantized_model import QuantizedDense, QuantizedModel
from mubinn.golden.model.structure import Reader

ORDERED = "thresholds"
"""The kind of an encoder by ordered thresholds."""

READ = "read"
"""What structure and tensors call the first levels of h, where rows read these alone."""

EMBEDDING = "embedding"
"""What structure and tensors call the table of an embedding."""

QUANTIZED = "mubinn-quantized"
FLOAT = "mubinn-float"
LAYER_TENSORS = (("wx", "M_w"), ("wh", "M_w"), ("b", "M_B"))
DENSE_TENSORS = (("w", "M_w"), ("b", "M_B"))
Path = str | os.PathLike[str]


def save_model(path: Path, model: QuantizedModel | FloatModel) -> None:
    """Write `model` to `path`, whole or not at all; equal models give equal bytes.

    A float model is stored in float32: float32 values come back exactly.

    Raises
    ------
    MubinnError
        Where the file cannot be written, or a float weight is beyond float32.
    """
    content = quantized_content(model) if isinstance(model, QuantizedModel) else _of_float(model)
    write_container(path, content)


def load_any(path: Path) -> QuantizedModel | FloatModel:
    """Return the model that the file `path` holds.

    Raises
    ------
    MubinnError
        For a file that is missing, damaged, altered, of another kind or version, or holds numbers
        that make no model.
    """
    content = read_container(path)
    makers: dict[str, Callable[[Reader], QuantizedModel | FloatModel]] = {
        QUANTIZED: _to_quantized,
        FLOAT: _to_float,
    }
    if content.format not in makers:
        raise MubinnError(
            f"{os.fspath(path)} has the unknown format {content.format[:40]!r}: "
            "give a file that quantize or train made."
        )
    reader = Reader(content.structure, content.tensors)
    try:
        model = makers[content.format](reader)
        reader.finish()
    except MubinnError as error:
        raise MubinnError(f"{os.fspath(path)} is no usable model file: {error}") from None
    return model


def load_model(path: Path) -> QuantizedModel:
    """Return the quantized model of the file `path`; raise `MubinnError` as `load_any` does."""
    model = load_any(path)
    if not isinstance(model, QuantizedModel):
        raise MubinnError(
            f"{os.fspath(path)} holds a float model where a quantized one is needed: "
            "run `mubinn quantize` on it first."
        )
    return model


def load_float(path: Path) -> FloatModel:
    """Return the float model of the file `path`; raise `MubinnError` as `load_any` does."""
    model = load_any(path)
    if not isinstance(model, FloatModel):
        raise MubinnError(
            f"{os.fspath(path)} holds a quantized model where a float one is needed: "
            "give the float model that it was made from."
        )
    return model


def _common(model: QuantizedModel | FloatModel) -> dict[str, Any]:
    for key, value in model.meta.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise MubinnError(f"the note {key!r}: {value!r} is not text: store texts in meta.")
    return {
        "readout": model.readout,
        # As files from before there were heads have it, one of classes is not named.
        **({} if model.head == "classes" else {"head": model.head}),
        **({} if model.embedding is None else {EMBEDDING: True}),
        "preprocessing": model.preprocessing.to_json(),
        "meta": dict(model.meta),
    }


def _common_of(reader: Reader) -> dict[str, Any]:
    how = reader.part("preprocessing")
    own = {
        name: how.integer(name, *CONSTANTS[name]) for name in CONSTANTS if how.any(name) is not None
    }
    decimate = how.integer("decimate", 1, 1 << 16)
    return {
        "readout": reader.text("readout"),
        "preprocessing": Preprocessing(how.text("normalise"), decimate, **own),
        "meta": reader.texts("meta"),
    }


def _head_in(reader: Reader) -> Any:
    return reader.text("head", "classes")


def quantized_content(model: QuantizedModel) -> Container:
    """Return what the file of a quantized model holds."""
    tensors: dict[str, npt.NDArray[Any]] = {}
    layers = []
    for index, layer in enumerate(model.layers):
        quantizers = dict(layer.quantizers)
        if layer.place.beside:
            quantizers.pop(layer.cell.states[0].name)  # that of the layer beside which it is
        names = {f"{index}.M_g.{name}": q for name, q in quantizers.items()}
        fractions = {name: q.fraction for name, q in quantizers.items()}
        if index == 0:
            names["0.M_x.x"] = layer.x
            fractions["x"] = layer.x.fraction
        if layer.read is not None:
            names[f"{index}.M_g.{READ}"] = layer.read
            fractions[READ] = layer.read.fraction
        for name, quantizer in names.items():
            tensors[f"{name}.scales"] = quantizer.scales
            tensors[f"{name}.offset"] = quantizer.offset
            if quantizer.encoder is not None:
                tensors[f"{name}.thresholds"] = quantizer.encoder.thresholds
                tensors[f"{name}.codes"] = quantizer.encoder.codes
        kinds = {n.split(".")[-1]: ORDERED for n, q in names.items() if q.encoder is not None}
        parts = {name: getattr(layer, name) for name, _ in LAYER_TENSORS}
        own = tuple((name, "M_B") for name in layer.stored)
        stored = _store(tensors, str(index), (*LAYER_TENSORS, *own), {**parts, **layer.stored})
        layers.append(
            {
                **cell_fields(layer.cell),
                **_reading_fields(layer),
                "datapath": layer.datapath,
                "formats": asdict(layer.formats),
                "fractions": fractions,
                "stored": stored,
                **({"encoders": kinds} if kinds else {}),
                **({} if layer.read is None else {READ: True}),
            }
        )
    dense = {"w": model.dense.w, "b": model.dense.b}
    if model.embedding is not None:
        tensors[f"M_x.{EMBEDDING}"] = model.embedding.astype(np.uint8)
    structure = {
        "layers": layers,
        "dense": _store(tensors, "dense", DENSE_TENSORS, dense),
        **_common(model),
    }
    return Container(QUANTIZED, structure, tensors)


def _store(
    tensors: dict[str, npt.NDArray[Any]],
    prefix: str,
    names: tuple[tuple[str, str], ...],
    parts: Mapping[str, LevelTensor],
) -> dict[str, Any]:
    """Put level tensors into `tensors`; return their shapes and fractions."""
    for name, memory in names:
        tensors[f"{prefix}.{memory}.{name}"] = np.packbits(parts[name].bits)
        tensors[f"{prefix}.M_s.{name}"] = parts[name].scales
    return {
        name: {
            "shape": list(part.bits.shape),
            "fraction": part.fraction,
            **({"group_rows": list(part.group_rows)} if part.group_rows else {}),
        }
        for name, part in parts.items()
    }


def _to_quantized(reader: Reader) -> QuantizedModel:
    layers: list[QuantizedLayer] = []
    for index, part in enumerate(reader.parts("layers")):
        layers.append(_to_layer(part, str(index), layers))
    w, b = _restore(reader.part("dense"), "dense", DENSE_TENSORS)
    dense = QuantizedDense(w, b, _head_in(reader))
    about = _common_of(reader)
    return QuantizedModel(tuple(layers), dense, **about, embedding=_table(reader, "M_x.", "|u1"))


def _table(reader: Reader, prefix: str, dtype: str) -> npt.NDArray[Any] | None:
    """Return the rows that numbers name; None where the data are samples."""
    if reader.any(EMBEDDING) is None or not reader.truth(EMBEDDING):
        return None
    return reader.tensor(f"{prefix}{EMBEDDING}", dtype)


def _to_layer(reader: Reader, prefix: str, before: Sequence[QuantizedLayer]) -> QuantizedLayer:
    def quantizer(memory: str, name: str) -> Quantizer:
        stem = f"{prefix}.{memory}.{name}"
        scales = reader.tensor(f"{stem}.scales", "<i8")
        offset = reader.tensor(f"{stem}.offset", "<i8")
        encoder = None
        if kinds.pop(name, None) is not None:
            codes = reader.tensor(f"{stem}.codes", "<i8")
            encoder = Ordered(reader.tensor(f"{stem}.thresholds", "<i8"), codes)
        return Quantizer(scales, fractions.integer(name, 0, 30), offset, encoder)

    fractions = reader.part("fractions")
    kinds = _encoder_kinds(reader)
    place = _place_in(reader)
    below = (before[-1].x if place.beside else before[-1].h) if before else None
    x = below or quantizer("M_x", "x")
    # Files without the fields cell, reset and datapath are older than the choices.
    cell = cell_in(reader)
    known = {cell.states[0].name: before[-1].h} if place.beside and before else {}
    quantizers = {
        node.name: known.get(node.name) or quantizer("M_g", node.name) for node in cell.encoders
    }
    read = quantizer("M_g", READ) if reader.any(READ) and reader.truth(READ) else None
    if kinds:
        raise MubinnError(f"it has an encoder of {min(kinds)}, which is none: make it anew.")
    own = tuple((node.name, "M_B") for node in cell.stored)
    wx, wh, b, *more = _restore(reader.part("stored"), prefix, (*LAYER_TENSORS, *own))
    if not cell.reading("wh"):
        # Older files have columns that no row reads.
        wh = replace(wh, bits=wh.bits[..., :0])
    stored = {node.name: tensor for node, tensor in zip(cell.stored, more, strict=True)}
    formats = reader.part("formats")
    sizes = {field.name: formats.integer(field.name, 0, 64) for field in fields(Formats)}
    datapath: Any = reader.text("datapath", "figure3")
    layer = (cell, x, quantizers, wx, wh, b, Formats(**sizes), datapath)
    return QuantizedLayer(*layer, stored=stored, frames=_frames_in(reader), place=place, read=read)


def _reading_fields(layer: QuantizedLayer | FloatLayer) -> dict[str, Any]:
    """Return how a file tells what a layer reads: nothing where that is step after step."""
    own: dict[str, Reads | Place] = {"frames": layer.frames, "place": layer.place}
    return {name: asdict(how) for name, how in own.items() if not how.plain}


def _place_in(reader: Reader) -> Place:
    """Return where the layer of a file stands."""
    if reader.any("place") is None:
        return Place()
    part = reader.part("place")
    return Place(**{field.name: part.truth(field.name) for field in fields(Place)})


def _frames_in(reader: Reader) -> Reads:
    """Return what the layer of a file reads."""
    if reader.any("frames") is None:
        return Frames()
    part = reader.part("frames")
    if part.any("height") is not None:
        shape = {field.name: part.integer(field.name, 0, LARGEST) for field in fields(Sweep)}
        return Sweep(**shape)
    sizes = {field.name: part.integer(field.name, 0, 1 << 16) for field in fields(Frames)}
    return Frames(**sizes)


def _encoder_kinds(reader: Reader) -> dict[str, str]:
    """Return the kinds of encoders that are not Algorithm 1; files without the field have none."""
    if reader.any("encoders") is None:
        return {}
    kinds = reader.texts("encoders")
    for name, kind in kinds.items():
        if kind != ORDERED:
            raise MubinnError(
                f"its encoder of {name} is of the unknown kind {kind[:40]!r}: read it with the "
                "version of MuBiNN that wrote it."
            )
    return kinds


def cell_fields(cell: Cell) -> dict[str, Any]:
    """Return how a file names a cell: a GRU's two forms are one cell and its reset.

    A cell that MuBiNN does not have by name stands there with its equations.
    """
    if cell is gru_before:
        return {"cell": "gru", "reset": "before"}
    if cell in LAYERS.values():
        return {"cell": cell.name}
    return {"cell": cell.name, "equations": equations_of(cell)}


def cell_in(reader: Reader) -> Cell:
    """Return the cell that a file names."""
    name = reader.text("cell", lstm.name)
    equations = reader.any("equations")
    if equations is not None:
        made, known = cell_from(name, equations), LAYERS.get(name)
        # Files with the equations of a cell may be older than its name.
        same = known is not None and equations_of(known) == equations_of(made)
        return known if known is not None and same else made
    if name == "gru" and reader.choice("reset", RESETS) == "before":
        return gru_before
    return cell_of(name, LAYERS)


def _restore(
    reader: Reader, prefix: str, names: tuple[tuple[str, str], ...]
) -> tuple[LevelTensor, ...]:
    found = []
    for name, memory in names:
        part = reader.part(name)
        packed = reader.tensor(f"{prefix}.{memory}.{name}", "|u1")
        bits = _unpack(name, packed, part.integers("shape"))
        scales = reader.tensor(f"{prefix}.M_s.{name}", "<i8")
        rows = None if part.any("group_rows") is None else tuple(part.integers("group_rows"))
        found.append(LevelTensor(bits, scales, part.integer("fraction", 0, 40), rows))
    return tuple(found)


def _unpack(name: str, packed: npt.NDArray[Any], shape: list[int]) -> Bits:
    """Return the level bits [N, ...]; the sizes are held against the bytes before any is used."""
    count = prod(shape)
    least = min(shape[: 2 if name == "wh" else None], default=0)
    if packed.ndim != 1 or least < 1 or count < 0 or len(packed) != (count + 7) // 8:
        raise MubinnError(
            f"{packed.size} bytes of {name} are not level bits of shape {shape}: make it anew."
        )
    return np.unpackbits(packed, count=count).reshape(shape)


def _of_float(model: FloatModel) -> Container:
    tensors = {"dense.wd": model.wd, "dense.bd": model.bd}
    layers: list[dict[str, Any]] = []
    for index, layer in enumerate(model.layers):
        if layer.cell in (gru, gru_before):
            parts = gru_parts(layer)._asdict()
            own = {"cell": "gru", "reset": "after", **cell_fields(layer.cell)}
        else:
            parts = {name: getattr(layer, name) for name in ("wx", "wh", "b")} | dict(layer.stored)
            own = {} if layer.cell is lstm else cell_fields(layer.cell)
        layers.append({**own, **_reading_fields(layer), **clip_fields(layer)})
        tensors |= {f"{index}.{name}": array for name, array in parts.items()}
    if model.embedding is not None:
        tensors[EMBEDDING] = model.embedding
    structure = {"layers": layers, **_common(model)}
    return Container(FLOAT, structure, _single(tensors))


def clip_fields(layer: FloatLayer) -> dict[str, float | None]:
    """Return how a file tells the clips of a layer, states named where they have none."""
    names = dict.fromkeys([*_clip_names(layer.cell), *sorted(layer.clips)])
    return {f"{name}_clip": layer.clips.get(name) for name in names}


def _clip_names(cell: Cell) -> tuple[str, ...]:
    """Return the encoders whose clips a file tells in any case."""
    return () if cell in (gru, gru_before) else cell.state_names[:-1]


def _clips_in(reader: Reader, cell: Cell) -> dict[str, float]:
    """Return the clips of the layer of a file."""
    found: dict[str, float] = {}
    for name in (node.name for node in cell.encoders):
        told = name in _clip_names(cell) or reader.any(f"{name}_clip") is not None
        clip = reader.positive_or_none(f"{name}_clip") if told else None
        found |= {} if clip is None else {name: clip}
    return found


def _single(tensors: Mapping[str, Floats]) -> Tensors:
    with np.errstate(over="ignore"):
        single = {name: array.astype(np.float32) for name, array in tensors.items()}
    for name, array in single.items():
        if not np.isfinite(array).all():
            raise MubinnError(f"{name} holds values beyond float32: rescale the model.")
    return single


def _to_float(reader: Reader) -> FloatModel:
    layers: list[FloatLayer] = []
    for index, part in enumerate(reader.parts("layers")):
        wx, wh, b = (reader.tensor(f"{index}.{name}", "<f4") for name in ("wx", "wh", "b"))
        cell = cell_in(part)
        if wh.ndim == 2 and not cell.reading("wh"):
            wh = wh[:, :0]  # Older files have columns that no row reads.
        if cell in (gru, gru_before):
            reset: Any = part.choice("reset", RESETS)
            bn = reader.tensor(f"{index}.bn", "<f4")
            made = gru_layer(wx, wh, b, bn, reset, _frames_in(part))
        else:
            stored = {n.name: reader.tensor(f"{index}.{n.name}", "<f4") for n in cell.stored}
            made = FloatLayer(cell, wx, wh, b, stored=stored, frames=_frames_in(part))
        layers.append(replace(made, clips=_clips_in(part, cell), place=_place_in(part)))
    wd, bd = (reader.tensor(f"dense.{name}", "<f4") for name in ("wd", "bd"))
    about = _common_of(reader) | {"embedding": _table(reader, "", "<f4")}
    return FloatModel(tuple(layers), wd, bd, **about, head=_head_in(reader))
