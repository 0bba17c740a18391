"""Raw input samples in fixed point, as the accelerator takes them."""

from dataclasses import dataclass

import numpy as np

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints, saturate, signed_width, to_fixed
from mubinn.golden.model.quantized_model import QuantizedModel


@dataclass(frozen=True, eq=False)
class SampleFormat:
    """Signed samples of `width` bits, `INPUT_FRACTION` of them fraction, and what encodes them.

    Attributes
    ----------
    quantizer : Quantizer
        Of x.
    features : int
        Samples of a frame.
    width : int
        Wide enough that clipping to it changes no code.
    """

    quantizer: Quantizer
    features: int
    width: int

    def __post_init__(self) -> None:
        """Raise `MubinnError` if the width does not reach beyond every threshold."""
        least = self.least_width(self.quantizer)
        if self.width < least:
            raise MubinnError(
                f"samples of {self.width} bits do not reach the input's largest value: "
                f"give {least} or more."
            )

    @staticmethod
    def least_width(quantizer: Quantizer) -> int:
        """Return the bits of samples that reach beyond every threshold."""
        return signed_width(quantizer.reach << INPUT_FRACTION - quantizer.fraction)

    @classmethod
    def of(cls, model: QuantizedModel, width: int) -> "SampleFormat":
        """Return the format of a model's input; raise `MubinnError` where that is words."""
        if model.embedding is not None:
            raise MubinnError(
                "the model reads words, whose level bits are looked up before they are sent: leave "
                "out the width of samples."
            )
        return cls(model.layers[0].x, model.features, width)

    def quantize(self, x: np.ndarray) -> Ints:
        """Return float samples as integers of `width` bits: rounded half up, then clipped."""
        return saturate(to_fixed(x, INPUT_FRACTION), self.width)
