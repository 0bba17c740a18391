"""The binarized cell at its fastest: level pairs merged, everything after z on codes.

With scales that are powers of two (`mubinn.golden.binarize.scale_form`, ``shift``) all level pairs
of x W_x and of h W_h and the bias meet in one network of weighted adders, whose sum is z; a search
among thresholds is the gate, and Eq. (5) and (6) are small tables
(`mubinn.golden.cells.threshold`). The memory M_B holds the bias of a row as the number that
its levels stand for, and with products of bits (`mubinn.hw.units.merged_dot.MergedBits`) what its
weights add to it.
"""

from functools import partial

import numpy as np

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.threshold import own_offsets
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import signed_width
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.units.code_table import CodeTableParams
from mubinn.golden.units.merged_dot import MergedDotParams, merged_sum
from mubinn.hw.units.code_table import CodeTable
from mubinn.hw.units.merged_dot import MergedBits, MergedDot
from mubinn.hw.units.sum_of_words import SumOfWords
from mubinn.synth.table1.cell_units import CellUnit, Start, later_units
from mubinn.synth.table1.delay_model import ENCODE, MULTIPLY, STATE, DelayModel, Step

GATES = 4

CODE_STEPS = (
    Step(("search_gate",), GATES, ENCODE),
    Step(("fc", "ig"), 1, STATE),
    Step(("sum_c",), 1, STATE),
    Step(("search_c",), 1, ENCODE),
    Step(("table_h",), 1, STATE),
)
"""What follows z on the threshold datapath."""


def merged_model(start: Start, a: int, w: int) -> QuantizedModel:
    """Return the model at (A, W), with shifted scales and on the threshold datapath."""
    return start.quantized(a, w, "shift").with_datapath("threshold")


def merged_layer(start: Start, a: int, w: int) -> QuantizedLayer:
    """Return the first layer of `merged_model`."""
    layer: QuantizedLayer = merged_model(start, a, w).lstm_layers[0]
    return layer


def sum_params(layer: QuantizedLayer) -> MergedDotParams:
    """Return the one sum that forms z of every row."""
    bias = signed_width(int(np.abs(layer.b.values).max()))
    params = merged_sum(layer.gamma_x, layer.gamma_h, layer.features, layer.hidden, bias)
    if params is None or own_offsets(layer.h):
        raise MubinnError(
            "The layer's level pairs do not merge to one sum: quantize with --scale-form shift."
        )
    return params


def merged_units(layer: QuantizedLayer) -> dict[str, CellUnit]:
    """Return the units of the merged cell by their role.

    Raises
    ------
    MubinnError
        If the scales of the layer leave a multiplication.
    """
    return {"merged": CellUnit.of(MergedDot, sum_params(layer)), **code_units(layer)}


def code_units(layer: QuantizedLayer) -> dict[str, CellUnit]:
    """Return the units after z on the threshold datapath, where cells share the offset of h."""
    return later_units(layer.on("threshold"))


def bits_units(layer: QuantizedLayer) -> dict[str, CellUnit]:
    """Return the units of the merged cell where products are of bits: for the least area.

    What the activations of a step add to all its rows is summed beside, a code at a time: a table
    of the contributions of a code of x and of h, and an adder.
    """
    params = sum_params(layer)
    widest = max(len(part.shifts) for part in params.parts)
    words = [
        sum((1 if code >> k & 1 else -1) << shift for k, shift in enumerate(part.shifts))
        * sum(1 << shift for shift in part.w_shifts)
        for part in params.parts
        for code in range(1 << widest)  # a part with fewer levels has its codes repeated
    ]
    width = params.sum_width
    name = (("params", str(params)), ("cells", True))
    return merged_units(layer) | {
        "merged": CellUnit("MergedBits", name, partial(MergedBits, params, cells=True)),
        "step_table": CellUnit.of(CodeTable, CodeTableParams(tuple(words))),
        "step_sum": CellUnit("SumOfWords", (("width", width),), partial(SumOfWords, width)),
    }


def merged_delay_model() -> DelayModel:
    """Return the delay model of a cell, one unit after the other: the four gates, then the state.

    ``4 (t_merged + t_search_gate) + max(t_fc, t_ig) + t_sum_c + t_search_c + t_table_h``.
    """
    return in_series(Step(("merged",), GATES, MULTIPLY), *CODE_STEPS)


def in_series(*steps: Step) -> DelayModel:
    """Return the delay model of steps whose units all follow one another."""
    return DelayModel(steps, tuple(step.units for step in steps))
