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
    "inference": _lazy("mubinn.cli.benchmarks.inference", "bench_inference"),
    "table1": _lazy("mubinn.cli.benchmarks.table1", "bench_table1"),
    "popcount": _lazy("mubinn.cli.benchmarks.popcount", "bench_popcount"),
    "delay": _lazy("mubinn.cli.benchmarks.delay", "bench_delay"),
    "threshold": _lazy("mubinn.cli.benchmarks.threshold", "bench_threshold"),
    "train-step": _lazy("mubinn.cli.benchmarks.train_step", "bench_train_step"),
    "lut-cycles": _lazy("mubinn.cli.benchmarks.lut_cycles", "bench_lut_cycles"),
    "fpga": _lazy("mubinn.cli.benchmarks.fpga", "bench_fpga"),
    "scale": _lazy("mubinn.cli.benchmarks.scale", "bench_scale"),
    "layer": _lazy("mubinn.cli.benchmarks.layer", "bench_layer"),
    "simulate": _lazy("mubinn.cli.benchmarks.simulate", "bench_simulate"),
    "energy": _lazy("mubinn.cli.benchmarks.energy", "bench_energy"),
    "libraries": _lazy("mubinn.cli.benchmarks.libraries", "bench_libraries"),
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
