"""The contents of an accelerator's memories as files that ``$readmemh`` reads."""

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Const

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.accelerator.accelerator import Accelerator
from mubinn.hw.layer.layer_memory import constant_contents

LOAD = "load.hex"
"""The file of weights that are loaded at run time."""


def load_text(contents: bytes) -> str:
    """Return `mubinn.hw.layer.loadable_memory.contents` as `LOAD` has them, a byte a line.

    >>> load_text(b"\\x07\\xff")
    '07\\nff\\n'
    """
    return "".join(f"{byte:02x}\n" for byte in contents)


def memory_files(core: Accelerator) -> dict[str, str]:
    """Return ``memories/layer_K.NAME.hex``, a word a line, for the constant memories."""
    return {
        f"memories/layer_{k}.{name}.hex": "".join(f"{word:x}\n" for word in words)
        for k, plan in enumerate(core.plans)
        for name, words in constant_memories(plan)
    }


def constant_memories(plan: LayerPlan) -> Iterator[tuple[str, list[int]]]:
    """Yield names and words of the memories of a layer that hold the model."""
    for memory in constant_contents(plan):
        yield memory.name, [_integer(memory.layout, word) for word in memory.words]


def _integer(layout: Any, word: Any) -> int:
    """Return a word of a memory as its bits."""
    return word if isinstance(word, int) else int(Const.cast(layout.const(word)).value)
