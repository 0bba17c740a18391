"""What the importers share: gate orders, biases, classifiers, and the model out of its parts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.cell_file import cell_from, equations_of
from mubinn.golden.cells.constants import Reset
from mubinn.golden.cells.graph import ramp_kind, with_activations
from mubinn.golden.cells.library import cifg, gru_before, lstm, lstm_projected, peephole, rnn
from mubinn.golden.cells.place import Place, stages, width
from mubinn.golden.cells.sweep import Reads
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers.stored import finite
from mubinn.golden.model import float_layer
from mubinn.golden.model.container import MAX_BYTES
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel, Preprocessing
from mubinn.golden.model.head import HeadKind, Readout
from mubinn.golden.units.shapes import FARTHEST, Kind, Ramp, shape_of

MAX_SIZE = MAX_BYTES
"""Most bytes of one tensor, and of all of a file's parts once they are unpacked."""

MAX_SHOWN = 12
"""Most names that a message lists."""


class OpenError(MubinnError):
    """What a file leaves open, and an option answers."""


@dataclass(frozen=True)
class ImportOptions:
    """What a file may leave open.

    Attributes
    ----------
    readout : "last" or "mean" or None
        Which h the classifier reads; needed where the file holds weights alone.
    recurrent : tuple of str
        Names of the recurrent modules from the bottom up; empty takes the only one.
    head : str or None
        Name of the classifier; None takes the only dense layer, and then demands that nothing
        else is in the file. In an ONNX graph also the name of an output.
    first, last : str or None
        Nodes of an ONNX graph, the part between which is the model.
    nonlinearity : "tanh" or "relu" or None
        Of nn.RNN, whose state dictionary does not say it.
    ceiling : float or None
        Where activations that have no limit are clipped: relu at this, linear at plus and minus
        this. Needed where a model has one.
    outputs : "classes" or "sigmoid" or "regression" or None
        What the numbers of the dense layer are. Needed where it has one, which nothing follows.
    describe : Path or None
        The description of a state dictionary, `mubinn.golden.importers.description`.
    """

    readout: Readout | None = None
    recurrent: tuple[str, ...] = ()
    head: str | None = None
    first: str | None = None
    last: str | None = None
    nonlinearity: str | None = None
    ceiling: float | None = None
    outputs: HeadKind | None = None
    describe: Path | None = None

    def demand_absent(self, kind: str, *names: str) -> None:
        """Raise `MubinnError` where one of the options `names` is given, which `kind` answers."""
        given = [NAMES[name] for name in names if getattr(self, name) not in (None, ())]
        if given:
            raise MubinnError(f"{kind} says all of it by itself: leave out {' and '.join(given)}.")


NAMES = {
    "readout": "--readout",
    "recurrent": "--recurrent",
    "head": "--head",
    "first": "--from",
    "last": "--to",
    "nonlinearity": "--nonlinearity",
    "ceiling": "--ceiling",
    "outputs": "--outputs",
    "describe": "--describe",
}
"""How the command line calls the options."""

ENDS = ("linear", "softmax", "sigmoid")
"""What may follow the dense layer on top; none of them changes the order of classes."""


@dataclass(frozen=True, eq=False)
class Top:
    """The dense layer on top of a model.

    Attributes
    ----------
    w : float64 [C, H]
    b : float64 [C]
    end : str or None
        What follows it, one of `ENDS`; None where the file holds weights alone.
    """

    w: Floats
    b: Floats
    end: str | None

    def head(self, options: ImportOptions) -> tuple[HeadKind, str]:
        """Return what its numbers are, and a note of what was taken them for without being told.

        Softmax makes classes, and sigmoid of one number the one of two; several of them are
        classes, the largest of which decides. Of several numbers that nothing follows no file says
        what they are: they are logits of classes, unless the options say something else.

        Raises
        ------
        MubinnError
            Where the options say something else than the file, or nothing of one number that
            nothing follows.
        """
        given, one = options.outputs, len(self.w) == 1
        if self.end in ("softmax", "sigmoid"):
            found: HeadKind = "sigmoid" if one and self.end == "sigmoid" else "classes"
            if given not in (None, found):
                raise MubinnError(
                    f"the model ends in {self.end}, so that its outputs are {found}: leave out "
                    f"--outputs {given}."
                )
            return found, ""
        if given is not None:
            return given, ""
        if self.end is not None and one:
            raise OpenError(
                "nothing follows the one output of its dense layer, which may be the logit of a "
                "sigmoid or a number by itself: give --outputs sigmoid or --outputs regression."
            )
        if one:
            return "sigmoid", "the one output is taken as the logit of a sigmoid"
        return "classes", f"the {len(self.w)} outputs are taken as logits of classes"


