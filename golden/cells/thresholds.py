"""The threshold datapath of a layer: everything after the sums as comparisons and small tables.

========  =========================================================================================
gates     monotone activation and encoder are one search of the sum among ``2**W - 1`` thresholds
          (Eq. 1-4, Algorithm 1)
c         f, c, i and g are codes: Eq. (5) is ``fc[f, c] + ig[i, g]``, and its encoder a search
h         Eq. (6) and its encoder are a table over o and c; where every cell has an offset of its
          own, a table of o tanh(c) rounded down, and a search among thresholds plus the offset
========  =========================================================================================

Of a GRU, Eq. 13 is ``zh[z, h] + zn[z, n]`` and its encoder a search. Where r resets after the
product, r nh stays a product, and n a search of ``nx + r nh``; before it, s = r h is a table.

Sigmoid and tanh are exact here: thresholds and tables are those of the real functions, proven to
the last bit (`mubinn.golden.cells.exact_activation`), so the codes equal those of the equations
with the layer's scales. The numbers follow from the quantizers alone; nothing of this is stored in
a model file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

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

Gates = Mapping[str, Quantizer]


@dataclass(frozen=True)
class SumFormat:
    """Fixed point of a sum: its fraction bits, and the largest magnitude that it can have."""

    fraction: int
    bound: int

    def search(self, *gates: tuple[Kind, Quantizer]) -> ThresholdSearchParams:
        """Return the search of the sum: each gate's encoder through its activation's inverse."""
        trees = tuple(
            tuple(
                first_reaching(
                    kind, Fraction(node, 1 << quantizer.fraction), self.fraction, self.bound
                )
                for node in encoder_nodes(quantizer)
            )
            for kind, quantizer in gates
        )
        return ThresholdSearchParams(signed_width(self.bound), trees)


def kinds(gates: Gates, tanh: str) -> list[tuple[Kind, Quantizer]]:
    """Return the activation and the quantizer of each gate; that of `tanh` is tanh."""
    return [("tanh" if name == tanh else "sigmoid", gate) for name, gate in gates.items()]


def all_values(quantizer: Quantizer) -> Ints:
    """Return the values of all codes; the offset is one for the tensor."""
    return np.asarray(quantizer.decode(np.arange(1 << quantizer.levels)))


def own_offsets(quantizer: Quantizer) -> bool:
    """Return whether the offset differs between elements."""
    return bool((quantizer.offset != quantizer.offset.reshape(-1)[0]).any())


def _table(words: Ints) -> CodeTableParams:
    return CodeTableParams(tuple(words.tolist()))


def _products(left: Quantizer, right: Quantizer, fraction: int) -> Ints:
    """Return the products of all values in `fraction` bits, the code of `left` in the low bits."""
    values = np.outer(all_values(right), all_values(left)).ravel()
    return values << fraction - left.fraction - right.fraction


def _encoded_sum(
    left: Ints, right: Ints, quantizer: Quantizer, fraction: int
) -> tuple[CodeTableParams, CodeTableParams, ThresholdSearchParams]:
    """Return tables of two addends and the search that encodes their sum, in short units."""
    nodes = np.array(encoder_nodes(quantizer), np.int64) << fraction - quantizer.fraction
    left, right, nodes = shorten(left, right, nodes)
    bound = int(np.abs(left).max() + np.abs(right).max())
    search = ThresholdSearchParams(signed_width(bound), (tuple(nodes.tolist()),))
    return _table(left), _table(right), search


@dataclass(frozen=True)
class ThresholdTables:
    """Parameters of the units after z of an LSTM.

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
    def of(
        cls, z: SumFormat, gates: Gates, c: Quantizer, h: Quantizer, c_raw_fraction: int
    ) -> "ThresholdTables":
        """Derive all numbers from the quantizers of a layer."""
        f, i, g, o = gates.values()
        fc, ig = _products(f, c, c_raw_fraction), _products(i, g, c_raw_fraction)
        new_c = _encoded_sum(fc, ig, c, c_raw_fraction)
        return cls(z.search(*kinds(gates, "g")), *new_c, *_hidden_state(o, c, h))

    @property
    def cell_words(self) -> list[int]:
        """Codes of the next c, index ``f + 2**W c`` and above it ``i + 2**W g``."""
        c_raw = np.add.outer(self.ig.words, self.fc.words).ravel()
        codes: list[int] = threshold_search(self.c, c_raw).tolist()
        return codes


