"""What a quantizer cuts off: the trade between fine steps and far tails, in words."""

import numpy as np

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.ground.fixed import Floats


def clipped(quantizer: Quantizer, values: Floats, whose: str = "the calibration's") -> str:
    """Return how many of `values` [..., n] lie beyond the largest code, and the greatest of all.

    Fewer levels have smaller squared errors where they leave the tails of a sample out. `whose`
    says what the values are of.
    """
    sizes = np.abs(values - quantizer.float_offset)
    reach = float(quantizer.float_scales.sum())
    share = 100 * float((sizes > reach).mean())
    offset = ", about each offset" if quantizer.has_offset else ""
    return (
        f"{share:.2g} % of {whose} values lie beyond the range of +-{reach:.4g}{offset}; "
        f"the greatest is {float(sizes.max()):.4g}"
    )
