"""The quantized model: what the memories hold, and every format that follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.scales import LevelTensor, Quantizer
from mubinn.golden.cells.formats import Formats as Formats
from mubinn.golden.cells.limits import check_dense, check_layer
from mubinn.golden.cells.recurrent_layer import RecurrentLayer
from mubinn.golden.cells.threshold_tables import ThresholdTables
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints, to_fixed
from mubinn.golden.model.float_model import GATES, READOUTS, Cell, Preprocessing, Readout

if TYPE_CHECKING:
    from mubinn.golden.cells.gru_before_model import QuantizedGruBefore
    from mubinn.golden.cells.gru_model import QuantizedGru

QuantizedLayer: TypeAlias = "QuantizedLstm | QuantizedGru | QuantizedGruBefore"
Datapath = Literal["figure3", "threshold"]
DATAPATHS: tuple[Datapath, ...] = get_args(Datapath)
"""What follows z: the units of Figure 3, or thresholds and tables over codes."""

INPUT_FRACTION = 12
"""Fraction bits of an input sample before its encoder; x scales have at most as many."""

INPUT_RANGE = 2.0**32
"""Input samples are clipped to this magnitude, which is beyond every threshold."""


@dataclass(frozen=True, eq=False)
class QuantizedLstm(RecurrentLayer):
    """One LSTM layer in level bits and integer scales. Rows are gate * H + cell, gates as `GATES`.

    Attributes
    ----------
    x, h, c : Quantizer
        Offsets of x and h (one, or one per element) are folded into the bias, so the products use
        the signs alone; they still move the encoders' thresholds.
    gates : mapping of gate name to Quantizer
    wx : LevelTensor, bits uint8 [W, 4H, I]
    wh : LevelTensor, bits uint8 [W, 4H, H]
    b : LevelTensor, bits uint8 [B, 4H]
        The folded bias, in the fraction of z.
    formats : Formats
        Of the activation units; thresholds have none.
    datapath : "figure3" or "threshold"
    """

    x: Quantizer
    h: Quantizer
    c: Quantizer
    gates: Mapping[str, Quantizer]
    wx: LevelTensor
    wh: LevelTensor
    b: LevelTensor
    formats: Formats = field(default_factory=Formats)
    datapath: Datapath = "figure3"

    def __post_init__(self) -> None:
        """Validate that the parts fit; raise `MubinnError`."""
        check_datapath(self.datapath)
        self.check_parts(GATES)
        for name, size in (("x", self.features), ("h", self.hidden), ("c", 1)):
            if getattr(self, name).offset.shape not in ((), (size,)):
                raise MubinnError(f"the offset of {name} is neither one number nor {size}.")
        self.check_gates()
        if self.h.fraction > self.h_raw_fraction or self.x.fraction > INPUT_FRACTION:
            raise MubinnError("the scales of x or h are finer than the numbers they encode.")
        check_layer(self)

    @property
    def levels(self) -> Levels:
        """Level counts of all tensors."""
        return Levels(
            x=self.x.levels,
            w=self.wx.levels,
            h=self.h.levels,
            c=self.c.levels,
            gate=self.gates["f"].levels,
            b=self.b.levels,
        )

    @property
    def c_raw_fraction(self) -> int:
        """Fraction bits of f c + i g."""
        f, i, g = (self.gates[name] for name in "fig")
        return max(f.fraction + self.c.fraction, i.fraction + g.fraction)

    @property
    def h_raw_fraction(self) -> int:
        """Fraction bits of o tanh(c)."""
        return self.gates["o"].fraction + self.formats.y_fraction

    @cached_property
    def thresholds(self) -> ThresholdTables:
        """All numbers of the threshold datapath."""
        return ThresholdTables.of(self)

    @cached_property
    def gamma_fc(self) -> Ints:
        """g_km of f c (Eq. 5), int64; an offset's row or column stands first where there is one."""
        return self._gamma_pair(self.gates["f"], self.c)

    @cached_property
    def gamma_ig(self) -> Ints:
        """g_km of i g (Eq. 5), int64; an offset's row or column stands first where there is one."""
        return self._gamma_pair(self.gates["i"], self.gates["g"])

    def _gamma_pair(self, left: Quantizer, right: Quantizer) -> Ints:
        shift = self.c_raw_fraction - left.fraction - right.fraction
        return np.outer(with_offset(left), with_offset(right)) << shift


def check_datapath(name: str) -> None:
    """Raise `MubinnError` on a datapath that is unknown."""
    if name not in DATAPATHS:
        raise MubinnError(f"unknown datapath {name!r}: give {' or '.join(DATAPATHS)}.")


def with_offset(quantizer: Quantizer, always: bool = False) -> Ints:
    """Return the scales, preceded by the one offset of the tensor where it is not zero."""
    if not (quantizer.has_offset or always):
        return quantizer.scales
    return np.concatenate([quantizer.offset.reshape(1), quantizer.scales])


