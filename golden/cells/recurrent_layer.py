"""What every recurrent layer in level bits shares: the sums z of Eq. (1)-(4), their formats."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.scales import LevelTensor, Quantizer
from mubinn.golden.cells.constants import Datapath, check_datapath
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.thresholds import SumFormat
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints


@dataclass(frozen=True, eq=False)
class RecurrentLayer:
    """Sums z = W_x x + W_h h + b of one layer; what follows them is the subclass's own.

    The rows of a cell are the elements of `phases`; row k of cell m is row ``k H + m`` of the
    tensors. A step goes over all cells once for each phase.

    Attributes
    ----------
    x, h : Quantizer
        Their offsets are folded into the bias, so the products use the signs alone; they still
        move the encoders' thresholds.
    gates : mapping of gate name to Quantizer
    wx : LevelTensor, bits uint8 [W, R, I]
        R rows, row-major by gate: gate * H + cell.
    wh : LevelTensor, bits uint8 [W, R, H]
    b : LevelTensor, bits uint8 [B, R]
        The folded bias, in the fraction of z.
    formats : Formats
        Of the activation units; thresholds have none.
    datapath : "figure3" or "threshold"
    """

    x: Quantizer
    h: Quantizer
    gates: Mapping[str, Quantizer]
    wx: LevelTensor
    wh: LevelTensor
    b: LevelTensor
    formats: Formats = field(default_factory=Formats)
    datapath: Datapath = "figure3"

    phases: ClassVar[tuple[tuple[int, ...], ...]] = ((0, 1, 2, 3),)
    """Rows of a cell by phase: a later one reads what the phase before made of all cells."""

    @property
    def states(self) -> tuple[Quantizer, ...]:
        """What the rows of each phase multiply with W_h; one level count."""
        return (self.h,)

    @property
    def levels(self) -> Levels:
        """Level counts of all tensors; a layer without a cell state has those of h for it."""
        return Levels(
            x=self.x.levels,
            w=self.wx.levels,
            h=self.h.levels,
            c=getattr(self, "c", self.h).levels,
            gate=next(iter(self.gates.values())).levels,
            b=self.b.levels,
        )

    @property
    def kept_bits(self) -> int:
        """Bits of a cell in M_g: the code of c, or of what stands for it, lowest."""
        return self.levels.count("c")

    @property
    def cell_rows(self) -> int:
        """Rows of a cell."""
        return sum(map(len, self.phases))

    def phase_rows(self, phase: int) -> Ints:
        """Return the rows of all cells in `phase`, int64 [rows], row-major by row of a cell."""
        rows = np.arange(self.wx.rows).reshape(self.cell_rows, -1)
        return rows[list(self.phases[phase])].ravel()

    def check_parts(self, gates: tuple[str, ...]) -> None:
        """Raise `MubinnError` on a datapath, weights, bias, or `gates` in this order, unfit."""
        check_datapath(self.datapath)
        rows, own = self.wx.rows, self.cell_rows
        if rows % own or self.wx.bits.ndim != 3 or self.wh.bits.shape[1:] != (rows, rows // own):
            raise MubinnError(
                f"weights of shapes {self.wx.bits.shape} and {self.wh.bits.shape} "
                f"are not (W, {own}H, I) and (W, {own}H, H): check the model file."
            )
        if self.wx.levels != self.wh.levels:
            raise MubinnError("input and recurrent weights have different level counts.")
        if self.b.bits.shape[1:] != (rows,) or self.b.fraction != self.z_fraction:
            raise MubinnError(
                f"the bias does not have {rows} rows of {self.z_fraction} fraction bits."
            )
        if tuple(self.gates) != gates or len({q.levels for q in self.gates.values()}) != 1:
            raise MubinnError(f"the gates are not {', '.join(gates)} with one level count.")

    def check_gates(self) -> None:
        """Raise `MubinnError` where the activation's output cannot hold the gates' scales."""
        for name, quantizer in self.gates.items():
            if quantizer.offset.ndim or quantizer.fraction > self.formats.y_fraction:
                raise MubinnError(
                    f"the scales of gate {name} are finer than the activation's output."
                )

    @property
    def features(self) -> int:
        """Inputs I of a step."""
        return int(self.wx.bits.shape[2])

    @property
    def hidden(self) -> int:
        """Cells H."""
        return int(self.wh.bits.shape[2])

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
        found = np.empty((self.wh.rows, self.h.levels, self.wh.levels), np.int64)
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
            + self.hidden * self.gamma_h.sum(axis=(1, 2))
            + self.b.row_scales.sum(axis=1)
        )
        return int(per_row.max())

    @property
    def z_format(self) -> SumFormat:
        """Format of z."""
        return SumFormat(self.z_fraction, self.z_bound)

    @property
    def z_limit(self) -> float:
        """Bound of z in float, for scales too large to be multiplied as integers."""
        recurrent = (state.largest_product(self.wh, self.z_fraction) for state in self.states)
        return (
            self.features * self.x.largest_product(self.wx, self.z_fraction)
            + self.hidden * max(recurrent)
            + float(self.b.scales.sum(axis=1).max())
        )

    @property
    def y_limit(self) -> float:
        """Bound of the steps of a gate's encoder."""
        return 2.0**self.formats.y_fraction * (1 + max(q.largest for q in self.gates.values()))


def with_offset(quantizer: Quantizer, always: bool = False) -> Ints:
    """Return the scales, preceded by the one offset of the tensor where it is not zero."""
    if not (quantizer.has_offset or always):
        return quantizer.scales
    return np.concatenate([quantizer.offset.reshape(1), quantizer.scales])


def pair_products(left: Quantizer, right: Quantizer, fraction: int, row: bool = False) -> Ints:
    """Return g_km of an elementwise product (Eq. 5) in `fraction` bits, int64 [levels, levels].

    An offset's row or column stands first where there is one; with `row` there always is one of
    `left`.
    """
    shift = fraction - left.fraction - right.fraction
    return np.outer(with_offset(left, row), with_offset(right)) << shift
