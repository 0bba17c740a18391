"""What quantizers, weights and tables mean, in exact fractions and without NumPy's arithmetic."""

import math
from fractions import Fraction

import numpy as np

HALF = Fraction(1, 2)


def round_to(value, bits):
    return Fraction(math.floor(value * 2**bits + HALF), 2**bits)


def offset_of(quantizer, element=0):
    flat = quantizer.offset.ravel()
    return Fraction(int(flat[element % len(flat)]), 2**quantizer.fraction)


def sign_sum(quantizer, code):
    """What a code stands for without the offset, as a product takes it."""
    total = sum(int(a) * (1 if code >> k & 1 else -1) for k, a in enumerate(quantizer.scales))
    return Fraction(total, 2**quantizer.fraction)


def value_of(quantizer, code, element=0):
    """The real number that a code stands for."""
    return offset_of(quantizer, element) + sign_sum(quantizer, code)


def code_of(quantizer, value, element=0):
    """Algorithm 1 on an exact fraction."""
    residual = value - offset_of(quantizer, element)
    code = 0
    for k, a in enumerate(quantizer.scales):
        step = Fraction(int(a), 2**quantizer.fraction)
        positive = residual >= 0
        residual -= step if positive else -step
        code |= positive << k
    return code


def weight(tensor, *index):
    scales = tensor.scales[index[0] * len(tensor.scales) // tensor.bits.shape[1]]
    total = sum(int(a) if tensor.bits[(k, *index)] else -int(a) for k, a in enumerate(scales))
    return Fraction(total, 2**tensor.fraction)


def product(tensor, row, quantizer, codes):
    """The sum of a row's weights times what the codes stand for, offsets left out."""
    values = [sign_sum(quantizer, int(code)) for code in codes]
    return sum(weight(tensor, row, element) * v for element, v in enumerate(values))


def pwl(kind, z, formats):
    """The table: nodes every 2**(z_width - segment_bits) units, straight lines between."""
    unit = Fraction(1, 2**formats.z_fraction)
    top = 2 ** (formats.z_width - 1)
    z = min(max(round_to(z, formats.z_fraction), -top * unit), (top - 1) * unit)
    step = unit * 2 ** (formats.z_width - formats.segment_bits)
    left = math.floor(z / step) * step

    def node(at):
        real = math.tanh(at) if kind == "tanh" else 1 / (1 + math.exp(-at))
        return round_to(Fraction(real), formats.y_fraction)

    rise = node(left + step) - node(left)
    return node(left) + round_to(rise * (z - left) / step, formats.y_fraction)


def plane_codes(bits):
    """The codes [...] of level planes uint8 [N, ...]."""
    return np.tensordot(1 << np.arange(len(bits)), bits.astype(np.int64), axes=1)
