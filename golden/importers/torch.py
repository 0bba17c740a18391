"""PyTorch state dictionaries of ``nn.LSTM`` and ``nn.GRU`` with a ``nn.Linear`` above them."""

import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.importers.torch_pickle import SAVE_WEIGHTS, bf16, read_pt
from mubinn.golden.model.float_model import FloatLayer, FloatModel

ORDERS = {4: "ifgo", 3: "rzn"}
"""Gate order of nn.LSTM and nn.GRU, by the count of gates."""

NESTED = ("state_dict", "model_state_dict", "model")
"""Where checkpoints keep the state dictionary."""

LAYER = re.compile(r"(?P<prefix>(?:.*\.)?)weight_ih_l(?P<index>\d+)")
PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

# What a weight is computed from whenever the model runs: PyTorch's parametrizations, its older
# weight_norm, spectral_norm and pruning, and the usual names of dropout on weights.
DERIVED = re.compile(
    r"(?P<prefix>(?:.*\.)?)"
    r"(?:parametrizations\.(?P<new>\w+)\.\w+|(?P<old>(?:weight|bias)\w*?)_(?:raw|orig|g|v))"
)


def of_pt(archive: zipfile.ZipFile, options: parts.ImportOptions) -> FloatModel:
    """Return the model of a ``.pt`` file; raise `MubinnError`."""
    found = read_pt(archive)
    while isinstance(found, dict):
        inner = [name for name in NESTED if isinstance(found.get(name), dict)]
        if len(inner) > 1:
            raise MubinnError(
                f"it holds several dictionaries of weights, {' and '.join(inner)}: save the one "
                "that is meant alone."
            )
        if not inner:
            break
        found = found[inner[0]]
    if not isinstance(found, dict):
        raise MubinnError(f"it holds no dictionary of weights: {SAVE_WEIGHTS}")
    tensors = {str(name): value for name, value in found.items() if isinstance(value, np.ndarray)}
    return of_state(tensors, options)


def of_safetensors(data: bytes, options: parts.ImportOptions) -> FloatModel:
    """Return the model of a safetensors file; raise `MubinnError`."""
    try:
        read: Any = safetensors.deserialize
        stored = read(data)
    except safetensors.SafetensorError:
        raise MubinnError("it is truncated or damaged: copy or export it again") from None
    dtypes = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}
    tensors: dict[str, npt.NDArray[Any]] = {}
    for name, part in stored:
        raw, dtype = bytes(part["data"]), part["dtype"]
        if dtype != "BF16" and dtype not in dtypes:
            raise MubinnError(f"the tensor {name} has the type {dtype}: store it as float32.")
        flat = bf16(raw) if dtype == "BF16" else np.frombuffer(raw, dtypes[dtype])
        tensors[name] = flat.reshape(part["shape"])
    return of_state(tensors, options)


def of_state(state: Mapping[str, npt.NDArray[Any]], options: parts.ImportOptions) -> FloatModel:
    """Return the model of a state dictionary.

    Raises
    ------
    MubinnError
        Where it holds no recurrent module, or several and none is named; for two directions,
        projections, another cell, a wrong shape, NaN; without a classifier, with several, or with
        weights that have no place in the model.
    """
    # Counters have no dimension; a learned scale has none either, but is a number of the model.
    tensors = {
        name: parts.checked(name, array)
        for name, array in state.items()
        if array.ndim or array.dtype.kind == "f"
    }
    used: set[str] = set()
    layers: list[FloatLayer] = []
    for prefix in _prefixes(tensors, options):
        layers += _stack(tensors, prefix, used)
    parts.check_stack(layers)
    rest = {name: tensors[name] for name in tensors if name not in used}
    head = _head(rest, layers[-1].hidden, options)
    return parts.assemble(layers, head, None, options, "a PyTorch state dictionary")


def _prefixes(tensors: parts.Tensors, options: parts.ImportOptions) -> list[str]:
    """Return what the names of the recurrent modules' weights begin with, bottom up."""
    matches = [match for match in map(LAYER.fullmatch, tensors) if match]
    found = sorted({match["prefix"] for match in matches})
    if not found:
        _demand_plain(tensors, "", "weight_ih_l0")
        raise MubinnError(
            "it has no weights of an LSTM or GRU (weight_ih_l0): give the state dictionary of a "
            "model with nn.LSTM or nn.GRU."
        )
    wanted = [f"{name}." if name else "" for name in options.recurrent] or found
    for prefix in wanted:
        if prefix not in found:
            names = ", ".join(name.rstrip(".") or "''" for name in found)
            raise MubinnError(f"no recurrent module is named {prefix[:-1]!r}: there is {names}.")
    if len(wanted) > 1 and not options.recurrent:
        names = ",".join(name.rstrip(".") for name in found)
        raise MubinnError(
            f"it has several recurrent modules: give their order from the bottom up, such as "
            f"--recurrent {names}."
        )
    return wanted


