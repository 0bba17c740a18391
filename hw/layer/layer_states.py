"""The state of a layer as words: which there are, and how they are made of codes."""

from collections.abc import Sequence

import numpy as np
from amaranth.lib import data

from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.layer_state import LayerState
from mubinn.hw.cells.cell_layout import CellLayouts


def check_words(plan: LayerPlan) -> LayerPlan:
    """Return `plan`; raise `MubinnError` where a layer's state is more than words of cells."""
    layer = plan.layer
    if isinstance(layer.frames, Sweep) or not layer.frames.plain or layer.cell.projects:
        raise MubinnError(
            "the state of layers that sweep frames, of convolutions and of projected cells does "
            "not go in or out: leave out the port of the state, or give a model of other layers."
        )
    return plan


def state_layout(plan: LayerPlan) -> data.StructLayout:
    """Return a word: of a cell in each engine the code of h, and what it keeps."""
    h = data.ArrayLayout(plan.engines, plan.layer.h.levels)
    kept = data.ArrayLayout(CellLayouts(plan.layer).kept_bits, plan.engines)
    return data.StructLayout({"h": h, "c": kept})


def state_words(plan: LayerPlan, state: LayerState) -> list[int]:
    """Return a layer's state as its words, one a round; cells that are none have zeros."""
    codes = _by_name(plan, state.codes)
    found = []
    for first in range(0, plan.rounds * plan.engines, plan.engines):
        word = shift = 0
        cells = range(first, first + plan.engines)
        h = [int(codes["h"][n]) if n < len(codes["h"]) else 0 for n in cells]
        for level in range(plan.layer.h.levels):
            for code in h:
                word, shift = word | (code >> level & 1) << shift, shift + 1
        for n in cells:
            start = shift
            for name, levels in CellLayouts(plan.layer).kept.items():
                own = codes.get(name, ())
                word, shift = word | (int(own[n]) if n < len(own) else 0) << shift, shift + levels
            shift = start + CellLayouts(plan.layer).kept_bits
        found.append(word)
    return found


def layer_state(plan: LayerPlan, words: Sequence[int]) -> LayerState:
    """Return what `state_words` makes words of."""
    layer, engines = plan.layer, plan.engines
    names = [node.name for node in layer.cell.states]
    found: dict[str, list[int]] = {name: [] for name in names}
    for word in words:
        for e in range(engines):
            h = sum((word >> level * engines + e & 1) << level for level in range(layer.h.levels))
            found[names[0]].append(h)
            shift = layer.h.levels * engines + e * CellLayouts(layer).kept_bits
            for name, levels in CellLayouts(layer).kept.items():
                if name in names[1:]:
                    found[name].append(word >> shift & (1 << levels) - 1)
                shift += levels
    counts = {node.name: layer.sizes.count(node) for node in layer.cell.states}
    codes = tuple(np.array(found[name][: counts[name]], np.int64) for name in names)
    return LayerState(codes, np.zeros((0, layer.inputs), np.int64))


def _by_name(plan: LayerPlan, codes: Sequence[Ints]) -> dict[str, Ints]:
    """Return codes by the name of the state; that of h, the first one, as "h" too."""
    names = [node.name for node in plan.layer.cell.states]
    return {"h": codes[0], **dict(zip(names, codes, strict=True))}
