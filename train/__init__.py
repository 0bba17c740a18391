"""Data, and training of models with JAX (extra ``mubinn[train]``)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mubinn.train.public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    import mubinn.train.public as public

    return getattr(public, name)
