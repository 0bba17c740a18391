"""The measurements that ``mubinn bench NAME`` knows; each is imported when it runs."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

Benchmark = Callable[..., dict[str, Any]]

ABOUT = {
    "inference": "whole-set bit-true inference beside float32 LSTMs",
    "table1": "Table I and its variants, the headline ratios, and the time they take",
    "popcount": "the 132-lane XNOR popcount beside what synthesis makes of a sum",
    "delay": "other cells over the merged binarized cell, serial and at equal area",
    "threshold": "the threshold datapath beside that of Figure 3, after the sums z",
    "train-step": "one binarized training step beside float ones, on this machine",
    "lut-cycles": "LUTs of the layer's logic times its cycles per step, beside a peer",
    "fpga": "the bundled model placed and routed on small FPGAs",
    "scale": "two layers of 512 cells and 128 inputs at (2,2), from generation to LUTs",
    "layer": "cycles per step with the classifier, and the speed of the simulation",
    "simulate": "cycles per second of the (3,3) layer with every value compared",
    "energy": "the energy of an inference in binary32 and binarized, and its parts",
    "power": "energy of a step and average power of a layer, by what holds its weights",
    "layers": "layers of models in hardware, and in binary32: logic, cycles, memory, energy a step",
    "libraries": "the units of the cells in FO4, library beside library",
    "xnor-gemm": "products of packed signs beside the float32 BLAS, on this machine",
    "continuous": "models that go on from sample to sample: accuracy, reaction, disturbances",
    "quantization": "errors of x, h, c and logits from 1 to 8 levels, none of which is to rise",
}
"""What each measures. NAME is ``bench_NAME`` of the module NAME, with ``_`` for ``-``."""


def _lazy(name: str) -> Benchmark:
    stem = name.replace("-", "_")

    def run(**options: Any) -> dict[str, Any]:
        module = import_module(f"mubinn.cli.benchmarks.{stem}")
        found: dict[str, Any] = getattr(module, f"bench_{stem}")(**options)
        return found

    return run


BENCHMARKS = {name: _lazy(name) for name in ABOUT}
"""Name to function; a function returns ``{"figures": [...], "versions": {}, "parameters": {}}``,
perhaps with ``tables``, by title ``{"columns": [...], "rows": [...]}``, and ``files`` by name."""

WITH_LIBRARY = ("table1", "popcount", "delay", "threshold", "energy", "layers")
"""Those that map to a cell library and take another one as ``library``."""

WITH_LIBRARIES = ("libraries", "power")
"""Those that compare several, ``libraries``."""

WITH_DATA = ("quantization",)
"""Those that take a float model, ``model``, and labelled windows, ``data``."""

WITH_MODELS = ("layers",)
"""Those that take files of models, ``models``, and of windows for one or each of them, ``data``;
``device``, ``datapath``, ``windows`` and ``steps`` as well."""

WITH_RUNS = ("continuous",)
"""Those that take models and folders of runs, ``models``, and what they were trained on,
``data``."""

WITH_INSTRUCTION_SET = ("xnor-gemm",)
"""Those that take one of the CPU's as ``instruction_set``."""

WITH_PROGRESS = ("lut-cycles", "fpga", "scale", "quantization", "layers", "power", "continuous")
"""Those of several long measurements, which tell each by ``progress`` as it begins."""

WITH_FILES = ("energy", "layers", "power", "continuous")
"""Those that make files."""
