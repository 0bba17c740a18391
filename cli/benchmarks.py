"""The measurements that ``mubinn bench NAME`` knows; each is imported when it runs."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

Benchmark = Callable[..., dict[str, Any]]


def _lazy(module: str, function: str) -> Benchmark:
    def run(**options: Any) -> dict[str, Any]:
        found: dict[str, Any] = getattr(import_module(module), function)(**options)
        return found

    return run


BENCHMARKS: dict[str, Benchmark] = {
    "inference": _lazy("mubinn.cli.bench_inference", "bench_inference"),
    "table1": _lazy("mubinn.cli.bench_table1", "bench_table1"),
    "popcount": _lazy("mubinn.cli.bench_popcount", "bench_popcount"),
    "delay": _lazy("mubinn.cli.bench_delay", "bench_delay"),
    "threshold": _lazy("mubinn.cli.bench_threshold", "bench_threshold"),
    "train-step": _lazy("mubinn.cli.bench_train_step", "bench_train_step"),
    "lut-cycles": _lazy("mubinn.cli.bench_lut_cycles", "bench_lut_cycles"),
    "fpga": _lazy("mubinn.cli.bench_fpga", "bench_fpga"),
    "scale": _lazy("mubinn.cli.bench_scale", "bench_scale"),
    "layer": _lazy("mubinn.cli.bench_layer", "bench_layer"),
    "simulate": _lazy("mubinn.cli.bench_simulate", "bench_simulate"),
    "energy": _lazy("mubinn.cli.bench_energy", "bench_energy"),
    "libraries": _lazy("mubinn.cli.bench_libraries", "bench_libraries"),
}
"""Name to function; a function returns ``{"figures": [...], "versions": {}, "parameters": {}}``,
perhaps with ``tables``, by title ``{"columns": [...], "rows": [...]}``, and ``files`` by name."""

WITH_LIBRARY = ("table1", "popcount", "delay", "threshold", "energy")
"""Those that map to a cell library and take another one as ``library``."""

WITH_LIBRARIES = ("libraries",)
"""Those that compare several, ``libraries``."""

WITH_PROGRESS = ("lut-cycles", "fpga", "scale")
"""Those of several long measurements, which tell each by ``progress`` as it begins."""

WITH_FILES = ("energy",)
"""Those that make files."""