def _stack(tensors: parts.Tensors, prefix: str, used: set[str]) -> list[FloatLayer]:
    """Return the layers of one module; `used` takes the names of their tensors."""
    own = {name.removeprefix(prefix) for name in tensors if name.startswith(prefix)}
    name = prefix.rstrip(".") or "the module"
    if any(part.endswith("_reverse") for part in own):
        raise MubinnError(f"{name} runs in two directions: train it with bidirectional=False.")
    if any(part.startswith("weight_hr_l") for part in own):
        raise MubinnError(f"{name} projects its state: train it with proj_size=0.")
    layers: list[FloatLayer] = []
    while f"weight_ih_l{len(layers)}" in own:
        index = len(layers)
        found: list[Floats] = []
        for part in PARTS:
            full = f"{prefix}{part}_l{index}"
            _demand_plain(tensors, prefix, f"{part}_l{index}")
            if full in tensors:
                found.append(tensors[full])
                used.add(full)
            elif part.startswith("bias") and f"bias_ih_l{index}" not in own:
                found.append(np.zeros(len(found[0])))
            else:
                raise MubinnError(f"the tensor {full} is missing: export the model again.")
        layers.append(_layer(f"layer {index} of {name}", *found))
    return layers


def _layer(name: str, wx: Floats, wh: Floats, bx: Floats, bh: Floats) -> FloatLayer:
    gates = len(wh) // wh.shape[1] if wh.ndim == 2 and wh.shape[1] else 0
    if gates not in ORDERS:
        raise MubinnError(
            f"{name} has recurrent weights of shape {wh.shape}, neither an LSTM's (4H, H) nor a "
            "GRU's (3H, H): give a model of nn.LSTM or nn.GRU."
        )
    parts.check_shapes(name, gates, wx, wh, bx, bh)
    if gates == 4:
        return parts.lstm_layer(wx, wh, bx + bh, ORDERS[4])
    return parts.gru_layer(wx, wh, bx, bh, ORDERS[3])


def _demand_plain(tensors: parts.Tensors, prefix: str, name: str) -> None:
    """Raise `MubinnError` where the weight `name` of a module is computed from another tensor.

    Dropout on weights keeps the other tensor in the module around.
    """
    for source in sorted(tensors):
        match = DERIVED.fullmatch(source)
        if match is None or (match["new"] or match["old"]) != name:
            continue
        if prefix.startswith(match["prefix"]) or match["prefix"].startswith(prefix):
            raise MubinnError(
                f"its weight {name} is computed from {source} whenever the model runs: make it a "
                "plain weight (torch.nn.utils.parametrize.remove_parametrizations, "
                "torch.nn.utils.remove_weight_norm, torch.nn.utils.prune.remove, or copy it) and "
                "save the state dictionary again."
            )


def _head(rest: parts.Tensors, hidden: int, options: parts.ImportOptions) -> tuple[Floats, Floats]:
    """Return the classifier among the tensors `rest` that no recurrent layer has used."""
    fitting = [
        name.removesuffix("weight").rstrip(".")
        for name, array in rest.items()
        if re.fullmatch(r"(.*\.)?weight", name) and array.ndim == 2 and array.shape[1] == hidden
    ]
    if not fitting:
        _demand_plain(rest, options.head or "", "weight")
        raise parts.no_head(hidden)
    head = options.head
    if head is None and len(fitting) > 1:
        raise MubinnError(
            f"several dense layers could be the classifier, {', '.join(sorted(fitting))}: name it "
            "with --head."
        )
    if head is not None and head not in fitting:
        raise MubinnError(
            f"no dense layer named {head!r} reads {hidden} cells: there is "
            f"{', '.join(sorted(fitting))}."
        )
    name = fitting[0] if head is None else head
    stem = f"{name}." if name else ""
    for part in ("weight", "bias"):
        _demand_plain(rest, stem, part)
    left = sorted(set(rest) - {f"{stem}weight", f"{stem}bias"})
    if left and head is None:
        raise MubinnError(
            f"the weights {left[0]} have no place in a stack of recurrent layers and one "
            f"classifier: if the model works without them, give --head {name}."
        )
    return parts.classifier(name or "at the top", rest[f"{stem}weight"], rest.get(f"{stem}bias"))
