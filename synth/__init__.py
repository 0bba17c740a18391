"""Hardware turned into numbers: logic depth, delay and area from Yosys and ABC."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mubinn.synth.public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    import mubinn.synth.public as public

    return getattr(public, name)
