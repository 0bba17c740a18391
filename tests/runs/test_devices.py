"""Parts of a batch on two devices add up to what one device makes of the whole."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("jax")

SCRIPT = """
import json, sys
import jax
import numpy as np
from mubinn.train.runs.devices import BatchSharding
if sys.argv[1] == "late":
    jax.devices()
batch_sharding = BatchSharding(int(sys.argv[2]))
x, y = batch_sharding.parts(np.arange(16.0).reshape(8, 2), np.arange(8.0) ** 2)
w = batch_sharding.copies({"w": np.array([1.0, -2.0])})
loss = lambda w, x, y: ((x @ w["w"] - y) ** 2).mean()
value, slope = jax.jit(jax.value_and_grad(loss))(w, x, y)
where = [batch_sharding.devices, len(x.sharding.device_set), x.sharding.shard_shape(x.shape)[0]]
print(json.dumps([*where, float(value), slope["w"].tolist()]))
"""


@pytest.mark.parametrize(
    ("when", "batch", "devices"), [("first", 8, 2), ("first", 3, 1), ("late", 8, 1)]
)
def test_parts_of_a_batch(when, batch, devices):
    command = [sys.executable, "-c", SCRIPT, when, str(batch)]
    own = {name: value for name, value in os.environ.items() if name != "JAX_NUM_CPU_DEVICES"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=own)
    # Integers, and a batch that is a power of two: exact in float32.
    x = [(2 * k, 2 * k + 1) for k in range(8)]
    errors = [a - 2 * b - k * k for k, (a, b) in enumerate(x)]
    value = sum(e * e for e in errors) / 8
    slope = [sum(2 * e * row[i] for e, row in zip(errors, x, strict=True)) / 8 for i in (0, 1)]
    assert json.loads(done.stdout) == [devices, devices, 8 // devices, value, slope]
