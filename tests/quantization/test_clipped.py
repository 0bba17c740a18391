"""What is said of values beyond a quantizer's range."""

import re

import numpy as np
import pytest

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.quantization.clipped import clipped


@pytest.mark.parametrize(
    ("offset", "values", "text"),
    [
        (0, [1.0, -1.5, 1.6, -7.0], "50 % .* range of [+]-1.5; the greatest is 7$"),
        (0, [1.5, -1.5, 0.0, 0.1], "0 % .* range of [+]-1.5; the greatest is 1.5$"),
        (4, [2.5, 0.0, -0.6, 1.0], "25 % .* [+]-1.5, about each offset; the greatest is 1.6$"),
    ],
)
def test_share_and_greatest_value_are_said(offset, values, text):
    said = clipped(Quantizer([4, 2], 2, offset), np.array(values))
    assert re.match(text, said), said


def test_whose_values_they_are_is_said():
    said = clipped(Quantizer([4, 2], 2, 0), np.array([1.0, 2.0]), "3 windows'")
    assert said.startswith("50 % of 3 windows' values lie beyond")
