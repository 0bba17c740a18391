"""How a layer's rows are cut into cycles: lanes, level-pair products side by side, engines.

A row is one gate of one cell, or one class of the classifier. Its planes are the level pairs (i, j)
of x or h and of the weights. Each cycle one *word* of elements meets `side` of the pairs.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mubinn.golden.bias_add import BiasAddParams
from mubinn.golden.errors import MubinnError
from mubinn.golden.fixed import Ints, signed_width, unsigned_width
from mubinn.golden.float_model import Readout
from mubinn.golden.gru_cell import GruCellParams, cell_params
from mubinn.golden.lstm_cell import LstmCellParams
from mubinn.golden.lstm_model import QuantizedDense, QuantizedLayer
from mubinn.golden.scales import LevelTensor

GATE_ROWS = 4
"""Rows of a cell."""


@dataclass(frozen=True)
class Word:
    """Elements `start` to ``start + size`` of `source`, ``"x"`` or ``"h"``, in the lanes."""

    source: str
    start: int
    size: int


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """A layer, the classifier on top of it if there is one, and the parallelism.

    Attributes
    ----------
    layer : QuantizedLstm or QuantizedGru
    dense : QuantizedDense or None
    lanes : int or None
        Elements of a word. From I + H on (the default) x and h fill the lanes together and a row
        is one word; with fewer the words of x come first, then those of h.
    readout : "last" or "mean"
        Whether the classifier reads h of the last step alone or of every step.
    units : int
        XNOR multipliers. Up to `planes` of them share a row; ``units // planes`` engines of
        `planes` multipliers work on cells side by side.
    folded_bias : bool
        The bias of a row is stored as sign and magnitude; otherwise, as Figure 3 draws it, as
        level bits in M_B and scales in M_s.
    target : str
        What the hardware is made of: ``"asic"`` cells, or an FPGA's ``"lut4"`` or ``"xc7"``.
    """

    layer: QuantizedLayer
    dense: QuantizedDense | None = None
    lanes: int | None = None
    units: int = 1
    folded_bias: bool = True
    readout: Readout = "mean"
    target: str = "asic"

    def __post_init__(self) -> None:
        """Raise `MubinnError` on parallelism below 1."""
        for name, count in (("lanes", self.lanes), ("units", self.units)):
            if count is not None and count < 1:
                raise MubinnError(f"{count} {name} compute nothing: give 1 or more.")

    @property
    def cell(self) -> LstmCellParams | GruCellParams:
        """Parameters of the units of the layer's cell."""
        params = cell_params(self.layer)
        if isinstance(params, LstmCellParams):
            return replace(params, interval=self.beats, target=self.target)
        return params

    # Levels and parallelism.

    @property
    def left(self) -> int:
        """Levels of x or of h, whichever has more."""
        return max(self.layer.x.levels, self.layer.h.levels)

    @property
    def weights(self) -> int:
        """Levels of the weights, the classifier's included."""
        return max(self.layer.wx.levels, self.dense.w.levels if self.dense else 1)

    @property
    def planes(self) -> int:
        """Level-pair products of a row."""
        return self.left * self.weights

    @property
    def side(self) -> int:
        """Multipliers of one engine."""
        return min(self.units, self.planes)

    @property
    def engines(self) -> int:
        """Engines side by side; engine e has the cells e, e + engines, ..."""
        return max(1, self.units // self.planes)

    @property
    def cycles(self) -> int:
        """Cycles of a word: the last one may leave multipliers idle."""
        return -(-self.planes // self.side)

    @property
    def whole(self) -> bool:
        """Whether a row is one word."""
        return self.lanes is None or self.lanes >= self.layer.features + self.layer.hidden

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The words of a row in order; a whole row has none of its own."""
        if self.lanes is None or self.whole:
            return ()
        sizes = (("x", self.layer.features), ("h", self.layer.hidden))
        return tuple(
            Word(source, start, min(self.lanes, size - start))
            for source, size in sizes
            for start in range(0, size, self.lanes)
        )

    @property
    def x_words(self) -> int:
        """Words of x, which the classifier's rows leave out."""
        return sum(word.source == "x" for word in self.words)

    @property
    def beats(self) -> int:
        """Cycles of a gate's row."""
        return max(1, len(self.words)) * self.cycles

    @property
    def dense_beats(self) -> int:
        """Cycles of a class's row."""
        return max(1, len(self.words) - self.x_words) * self.cycles

    @property
    def rounds(self) -> int:
        """Cells of an engine; the last one may be a dummy."""
        return -(-self.layer.hidden // self.engines)

    @property
    def dense_rounds(self) -> int:
        """Classes of an engine; the last one may be a dummy."""
        return -(-self.dense.w.rows // self.engines) if self.dense else 0

    @property
    def gate_beats(self) -> int:
        """Cycles of all gates of a step: ``4 ceil(H / engines) beats``."""
        return GATE_ROWS * self.rounds * self.beats

    @property
    def class_beats(self) -> int:
        """Cycles of the classifier for one state: ``ceil(C / engines) dense_beats``."""
        return self.dense_rounds * self.dense_beats

    # Which pair meets in which cycle and multiplier.

    @cached_property
    def pairs(self) -> tuple[tuple[tuple[int, int] | None, ...], ...]:
        """For each cycle and multiplier the level pair (i, j), or None. The left level runs."""
        table = []
        for cycle in range(self.cycles):
            numbers = range(cycle * self.side, (cycle + 1) * self.side)
            table.append(
                tuple((q % self.left, q // self.left) if q < self.planes else None for q in numbers)
            )
        return tuple(table)

    @cached_property
    def slots(self) -> int:
        """Weight planes that a cycle may need at once."""
        return max(len({pair[1] for pair in cycle if pair}) for cycle in self.pairs)

    @cached_property
    def first_planes(self) -> tuple[int, ...]:
        """For each cycle the lowest of the `slots` weight planes in the memory's word."""
        lowest = (min(pair[1] for pair in cycle if pair) for cycle in self.pairs)
        return tuple(min(low, self.weights - self.slots) for low in lowest)

    @property
    def plane_words(self) -> tuple[int, ...]:
        """The lowest weight planes of the memory's words of one word of elements."""
        return tuple(dict.fromkeys(self.first_planes))

    @cached_property
    def rows(self) -> Ints:
        """The layer's row in each place, int64 [4 rounds, engines]; -1 is a dummy's."""
        hidden = self.layer.hidden
        cells = np.arange(self.rounds * self.engines).reshape(-1, 1, self.engines)
        rows = np.arange(GATE_ROWS)[None, :, None] * hidden + cells
        return np.where(cells < hidden, rows, -1).reshape(-1, self.engines)

    @cached_property
    def dense_rows(self) -> Ints:
        """The class in each place, int64 [dense_rounds, engines]; -1 is a dummy's."""
        classes = np.arange(self.dense_rounds * self.engines).reshape(-1, self.engines)
        return np.where(classes < (self.dense.w.rows if self.dense else 0), classes, -1)

    # Scales and widths.

    @property
    def scaled_rows(self) -> bool:
        """Whether M_s has an entry for every row, instead of one a gate and one for the classes."""
        tensors = [self.layer.wx, self.layer.wh]
        dense: list[LevelTensor] = [self.dense.w] if self.dense else []
        if not self.folded_bias:
            tensors.append(self.layer.b)
            dense += [self.dense.b] if self.dense else []
        return any(len(t.scales) > GATE_ROWS for t in tensors) or any(
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
        """Bits of an unsigned g_ij."""
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
        bound = self.layer.z_bound
        if self.dense:
            products = self.layer.hidden * self.gammas["dense"].sum(axis=(1, 2))
            bound = max(bound, int((products + self.dense.b.row_scales.sum(axis=1)).max()))
        return signed_width(bound)

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
            product_width=width if self.side == 1 else min(width, self.z_width),
            scale_width=unsigned_width(largest),
            sum_width=self.z_width,
        )

    def bias(self, tensor: LevelTensor) -> tuple[Ints, Ints]:
        """Return codes [R] and scales [R, levels] of a bias tensor as the Add unit takes them."""
        if self.folded_bias:
            return (tensor.values >= 0).astype(np.int64), np.abs(tensor.values)[:, None]
        levels = self.bias_add.levels
        codes = np.zeros(tensor.rows, np.int64)
        for level, plane in enumerate(tensor.bits):
            codes |= plane.astype(np.int64) << level
        return codes, np.pad(tensor.row_scales, ((0, 0), (0, levels - tensor.levels)))
