"""What a model's hardware has in it besides the weights, as one number."""

import hashlib
import json
from dataclasses import replace

import numpy as np

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.model.model_file import quantized_content
from mubinn.golden.model.quantized_model import QuantizedModel

DIGEST_BYTES = 4


def constants_digest(plans: list[LayerPlan]) -> int:
    """Return a number of 32 bits that tells accelerators apart whose weights may not be exchanged.

    It is a part of the SHA-256 of everything that becomes constants of a design with loadable
    weights (all scales, offsets, biases, formats and shapes, of which tables and thresholds are
    made) and of the order in which the weights are read. The last of `plans`, one a layer, has the
    classifier, or the last ones have its parts.
    """
    parts = [plan.dense for plan in plans if plan.dense]
    columns = np.concatenate([part.w.bits for part in parts], axis=2)
    dense = replace(parts[0], w=replace(parts[0].w, bits=columns))
    model = QuantizedModel(tuple(plan.layer for plan in plans), dense, plans[-1].readout)
    content = quantized_content(model)
    order = [
        [plan.words, plan.schedule, *[plan.class_schedule] * plan.apart, plan.engines]
        for plan in plans
    ]
    found = hashlib.sha256(json.dumps([content.structure, str(order)], sort_keys=True).encode())
    for name, tensor in sorted(content.tensors.items()):
        if ".M_w." not in name:
            found.update(f"{name} {tensor.shape} ".encode() + tensor.astype("<i8").tobytes())
    return int.from_bytes(found.digest()[:DIGEST_BYTES], "little")
