"""What a layer's hardware is derived from: how rows are cut into cycles, and all widths."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mubinn.golden.binarize.scales import LevelTensor
from mubinn.golden.folding.merged_rows import MergedRows, merged_rows
from mubinn.golden.folding.row_plan import RowPlan, Word
from mubinn.golden.ground.fixed import Ints, signed_width, unsigned_width
from mubinn.golden.units.bias_add import BiasAddParams

__all__ = ["LayerPlan", "Word"]


@dataclass(frozen=True, eq=False)
class LayerPlan(RowPlan):
    """`RowPlan`, which holds the attributes, with the scales of its rows and the widths of sums."""

    @cached_property
    def merged(self) -> MergedRows | None:
        """How a row's level pairs merge to one weighted count, where all of them meet at once."""
        if not (self.whole and self.schedule.cycles == 1 and self.folded_bias):
            return None
        gammas = {"x": self.layer.gamma_x, "h": self.layer.gamma_h}
        if self.dense:
            gammas["dense"] = self.dense.gamma(self.layer.h)
        found = merged_rows(gammas, {"x": self.layer.features, "h": self.layer.hidden})
        # A single pair with a unit of its own is what the multiplier does anyway.
        return found if found and (self.planes > 1 or found.constant) else None

    @property
    def scales(self) -> int:
        """Scales that a part takes in a cycle: g_ij of each multiplier, or the unit, or none."""
        if self.merged is None:
            return self.side
        return 0 if self.merged.constant else 1

    def row_scales(self, source: str, row: int, following: int, cycle: int) -> list[int]:
        """Return the scales of a cycle of the pattern, ``"x"``, ``"h"`` or ``"dense"``.

        It begins in `row`; `following` is the row that may begin in it.
        """
        if self.merged is not None:
            return [int(self.merged.units[source][row])] * self.scales
        now, later = (self.gammas[source][r] for r in (row, following))
        return [
            0 if pair is None else int((later if late else now)[pair])
            for pair, late in zip(
                self.schedule.pairs[cycle], self.schedule.late[cycle], strict=True
            )
        ]

    @property
    def scaled_rows(self) -> bool:
        """Whether M_s has an entry for every row, instead of one a gate and one for the classes."""
        tensors = [self.layer.wx, self.layer.wh]
        dense: list[LevelTensor] = [self.dense.w] if self.dense else []
        if not self.folded_bias:
            tensors.append(self.layer.b)
            dense += [self.dense.b] if self.dense else []
        return any(len(t.scales) > self.layer.cell_rows for t in tensors) or any(
            len(t.scales) > 1 for t in dense
        )

    @cached_property
    def gammas(self) -> dict[str, Ints]:
        """g_ij by source, int64 [rows, left, weights]; 0 for pairs that a product has not."""
        found = {"x": self.layer.gamma_x, "h": self.layer.gamma_h}
        if self.dense:
            found["dense"] = self.dense.gamma(self.layer.h)
        return {
            name: np.pad(
                gamma, ((0, 0), (0, self.left - gamma.shape[1]), (0, self.weights - gamma.shape[2]))
            )
            for name, gamma in found.items()
        }

    @property
    def gamma_width(self) -> int:
        """Bits of an unsigned g_ij, or of the unit of a merged row."""
        if self.merged:
            return unsigned_width(max(int(unit.max()) for unit in self.merged.units.values()))
        return unsigned_width(max(int(gamma.max()) for gamma in self.gammas.values()))

    @property
    def parts(self) -> dict[str, int]:
        """The operands that meet in a cycle: name and lanes of each."""
        if self.whole:
            return {"x": self.layer.features, "h": self.layer.hidden}
        return {"part": int(self.lanes or 0)}

    @property
    def dot_width(self) -> int:
        """Bits of a signed dot product over the larger part."""
        return signed_width(max(self.parts.values()))

    @cached_property
    def z_width(self) -> int:
        """Bits of a row's sum, for gates and classes."""
        return signed_width(max(self.layer.z_bound, self.dense_bound))

    @cached_property
    def dense_bound(self) -> int:
        """Largest magnitude of a class's sum in one step; 0 without a classifier."""
        if self.dense is None:
            return 0
        products = self.layer.hidden * self.gammas["dense"].sum(axis=(1, 2))
        return int((products + self.dense.b.row_scales.sum(axis=1)).max())

    @property
    def logit_width(self) -> int:
        """Bits of a logit, which cannot overflow in up to `step_limit` steps."""
        return signed_width(self.dense_bound * (self.step_limit or 1))

    @property
    def _biases(self) -> list[LevelTensor]:
        return [self.layer.b, *([self.dense.b] if self.dense else [])]

    @property
    def bias_add(self) -> BiasAddParams:
        """Parameters of the Add unit; a folded bias has one level, its magnitude."""
        if self.folded_bias:
            levels, largest = 1, max(int(np.abs(b.values).max()) for b in self._biases)
        else:
            levels = max(b.levels for b in self._biases)
            largest = max(int(b.scales.max()) for b in self._biases)
        # A sum of several products is reduced modulo the sum's width as soon as it exceeds it.
        width = self.dot_width + self.gamma_width + (self.side - 1).bit_length()
        return BiasAddParams(
            levels=levels,
            # Rows that share a cycle hand a part of their sum over as a product.
            product_width=self.z_width
            if self.rolling
            else width
            if self.side == 1
            else min(width, self.z_width),
            scale_width=unsigned_width(largest),
            sum_width=self.z_width,
        )

    def bias(self, tensor: LevelTensor) -> tuple[Ints, Ints]:
        """Return codes [R] and scales [R, levels] of a bias tensor as the Add unit takes them.

        Where rows merge the code is the sign bit of a two's complement number, the scale its rest.
        """
        if self.merged:
            width = self.bias_add.scale_width
            return (tensor.values < 0).astype(np.int64), tensor.values[:, None] % (1 << width)
        if self.folded_bias:
            return (tensor.values >= 0).astype(np.int64), np.abs(tensor.values)[:, None]
        levels = self.bias_add.levels
        codes = np.zeros(tensor.rows, np.int64)
        for level, plane in enumerate(tensor.bits):
            codes |= plane.astype(np.int64) << level
        return codes, np.pad(tensor.row_scales, ((0, 0), (0, levels - tensor.levels)))
