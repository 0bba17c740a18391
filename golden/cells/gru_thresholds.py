"""The threshold datapath of a GRU: everything after the sums but r nh as comparisons and tables.

========  =========================================================================================
z, r      one search each of their sum, as the gates of an LSTM
(`mubinn.golden.cells.threshold_tables`) n         ``n_raw = nx + r nh`` with r as a code, then one
search h         z, h and n are codes: Eq. 13 is ``zh[z, h] + zn[z, n]``, and its encoder a search
========  =========================================================================================
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mubinn.golden.cells.shorten import shorten
from mubinn.golden.cells.threshold_tables import all_values, tree
from mubinn.golden.ground.fixed import signed_width
from mubinn.golden.units.code_table import CodeTableParams
from mubinn.golden.units.threshold_search import ThresholdSearchParams, encoder_nodes

if TYPE_CHECKING:
    from mubinn.golden.cells.gru_before_model import QuantizedGruBefore
    from mubinn.golden.cells.gru_model import QuantizedGru


@dataclass(frozen=True)
class GruThresholds:
    """Parameters of the units after the sums.

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
    def of(cls, layer: "QuantizedGru") -> "GruThresholds":
        """Derive all numbers from the quantizers of `layer`."""
        z, r, n = layer.gates.values()
        bound, fraction = layer.z_bound, layer.z_fraction
        trees = tuple(tree("sigmoid", gate, fraction, bound) for gate in (z, r))
        n_tree = tree("tanh", n, layer.n_raw_fraction, layer.n_raw_bound)
        zh, zn, h = state_tables(layer)
        return cls(
            ThresholdSearchParams(signed_width(bound), trees),
            ThresholdSearchParams(signed_width(layer.n_raw_bound), (n_tree,)),
            zh,
            zn,
            h,
        )


def state_tables(
    layer: "QuantizedGru | QuantizedGruBefore",
) -> tuple[CodeTableParams, CodeTableParams, ThresholdSearchParams]:
    """Return the tables of Eq. 13 and the search that encodes h."""
    z, n, h = layer.gates["z"], layer.gates["n"], layer.h
    update = all_values(z)
    rest = (1 << z.fraction) - update
    shift = layer.h_raw_fraction - z.fraction
    over_h = np.outer(all_values(h), rest).ravel() << shift - h.fraction
    over_n = np.outer(all_values(n), update).ravel() << shift - n.fraction
    nodes = np.array(encoder_nodes(h), np.int64) << layer.h_raw_fraction - h.fraction
    zh, zn, nodes = shorten(over_h, over_n, nodes)
    bound = int(np.abs(zh).max() + np.abs(zn).max())
    search = ThresholdSearchParams(signed_width(bound), (tuple(nodes.tolist()),))
    return CodeTableParams(tuple(zh.tolist())), CodeTableParams(tuple(zn.tolist())), search
