"""PyTorch state dictionaries of ``nn.LSTM``, ``nn.GRU`` and ``nn.RNN`` with a ``nn.Linear``."""

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers import parts
from mubinn.golden.importers.archive import DAMAGED
from mubinn.golden.importers.stored import Stored
from mubinn.golden.importers.torch_layers import of_described
from mubinn.golden.importers.torch_pickle import SAVE_WEIGHTS, Opaque
from mubinn.golden.importers.torch_state import LAYER, State, Tensors, made_of
from mubinn.golden.model.container import MAX_HEADER
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel

MAX_DEPTH = 16
"""How many dictionaries of a checkpoint may stand in each other."""

MAX_TENSORS = 1 << 16

Path = tuple[str, ...]
"""Names of the dictionaries around one, from the outermost in."""


def of_pt(found: Any, options: parts.ImportOptions) -> FloatModel:
    """Return the model of what a ``.pt`` file holds, a state dictionary or a checkpoint.

    Raises
    ------
    MubinnError
        Where it holds no weights, or several dictionaries of them and none is named; else as
        `of_state` does.
    """
    places = {path: state for path, state in _dictionaries(found) if state}
    recurrent = [path for path in places if _is_recurrent(places[path])]
    if len(recurrent) > 1 and not options.recurrent:
        raise MubinnError(
            f"it holds several dictionaries of weights, {parts.shown(map('.'.join, recurrent))}: "
            "name the modules of one with --recurrent and its classifier with --head, each after "
            "the dictionary's name and a dot."
        )
    if len(recurrent) == 1:
        ((*around, _),) = recurrent if recurrent[0] else [("",)]
        if not recurrent[0] or _has_others(places[recurrent[0]]):
            return of_state(places[recurrent[0]], options)
        # Modules that were saved one by one, side by side.
        depth = len(recurrent[0])
        beside = [path for path in places if len(path) == depth and [*path[:-1]] == around]
        whole = {path[-1:]: places[path] for path in beside}
    else:
        _demand_tensors(found, places.values())
        whole = places
    # The name of its dictionary becomes part of a tensor's.
    state = {
        ".".join((*path, name)): value
        for path, inner in whole.items()
        for name, value in inner.items()
    }
    if len(state) > MAX_TENSORS:
        raise MubinnError(f"it holds more tensors than any model: {SAVE_WEIGHTS}")
    return of_state(state, options)


def _demand_tensors(found: Any, states: Iterable[State]) -> None:
    """Raise `MubinnError` where there is no tensor."""
    values = [found, *(value for state in states for value in state.values())]
    if all(isinstance(value, Opaque) or not isinstance(value, Stored) for value in values):
        objects = {value.kind for value in values if isinstance(value, Opaque)}
        other = f", only Python objects, of {parts.shown(objects)}" if objects else ""
        raise MubinnError(f"it holds no dictionary of weights{other}: {SAVE_WEIGHTS}")


def _dictionaries(found: Any) -> Iterator[tuple[Path, State]]:
    """Yield what stands under names in each dictionary of a checkpoint, with its place there."""
    seen: set[int] = set()
    waiting: deque[tuple[Path, Any]] = deque([((), found)])
    while waiting:
        path, value = waiting.popleft()
        if not isinstance(value, dict | list | tuple) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict) and all(type(key) is str for key in value):
            named = {key: part for key, part in value.items() if isinstance(part, Stored)}
            yield path, named
        items = value.items() if isinstance(value, dict) else enumerate(value)
        if len(path) < MAX_DEPTH:
            inner = ((key, part) for key, part in items if isinstance(part, dict | list | tuple))
            waiting.extend(((*path, str(key)), part) for key, part in inner)


def _is_recurrent(state: State) -> bool:
    """Return whether a module's recurrent weights are in `state`, or what they are made from."""
    return any(
        LAYER.fullmatch(name) or made_of(name)[1].startswith("weight_ih_l") for name in state
    )


def _has_others(state: State) -> bool:
    """Return whether there are weights of another module in `state`."""
    made = [name if (wanted := made_of(name)[1]) == "" else wanted for name in state]
    return any(re.fullmatch(r"(.*\.)?weight", name) for name in made)


