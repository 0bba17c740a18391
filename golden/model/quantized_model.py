"""The quantized model: what the memories hold, and every format that follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.scales import LevelTensor, Quantizer
from mubinn.golden.cells.constants import INPUT_FRACTION, INPUT_RANGE, Datapath, check_bounds
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.place import check_places, stages, width
from mubinn.golden.cells.sweep import Sweep, check_sweeps
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, Ints, frozen, to_fixed
from mubinn.golden.model.embedding import check_table, looked_up
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.head import HeadKind, Reading, Readout, head_of, reading_of
from mubinn.golden.model.stacked import Stacked


@dataclass(frozen=True, eq=False)
class QuantizedDense:
    """The dense layer: scores = W_d h + b_d on the same XNOR multiplier.

    Attributes
    ----------
    w : LevelTensor, bits uint8 [W, C, H]
    b : LevelTensor, bits uint8 [B, C]
        The offset of h is folded in; fraction is that of h plus that of w.
    head : "classes", "sigmoid" or "regression"
        What the scores are, `mubinn.golden.model.head.HEADS`.
    """

    w: LevelTensor
    b: LevelTensor
    head: HeadKind = "classes"

    def __post_init__(self) -> None:
        """Validate; raise `MubinnError`."""
        if self.w.bits.ndim != 3 or self.b.bits.shape[1:] != (self.w.rows,):
            raise MubinnError("the classifier's weights and biases do not fit each other.")
        head_of(self.head).check(self.w.rows)

    def gamma(self, h: Quantizer) -> Ints:
        """Return g_ij, int64 [C, W_h, W]."""
        return h.scales[None, :, None] * self.w.row_scales[:, None, :]


def sample_codes(quantizer: Quantizer, x: npt.ArrayLike) -> Ints:
    """Return the codes of samples, of any shape: rounded to `INPUT_FRACTION`, then encoded."""
    # Beyond the largest value of a code all codes are the same, so clipping changes none.
    near = np.clip(np.asarray(x, np.float64), -INPUT_RANGE, INPUT_RANGE)
    return quantizer.encode(to_fixed(near, INPUT_FRACTION), INPUT_FRACTION)


@dataclass(frozen=True, eq=False)
class QuantizedModel(Stacked[QuantizedLayer]):
    """Stacked quantized layers and the classifier: the whole content of a model file.

    Attributes
    ----------
    layers : tuple of QuantizedLayer
        The x quantizer of layer k + 1 is the h quantizer of layer k; layers beside each other have
        the same ones.
    dense : QuantizedDense
    readout : str
        With "mean" the scores of all steps are summed; the sum decides as the mean would. With
        "every" each step has scores of its own, with "running" the sum so far, with "leaky" S of a
        leaky mean; `mubinn.golden.model.head` has all names.
    preprocessing : Preprocessing
    meta : mapping of str to str
        Free notes: data set, accuracy, command.
    embedding : int64 [V, I], or None
        Codes of x by the number that names them; the data then have one channel, of such numbers.
    """

    dense: QuantizedDense
    readout: Readout = "mean"
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    meta: Mapping[str, str] = field(default_factory=dict)
    embedding: Ints | None = None

    def __post_init__(self) -> None:
        """Validate that the layers fit each other; raise `MubinnError`."""
        object.__setattr__(self, "readout", reading_of(self.readout).name)
        check_places(self.layers)
        check_sweeps(self.layers, self.readout)
        found = stages(self.layers)
        for below, above in pairwise(found):
            if any(layer.x is not below[0].h for layer in above):
                raise MubinnError("a layer does not read the hidden state of the layer below it.")
        for stage in found:
            if any(layer.h is not stage[0].h or layer.x is not stage[0].x for layer in stage):
                raise MubinnError(
                    "layers beside each other have quantizers of x or h of their own."
                )
        if len({layer.datapath for layer in self.layers}) > 1:
            raise MubinnError("the layers have different datapaths: give all the same.")
        top, cells = self.layers[-1], width(found[-1])
        if self.dense.w.bits.shape[2] != cells:
            raise MubinnError("the classifier does not read the last layer's hidden state.")
        if self.dense.b.fraction != top.h.fraction + self.dense.w.fraction:
            raise MubinnError("the classifier's bias is not in the fraction of its products.")
        product = top.h.largest_product(self.dense.w, self.dense.b.fraction)
        logit = cells * product + float(self.dense.b.scales.sum(axis=1).max())
        check_bounds(**{"a logit": logit})
        leak = self.reading.leak
        if leak:
            check_bounds(**{f"the leaky mean with k = {leak} of a logit": logit * 2.0**leak})
        if self.embedding is not None:
            object.__setattr__(self, "embedding", frozen(self.embedding, np.int64))
            check_table(self.embedding, self.features)
            if self.embedding.min() < 0 or self.embedding.max() >> self.layers[0].x.levels:
                raise MubinnError("the embedding has numbers that are no codes of x: make it anew.")

    @property
    def levels(self) -> Levels:
        """Level counts of the first layer."""
        return self.layers[0].levels

    @property
    def datapath(self) -> Datapath:
        """What follows z in every layer."""
        return self.layers[0].datapath

    def with_datapath(self, datapath: Datapath) -> "QuantizedModel":
        """Return the same model with another datapath; raise `MubinnError` on an unknown one."""
        layers = tuple(replace(layer, datapath=datapath) for layer in self.layers)
        return replace(self, layers=layers)

    @property
    def channels(self) -> int:
        """Channels of the data: the inputs, or the one of numbers that name rows."""
        return self.features if self.embedding is None else 1

    def whole_steps(self, steps: int) -> int:
        """Return about so many steps, of whole frames where layers sweep some: one or more."""
        for layer in self.layers:
            if isinstance(layer.frames, Sweep):
                return max(1, steps // layer.frames.pixels) * layer.frames.pixels
        return steps

    @property
    def head(self) -> HeadKind:
        """What the scores are."""
        return self.dense.head

    @property
    def reading(self) -> Reading:
        """What scores are made of, and of which steps they are given."""
        return reading_of(self.readout)

    @property
    def outputs(self) -> int:
        """Scores C of a result."""
        return self.dense.w.rows

    @property
    def classes(self) -> int:
        """Classes between which the model decides; 0 where it does not."""
        return head_of(self.head).classes(self.outputs)

    def values(self, scores: Ints, steps: int) -> Floats:
        """Return what scores of windows of `steps` steps stand for: logits, or a regression's.

        ``score 2**-fraction``, divided by the count of steps that a score sums.
        """
        wide = np.ldexp(scores.astype(np.float64), -self.dense.b.fraction)
        return np.asarray(wide / self.reading.divisor(self.steps(steps)))

    @property
    def split(self) -> bool:
        """Whether a result is put together of parts of the dense layer, see `dense_of`."""
        top = self.top
        return len(top) > 1 or (top[0].place.backward and self.reading.in_order)

    def dense_of(self, index: int) -> tuple[QuantizedDense | None, Readout]:
        """Return what hardware of layer `index` has of the dense layer, and where it reads it.

        None below the top. Of several top layers each has its own columns, and the first one the
        bias: the scores are the sums of theirs, exactly, as all share their scales. Where steps
        are needed one by one, a backward layer's come in its own order, and are not summed before
        they are in that of time. A layer has a result of each step where some have.
        """
        first = len(self.layers) - len(self.top)
        if index < first or not self.split:
            return self.dense if index >= first else None, self.reading.at_each.name
        start = width(self.top[: index - first])
        w, b = self.dense.w, self.dense.b
        columns = w.bits[:, :, start : start + self.layers[index].outputs]
        if index > first:
            b = LevelTensor(np.zeros_like(b.bits), np.zeros_like(b.scales), b.fraction)
        own = QuantizedDense(LevelTensor(columns, w.scales, w.fraction), b, "regression")
        return own, "every" if self.reading.in_order else self.readout

    def encode_input(self, x: npt.NDArray[np.generic]) -> Ints:
        """Return the codes [..., I] of prepared data `x` [..., channels].

        Samples are rounded to `INPUT_FRACTION` and encoded; numbers are looked up.

        Raises
        ------
        MubinnError
            On another count of channels, NaN, or numbers that the embedding does not have.
        """
        if self.embedding is not None:
            return looked_up(self.embedding, x)
        if x.shape[-1] != self.features:
            raise MubinnError(
                f"the model reads {self.features} channels, the data have {x.shape[-1]}."
            )
        if not np.isfinite(x).all():
            raise MubinnError("the data hold NaN or infinite values: repair or drop those windows.")
        return sample_codes(self.layers[0].x, x)
