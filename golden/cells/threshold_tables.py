"""The threshold datapath of a layer: everything after z as comparisons and small tables.

========  =========================================================================================
gate      sigmoid and tanh never decrease and a gate is W level bits, so activation and encoder are
          one search of z among ``2**W - 1`` thresholds (Eq. 1-4, Algorithm 1)
c         f, c, i and g are codes: Eq. (5) is ``fc[f, c] + ig[i, g]``, and its encoder a search
h         Eq. (6) and its encoder are a table over o and c; where every cell has an offset of its
          own, a table of o tanh(c) rounded down, and a search among thresholds plus the offset
========  =========================================================================================

Sigmoid and tanh are exact here: thresholds and tables are those of the real functions, proven to
the last bit (`mubinn.golden.cells.exact_activation`), so the codes equal those of Eq. (1)-(6) with
the layer's scales. The numbers follow from the quantizers alone; nothing of this is stored in a
model file.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.exact_activation import first_reaching, floor_product
from mubinn.golden.cells.shorten import shorten
from mubinn.golden.ground.fixed import Ints, signed_width
from mubinn.golden.units.activation import Kind
from mubinn.golden.units.code_table import CodeTableParams
from mubinn.golden.units.threshold_search import (
    ThresholdSearchParams,
    encoder_nodes,
    threshold_search,
)

if TYPE_CHECKING:
    from mubinn.golden.model.quantized_model import QuantizedLstm


@dataclass(frozen=True)
class ThresholdTables:
    """Parameters of the units after z.

    Attributes
    ----------
    gate : ThresholdSearchParams
        Of z; trees in the order f, i, g, o.
    fc, ig : CodeTableParams
        Addends of c_raw, index ``f + 2**W c`` and ``i + 2**W g``; units of their own, as short as
        the search for c allows (`shorten`).
    c : ThresholdSearchParams
        Of ``c_raw = fc + ig``.
    h : CodeTableParams
        Index ``o + 2**W c``: the code of h, or h_raw where the offset of h differs between cells.
    h_raw : ThresholdSearchParams or None
        Then of ``h_raw - offset``, in the fraction of h.
    """

    gate: ThresholdSearchParams
    fc: CodeTableParams
    ig: CodeTableParams
    c: ThresholdSearchParams
    h: CodeTableParams
    h_raw: ThresholdSearchParams | None

    @classmethod
    def of(cls, layer: "QuantizedLstm") -> "ThresholdTables":
        """Derive all numbers from the quantizers of `layer`."""
        fc, ig, c = _cell_state(layer)
        h, h_raw = _hidden_state(layer)
        return cls(_gates(layer), fc, ig, c, h, h_raw)

    @property
    def cell_words(self) -> list[int]:
        """Codes of the next c, index ``f + 2**W c`` and above it ``i + 2**W g``."""
        c_raw = np.add.outer(self.ig.words, self.fc.words).ravel()
        codes: list[int] = threshold_search(self.c, c_raw).tolist()
        return codes


def _gates(layer: "QuantizedLstm") -> ThresholdSearchParams:
    """Thresholds of z."""
    fraction, bound = layer.z_fraction, layer.z_bound
    trees = tuple(
        tree("tanh" if name == "g" else "sigmoid", quantizer, fraction, bound)
        for name, quantizer in layer.gates.items()
    )
    return ThresholdSearchParams(signed_width(bound), trees)


def tree(kind: Kind, quantizer: Quantizer, fraction: int, bound: int) -> tuple[int, ...]:
    """Return the thresholds of a sum: a gate's encoder through the inverse of its activation."""
    targets = (Fraction(node, 1 << quantizer.fraction) for node in encoder_nodes(quantizer))
    return tuple(first_reaching(kind, target, fraction, bound) for target in targets)


def all_values(quantizer: Quantizer) -> Ints:
    """Return the values of all codes; the offset is one for the tensor."""
    return np.asarray(quantizer.decode(np.arange(1 << quantizer.levels)))


def _cell_state(
    layer: "QuantizedLstm",
) -> tuple[CodeTableParams, CodeTableParams, ThresholdSearchParams]:
    """Eq. (5) and the encoder of c."""
    fraction = layer.c_raw_fraction
    f, i, g = (layer.gates[name] for name in "fig")

    def products(left: Quantizer, right: Quantizer) -> Ints:
        shift = fraction - left.fraction - right.fraction
        return np.outer(all_values(right), all_values(left)).ravel() << shift

    nodes = np.array(encoder_nodes(layer.c), np.int64) << fraction - layer.c.fraction
    fc, ig, nodes = shorten(products(f, layer.c), products(i, g), nodes)
    bound = int(np.abs(fc).max() + np.abs(ig).max())
    search = ThresholdSearchParams(signed_width(bound), (tuple(nodes.tolist()),))
    return CodeTableParams(tuple(fc.tolist())), CodeTableParams(tuple(ig.tolist())), search


def _hidden_state(
    layer: "QuantizedLstm",
) -> tuple[CodeTableParams, ThresholdSearchParams | None]:
    """Eq. (6) and the encoder of h."""
    h, o = layer.h, layer.gates["o"]
    c_values = [Fraction(int(v), 1 << layer.c.fraction) for v in all_values(layer.c)]
    factors = [Fraction(int(v) << h.fraction, 1 << o.fraction) for v in all_values(o)]
    # Thresholds of h are integers in its fraction, which o tanh(c) reaches where its floor does.
    raw = np.array([floor_product(o, "tanh", c) for c in c_values for o in factors], np.int64)
    if own_offsets(h):
        largest = int(np.abs(raw).max() + np.abs(h.offset).max()) + 1
        nodes = encoder_nodes(h, 0)
        search = ThresholdSearchParams(signed_width(largest), (tuple(nodes),))
        return CodeTableParams(tuple(raw.tolist())), search
    shared = Quantizer(h.scales, h.fraction, h.offset.reshape(-1)[0])
    return CodeTableParams(tuple(shared.encode(raw, h.fraction).tolist())), None


def own_offsets(quantizer: Quantizer) -> bool:
    """Return whether the offset differs between elements."""
    return bool((quantizer.offset != quantizer.offset.reshape(-1)[0]).any())
