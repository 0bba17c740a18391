"""cocotb test benches that drive the hardware against the golden model, and their runner.

A bench of a unit is one file, ``tb_<stem>.py``, with its stimulus and its golden results; a test
runs it by `mubinn.sim.runner.unit_check.check_unit`. docs/concepts/benches.md shows one.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mubinn.sim.public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    import mubinn.sim.public as public

    return getattr(public, name)