def in_words(names: Iterable[str]) -> str:
    """Return names as a sentence has them, the last one after "or"."""
    *some, last = names
    return f"{', '.join(some)} or {last}" if some else last


def checked(name: str, array: npt.NDArray[Any]) -> Floats:
    """Return the tensor `name` as float64; raise `MubinnError` where it is no finite one."""
    if not np.issubdtype(array.dtype, np.floating):
        raise MubinnError(
            f"the tensor {name} holds {array.dtype}, not floating-point numbers: give the weights "
            "before any quantization."
        )
    return finite(name, array)


def shown(names: Iterable[str]) -> str:
    """Return `names` sorted and joined, the first of very many alone."""
    ordered = sorted(names)
    more = [f"{len(ordered) - MAX_SHOWN} more"] if len(ordered) > MAX_SHOWN else []
    return ", ".join([*ordered[:MAX_SHOWN], *more])


def reordered(rows: Floats, order: Sequence[str], wanted: Sequence[str]) -> Floats:
    """Return rows stacked gate by gate in `order`, stacked in the order `wanted`."""
    blocks = dict(zip(order, np.split(rows, len(order)), strict=True))
    return np.concatenate([blocks[name] for name in wanted])


def check_shapes(name: str, gates: int, wx: Floats, wh: Floats, *biases: Floats) -> None:
    """Raise `MubinnError` unless weights [gates H, I], [gates H, H] and biases [gates H] fit."""
    rows = wh.shape[1] * gates if wh.ndim == 2 else 0
    shapes = [wx.shape, wh.shape, *(bias.shape for bias in biases)]
    fits = wx.ndim == 2 and wx.shape[1] and rows and {shape[0] for shape in shapes} == {rows}
    if not fits or any(bias.ndim != 1 for bias in biases):
        shown = ", ".join(str(shape) for shape in shapes)
        raise MubinnError(
            f"the weights of {name} have shapes {shown}, which make no layer of {gates} gates: "
            "export the model again."
        )


def check_stack(layers: Sequence[FloatLayer]) -> None:
    """Raise `MubinnError` unless each layer reads the cells of the one below it."""
    for below, (above, *_) in pairwise(stages(layers)):
        if above.inputs != width(below):
            raise MubinnError(
                f"a recurrent layer reads {above.inputs} numbers, the one below it has "
                f"{width(below)} cells: give one stack of layers, from the bottom up."
            )


def cells_on_top(layers: Sequence[FloatLayer]) -> int:
    """Return how many cells the dense layer on top reads."""
    return width(stages(layers)[-1])


def directed(layers: Sequence[FloatLayer], *, backward: bool = False) -> list[FloatLayer]:
    """Return one layer that takes the last step first, or two directions, the second backward."""
    if len(layers) == 1:
        return [replace(layers[0], place=Place(backward=True))] if backward else [*layers]
    first, second = layers
    return [first, replace(second, place=Place(backward=True, beside=True))]


def unlimited(word: str, name: str, options: ImportOptions) -> Kind:
    """Return relu or linear as hardware has it: with the limit that `options` give.

    Raises
    ------
    MubinnError
        Where they give none, or one that no activation has.
    """
    limit = options.ceiling
    if limit is None:
        raise OpenError(
            f"{name} has the activation {word}, which has no limit, as hardware must: give "
            f"--ceiling X, up to {FARTHEST}, where its values are to be clipped."
        )
    return ramp_kind(1, 0, 0 if word == "relu" else -limit, limit)


