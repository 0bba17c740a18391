"""The tensors of a PyTorch state dictionary: which are there, computed from others, and used."""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers import parts
from mubinn.golden.importers.stored import Stored
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.units.shapes import Kind

ORDERS = {4: "ifgo", 3: "rzn", 1: "h"}
"""Gate order of nn.LSTM, nn.GRU and nn.RNN, by the count of gates."""

State = Mapping[str, Stored]

LAYER = re.compile(r"(?P<prefix>(?:.*\.)?)weight_ih_l(?P<index>\d+)")
PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

# What a weight is computed from whenever the model runs: PyTorch's parametrizations, its older
# weight_norm, spectral_norm and pruning, and the usual names of dropout on weights.
DERIVED = re.compile(
    r"(?P<prefix>(?:.*\.)?)"
    r"(?:parametrizations\.(?P<new>\w+)\.\w+|(?P<old>(?:weight|bias)\w*?)_(?:raw|orig|g|v))"
)

Derived = Mapping[str, list[tuple[str, str]]]
"""By the name of a weight: the modules where it is computed, and the tensors it is made from."""


class Tensors:
    """A state dictionary.

    Attributes
    ----------
    state : mapping of str to Stored
    derived : mapping of str
        What is computed from other tensors whenever the model runs.
    used : set of str
        Names of the tensors that layers have taken.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.used: set[str] = set()
        found: dict[str, list[tuple[str, str]]] = {}
        for source in sorted(state):
            prefix, name = made_of(source)
            if name:
                found.setdefault(name, []).append((prefix, source))
        self.derived: Derived = found

    @property
    def left(self) -> dict[str, Stored]:
        """The tensors that no layer has taken."""
        return {name: self.state[name] for name in self.state if name not in self.used}

    def find(self, name: str) -> Floats | None:
        """Return a tensor, None where there is none; raise `MubinnError` where it is computed."""
        prefix, _, part = name.rpartition(".")
        self.demand_plain(f"{prefix}." if prefix else "", part)
        if name not in self.state:
            return None
        self.used.add(name)
        return self.state[name].floats(name)

    def take(self, name: str, reader: str) -> Floats:
        """Return a tensor; raise `MubinnError` that tells its `reader` where there is none."""
        found = self.find(name)
        if found is None:
            modules = {key.rpartition(".")[0] or "''" for key in self.left}
            there = f"there is {parts.shown(modules)}" if modules else "nothing is left"
            raise MubinnError(f"the tensor {name}, which {reader} reads, is missing: {there}.")
        return found

    def demand_used(self, unused: Iterable[str]) -> None:
        """Raise `MubinnError` where a tensor is left that belongs to none of the modules `unused`.

        Lone integers, such as counters, belong to none.
        """
        left = {name for name, stored in self.left.items() if not stored.is_beside}
        for module in unused:
            stem = f"{module.rstrip('.')}."
            own = {name for name in left if name.startswith(stem) or name == module}
            if not own:
                raise MubinnError(f"its description has {module!r} in unused, where no tensor is.")
            left -= own
        if left:
            name = min(left)
            module = name.rpartition(".")[0] or name
            raise MubinnError(
                f"the tensor {name} belongs to no layer of its description: add the layer, or give "
                f'unused = ["{module}"] where the model works without it.'
            )

    def recurrent(
        self, prefix: str, options: parts.ImportOptions, gates: int | None = None
    ) -> list[FloatLayer]:
        """Return the layers of one module, of so many gates where it is told.

        Two directions of a layer follow each other.
        """
        state = self.state
        own = {name.removeprefix(prefix) for name in state if name.startswith(prefix)}
        name = prefix.rstrip(".") or "the module"
        layers: list[FloatLayer] = []
        index, both = 0, any(part.endswith("_reverse") for part in own)
        while f"weight_ih_l{index}" in own:
            made = [
                self._layer(f"layer {index} of {name}", options, gates, prefix, end)
                for end in ([f"l{index}", f"l{index}_reverse"] if both else [f"l{index}"])
            ]
            layers += parts.directed(made)
            index += 1
        return layers

    def _layer(
        self, name: str, options: parts.ImportOptions, gates: int | None, prefix: str, end: str
    ) -> FloatLayer:
        """Return one direction of a layer, with a projection where the file has one."""
        rows, projection = self._rows(prefix, end), self.find(f"{prefix}weight_hr_{end}")
        if projection is None:
            return _layer(name, options, gates, *rows)
        if gates not in (None, 4):
            raise MubinnError(f"{name} has a projection, as an LSTM has: check the kind.")
        return parts.projected_layer(name, rows, projection, ORDERS[4])

    def _rows(self, prefix: str, end: str) -> list[Floats]:
        """Return weights and biases, 0 where there are none, of one direction of a layer."""
        found: list[Floats] = []
        for part in PARTS:
            array = self.find(f"{prefix}{part}_{end}")
            if array is not None:
                found.append(array)
            elif part.startswith("bias") and f"{prefix}bias_ih_{end}" not in self.state:
                found.append(np.zeros(len(found[0])))
            else:
                raise MubinnError(
                    f"the tensor {prefix}{part}_{end} is missing: export the model again."
                )
        return found

    def demand_plain(self, prefix: str, name: str) -> None:
        """Raise `MubinnError` where the weight `name` of a module is computed from another tensor.

        Dropout on weights keeps the other tensor in the module around.
        """
        for place, source in self.derived.get(name, []):
            if prefix.startswith(place) or place.startswith(prefix):
                raise MubinnError(
                    f"its weight {name} is computed from {source} whenever the model runs: make it "
                    "a plain weight (torch.nn.utils.parametrize.remove_parametrizations, "
                    "torch.nn.utils.remove_weight_norm, torch.nn.utils.prune.remove, or copy it) "
                    "and save the state dictionary again."
                )


def _layer(
    name: str,
    options: parts.ImportOptions,
    wanted: int | None,
    wx: Floats,
    wh: Floats,
    bx: Floats,
    bh: Floats,
) -> FloatLayer:
    gates = len(wh) // wh.shape[1] if wh.ndim == 2 and wh.shape[1] else 0
    if gates not in ORDERS:
        raise MubinnError(
            f"{name} has recurrent weights of shape {wh.shape}, neither an LSTM's (4H, H), nor a "
            "GRU's (3H, H), nor an RNN's (H, H): give a model of nn.LSTM, nn.GRU or nn.RNN."
        )
    if wanted not in (None, gates):
        raise MubinnError(
            f"{name} has recurrent weights of shape {wh.shape}, {gates} gates of {wh.shape[1]} "
            f"cells, where its description has a kind of {wanted}: check the kind."
        )
    parts.check_shapes(name, gates, wx, wh, bx, bh)
    if gates == 1:
        return parts.rnn_layer(wx, wh, bx + bh, _nonlinearity(name, options))
    if gates == 4:
        return parts.lstm_layer(wx, wh, bx + bh, ORDERS[4])
    return parts.gru_layer(wx, wh, bx, bh, ORDERS[3])


def _nonlinearity(name: str, options: parts.ImportOptions) -> Kind:
    """Return the activation of an nn.RNN, which the file does not say."""
    if options.nonlinearity is None:
        raise MubinnError(
            f"{name} is an nn.RNN, whose file does not say its nonlinearity: give --nonlinearity "
            "tanh or --nonlinearity relu."
        )
    if options.nonlinearity == "relu":
        return parts.unlimited("relu", name, options)
    return options.nonlinearity


def made_of(name: str) -> tuple[str, str]:
    """Return the module and the weight that the tensor `name` is a source of, "" for others."""
    match = DERIVED.fullmatch(name)
    return (match["prefix"], match["new"] or match["old"]) if match else ("", "")
