"""Amaranth HDL units of the paper's Figure 3, their composition, and FP baselines."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mubinn.hw.public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    import mubinn.hw.public as public

    return getattr(public, name)