def complement(kind: Kind, name: str) -> Kind:
    """Return the activation whose value at -a is 1 less the value of `kind` at a.

    Raises
    ------
    MubinnError
        Where no activation is.
    """
    shape = shape_of(kind)
    if isinstance(shape, Ramp):
        return shape.complement.kind
    if kind != "sigmoid":
        raise MubinnError(
            f"{name} has a gate of {kind} beside 1 less that gate: train it with a sigmoid."
        )
    return kind


def shaped(layer: FloatLayer, kinds: Mapping[str, Kind]) -> FloatLayer:
    """Return a layer with the activations `kinds`; equal cells are one."""
    made = with_activations(layer.cell, kinds)
    if made is layer.cell:
        return layer
    return replace(layer, cell=cell_from(made.name, equations_of(made)))


def lstm_layer(
    wx: Floats,
    wh: Floats,
    b: Floats,
    order: str,
    kinds: Sequence[Kind] = ("sigmoid", "tanh", "tanh"),
    frames: Reads = float_layer.STEPS,
) -> FloatLayer:
    """Return an LSTM layer from rows in the gate order `order`, such as PyTorch's ``"ifgo"``.

    `kinds` are the activations of the gates, of the candidate and of c.
    """
    wx, wh, b = (reordered(rows, order, lstm.gate_names) for rows in (wx, wh, b))
    return shaped(float_layer.lstm_layer(wx, wh, b, frames=frames), lstm_kinds(kinds))


def projected_layer(name: str, rows: Sequence[Floats], wr: Floats, order: str) -> FloatLayer:
    """Return an LSTM layer whose output h is projected by weights `wr` [P, H], without a bias.

    `rows` are weights of x and of h, and two biases.
    """
    wx, wh, bx, bh = rows
    shapes = wx.shape, wh.shape, bx.shape, bh.shape, wr.shape
    outputs, hidden = wr.shape if wr.ndim == 2 else (0, 0)
    count = len(order) * hidden
    wanted = (count, wx.shape[-1]), (count, outputs), (count,), (count,), (outputs, hidden)
    if shapes != wanted or not 0 < outputs <= hidden or not wx.size:
        raise MubinnError(
            f"the weights of {name} have shapes {', '.join(map(str, shapes))}, which make no layer "
            "with a projection of fewer outputs than cells: export the model again."
        )
    wx, wh, b = (reordered(own, order, lstm.gate_names) for own in (wx, wh, bx + bh))
    return FloatLayer(
        lstm_projected,
        np.concatenate([wx, np.zeros((outputs, wx.shape[1]))]),
        np.concatenate([np.pad(wh, ((0, 0), (0, hidden - outputs))), wr]),
        np.concatenate([b, np.zeros(outputs)]),
    )


def lstm_kinds(kinds: Sequence[Kind]) -> dict[str, Kind]:
    """Return the activations of gates, candidate and c by the names that an LSTM's have."""
    gate, candidate, output = kinds
    return {**dict.fromkeys("fio", gate), "g": candidate, "c": output}


def with_peepholes(layer: FloatLayer, weights: Mapping[str, Floats]) -> FloatLayer:
    """Return an LSTM layer whose gates i, f and o see c by `weights` [H], where any is not 0."""
    if not any(own.any() for own in weights.values()):
        return layer
    kinds = {n.operands[0].name: n.kind for n in layer.cell.of("activation")}
    numbers = {f"p{gate}": own for gate, own in weights.items()}
    made = FloatLayer(peephole, layer.wx, layer.wh, layer.b, layer.clips, numbers)
    return shaped(made, kinds)


def coupled_layer(
    wx: Floats, wh: Floats, b: Floats, order: str, kinds: Sequence[Kind]
) -> FloatLayer:
    """Return the LSTM layer whose forget gate is 1 less its input gate, as ONNX Runtime has it.

    Ours is the other way round: its f is 1 less their i, ``sigmoid(-a)`` for ``sigmoid(a)``.
    """
    wx, wh, b = (reordered(rows, order, ("i", "g", "o")) for rows in (wx, wh, b))
    for rows in (wx, wh, b):
        rows[: wh.shape[1]] *= -1
    own = lstm_kinds(kinds) | {"f": complement(kinds[0], "an LSTM of coupled gates")}
    return shaped(FloatLayer(cifg, wx, wh, b), own)


