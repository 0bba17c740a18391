"""How a layer is folded onto hardware: rows cut into cycles, and all widths that follow.

A row is one gate of one cell, or one class of the classifier. Its planes are the level pairs (i, j)
of x or h and of the weights. Each cycle one *word* of elements meets `side` of the pairs.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mubinn.golden.binarize.scales import LevelTensor
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.folding.cell_design import CellDesign
from mubinn.golden.folding.merged_rows import MergedRows, merged_rows
from mubinn.golden.folding.row_schedule import RowSchedule
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints, signed_width, unsigned_width
from mubinn.golden.model.head import Reading, Readout, reading_of
from mubinn.golden.model.quantized_model import QuantizedDense
from mubinn.golden.units.bias_add import BiasAddParams

MAX_STEPS = 4096
"""Steps of the longest window, where nothing else is asked for."""


@dataclass(frozen=True)
class Word:
    """Elements `start` to ``start + size`` of `source`, ``"x"`` or ``"h"``, in the lanes."""

    source: str
    start: int
    size: int


@dataclass(frozen=True)
class Pass:
    """What the rows of a phase meet, or those of the classifier.

    Attributes
    ----------
    reads_x : bool
    columns : int
        Elements of h, or of what stands in its place.
    words : tuple of Word
        None of their own where a row is one word.
    first : int
        Place of the first one among all words of x and h.
    """

    reads_x: bool
    columns: int
    words: tuple[Word, ...]
    first: int

    @property
    def count(self) -> int:
        """Words of a row."""
        return max(1, len(self.words))


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """A layer, the classifier on top of it if there is one, and the parallelism.

    Attributes
    ----------
    layer : QuantizedLayer
    dense : QuantizedDense or None
    lanes : int or None
        Elements of a word. From I + H on (the default) x and h fill the lanes together and a row
        is one word; with fewer the words of x come first, then those of h. Where nothing meets h,
        as in a dense layer below others, I are enough.
    readout : str
        Whether the dense layer reads h of the last step alone or of every step, and which scores
        are a result: of a window's last step or of each one.
    units : int
        XNOR multipliers. Up to `planes` of them share a row; with more, `engines` work on cells
        side by side.
    folded_bias : bool
        The bias of a row is stored as sign and magnitude; otherwise, as Figure 3 draws it, as
        level bits in M_B and scales in M_s.
    network : str
        What the hardware is made of: ``"asic"`` cells, or an FPGA's ``"lut4"`` or ``"xc7"``;
        ``"xc7-plain"`` is the last without instances of its cells, for simulation.
    max_steps : int
        Steps of the longest window: where scores are sums over steps they are as wide as those of
        so many steps can be.
    packed : bool
        Where rows are one word and `side` does not divide `planes`, a cycle that ends a row begins
        the next one; otherwise multipliers idle in a row's last cycle.
    """

    layer: QuantizedLayer
    dense: QuantizedDense | None = None
    lanes: int | None = None
    units: int = 1
    folded_bias: bool = True
    readout: Readout = "mean"
    network: str = "asic"
    max_steps: int = MAX_STEPS
    packed: bool = True

    def __post_init__(self) -> None:
        """Raise `MubinnError` on parallelism or steps below 1, or results of some steps."""
        counts = {"lanes": self.lanes, "units": self.units, "steps": self.max_steps}
        for name, count in counts.items():
            if count is not None and count < 1:
                raise MubinnError(f"{count} {name} compute nothing: give 1 or more.")
        if self.reading != self.reading.at_each:
            raise MubinnError(
                f"a layer has results of every step, and the readout {self.readout} is of some: "
                f"give {self.reading.at_each.name}, and choose among its results."
            )

    @property
    def sweep(self) -> Sweep | None:
        """The sweep of a layer that has states of pixels; None where its state is of all steps."""
        layer = self.layer
        stateful = bool(layer.cell.kept or layer.sizes.columns)
        return layer.frames if stateful and isinstance(layer.frames, Sweep) else None

    @property
    def pixels(self) -> int:
        """Pixels of which the cells have a state each."""
        return self.sweep.pixels if self.sweep else 1

    @property
    def load_cycles(self) -> int:
        """Cycles before a step in which h of the pixels around is read."""
        return self.sweep.taps if self.sweep and self.layer.sizes.columns else 0

    @property
    def reading(self) -> Reading:
        """Of which steps there are results."""
        return reading_of(self.readout)

    @property
    def step_limit(self) -> int | None:
        """Steps of the longest window; None where no sum grows with them."""
        return self.max_steps if self.dense and self.reading.sums else None

    def check_steps(self, steps: int) -> None:
        """Raise `MubinnError` on windows of more steps than the logits can hold."""
        if self.step_limit is not None and steps > self.step_limit:
            raise MubinnError(
                f"a window of {steps} steps is longer than the {self.step_limit} that the logits "
                f"hold: make the accelerator for {steps} steps or more."
            )

    @property
    def cell(self) -> CellDesign:
        """What the second half of the layer's cell is made for."""
        return CellDesign(self.layer, self.interval, self.network)

    # Levels and parallelism.

    @property
    def left(self) -> int:
        """Levels that rows read of x or of h, whichever has more; of x where nothing meets h."""
        return max(self.layer.x.levels, self.layer.states[0].levels if self.state_lanes else 0)

    @property
    def weights(self) -> int:
        """Levels of the weights, the classifier's included where it shares the schedule."""
        shared = self.dense.w.levels if self.dense and not self.apart else 1
        return max(self.layer.wx.levels, shared)

    @property
    def apart(self) -> bool:
        """Whether the classifier's rows have level pairs of their own: they read all of h."""
        return self.dense is not None and self.layer.read is not None

    @property
    def planes(self) -> int:
        """Level-pair products of a row."""
        return self.left * self.weights

    @cached_property
    def _split(self) -> tuple[int, int]:
        """Engines and multipliers of each."""
        few = max(1, self.units // self.planes)
        if self.apart or not (self.whole and self.packed):
            return few, min(self.units, self.planes)
        counts = range(few, max(few, self.units) + 1 if self.units > self.planes else few + 1)
        ways = [(n, min(self.units // n, self.planes)) for n in counts]
        least = -(-self._rows(1) * self.planes // self.units)
        good = (way for way in ways if self._pace(*way) <= 1.05 * least)
        return next(good, None) or min(ways, key=lambda way: self._pace(*way))

    def _rows(self, engines: int) -> int:
        """Return the rows that an engine has in each step."""
        classes = self.dense.w.rows if self.dense and self.reading.every_step else 0
        own = (-(-count // engines) for count in self.layer.sizes.row_counts)
        return sum(own) + -(-classes // engines)

    def _pace(self, engines: int, side: int) -> int:
        """Return the cycles of an engine's rows where they share cycles."""
        return RowSchedule(self.left, self.weights, side, packed=True).count(self._rows(engines))

    @property
    def side(self) -> int:
        """Multipliers of one engine, ``min(units, planes)`` or fewer."""
        return self._split[1]

    @property
    def engines(self) -> int:
        """Engines side by side; engine e has the cells e, e + engines, ...

        Where rows may share cycles, the fewest that keep 95 % of all multipliers busy, or else the
        fastest; otherwise ``max(1, units // planes)``.
        """
        return self._split[0]

    @property
    def rolling(self) -> bool:
        """Whether a cycle may end a row and begin the next."""
        return self.packed and self.whole and not self.apart and self.planes % self.side != 0

    @property
    def whole(self) -> bool:
        """Whether a row is one word."""
        return self.lanes is None or self.lanes >= self.layer.features + self.state_lanes

    @property
    def state_lanes(self) -> int:
        """Elements of the longest vector that meets W_h, or the classifier; 0 for none."""
        return max(self.layer.sizes.columns, self.layer.outputs if self.dense else 0)

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The longest words of x, and of h, in order; a whole row has none of its own."""
        return self._cut("x", self.layer.features) + self._cut("h", self.state_lanes)

    def _cut(self, source: str, size: int) -> tuple[Word, ...]:
        if self.lanes is None or self.whole:
            return ()
        starts = range(0, size, self.lanes)
        return tuple(Word(source, start, min(self.lanes, size - start)) for start in starts)

    @property
    def x_words(self) -> int:
        """Words of x, which the classifier's rows leave out."""
        return sum(word.source == "x" for word in self.words)

    @cached_property
    def passes(self) -> tuple[Pass, ...]:
        """What the rows of each phase meet, and last those of the classifier, if there is one."""
        sizes, cell = self.layer.sizes, self.layer.cell
        reads_x = set(cell.reading("wx"))
        found = [
            # A step begins with x.
            (phase == 0 or bool(reads_x & {*places}), sizes.phase_columns(phase))
            for phase, places in enumerate(cell.phases)
        ]
        found += [(False, self.layer.outputs)] if self.dense else []
        of_x = self._cut("x", self.layer.features)
        return tuple(
            Pass(own, columns, of_x * own + self._cut("h", columns), 0 if own else len(of_x))
            for own, columns in found
        )

    @property
    def odd_parts(self) -> tuple[str, ...]:
        """Parts of which rows leave an odd count of lanes unused, or may do so."""
        if not self.whole:
            return tuple(self.parts)
        odd = {own.columns % 2 for own in self.passes if own.columns}
        return () if odd <= {self.state_lanes % 2} else ("h",)

    @property
    def issues(self) -> int:
        """Most cycles that a gate's row meets."""
        return max(own.count for own in self._rows_of_cells) * self.schedule.issues

    @property
    def interval(self) -> int:
        """Least cycles from one gate's sum to the next."""
        return min(own.count for own in self._rows_of_cells) * self.schedule.interval

    @property
    def _rows_of_cells(self) -> tuple[Pass, ...]:
        return self.passes[: len(self.layer.phases)]

    @property
    def rounds(self) -> int:
        """Cells of an engine; the last one may be a dummy."""
        return -(-self.layer.hidden // self.engines)

    @cached_property
    def phase_rounds(self) -> tuple[int, ...]:
        """Cells, or outputs of a projection, of an engine in each phase."""
        counts = map(self.layer.sizes.phase_count, range(len(self.layer.phases)))
        return tuple(-(-count // self.engines) for count in counts)

    @property
    def dense_rounds(self) -> int:
        """Classes of an engine; the last one may be a dummy."""
        return -(-self.dense.w.rows // self.engines) if self.dense else 0

    @property
    def gate_issues(self) -> int:
        """Cycles of all gates of a step, those of each phase begun anew."""
        own = zip(self._rows_of_cells, self.phase_rows, strict=True)
        return sum(meets.count * self.schedule.count(len(rows)) for meets, rows in own)

    @property
    def class_issues(self) -> int:
        """Cycles of the classifier for one state: ``ceil(C / engines)`` rows."""
        return self.passes[-1].count * self.class_schedule.count(self.dense_rounds)

    @cached_property
    def schedule(self) -> RowSchedule:
        """Which pair meets in which cycle and multiplier."""
        return RowSchedule(self.left, self.weights, self.side, self.rolling)

    @cached_property
    def class_schedule(self) -> RowSchedule:
        """The same of the classifier's rows."""
        if not self.apart or self.dense is None:
            return self.schedule
        return RowSchedule(self.layer.h.levels, self.dense.w.levels, self.side, packed=False)

    @property
    def slots(self) -> int:
        """Weight planes in a word of M_w."""
        return max(self.schedule.slots, self.class_schedule.slots)

    @cached_property
    def phase_rows(self) -> tuple[Ints, ...]:
        """The layer's row in each place by phase, int64 [rows, engines]; -1 is a dummy's."""
        found = []
        for phase, rounds in enumerate(self.phase_rounds):
            count = self.layer.sizes.phase_count(phase)
            firsts = [self.layer.row_slice(place).start for place in self.layer.phases[phase]]
            cells = np.arange(rounds * self.engines).reshape(-1, 1, self.engines)
            rows = np.where(cells < count, np.array(firsts)[None, :, None] + cells, -1)
            found.append(rows.reshape(-1, self.engines))
        return tuple(found)

    @cached_property
    def rows(self) -> Ints:
        """The layer's row in each place, phase after phase, int64 [rows, engines]."""
        return np.concatenate(self.phase_rows)

    @cached_property
    def dense_rows(self) -> Ints:
        """The class in each place, int64 [dense_rounds, engines]; -1 is a dummy's."""
        classes = np.arange(self.dense_rounds * self.engines).reshape(-1, self.engines)
        return np.where(classes < (self.dense.w.rows if self.dense else 0), classes, -1)

    # Scales and widths.

    @cached_property
    def merged(self) -> MergedRows | None:
        """How a row's level pairs merge to one weighted count, where all of them meet at once."""
        if self.apart or not (self.whole and self.schedule.cycles == 1 and self.folded_bias):
            return None
        found = merged_rows(self._own_gammas, self.parts)
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
        schedule = self.class_schedule if source == "dense" else self.schedule
        return [
            0 if pair is None else int((later if late else now)[pair])
            for pair, late in zip(schedule.pairs[cycle], schedule.late[cycle], strict=True)
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
        found = {}
        for name, gamma in self._own_gammas.items():
            pairs = self.class_schedule if name == "dense" else self.schedule
            more = pairs.left - gamma.shape[1], pairs.weights - gamma.shape[2]
            found[name] = np.pad(gamma, ((0, 0), *((0, count) for count in more)))
        return found

    @property
    def _own_gammas(self) -> dict[str, Ints]:
        """g_ij by source, int64 [rows, levels, W] of each."""
        dense = {"dense": self.dense.gamma(self.layer.h)} if self.dense else {}
        # Where nothing meets h its scales are 0, whatever its levels.
        return {"x": self.layer.gamma_x, "h": self.layer.gamma_h[:, : self.left]} | dense

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
            sizes = {"x": self.layer.features, "h": self.state_lanes}
            return {name: lanes for name, lanes in sizes.items() if lanes}
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
        products = self.layer.outputs * self.gammas["dense"].sum(axis=(1, 2))
        return int((products + self.dense.b.row_scales.sum(axis=1)).max())

    @property
    def logit_width(self) -> int:
        """Bits of a logit, which cannot overflow in up to `step_limit` steps."""
        return signed_width(self.reading.bound(self.dense_bound, self.step_limit or 1))

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
        codes = (1 << np.arange(tensor.levels)) @ tensor.bits.astype(np.int64)
        return codes, np.pad(tensor.row_scales, ((0, 0), (0, levels - tensor.levels)))
