"""Descriptions: TOML files that say which layers the tensors of a state dictionary belong to.

A state dictionary holds tensors by name, and neither their order nor what stands between them. A
description lists the layers from the bottom up:

    [[layer]]
    kind = "conv1d"
    prefix = "front.0"
    stride = 2
    padding = "causal"
    activation = "none"

    [[layer]]
    kind = "batchnorm1d"
    prefix = "front.1"
    eps = 1e-5
    activation = "relu6"

    [[layer]]
    kind = "lstm"
    prefix = "rnn"

    [[layer]]
    kind = "linear"
    prefix = "fc"
    readout = "last"
    head = "classes"

Whatever changes the numbers is to be said, also where it is as PyTorch has it by default. What the
model does not use is named by ``unused = ["aux"]`` above the layers.
"""

import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mubinn.golden.cells.graph import ramp_kind
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.parts import in_words
from mubinn.golden.model.container import read_bytes
from mubinn.golden.model.head import HEADS, READINGS
from mubinn.golden.units.shapes import Kind

MAX_BYTES = 1 << 20
"""Longest description."""

ACTIVATIONS: Mapping[str, Kind | None] = {
    "none": None,
    "relu": None,
    "relu6": ramp_kind(1, 0, 0, 6),
    "hardtanh": ramp_kind(1, 0, -1),
    "hardsigmoid": ramp_kind(1 / 6, 0.5),
    "sigmoid": "sigmoid",
    "tanh": "tanh",
}
"""Activations by the names of PyTorch's modules in lower case; none and relu have no limit."""


@dataclass(frozen=True)
class Setting:
    """What a layer may be set to.

    Attributes
    ----------
    words : str
        What fits, for messages.
    fits : callable
        Whether a value does.
    """

    words: str
    fits: Callable[[Any], bool]


def _one_of(names: Iterable[str]) -> Setting:
    known = tuple(names)
    return Setting(in_words(f'"{name}"' for name in known), lambda value: value in known)


def _is_eps(value: Any) -> bool:
    return type(value) in (int, float) and value > 0 and math.isfinite(value)


ONE = Setting("1", lambda value: type(value) is int and value == 1)
ACTIVATION = _one_of(ACTIVATIONS)
HEAD = {"head": _one_of(HEADS)}
NEEDED: Mapping[str, Mapping[str, Setting]] = {
    "lstm": {},
    "gru": {},
    "rnn": {"nonlinearity": _one_of(("tanh", "relu"))},
    "conv1d": {
        "stride": Setting("a number from 1 on", lambda v: type(v) is int and v >= 1),
        "padding": _one_of(("valid", "causal")),
        "activation": ACTIVATION,
    },
    "linear": {"activation": ACTIVATION},
    "batchnorm1d": {"eps": Setting("a positive number", _is_eps), "activation": ACTIVATION},
}
"""What each kind of layer must say; a linear one on top says its head, and no activation."""

ALLOWED: Mapping[str, Mapping[str, Setting]] = {
    "conv1d": {"dilation": ONE, "groups": ONE},
    "linear": {"readout": _one_of(READINGS)},
}
"""What it may say besides."""


@dataclass(frozen=True)
class Described:
    """One layer.

    Attributes
    ----------
    number : int
        Its place in the file, from 1 on.
    kind : str
        One of `NEEDED`.
    prefix : str
        What the names of its tensors begin with, with the dot; empty for those without a module.
    settings : mapping of str
        What it is set to, by name.
    """

    number: int
    kind: str
    prefix: str
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.number} ({self.kind} {self.prefix.rstrip('.')!r})"


@dataclass(frozen=True)
class Description:
    """A whole file: the layers from the bottom up, and modules that the model does not use."""

    layers: tuple[Described, ...]
    unused: tuple[str, ...]


def read_description(path: Path) -> Description:
    """Return what the TOML file `path` says.

    Raises
    ------
    MubinnError
        Where it is missing, no TOML, or says too little, or what is not known.
    """
    data = read_bytes(path)
    if len(data) > MAX_BYTES:
        raise MubinnError(f"its description {path} is longer than {MAX_BYTES} bytes: shorten it.")
    try:
        found = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        why = str(error).splitlines()[0][:200] if str(error) else "it nests too deep"
        raise MubinnError(f"its description {path} is no TOML: {why.rstrip('.')}.") from None
    layers, unused = found.pop("layer", None), found.pop("unused", [])
    if found:
        raise MubinnError(
            f"its description {path} has {sorted(found)[0]!r}, which is not known: give [[layer]] "
            "entries, and unused = [...] where the model leaves modules out."
        )
    if not isinstance(layers, list) or not layers or not all(type(x) is dict for x in layers):
        raise MubinnError(f"its description {path} has no layers: give [[layer]] entries.")
    if not isinstance(unused, list) or not all(type(name) is str and name for name in unused):
        raise MubinnError(f'its description {path} has no names in unused: give ["name"].')
    made = [_layer(number, dict(layer)) for number, layer in enumerate(layers, 1)]
    return Description(tuple(made), tuple(unused))


def _layer(number: int, stated: dict[str, Any]) -> Described:
    kind, prefix = stated.pop("kind", None), stated.pop("prefix", None)
    if not isinstance(kind, str) or kind not in NEEDED:
        raise MubinnError(
            f"layer {number} of its description has the kind {kind!r}: give {in_words(NEEDED)}."
        )
    if not isinstance(prefix, str):
        raise MubinnError(
            f"layer {number} of its description says no prefix: give what the names of its tensors "
            'begin with, "" where they have no module.'
        )
    stem = prefix.rstrip(".")
    layer = Described(number, kind, f"{stem}." if stem else "", stated)
    name = f"layer {layer.name} of its description"
    needed = HEAD if "head" in stated and kind == "linear" else NEEDED[kind]
    known = {**needed, **ALLOWED.get(kind, {})}
    for setting, value in stated.items():
        if setting not in known:
            raise MubinnError(
                f"{name} has {setting!r}, which such a layer has not: give "
                f"{in_words(known) if known else 'its kind and prefix alone'}."
            )
        if not known[setting].fits(value):
            raise MubinnError(f"{name} has {setting} = {value!r}: give {known[setting].words}.")
    for setting, about in needed.items():
        if setting not in stated:
            more = ", or head where it is the one on top" if kind == "linear" else ""
            raise MubinnError(f"{name} does not say its {setting}: give {about.words}{more}.")
    return layer
