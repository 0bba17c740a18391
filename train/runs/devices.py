"""Where a batch is worked on: its halves side by side on the CPU, or parts on several GPUs."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax import sharding

CPU_PARTS = 2
"""Parts of a batch on the CPU, on machines of any size, so that all add up alike."""


def split_cpu() -> None:
    """Have JAX see the CPU as `CPU_PARTS` devices; without effect where it has started.

    The products of one LSTM step are too small to share between the threads of one device.
    """
    config: Any = jax.config
    try:
        config.update("jax_num_cpu_devices", CPU_PARTS)
    except (AttributeError, RuntimeError):  # before JAX 0.5 there is no such option
        return


class BatchSharding:
    """Puts batches in parts, and weights as copies, on as many devices as divide the batch.

    Parameters
    ----------
    batch : int
        Windows a step.

    Attributes
    ----------
    devices : int
    """

    def __init__(self, batch: int) -> None:
        split_cpu()
        found = jax.devices()
        self.devices = len(found) if batch % len(found) == 0 else 1
        mesh = sharding.Mesh(np.asarray(found[: self.devices]), ("batch",))
        spec: Any = sharding.PartitionSpec
        self._parts = sharding.NamedSharding(mesh, spec("batch"))
        self._copies = sharding.NamedSharding(mesh, spec())

    def parts(self, *arrays: Any) -> Any:
        """Return arrays [B, ...], a part of each on every device."""
        return jax.device_put(arrays, self._parts)

    def copies(self, tree: Any) -> Any:
        """Return the arrays of `tree`, whole on every device."""
        return jax.device_put(tree, self._copies)
