"""The contents of an accelerator's memories as files that ``$readmemh`` reads."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from amaranth.hdl import Const, Shape
from amaranth.lib import data

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.accelerator.accelerator import Accelerator
from mubinn.hw.cells.issue_layout import issue_layout
from mubinn.hw.layer.layer_memory import (
    bias_layout,
    bias_words,
    offset_words,
    scale_layout,
    scale_words,
    weight_layout,
    weight_words,
)


def memory_files(core: Accelerator) -> dict[str, str]:
    """Return ``memories/layer_K.NAME.hex``, a word a line, for the constant memories."""
    return {
        f"memories/layer_{k}.{name}.hex": "".join(f"{word:x}\n" for word in words)
        for k, plan in enumerate(core.plans)
        for name, words in constant_memories(plan)
    }


def constant_memories(plan: LayerPlan) -> Iterator[tuple[str, list[int]]]:
    """Yield names and words of the memories of a layer that hold the model."""
    found: list[tuple[str, Any, list[Any]]] = [
        ("m_w", weight_layout(plan), weight_words(plan)),
        ("m_s", scale_layout(plan), scale_words(plan)),
        ("m_b", bias_layout(plan), bias_words(plan)),
    ]
    offsets = offset_words(plan.layer)
    if len(set(offsets)) > 1:
        places = plan.rounds * plan.engines
        rows = np.reshape(offsets + [0] * (places - len(offsets)), (plan.rounds, plan.engines))
        layout = data.ArrayLayout(issue_layout(plan)["h_offset"].shape, plan.engines)
        found.append(("m_h_offset", layout, rows.tolist()))
    for name, layout, words in found:
        if not Shape.cast(layout).width:
            continue
        yield name, [_integer(layout, word) for word in words]


def _integer(layout: Any, word: Any) -> int:
    """Return a word of a memory as its bits."""
    return word if isinstance(word, int) else int(Const.cast(layout.const(word)).value)
