"""What binary32 does in a step of a layer, and the operands that its units meet in real windows.

A multiplier and an adder do all; sigmoid and tanh are a look-up each, a product and a sum on the
same units. What there is to do is read from the cell's equations: a row is a product and a sum for
each number that it reads, beginning at its bias; ``a * b`` is a product, ``a + b`` a sum and
``1 - a`` one as well. A number that a row reads is multiplied by the weights of `INTERLEAVE` rows
in turn, each row's partial sum meeting the adder once in so many clocks, and is read once for all.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.graph import Node
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.reference import LayerQuantizers, node_values, run_layer
from mubinn.golden.units.shapes import Kind, shape_of
from mubinn.synth.energy.energy_memory import Memory
from mubinn.synth.energy.energy_stimulus import Fields, whole_words

WORD_BITS = 32
INTERLEAVE = 4
"""Rows whose sums are formed side by side."""
KINDS: tuple[Kind, ...] = ("sigmoid", "tanh")
"""Activations that there is a look-up for."""

Binary32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FloatWork:
    """What a step of a layer takes, of a sweep one pixel.

    Attributes
    ----------
    products, sums : int
        With those of activations.
    activations : dict of str to int
        Look-ups by kind.
    memories : dict of str to Memory
    """

    products: int
    sums: int
    activations: dict[Kind, int]
    memories: dict[str, Memory]

    @classmethod
    def of(cls, layer: FloatLayer) -> "FloatWork":
        """Return the work of a step.

        Raises
        ------
        MubinnError
            On a cell with an activation that has no look-up in binary32.

        Examples
        --------
        >>> from mubinn.golden.model.float_layer import lstm_layer
        >>> work = FloatWork.of(lstm_layer(np.zeros((8, 3)), np.zeros((8, 2)), np.zeros(8)))
        >>> work.products, work.sums, work.activations
        (56, 52, {'sigmoid': 6, 'tanh': 4})
        """
        cell, count = layer.cell, layer.sizes.count
        rows = [count(row) for row in cell.rows]
        read = [sum(_columns(layer, node) for node in row.operands) for row in cell.rows]
        macs = sum(n * own for n, own in zip(rows, read, strict=True))
        products, sums = macs, macs
        activations: dict[Kind, int] = {}
        for node in cell.nodes:
            if node.operation == "activation":
                if node.kind not in KINDS:
                    raise MubinnError(
                        f"There is no binary32 unit for {shape_of(node.kind).label}: its energy "
                        "in floats is not known."
                    )
                activations[node.kind] = activations.get(node.kind, 0) + _size(layer, node)
            products += _size(layer, node) * (node.operation == "product")
            sums += _size(layer, node) * (node.operation == "complement")
            sums += _size(layer, node) * (len(node.operands) - 1) * (node.operation == "sum")
        shared = sum(activations.values())
        states = sum(map(count, cell.states))
        pixels = layer.frames.pixels if isinstance(layer.frames, Sweep) else 1
        # Of a sweep h of the frame before is read while new ones come.
        kept = layer.inputs + states + layer.outputs * (pixels > 1)
        met = {own for n in cell.nodes if n.operation != "row" for own in n.operands}
        pointwise = sum(count(state) for state in cell.states if state in met)
        weights = macs + sum(rows) + layer.hidden * len(cell.stored)
        return cls(
            products + shared,
            sums + shared,
            activations,
            {
                "weights": Memory(weights * WORD_BITS, weights * WORD_BITS),
                "state": Memory(
                    pixels * kept * WORD_BITS,
                    macs * WORD_BITS / INTERLEAVE + (states + pointwise) * WORD_BITS,
                ),
            },
        )


def _columns(layer: FloatLayer, node: Node) -> int:
    """Return how many numbers a row reads of an operand."""
    if node.operation == "input":
        return layer.features
    return layer.sizes.count(node) * layer.frames.around


def _size(layer: FloatLayer, node: Node) -> int:
    return layer.sizes.count(node)


def float_stimulus(
    layer: FloatLayer, x: npt.NDArray[np.floating], vectors: int, interleave: int = INTERLEAVE
) -> dict[str, Fields]:
    """Return the operands of the units of binary32 in the last step of windows, by unit.

    Parameters
    ----------
    layer : FloatLayer
    x : float [windows, T, I]
        What the layer reads, of two steps or frames at least.
    vectors : int
        About so many products and sums; cells are spread evenly over windows and the layer.
    interleave : int
        Rows whose sums are formed side by side: those of a cell that read the same, of so many
        cells that there are enough.

    Raises
    ------
    MubinnError
        On shorter windows.
    """
    values, read = _last_step(layer, np.asarray(x, np.float64))
    groups: dict[tuple[Node, ...], list[int]] = {}
    for place, row in enumerate(layer.cell.rows):
        groups.setdefault(row.operands, []).append(place)
    work = sum(
        len(places)
        * layer.sizes.count(layer.cell.rows[places[0]])
        * sum(_columns(layer, node) for node in operands)
        for operands, places in groups.items()
    )
    parts = []
    for operands, places in groups.items():
        operand = np.concatenate([read[node] for node in operands], axis=-1).astype(np.float32)
        own = [
            (layer.wx if node.operation == "input" else layer.wh[:, : read[node].shape[-1]])
            for node in operands
        ]
        weights = np.concatenate(own, axis=1).astype(np.float32)
        count = layer.sizes.count(layer.cell.rows[places[0]])
        cells = min(count, -(-interleave // len(places)))
        share = len(places) * count * weights.shape[1] / work
        blocks = int(vectors * share) // (cells * len(places) * weights.shape[1])
        starts = np.array([layer.row_slice(place).start for place in places])
        for k, first in enumerate(np.linspace(0, count - cells, max(1, blocks)).astype(np.int64)):
            rows = (starts + first + np.arange(cells)[:, None]).ravel()
            parts.append(_block(weights[rows], operand[k % len(operand)], layer.b[rows]))
    left, right, product, partial = (
        np.concatenate(several) for several in zip(*parts, strict=True)
    )
    made = {
        "float_mult": binary32(left, "a.") | binary32(right, "b."),
        "float_add": binary32(product, "a.") | binary32(partial, "b."),
    }
    for kind in KINDS:
        met = [
            values[node.operands[0]].astype(np.float32)
            for node in layer.cell.of("activation")
            if node.kind == kind
        ]
        if met:
            made[kind] = binary32(np.stack(met, axis=-1).ravel())
    return {name: whole_words(fields) for name, fields in made.items()}


def _last_step(layer: FloatLayer, x: Floats) -> tuple[Mapping[Node, Floats], Mapping[Node, Floats]]:
    """Return every value of the last step [n, ...], of a sweep at all pixels, and what rows read.

    n are windows, or windows times pixels.
    """
    plain = LayerQuantizers()
    trace = run_layer(layer, plain, x)
    sweep = layer.frames if isinstance(layer.frames, Sweep) else None
    block = sweep.pixels if sweep else 1
    steps = layer.place.ordered(layer.frames.of(x, np.zeros(layer.inputs)))
    if steps.shape[-2] < 2 * block:
        raise MubinnError("Energy needs windows of two steps or frames: give longer ones.")
    cell = layer.cell
    now = steps[:, -block:]
    states = [trace[node.name][:, -2 * block : -block] for node in cell.states]
    around = sweep.neighbours(states[0], np.zeros(layer.outputs)) if sweep else None
    if not sweep:
        now, states = now[:, 0], [state[:, 0] for state in states]
    values = node_values(layer, plain, now, *states, around=around)
    read = dict(values) if around is None else {**values, cell.states[0]: around}

    def flat(found: Mapping[Node, Floats]) -> dict[Node, Floats]:
        return {
            node: value.reshape(-1, value.shape[-1])
            for node, value in found.items()
            if value.ndim > 1
        }

    return flat(values), flat(read)


def _block(
    weights: Binary32, operand: Binary32, bias: npt.NDArray[np.float64]
) -> tuple[Binary32, Binary32, Binary32, Binary32]:
    """Return weight, operand, product and partial sum of a block of rows, in their order."""
    products = (weights * operand).T
    sums = np.empty_like(products)
    sums[0] = bias.astype(np.float32)
    for k in range(1, len(sums)):
        sums[k] = sums[k - 1] + products[k - 1]
    repeated = np.repeat(operand, len(weights))
    return weights.T.ravel(), repeated, products.ravel(), sums.ravel()


def binary32(values: Binary32, prefix: str = "") -> Fields:
    """Return float32 values as the fields of a binary32 payload."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.int64)
    return {
        f"{prefix}fraction": bits & (1 << 23) - 1,
        f"{prefix}exponent": bits >> 23 & 255,
        f"{prefix}sign": bits >> 31,
    }