def _hidden_state(
    o: Quantizer, c: Quantizer, h: Quantizer
) -> tuple[CodeTableParams, ThresholdSearchParams | None]:
    """Eq. (6) and the encoder of h."""
    c_values = [Fraction(int(v), 1 << c.fraction) for v in all_values(c)]
    factors = [Fraction(int(v) << h.fraction, 1 << o.fraction) for v in all_values(o)]
    # Thresholds of h are integers in its fraction, which o tanh(c) reaches where its floor does.
    raw = np.array([floor_product(o, "tanh", c) for c in c_values for o in factors], np.int64)
    if own_offsets(h):
        largest = int(np.abs(raw).max() + np.abs(h.offset).max()) + 1
        nodes = encoder_nodes(h, 0)
        return _table(raw), ThresholdSearchParams(signed_width(largest), (tuple(nodes),))
    shared = Quantizer(h.scales, h.fraction, h.offset.reshape(-1)[0])
    return _table(shared.encode(raw, h.fraction)), None


def _new_h(
    gates: Gates, h: Quantizer, h_raw_fraction: int
) -> tuple[CodeTableParams, CodeTableParams, ThresholdSearchParams]:
    """Return the tables of Eq. 13 and the search that encodes h."""
    z = gates["z"]
    # (1 - z) h is what z h leaves of h.
    whole = np.repeat(all_values(h) << h_raw_fraction - h.fraction, 1 << z.levels)
    over_h = whole - _products(z, h, h_raw_fraction)
    return _encoded_sum(over_h, _products(z, gates["n"], h_raw_fraction), h, h_raw_fraction)


@dataclass(frozen=True)
class GruThresholds:
    """Parameters of the units after the sums of a GRU that resets after the product.

    Attributes
    ----------
    gate : ThresholdSearchParams
        Of the sums of z and r, a tree each.
    n : ThresholdSearchParams
        Of n_raw.
    zh, zn : CodeTableParams
        Addends of h_raw, index ``z + 2**W h`` and ``z + 2**W n``; units of their own, as short as
        the search for h allows (`shorten`).
    h : ThresholdSearchParams
        Of ``h_raw = zh + zn``.
    """

    gate: ThresholdSearchParams
    n: ThresholdSearchParams
    zh: CodeTableParams
    zn: CodeTableParams
    h: ThresholdSearchParams

    @classmethod
    def of(
        cls, z: SumFormat, n_raw: SumFormat, gates: Gates, h: Quantizer, h_raw_fraction: int
    ) -> "GruThresholds":
        """Derive all numbers from the quantizers of a layer."""
        update, reset, candidate = kinds(gates, "n")
        state = _new_h(gates, h, h_raw_fraction)
        return cls(z.search(update, reset), n_raw.search(candidate), *state)


@dataclass(frozen=True)
class GruBeforeThresholds:
    """Parameters of the units after the sums of a GRU that resets before the product.

    Attributes
    ----------
    gate : ThresholdSearchParams
        Of the sums of z, r and n, a tree each.
    s : CodeTableParams
        The code of s = r h, index ``r + 2**W h``.
    zh, zn : CodeTableParams
        Addends of h_raw, as those of `GruThresholds`.
    h : ThresholdSearchParams
        Of ``h_raw = zh + zn``.
    """

    gate: ThresholdSearchParams
    s: CodeTableParams
    zh: CodeTableParams
    zn: CodeTableParams
    h: ThresholdSearchParams

    @classmethod
    def of(
        cls, z: SumFormat, gates: Gates, h: Quantizer, s: Quantizer, h_raw_fraction: int
    ) -> "GruBeforeThresholds":
        """Derive all numbers from the quantizers of a layer."""
        codes = s.encode(_products(gates["r"], h, h_raw_fraction), h_raw_fraction)
        state = _new_h(gates, h, h_raw_fraction)
        return cls(z.search(*kinds(gates, "n")), _table(codes), *state)
