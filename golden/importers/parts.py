"""What the importers share: gate orders, biases, classifiers, and the model out of its parts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.constants import GATES, GRU_GATES, Reset
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.importers.stored import finite
from mubinn.golden.model import float_layer
from mubinn.golden.model.container import MAX_BYTES
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel, Preprocessing, Readout

MAX_SIZE = MAX_BYTES
"""Most bytes of one tensor, and of all of a file's parts once they are unpacked."""

MAX_SHOWN = 12
"""Most names that a message lists."""


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
    """

    readout: Readout | None = None
    recurrent: tuple[str, ...] = ()
    head: str | None = None
    first: str | None = None
    last: str | None = None

    def demand_absent(self, kind: str, *names: str) -> None:
        """Raise `MubinnError` where one of the options `names` is given, which `kind` answers."""
        given = [NAMES[name] for name in names if getattr(self, name)]
        if given:
            raise MubinnError(f"{kind} says all of it by itself: leave out {' and '.join(given)}.")


NAMES = {
    "readout": "--readout",
    "recurrent": "--recurrent",
    "head": "--head",
    "first": "--from",
    "last": "--to",
}
"""How the command line calls the options."""


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
    for below, above in pairwise(layers):
        if above.features != below.hidden:
            raise MubinnError(
                f"a recurrent layer reads {above.features} numbers, the one below it has "
                f"{below.hidden} cells: give one stack of layers, from the bottom up."
            )


def lstm_layer(wx: Floats, wh: Floats, b: Floats, order: str) -> FloatLayer:
    """Return an LSTM layer from rows in the gate order `order`, such as PyTorch's ``"ifgo"``."""
    wx, wh, b = (reordered(rows, order, GATES) for rows in (wx, wh, b))
    return float_layer.lstm_layer(wx, wh, b)


def gru_layer(
    wx: Floats, wh: Floats, bx: Floats, bh: Floats, order: str, reset: Reset = "after"
) -> FloatLayer:
    """Return a GRU layer from rows in the gate order `order`, such as PyTorch's ``"rzn"``.

    Their z weighs the old state, ours the candidate: ours is ``sigmoid(-a)`` where theirs is
    ``sigmoid(a)``.
    """
    wx, wh, bx, bh = (reordered(rows, order, GRU_GATES) for rows in (wx, wh, bx, bh))
    hidden = wh.shape[1]
    sign = np.repeat([-1.0, 1.0, 1.0], hidden)
    gates = slice(0, 2 * hidden)
    b = bx.copy()
    b[gates] += bh[gates]
    wx, wh, b = (wx * sign[:, None], wh * sign[:, None], b * sign)
    return float_layer.gru_layer(wx, wh, b, bh[2 * hidden :], reset)


def classifier(name: str, weight: Floats, bias: Floats | None) -> tuple[Floats, Floats]:
    """Return wd [C, H] and bd [C] of a dense layer.

    One output s is the logit of class 1 against class 0; it becomes the two logits -s/2 and s/2,
    whose softmax is the same probability.
    """
    bias = np.zeros(len(weight)) if bias is None else bias
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise MubinnError(
            f"the classifier {name} has weights of shape {weight.shape} and biases of shape "
            f"{bias.shape}, which do not fit: export the model again."
        )
    if len(weight) == 1:
        half = np.array([[-0.5], [0.5]])
        return half * weight, half[:, 0] * bias
    return weight, bias


def no_head(hidden: int) -> MubinnError:
    """Return the fault of a model that ends with its recurrent layer."""
    return MubinnError(
        f"the model has no dense layer that reads the {hidden} cells of its last recurrent layer: "
        "add a classifier to it, and export them together."
    )


def assemble(
    layers: Sequence[FloatLayer],
    head: tuple[Floats, Floats],
    found: Readout | None,
    options: ImportOptions,
    source: str,
) -> FloatModel:
    """Return the model of `layers`, from the bottom up, and its head (wd, bd).

    `found` is the readout that the file tells of, None where it does not say; `source` says where
    the model comes from, a note in its file.

    Raises
    ------
    MubinnError
        Where layers do not fit, or the readout is neither found nor given, or is both and differs.
    """
    if found is None and options.readout is None:
        raise MubinnError(
            "the file does not say which steps the classifier reads: give --readout last or "
            "--readout mean."
        )
    if None not in (found, options.readout) and found != options.readout:
        raise MubinnError(
            f"the model reads out {found!r} by itself: leave out --readout {options.readout}."
        )
    readout = found or options.readout
    assert readout is not None
    prepared = Preprocessing(normalise="none", decimate=1)
    return FloatModel(tuple(layers), *head, readout, prepared, {"imported_from": source})
