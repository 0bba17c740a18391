"""What a model's hardware has in it besides the weights, as one number."""

import hashlib
import json

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.golden.model.model_file import quantized_content
from mubinn.golden.model.quantized_model import QuantizedModel

DIGEST_BYTES = 4


def constants_digest(plans: list[LayerPlan]) -> int:
    """Return a number of 32 bits that tells accelerators apart whose weights may not be exchanged.

    It is a part of the SHA-256 of everything that becomes constants of a design with loadable
    weights (all scales, offsets, biases, formats and shapes, of which tables and thresholds are
    made) and of the order in which the weights are read. The last of `plans`, one a layer, has the
    classifier.
    """
    top = plans[-1]
    assert top.dense
    model = QuantizedModel(tuple(plan.layer for plan in plans), top.dense, top.readout)
    content = quantized_content(model)
    order = [[plan.words, plan.schedule, plan.engines] for plan in plans]
    found = hashlib.sha256(json.dumps([content.structure, str(order)], sort_keys=True).encode())
    for name, tensor in sorted(content.tensors.items()):
        if ".M_w." not in name:
            found.update(f"{name} {tensor.shape} ".encode() + tensor.astype("<i8").tobytes())
    return int.from_bytes(found.digest()[:DIGEST_BYTES], "little")
