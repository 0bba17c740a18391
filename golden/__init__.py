"""Golden models: parameters, number formats, the float64 reference and the bit-true integer model.

    >>> from mubinn.golden import Levels, infer, load_float, quantize
    >>> Levels.of(3, 2).w
    2

Everything that `mubinn.golden.public` names is had from here; it is imported when it is asked for.
The package imports neither Amaranth nor any learning framework.
"""

from typing import TYPE_CHECKING, Any

# Before the function takes its name: importing a module sets it in its package, once.
from mubinn.golden.quantize import quantize as quantize

if TYPE_CHECKING:
    from mubinn.golden.public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    import mubinn.golden.public as public

    return getattr(public, name)