def rnn_layer(wx: Floats, wh: Floats, b: Floats, kind: Kind = "tanh") -> FloatLayer:
    """Return a plain recurrent layer."""
    return shaped(FloatLayer(rnn, wx, wh, b), {"h": kind})


def gru_layer(
    wx: Floats,
    wh: Floats,
    bx: Floats,
    bh: Floats,
    order: str,
    reset: Reset = "after",
    kinds: Sequence[Kind] = ("sigmoid", "tanh"),
) -> FloatLayer:
    """Return a GRU layer from rows in the gate order `order`, such as PyTorch's ``"rzn"``.

    Their z weighs the old state, ours the candidate: ours is ``sigmoid(-a)`` where theirs is
    ``sigmoid(a)``. `kinds` are the activations of the gates and of the candidate.
    """
    wx, wh, bx, bh = (reordered(rows, order, gru_before.gate_names) for rows in (wx, wh, bx, bh))
    hidden = wh.shape[1]
    sign = np.repeat([-1.0, 1.0, 1.0], hidden)
    gates = slice(0, 2 * hidden)
    b = bx.copy()
    b[gates] += bh[gates]
    wx, wh, b = (wx * sign[:, None], wh * sign[:, None], b * sign)
    layer = float_layer.gru_layer(wx, wh, b, bh[2 * hidden :], reset)
    gate, candidate = kinds
    return shaped(layer, {"z": complement(gate, "a GRU"), "r": gate, "n": candidate})


def classifier(name: str, weight: Floats, bias: Floats | None, end: str | None) -> Top:
    """Return a dense layer of weights [C, H] and biases [C] as the one on top."""
    bias = np.zeros(len(weight)) if bias is None else bias
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise MubinnError(
            f"the classifier {name} has weights of shape {weight.shape} and biases of shape "
            f"{bias.shape}, which do not fit: export the model again."
        )
    return Top(weight, bias, end)


def no_head(hidden: int) -> MubinnError:
    """Return the fault of a model that ends with its recurrent layer."""
    return MubinnError(
        f"the model has no dense layer that reads the {hidden} cells of its last recurrent layer: "
        "add a classifier to it, and export them together."
    )


def assemble(
    layers: Sequence[FloatLayer],
    top: Top,
    found: Readout | None,
    options: ImportOptions,
    source: str,
) -> FloatModel:
    """Return the model of `layers`, from the bottom up, and the dense one on top.

    `found` is the readout that the file tells of, None where it does not say; `source` says where
    the model comes from, a note in its file.

    Raises
    ------
    MubinnError
        Where layers do not fit, or the readout is neither found nor given, or is both and differs;
        and as `Top.head` does.
    """
    if found is None and options.readout is None:
        raise OpenError(
            "the file does not say which steps the classifier reads: give --readout last or "
            "--readout mean, or every or running where it answers at every step."
        )
    if None not in (found, options.readout) and found != options.readout:
        raise MubinnError(
            f"the model reads out {found!r} by itself: leave out --readout {options.readout}."
        )
    if options.ceiling is not None and not any(_has_limit(x, options.ceiling) for x in layers):
        raise MubinnError("no activation of the model is without a limit: leave out --ceiling.")
    readout = found or options.readout
    assert readout is not None
    prepared = Preprocessing(normalise="none", decimate=1)
    head, taken = top.head(options)
    notes = {"imported_from": source} | ({"outputs": taken} if taken else {})
    if top.end is None and readout == "last" and ends_apart(layers):
        notes["last"] = (
            "each direction is read where it ends, as h_n of PyTorch, the backward one at the "
            "first step of a window"
        )
    return FloatModel(tuple(layers), top.w, top.b, readout, prepared, notes, head)


def ends_apart(layers: Sequence[FloatLayer]) -> bool:
    """Return whether a layer on top takes the last step first."""
    return bool(layers) and any(layer.place.backward for layer in stages(layers)[-1])


def _has_limit(layer: FloatLayer, limit: float) -> bool:
    """Return whether an activation of a layer ends at `limit`."""
    high = shape_of(ramp_kind(1, 0, 0, limit)).high
    return any(shape_of(node.kind).high == high for node in layer.cell.of("activation"))
