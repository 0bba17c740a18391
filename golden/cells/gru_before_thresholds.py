"""The threshold datapath of a GRU in Cho's form: all that follows the sums is searches and tables.

========  =========================================================================================
z, r, n   one search each of their sum, as the gates of an LSTM
(`mubinn.golden.cells.threshold_tables`) s         r and h are codes, so the code of s = r h is a
table over them h         z, h and n are codes: Eq. 13 is ``zh[z, h] + zn[z, n]``, and its encoder a
search ========
=========================================================================================
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mubinn.golden.cells.gru_thresholds import state_tables
from mubinn.golden.cells.threshold_tables import all_values, tree
from mubinn.golden.ground.fixed import signed_width
from mubinn.golden.units.code_table import CodeTableParams
from mubinn.golden.units.threshold_search import ThresholdSearchParams

if TYPE_CHECKING:
    from mubinn.golden.cells.gru_before_model import QuantizedGruBefore


@dataclass(frozen=True)
class GruBeforeThresholds:
    """Parameters of the units after the sums.

    Attributes
    ----------
    gate : ThresholdSearchParams
        Of the sums of z, r and n, a tree each.
    s : CodeTableParams
        The code of s, index ``r + 2**W h``.
    zh, zn : CodeTableParams
        Addends of h_raw, index ``z + 2**W h`` and ``z + 2**W n``; see `state_tables`.
    h : ThresholdSearchParams
        Of ``h_raw = zh + zn``.
    """

    gate: ThresholdSearchParams
    s: CodeTableParams
    zh: CodeTableParams
    zn: CodeTableParams
    h: ThresholdSearchParams

    @classmethod
    def of(cls, layer: "QuantizedGruBefore") -> "GruBeforeThresholds":
        """Derive all numbers from the quantizers of `layer`."""
        bound, fraction = layer.z_bound, layer.z_fraction
        trees = tuple(
            tree("tanh" if name == "n" else "sigmoid", gate, fraction, bound)
            for name, gate in layer.gates.items()
        )
        product = np.outer(all_values(layer.h), all_values(layer.gates["r"])).ravel()
        codes = layer.s.encode(
            product << layer.h_raw_fraction - layer.h.fraction - layer.gates["r"].fraction,
            layer.h_raw_fraction,
        )
        search = ThresholdSearchParams(signed_width(bound), trees)
        return cls(search, CodeTableParams(tuple(codes.tolist())), *state_tables(layer))
