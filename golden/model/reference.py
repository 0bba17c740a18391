"""The float64 reference: the equations of a cell with its encoders, readable and slow.

With no quantizers it is the plain float model. With quantizers every tensor passes through its
encoder, Algorithm 1 by default, where the hardware encodes it; activations stay exact, which is the
one difference to the bit-true model and what `mubinn.golden.model.bounds` bounds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.mlb import mlb, mlb_value
from mubinn.golden.binarize.ordered import ordered_codes
from mubinn.golden.binarize.scales import Quantizer, signs
from mubinn.golden.cells.graph import Node
from mubinn.golden.cells.place import side_by_side, stages
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints, to_float
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.layer_state import check_carries
from mubinn.golden.units.shapes import exact, shape_of


@dataclass(frozen=True)
class FloatQuantizer:
    """Scales [N] and offset of one activation tensor; no scales leave it in full precision.

    Its thresholds and their codes, where it has any, encode in place of Algorithm 1 (`Ordered`).
    """

    scales: Floats | None = None
    offset: npt.ArrayLike = 0.0
    thresholds: Floats | None = None
    codes: Ints | None = None

    @classmethod
    def of(cls, quantizer: Quantizer) -> "FloatQuantizer":
        """Return the quantizer with exactly the numbers of `quantizer`."""
        scales, offset, own = quantizer.float_scales, quantizer.float_offset, quantizer.encoder
        if own is None:
            return cls(scales, offset)
        return cls(scales, offset, to_float(own.thresholds, quantizer.fraction), own.codes)

    def __call__(self, value: Floats) -> Floats:
        """Return the value that the level bits of `value` stand for."""
        if self.scales is None:
            return value
        if self.thresholds is None or self.codes is None:
            return mlb_value(mlb(value, self.scales, self.offset), self.scales, self.offset)
        offset = np.asarray(self.offset, np.float64)
        code = ordered_codes(value - offset, self.thresholds, self.codes)
        return np.asarray(offset + signs(code, len(self.scales)) @ self.scales)


@dataclass(frozen=True)
class FirstLevels:
    """What rows read of h: its first levels, with scales of their own (`QuantizedLayer.read`).

    Attributes
    ----------
    h, read : FloatQuantizer
        Both have scales, `read` no more than h.

    Examples
    --------
    The sign of h about its threshold 0.25, times 0.5:

    >>> h = FloatQuantizer(np.array([0.5, 0.25, 0.125]), 0.25)
    >>> FirstLevels(h, FloatQuantizer(np.array([0.5])))(np.array([0.125, 0.375])).tolist()
    [-0.5, 0.5]
    """

    h: FloatQuantizer
    read: FloatQuantizer

    def __call__(self, value: Floats) -> Floats:
        """Return what rows read [..., n] of h, of the pixels around one after the other."""
        assert self.h.scales is not None
        assert self.read.scales is not None
        own, offset = (np.resize(q.offset, value.shape[-1]) for q in (self.h, self.read))
        bits = mlb(value, self.h.scales[: len(self.read.scales)], own)
        return mlb_value(bits, self.read.scales, offset)


@dataclass(frozen=True)
class LayerQuantizers:
    """The quantizers of one layer's activations; the weights are quantized beforehand.

    Attributes
    ----------
    x : FloatQuantizer
    own : mapping of str to FloatQuantizer
        By encoder of the cell; those that are missing leave their value as it is.
    ahead : FloatQuantizer or None
        Of the zeros before a window, where x holds values that are quantized already.
    read : FirstLevels or None
        What rows read of h, where that is not all of it.
    """

    x: FloatQuantizer = field(default_factory=FloatQuantizer)
    own: Mapping[str, FloatQuantizer] = field(default_factory=dict)
    ahead: FloatQuantizer | None = None
    read: FirstLevels | None = None

    def __getitem__(self, name: str) -> FloatQuantizer:
        """Return the quantizer of an encoder."""
        return self.own.get(name, FloatQuantizer())


def step(
    layer: FloatLayer,
    quantizers: LayerQuantizers,
    x: Floats,
    *states: Floats,
    around: Floats | None = None,
) -> dict[str, Floats]:
    """Return every intermediate of one time step of a cell.

    Parameters
    ----------
    layer : FloatLayer
    quantizers : LayerQuantizers
    x : float64 [..., I]
        Already quantized.
    states : float64 [..., H]
        The states before the step, already quantized: h, of P numbers after a projection, and c
        of an LSTM.
    around : float64 [..., taps H], or None
        What W_h meets where that is not the first state: of a sweep h of the pixels around.

    Returns
    -------
    dict of float64 arrays
        ``z [..., R H]``, the sums of all rows; ``y, gate [..., G H]``, where `gate` is y quantized;
        and [..., H] by name what encoders read (``c_raw``, ``h_raw``; ``n_raw`` of a gate that
        reads more than a row) and make (``c``, ``h``), and activations of codes (``tanh_c``).
    """
    cell = layer.cell
    t: dict[str, Floats] = {}
    values = node_values(layer, quantizers, x, *states, around=around)
    for node in cell.nodes:
        source = node.operands[0] if node.operands else node
        if node.operation == "encode":
            if node not in cell.gates:
                t |= {f"{node.name}_raw": values[source], node.name: values[node]}
        elif node.operation == "activation" and source.is_code:
            t[f"{shape_of(node.kind).label}_{source.name}"] = values[node]
    for gate in cell.gates:
        source = gate.operands[0].operands[0]
        if source.operation != "row":
            t[f"{gate.name}_raw"] = values[source]
    t["z"] = np.concatenate([values[row] for row in cell.rows], axis=-1)
    if cell.gates:
        t["y"] = np.concatenate([values[gate.operands[0]] for gate in cell.gates], axis=-1)
        t["gate"] = np.concatenate([values[gate] for gate in cell.gates], axis=-1)
    return t


def node_values(
    layer: FloatLayer,
    quantizers: LayerQuantizers,
    x: Floats,
    *states: Floats,
    around: Floats | None = None,
) -> dict[Node, Floats]:
    """Return the value of every node of a cell in one time step; parameters as of `step`."""
    cell = layer.cell
    values = dict(zip((cell.x, *cell.states), (x, *states), strict=True))
    met = {} if around is None else {cell.states[0]: around}
    if quantizers.read is not None:
        met[cell.states[0]] = quantizers.read(states[0] if around is None else around)
    for node in cell.nodes:
        if node in values:
            continue
        values[node] = _value(layer, node, values if node.operation != "row" else values | met)
        if node.operation == "encode":
            clip = layer.clip(node.name)
            values[node] = quantizers[node.name](np.clip(values[node], -clip, clip))
    return values


def _value(layer: FloatLayer, node: Node, values: Mapping[Node, Floats]) -> Floats:
    """Return what an equation makes of its operands."""
    own = [values[operand] for operand in node.operands]
    match node.operation:
        case "row":
            rows = layer.row_slice(layer.cell.rows.index(node))
            total = layer.b[rows]
            for read, value in zip(node.operands, own, strict=True):
                weights = layer.wx if read.operation == "input" else layer.wh
                total = total + value @ weights[rows, : value.shape[-1]].T
            return np.asarray(total)
        case "activation":
            return exact(node.kind, own[0])
        case "product":
            return np.asarray(own[0] * own[1])
        case "sum":
            return np.asarray(sum(own[1:], start=own[0]))
        case "complement":
            return np.asarray(1 - own[0])
        case "stored":
            return layer.stored[node.name]
    return own[0]


def run_layer(
    layer: FloatLayer,
    quantizers: LayerQuantizers,
    x: Floats,
    carried: list[Floats] | None = None,
) -> dict[str, Floats]:
    """Return the intermediates of `step` over whole sequences `x` [..., T, I], in its order.

    x is not yet quantized; the time axis stands before the last. The state before the first step is
    the quantized 0, as in hardware. A sweep goes over all pixels of a frame at once. With `carried`
    the states before the first step are those in it, where there are some, and those after the last
    step are put there; last the steps of x that a convolution reads again.
    """
    zero = (quantizers.ahead or quantizers.x)(np.zeros(layer.inputs))
    x = quantizers.x(x)
    before = 0 if isinstance(layer.frames, Sweep) else layer.frames.before
    ahead = np.broadcast_to(zero, (*x.shape[:-2], before, layer.inputs)).astype(x.dtype)
    ahead = carried.pop() if carried else ahead
    if isinstance(layer.frames, Sweep):
        x = layer.frames.of(x, zero)
    else:
        x, ahead = layer.frames.after(ahead, x)
    x = layer.place.ordered(x)
    names = [node.name for node in layer.cell.states]
    counts = map(layer.sizes.count, layer.cell.states)
    zeros = [quantizers[name](np.zeros(count)) for name, count in zip(names, counts, strict=True)]
    sweep = layer.frames if isinstance(layer.frames, Sweep) else None
    if sweep:
        x = np.moveaxis(sweep.frames(x), -3, -2)
    states = [np.broadcast_to(zero, (*x.shape[:-2], len(zero))) for zero in zeros]
    states, steps = carried or states, []
    for t in range(x.shape[-2]):
        around = sweep.neighbours(states[0], zeros[0]) if sweep else None
        steps.append(step(layer, quantizers, x[..., t, :], *states, around=around))
        states = [steps[-1][name] for name in names]
    if carried is not None:
        carried[:] = [*states, ahead]
    if sweep:
        found = {name: np.stack([s[name] for s in steps], axis=-3) for name in steps[0]}
        return {name: v.reshape(*v.shape[:-3], -1, v.shape[-1]) for name, v in found.items()}
    return {name: np.stack([s[name] for s in steps], axis=-2) for name in steps[0]}


def logits(
    model: FloatModel,
    x: npt.ArrayLike,
    quantizers: Sequence[LayerQuantizers] | None = None,
    carried: Sequence[list[Floats]] | None = None,
) -> Floats:
    """Return the numbers of the dense layer for whole windows: logits, or a regression's values.

    Parameters
    ----------
    model : FloatModel
    x : float [..., T, channels]
    quantizers : one LayerQuantizers a layer, or None
        None is the float model.
    carried : one list a layer, or None
        As `run_layer` has it, of windows that come piece by piece: empty before the first one. With
        the readout leaky one more, which has its S.

    Raises
    ------
    MubinnError
        A piece cannot go on from the one before, `mubinn.golden.model.layer_state.check_carries`.

    Returns
    -------
    float64 [..., C], or [..., T, C] of a readout at every step
        Of the h, or the means of h, that `model.readout` names; of leaky S / 2**k.
    """
    if carried and any(carried):
        check_carries(model.layers)
    h = model.embedded(x)
    own = iter(quantizers or repeat(LayerQuantizers(), len(model.layers)))
    reading = model.reading
    lists = len(model.layers) + bool(reading.leak)
    if carried and len(carried) != lists:
        raise MubinnError(f"{len(carried)} lists of what is carried: give {lists}.")
    kept = iter(carried or repeat(None, lists))
    for stage in stages(model.layers):
        runs = [run_layer(layer, next(own), h, next(kept))["h"] for layer in stage]
        h = side_by_side(stage, runs)
    if reading.leak:
        sums = next(kept)
        values = np.asarray(h @ model.wd.T + model.bd, np.float64)
        values = reading.leaky(values, sums[0] if sums else None)
        if sums is not None:
            sums[:] = [values[..., -1, :]]
        return np.asarray(reading.chosen(values) / reading.divisor(values.shape[-2]))
    if not reading.every_step:
        h = np.concatenate([run[..., -1:, :] for run in runs], axis=-1)
    read = reading.total(h) / reading.divisor(h.shape[-2])
    return np.asarray(read @ model.wd.T + model.bd, np.float64)