@dataclass(frozen=True, eq=False)
class QuantizedDense:
    """The classifier: logits = W_d h + b_d on the same XNOR multiplier.

    Attributes
    ----------
    w : LevelTensor, bits uint8 [W, C, H]
    b : LevelTensor, bits uint8 [B, C]
        The offset of h is folded in; fraction is that of h plus that of w.
    """

    w: LevelTensor
    b: LevelTensor

    def __post_init__(self) -> None:
        """Validate; raise `MubinnError`."""
        if self.w.bits.ndim != 3 or self.b.bits.shape[1:] != (self.w.rows,):
            raise MubinnError("the classifier's weights and biases do not fit each other.")
        if self.w.rows < 2:
            raise MubinnError("the classifier has one class: give a model of 2 classes or more.")

    def gamma(self, h: Quantizer) -> Ints:
        """Return g_ij, int64 [C, W_h, W]."""
        return h.scales[None, :, None] * self.w.row_scales[:, None, :]


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """Stacked quantized layers and the classifier: the whole content of a model file.

    Attributes
    ----------
    layers : tuple of QuantizedLstm, of QuantizedGru or of QuantizedGruBefore
        The x quantizer of layer k + 1 is the h quantizer of layer k.
    dense : QuantizedDense
    readout : "last" or "mean"
        With "mean" the logits of all steps are summed; the sum decides as the mean would.
    preprocessing : Preprocessing
    meta : mapping of str to str
        Free notes: data set, accuracy, command.
    """

    layers: tuple["QuantizedLayer", ...]
    dense: QuantizedDense
    readout: Readout = "mean"
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    meta: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Validate that the layers fit each other; raise `MubinnError`."""
        if not self.layers:
            raise MubinnError("the model has no LSTM layer: give at least one.")
        for below, above in zip(self.layers, self.layers[1:], strict=False):
            if above.features != below.hidden or above.x is not below.h:
                raise MubinnError("a layer does not read the hidden state of the layer below it.")
        if len({(type(layer), layer.datapath) for layer in self.layers}) > 1:
            raise MubinnError("the layers have different cells or datapaths: give all the same.")
        top = self.layers[-1]
        if self.dense.w.bits.shape[2] != top.hidden:
            raise MubinnError("the classifier does not read the last layer's hidden state.")
        if self.dense.b.fraction != top.h.fraction + self.dense.w.fraction:
            raise MubinnError("the classifier's bias is not in the fraction of its products.")
        check_dense(self.dense, top.h, top.hidden)
        if self.readout not in READOUTS:
            raise MubinnError(f"unknown readout {self.readout!r}: give last or mean.")

    @property
    def levels(self) -> Levels:
        """Level counts of the first layer."""
        return self.layers[0].levels

    @property
    def cell(self) -> Cell:
        """What the layers consist of."""
        return "lstm" if isinstance(self.layers[0], QuantizedLstm) else "gru"

    @property
    def lstm_layers(self) -> tuple[QuantizedLstm, ...]:
        """The layers, for what works on LSTMs alone; raise `MubinnError` for a GRU."""
        found = tuple(layer for layer in self.layers if isinstance(layer, QuantizedLstm))
        if len(found) != len(self.layers):
            raise MubinnError("the model is a GRU where an LSTM is needed: give an LSTM.")
        return found

    @property
    def datapath(self) -> Datapath:
        """What follows z in every layer."""
        return self.layers[0].datapath

    def with_datapath(self, datapath: Datapath) -> "QuantizedModel":
        """Return the same model with another datapath; raise `MubinnError` on an unknown one."""
        layers = tuple(replace(layer, datapath=datapath) for layer in self.layers)
        return replace(self, layers=layers)

    @property
    def features(self) -> int:
        """Inputs I of the first layer."""
        return self.layers[0].features

    @property
    def classes(self) -> int:
        """Classes C."""
        return self.dense.w.rows

    def encode_input(self, x: np.ndarray) -> Ints:
        """Return the x codes of prepared samples: rounded to `INPUT_FRACTION` bits, then encoded.

        Parameters
        ----------
        x : float [..., I]

        Raises
        ------
        MubinnError
            On another count of features, or NaN.
        """
        if x.shape[-1] != self.features:
            raise MubinnError(
                f"the model reads {self.features} channels, the data have {x.shape[-1]}."
            )
        if not np.isfinite(x).all():
            raise MubinnError("the data hold NaN or infinite values: repair or drop those windows.")
        # Beyond the largest value of a code all codes are the same, so clipping changes none.
        near = np.clip(np.asarray(x, np.float64), -INPUT_RANGE, INPUT_RANGE)
        return self.layers[0].x.encode(to_fixed(near, INPUT_FRACTION), INPUT_FRACTION)