def of_safetensors(data: bytes, options: parts.ImportOptions) -> FloatModel:
    """Return the model of a safetensors file; raise `MubinnError`."""
    length = int.from_bytes(data[:8], "little")
    start = 8 + length
    if length > MAX_HEADER:
        raise MubinnError("its header is longer than that of any model: give another file")
    try:
        header = json.loads(data[8:start])
        places = {k: v for k, v in header.items() if k != "__metadata__"}
        ends = [0, *(about["data_offsets"][1] for about in places.values())]
        if start + max(ends) != len(data):
            raise ValueError
        tensors = {name: _entry(data, start, about) for name, about in places.items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise MubinnError(DAMAGED) from None
    return of_state(tensors, options)


def _entry(data: bytes, start: int, about: Mapping[str, Any]) -> Stored:
    first, last = about["data_offsets"]
    kind, shape = KINDS.get(about["dtype"], str(about["dtype"])), tuple(about["shape"])
    if not all(type(n) is int and n >= 0 for n in (*shape, first, last - first)):
        raise ValueError
    return Stored(kind, shape, lambda: data[start + first : start + last])


KINDS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
"""Types of safetensors; the names of others stay as they are."""


def of_state(state: State, options: parts.ImportOptions) -> FloatModel:
    """Return the model of a state dictionary.

    Raises
    ------
    MubinnError
        Where it holds no recurrent module, or several and none is named; for another cell, a
        wrong shape, NaN; without a classifier, with several, or with weights that have no
        place in the model; with a description, as `of_described` does.
    """
    options.demand_absent("a state dictionary", "first", "last")
    tensors = Tensors(state)
    if options.describe is not None:
        return of_described(tensors, options)
    layers: list[FloatLayer] = []
    for prefix in _prefixes(tensors, options):
        layers += tensors.recurrent(prefix, options)
    parts.check_stack(layers)
    if options.nonlinearity is not None and not any(len(layer.cell.rows) == 1 for layer in layers):
        raise MubinnError("no module of the model is an nn.RNN: leave out --nonlinearity.")
    top = _head(tensors, parts.cells_on_top(layers), options)
    return parts.assemble(layers, top, None, options, "a PyTorch state dictionary")


def _prefixes(tensors: Tensors, options: parts.ImportOptions) -> list[str]:
    """Return what the names of the recurrent modules' weights begin with, bottom up."""
    matches = [match for match in map(LAYER.fullmatch, tensors.state) if match]
    found = sorted({match["prefix"] for match in matches})
    if not found:
        tensors.demand_plain("", "weight_ih_l0")
        raise MubinnError(
            "it has no weights of an LSTM, GRU or RNN (weight_ih_l0): give the state dictionary of "
            "a model with nn.LSTM, nn.GRU or nn.RNN."
        )
    wanted = [f"{name}." if name else "" for name in options.recurrent] or found
    for prefix in wanted:
        if prefix not in found:
            names = parts.shown(name.rstrip(".") or "''" for name in found)
            raise MubinnError(f"no recurrent module is named {prefix[:-1]!r}: there is {names}.")
    if len(wanted) > 1 and not options.recurrent:
        names = ",".join(name.rstrip(".") for name in found[: parts.MAX_SHOWN])
        raise MubinnError(
            f"it has several recurrent modules: give their order from the bottom up, such as "
            f"--recurrent {names}."
        )
    return wanted


def _head(tensors: Tensors, hidden: int, options: parts.ImportOptions) -> parts.Top:
    """Return the classifier among the tensors that no recurrent layer has used."""
    rest = tensors.left
    fitting = [
        name.removesuffix("weight").rstrip(".")
        for name, stored in rest.items()
        if re.fullmatch(r"(.*\.)?weight", name) and stored.shape[1:] == (hidden,)
    ]
    if not fitting:
        tensors.demand_plain(options.head or "", "weight")
        raise parts.no_head(hidden)
    head = options.head
    if head is None and len(fitting) > 1:
        raise MubinnError(
            f"several dense layers could be the classifier, {parts.shown(fitting)}: name it "
            "with --head, or say what stands between them with --describe."
        )
    if head is not None and head not in fitting:
        raise MubinnError(
            f"no dense layer named {head!r} reads {hidden} cells: there is {parts.shown(fitting)}."
        )
    name = fitting[0] if head is None else head
    stem = f"{name}." if name else ""
    for part in ("weight", "bias"):
        tensors.demand_plain(stem, part)
    own = [f"{stem}{part}" for part in ("weight", "bias") if f"{stem}{part}" in rest]
    left = sorted(key for key in rest if key not in own and not rest[key].is_beside)
    if left and head is None:
        raise MubinnError(
            f"the weights {left[0]} have no place in a stack of recurrent layers and one "
            f"classifier: if the model works without them, give --head {name}, else say what its "
            "layers are with --describe."
        )
    weight, *bias = (rest[key].floats(key) for key in own)
    return parts.classifier(name or "at the top", weight, bias[0] if bias else None, None)
