"""The quantized layer of any cell: what memories hold, and every format that follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.scales import LevelTensor, Quantizer
from mubinn.golden.cells.constants import INPUT_FRACTION, Datapath, check_bounds, check_datapath
from mubinn.golden.cells.figure3 import Figure3
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.frames import Frames
from mubinn.golden.cells.graph import Cell, Node
from mubinn.golden.cells.lowering import Lowered, Rules
from mubinn.golden.cells.place import Place
from mubinn.golden.cells.sizes import Sizes
from mubinn.golden.cells.sweep import Reads, check_cell
from mubinn.golden.cells.threshold import Thresholds
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints, signed_width, to_float, unsigned_width
from mubinn.golden.units.shapes import shape_of

RULES: dict[Datapath, type[Rules]] = {"figure3": Figure3, "threshold": Thresholds}
"""What makes units of equations, by datapath."""


def check_reads(cell: Cell) -> None:
    """Raise `MubinnError` where rows cannot read the first levels of h alone: they read more."""
    if cell.recurrent != (cell.states[0],):
        raise MubinnError(
            f"rows of {cell.name} cells do not all read h: let them read all its levels."
        )


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """One recurrent layer in level bits and integer scales.

    Row k of cell m is row ``k H + m`` of the tensors, rows as `Cell.rows`; a row that leaves x or
    the state out has scales of 0 for it. A step goes over all cells once for each phase. The rows
    of a projection are P, those of the outputs, and then rows that read h count P columns of `wh`;
    bits of the others are 0 and meet nothing.

    Attributes
    ----------
    cell : Cell
    x : Quantizer
        Its offset is folded into the bias, and so are those of what meets W_h: products use the
        signs alone; offsets still move the encoders' thresholds.
    quantizers : mapping of str to Quantizer
        By encoder of the cell. Offsets are one number; those of x, and of h where it is no factor
        in its own cell, may be one an element.
    wx : LevelTensor, bits uint8 [W, R, I]
    wh : LevelTensor, bits uint8 [W, R, H], or [W, R, 0] where all rows read x alone
        Of a sweep [W, R, taps H], the pixels one after the other.
    b : LevelTensor, bits uint8 [B, R]
        The folded bias, in the fraction of z.
    formats : Formats
        Of the activation units; thresholds have none.
    datapath : "figure3" or "threshold"
    stored : mapping of str to LevelTensor, bits uint8 [N, H]
        Numbers of each cell, by name in the cell; one set of scales each.
    frames : Frames or Sweep
        What it reads of its input; then I is `Frames.taps` times the inputs of a step.
    place : Place
        Whose outputs it reads, and in which order.
    read : Quantizer or None
        What rows read of h: its first N levels, N those of `read`, which stand there for
        ``offset + sum_k a_k s_k`` with scales of their own. None is all of h.
    """

    cell: Cell
    x: Quantizer
    quantizers: Mapping[str, Quantizer]
    wx: LevelTensor
    wh: LevelTensor
    b: LevelTensor
    formats: Formats = field(default_factory=Formats)
    datapath: Datapath = "figure3"
    stored: Mapping[str, LevelTensor] = field(default_factory=dict)
    frames: Reads = field(default_factory=Frames)
    place: Place = field(default_factory=Place)
    read: Quantizer | None = None

    def __post_init__(self) -> None:
        """Validate that the parts fit; raise `MubinnError`."""
        check_datapath(self.datapath)
        check_cell(self.frames, self.cell)
        self._check_names()
        self._check_read()
        self._check_tensors()
        self._check_stored()
        self._check_quantizers()
        limits = {
            f"{node.name}_raw": 2.0 ** self.fraction(node.operands[0])
            * (self._limit(node.operands[0]) + self.quantizers[node.name].float_reach)
            for node in self.cell.encoders
        }
        check_bounds(z=self.z_limit, **limits)
        unused = [("x", self.wx), ("h", self.wh)]
        for source, tensor in unused:
            for place, node in enumerate(self.cell.rows):
                reads = any((n.operation == "input") == (source == "x") for n in node.operands)
                if not reads and tensor.row_scales[self.row_slice(place)].any():
                    raise MubinnError(
                        f"row {node.name} of the cell does not read {source}, but the file has "
                        "weights for it: check the model file."
                    )

    def _check_tensors(self) -> None:
        rows, own = self.wx.rows, self.cell_rows
        shape = self.wh.bits.shape[1:]
        columns = rows // own * self.frames.around if self.cell.reading("wh") else 0
        fits = self.cell.projects or (not rows % own and shape == (rows, columns))
        if not fits or self.wx.bits.ndim != 3 or len(shape) != 2 or shape[0] != rows:
            wide = f"{'' if self.frames.around == 1 else self.frames.around}H" if columns else "0"
            raise MubinnError(
                f"weights of shapes {self.wx.bits.shape} and {self.wh.bits.shape} "
                f"are not (W, {own}H, I) and (W, {own}H, {wide}): check the model file."
            )
        _ = self.inputs  # checks the columns
        if self.wh.bits[:, self.sizes.unused()].any():
            raise MubinnError(
                f"W_h has weights beyond the {self.outputs} numbers of h that rows read: check the "
                "model file."
            )
        if self.wx.levels != self.wh.levels:
            raise MubinnError("input and recurrent weights have different level counts.")
        if self.b.bits.shape[1:] != (rows,) or self.b.fraction != self.z_fraction:
            raise MubinnError(
                f"the bias does not have {rows} rows of {self.z_fraction} fraction bits."
            )

    def _check_stored(self) -> None:
        if set(self.stored) != {node.name for node in self.cell.stored}:
            raise MubinnError(
                f"the numbers that cells of {self.cell.name} have are not those stored."
            )
        for name, tensor in self.stored.items():
            if tensor.bits.shape[1:] != (self.hidden,) or len(tensor.scales) != 1:
                raise MubinnError(f"{name} does not have {self.hidden} numbers of common scales.")

    def _check_names(self) -> None:
        names = [node.name for node in self.cell.encoders]
        if set(self.quantizers) != set(names):
            raise MubinnError(
                f"the quantizers {', '.join(self.quantizers)} are not those of cell "
                f"{self.cell.name}: {', '.join(names)}."
            )

    def _check_quantizers(self) -> None:
        cell = self.cell
        if len({q.levels for q in self.gates.values()}) > 1:
            raise MubinnError(f"the gates {', '.join(self.gates)} differ in their level counts.")
        states = {self.quantizers[node.name].levels for node in cell.recurrent}
        if len(states) != 1:
            raise MubinnError(
                f"{' and '.join(node.name for node in cell.recurrent)} have different level "
                "counts: give both the same, as they share the weights' multipliers."
            )
        sizes = {"x": self.inputs, cell.states[0].name: self.outputs}
        if cell.states[0] in cell.kept:
            sizes.pop(cell.states[0].name)
        read = () if self.read is None else (("what rows read of h", self.read),)
        sizes |= {name: self.outputs for name, _ in read}
        for name, quantizer in (("x", self.x), *self.quantizers.items(), *read):
            own = ((), (sizes[name],)) if name in sizes else ((),)
            if quantizer.offset.shape not in own:
                raise MubinnError(
                    f"the offset of {name} is not one number"
                    + (f", nor {sizes[name]}." if name in sizes else ".")
                )
        for node in cell.encoders:
            if self.quantizers[node.name].fraction > self.fraction(node.operands[0]):
                raise MubinnError(
                    f"the scales of {node.name} are finer than the numbers that they encode."
                )
        if self.x.fraction > INPUT_FRACTION:
            raise MubinnError("the scales of x are finer than the numbers that they encode.")
        _ = self.levels  # checks the counts

    def _check_read(self) -> None:
        """Raise `MubinnError` where rows cannot read the first levels of h alone."""
        if self.read is None:
            return
        check_reads(self.cell)
        if self.read.levels > self.h.levels or self.read.encoder or self.h.encoder:
            raise MubinnError(
                f"rows read {self.read.levels} levels of the {self.h.levels} of h: give no more "
                "than there are, and Algorithm 1 alone."
            )
        own = self.h.scales
        if any(own[k] <= own[k + 1 :].sum() for k in range(self.read.levels)):
            raise MubinnError(
                "a level of h that rows read weighs no more than the later ones together: give "
                "scales of which each is half of the one before."
            )

    # What other rooms ask for by name.

    @property
    def gates(self) -> dict[str, Quantizer]:
        """Quantizers of the gates, in the cell's order."""
        return {name: self.quantizers[name] for name in self.cell.gate_names}

    @property
    def h(self) -> Quantizer:
        """Quantizer of the output."""
        return self.quantizers[self.cell.states[0].name]

    def quantizer(self, code: Node) -> Quantizer:
        """Return the quantizer of a code, which may be a number of each cell."""
        if code.operation == "stored":
            tensor = self.stored[code.name]
            return Quantizer(tensor.scales[0], tensor.fraction, np.zeros((), np.int64))
        return self.quantizers[code.name]

    @property
    def thresholds(self) -> dict[str, list[float]]:
        """Thresholds of what is not encoded by Algorithm 1, by name, without the offset."""
        return {
            name: to_float(quantizer.encoder.thresholds, quantizer.fraction).tolist()
            for name, quantizer in (("x", self.x), *self.quantizers.items())
            if quantizer.encoder is not None
        }

    def stored_codes(self, name: str) -> Ints:
        """Return the codes of a number of each cell, int64 [H]."""
        bits = self.stored[name].bits.astype(np.int64)
        return np.asarray((1 << np.arange(len(bits))) @ bits)

    @property
    def states(self) -> tuple[Quantizer, ...]:
        """What the rows of each phase multiply with W_h; one level count."""
        if self.read is not None:
            return (self.read,)
        return tuple(self.quantizers[node.name] for node in self.cell.recurrent)

    @property
    def phases(self) -> tuple[tuple[int, ...], ...]:
        """Rows of a cell by phase: a later one reads what the phase before made of all cells."""
        return self.cell.phases

    @property
    def levels(self) -> Levels:
        """Level counts of all tensors; a cell without a state of its own has those of h for it."""
        own = [state.name for state in self.cell.states[1:]]
        gates = self.gates or {"h": self.h}
        return Levels(
            x=self.x.levels,
            w=self.wx.levels,
            h=self.h.levels,
            c=self.quantizers[own[0]].levels if own else self.h.levels,
            gate=next(iter(gates.values())).levels,
            b=self.b.levels,
        )

    @property
    def cell_rows(self) -> int:
        """Rows of a cell."""
        return len(self.cell.rows)

    @property
    def features(self) -> int:
        """Columns I of W_x, the inputs of a step where a frame is a step."""
        return int(self.wx.bits.shape[2])

    @property
    def inputs(self) -> int:
        """Inputs of a step."""
        return self.frames.inputs(self.features)

    @cached_property
    def sizes(self) -> Sizes:
        """How many there are of each."""
        return Sizes.of(self.cell, self.wh.rows, self.wh.bits.shape[2], self.frames.around)

    @property
    def hidden(self) -> int:
        """Cells H."""
        return self.sizes.hidden

    @property
    def outputs(self) -> int:
        """Numbers of h."""
        return self.sizes.outputs

    def row_slice(self, place: int) -> slice:
        """Return the rows that are number `place` of their cell."""
        return self.sizes.row_slice(place)

    def phase_rows(self, phase: int) -> Ints:
        """Return the rows in `phase`, int64 [rows], row-major by row of a cell."""
        return self.sizes.phase_rows(phase)

    # Sums of rows.

    @property
    def z_fraction(self) -> int:
        """Fraction bits of g_ij, of the bias and of z."""
        state = max(quantizer.fraction for quantizer in self.states)
        return max(self.x.fraction + self.wx.fraction, state + self.wh.fraction)

    @cached_property
    def gamma_x(self) -> Ints:
        """g_ij of x W_x (Eq. 9) as int64 [R, A, W], fraction `z_fraction`."""
        return self._gamma(self.x, self.wx, slice(None))

    @cached_property
    def gamma_h(self) -> Ints:
        """g_ij of h W_h (Eq. 9) as int64 [R, W_h, W], fraction `z_fraction`."""
        found = np.empty((self.wh.rows, self.states[0].levels, self.wh.levels), np.int64)
        for phase, state in enumerate(self.states):
            rows = self.phase_rows(phase)
            found[rows] = self._gamma(state, self.wh, rows)
        return found

    def _gamma(self, left: Quantizer, weights: LevelTensor, rows: Ints | slice) -> Ints:
        shift = self.z_fraction - left.fraction - weights.fraction
        return (left.scales[None, :, None] * weights.row_scales[rows, None, :]) << shift

    @cached_property
    def z_bound(self) -> int:
        """Largest magnitude of z that the scales allow, whatever the level bits are."""
        per_row = (
            self.features * self.gamma_x.sum(axis=(1, 2))
            + self.sizes.row_columns * self.gamma_h.sum(axis=(1, 2))
            + self.b.row_scales.sum(axis=1)
        )
        return int(per_row.max())

    @property
    def z_limit(self) -> float:
        """Bound of z in float, for scales too large to be multiplied as integers."""
        recurrent = (
            self.sizes.phase_columns(phase) * state.largest_product(self.wh, self.z_fraction)
            for phase, state in enumerate(self.states)
        )
        return (
            self.features * self.x.largest_product(self.wx, self.z_fraction)
            + max(recurrent)
            + float(self.b.scales.sum(axis=1).max())
        )

    @property
    def z_width(self) -> int:
        """Bits of z, wide enough for every content of the memories."""
        return signed_width(self.z_bound)

    @property
    def gamma_width(self) -> int:
        """Bits of an unsigned g_ij of x W_x or h W_h."""
        return unsigned_width(int(max(self.gamma_x.max(), self.gamma_h.max())))

    @property
    def dot_width(self) -> int:
        """Bits of a signed dot product 2p - n over the larger of the two halves."""
        return signed_width(max(self.features, self.sizes.columns))

    # Values of the graph.

    def fraction(self, node: Node) -> int:
        """Return the fraction bits of an exact value of the cell, or of what the LUTs make."""
        match node.operation:
            case "row":
                return self.z_fraction
            case "activation":
                return self.formats.y_fraction
            case "product":
                return sum(self.fraction(part) for part in node.operands)
            case "sum":
                return max(self.fraction(part) for part in node.operands)
            case "complement":
                return self.fraction(node.operands[0])
        return self.quantizer(node).fraction

    def _limit(self, node: Node) -> float:
        """Return a bound of a value, as the number that it stands for."""
        match node.operation:
            case "row":
                return float(np.ldexp(self.z_limit, -self.z_fraction))
            case "activation":
                return float(shape_of(node.kind).peak)
            case "product":
                return prod(self._limit(part) for part in node.operands)
            case "sum":
                return sum(self._limit(part) for part in node.operands)
            case "complement":
                return 1 + self.quantizer(node.operands[0]).largest
        return self.quantizer(node).largest

    @property
    def lowered(self) -> Lowered:
        """The units of the cell on the layer's datapath."""
        return self.on(self.datapath)

    def on(self, datapath: Datapath) -> Lowered:
        """Return the units of the cell on a datapath; made once."""
        if datapath not in self._lowered:
            self._lowered[datapath] = RULES[datapath](self).lowered()
        return self._lowered[datapath]

    @cached_property
    def _lowered(self) -> dict[Datapath, Lowered]:
        return {}

    def fraction_of(self, name: str) -> int:
        """Return the fraction bits of the value that the encoder `name` reads."""
        (node,) = (node for node in self.cell.encoders if node.name == name)
        return self.fraction(node.operands[0])
