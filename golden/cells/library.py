"""The cells that MuBiNN has by name, each as its equations.

A further cell is a function like these, in any program: `mubinn.golden.cells.graph.cell` makes it a
cell, and nothing has to be told about it. Model files have the equations of other cells in them.
"""

from collections.abc import Mapping

from mubinn.golden.cells.graph import (
    Cell,
    Node,
    cell,
    encode,
    projection,
    relu,
    row,
    sigmoid,
    stored,
    tanh,
)
from mubinn.golden.ground.errors import MubinnError


@cell
def lstm(x: Node, h: Node, c: Node) -> tuple[Node, Node]:
    """Long short-term memory, MuBiNN Eq. (1)-(6)."""
    f = encode("f", sigmoid(row("f", x, h)))
    i = encode("i", sigmoid(row("i", x, h)))
    g = encode("g", tanh(row("g", x, h)))
    o = encode("o", sigmoid(row("o", x, h)))
    c = encode("c", f * c + i * g)
    return encode("h", o * tanh(c)), c


@cell
def gru(x: Node, h: Node) -> Node:
    """Gated recurrent unit that resets after the product: cuDNN's, PyTorch's, Keras's form."""
    z = encode("z", sigmoid(row("z", x, h)))
    r = encode("r", sigmoid(row("r", x, h)))
    n = encode("n", tanh(r * row("nh", h) + row("nx", x)))
    return encode("h", (1 - z) * h + z * n)


@cell
def gru_before(x: Node, h: Node) -> Node:
    """Gated recurrent unit that resets before the product, effective-quantization Eq. 10-13."""
    z = encode("z", sigmoid(row("z", x, h)))
    r = encode("r", sigmoid(row("r", x, h)))
    s = encode("s", r * h)
    n = encode("n", tanh(row("n", x, s)))
    return encode("h", (1 - z) * h + z * n)


@cell
def rnn(x: Node, h: Node) -> Node:
    """Plain recurrent network."""
    return encode("h", tanh(row("h", x, h)))


@cell
def rnn_relu(x: Node, h: Node) -> Node:
    """Plain recurrent network of relu with the ceiling 1."""
    return encode("h", relu(row("h", x, h)))


@cell
def cifg(x: Node, h: Node, c: Node) -> tuple[Node, Node]:
    """LSTM whose input gate is what its forget gate leaves (CIFG)."""
    f = encode("f", sigmoid(row("f", x, h)))
    g = encode("g", tanh(row("g", x, h)))
    o = encode("o", sigmoid(row("o", x, h)))
    c = encode("c", f * c + (1 - f) * g)
    return encode("h", o * tanh(c)), c


@cell
def mgu(x: Node, h: Node) -> Node:
    """Minimal gated unit: one gate that forgets and updates."""
    f = encode("f", sigmoid(row("f", x, h)))
    s = encode("s", f * h)
    n = encode("n", tanh(row("n", x, s)))
    return encode("h", (1 - f) * h + f * n)


@cell
def peephole(x: Node, h: Node, c: Node) -> tuple[Node, Node]:
    """LSTM whose gates see the state of their cell."""
    f = encode("f", sigmoid(row("f", x, h) + stored("pf") * c))
    i = encode("i", sigmoid(row("i", x, h) + stored("pi") * c))
    g = encode("g", tanh(row("g", x, h)))
    c = encode("c", f * c + i * g)
    o = encode("o", sigmoid(row("o", x, h) + stored("po") * c))
    return encode("h", o * tanh(c)), c


@cell
def lstm_projected(x: Node, h: Node, c: Node) -> tuple[Node, Node]:
    """LSTM with a recurrent projection of fewer outputs than cells (Sak et al., 2014)."""
    f = encode("f", sigmoid(row("f", x, h)))
    i = encode("i", sigmoid(row("i", x, h)))
    g = encode("g", tanh(row("g", x, h)))
    o = encode("o", sigmoid(row("o", x, h)))
    c = encode("c", f * c + i * g)
    m = encode("m", o * tanh(c))
    return encode("h", projection("r", m)), c


@cell
def dense(x: Node, h: Node) -> Node:
    """Dense layer, without a state: a convolution over time where it reads several steps."""
    return encode("h", tanh(row("h", x)))


CELLS: dict[str, Cell] = {
    made.name: made for made in (lstm, gru, gru_before, rnn, rnn_relu, cifg, mgu, peephole)
}
"""The cells with a state and as many outputs, by name."""

LAYERS: dict[str, Cell] = {**CELLS, dense.name: dense, lstm_projected.name: lstm_projected}
"""What layers consist of, by name."""


def family_of(made: Cell) -> str:
    """Return what options call a cell: the two forms of a GRU are one."""
    return gru.name if made is gru_before else made.name


def cell_of(name: str, among: Mapping[str, Cell] = CELLS) -> Cell:
    """Return the cell of this name; raise `MubinnError` where there is none."""
    if name not in among:
        raise MubinnError(f"unknown cell {name[:40]!r}: give one of {', '.join(among)}.")
    return among[name]
