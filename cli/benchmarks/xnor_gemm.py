"""``mubinn bench xnor-gemm``: products of packed signs beside the float32 BLAS.

The shapes are those of the binarized LSTM's Table 4.1.1, and (2, 2) levels of a row that meets
4,096 rows of 1,024 weights. Both sides get rows of float32; binarizing and packing them is counted
in ours, laying out the weights is not. The BLAS is NumPy's, its weights in whichever order is the
faster one, its result's place given. On a GPU the other side is XLA's float32 product.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np

from mubinn.cli.benchmarks.figures import best_seconds, figure, versions
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.process import cores
from mubinn.golden.kernels.native import chosen, instruction_sets
from mubinn.golden.kernels.products import LevelProduct, XnorProduct

SHAPES = {
    "cpu_small": (10, 300, 4500),
    "cpu_4096": (4096, 4096, 4096),
    "cpu_2_2": (1, 1024, 4096),
}
"""Rows, length of a dot product, and columns, by figure."""

GPU_SHAPES = {"gpu_small": SHAPES["cpu_small"], "gpu_4096": SHAPES["cpu_4096"]}

LEVELS = {"cpu_2_2": (2, 2)}
"""Levels of rows and of weights, where they are not signs alone."""

GOALS = {
    "cpu_small": {"avx2": 1.5, "avx512": 3.0},
    "cpu_4096": {"avx2": 4.0, "avx512": 10.0},
    "cpu_2_2": {"avx2": 6.0, "avx512": 6.0},
}
"""The least speed over the BLAS, by figure and instruction set."""

ROUNDS = 5
SPAN = 0.1
"""Seconds of what is timed at once: short products are repeated."""

Run = Callable[[], object]


def bench_xnor_gemm(instruction_set: str | None = None, rounds: int = ROUNDS) -> dict[str, Any]:
    """Return our speed over the float32 BLAS on one thread, and a table of all threads and sets.

    All run in turn, `rounds` times; the best time of each counts.

    Parameters
    ----------
    instruction_set : str, optional
        The one that is measured; by default the figures are those of this machine's fastest one.
    rounds : int

    Raises
    ------
    MubinnError
        Where this machine lacks the instruction set, there is no g++, or `rounds` is below 1.
    """
    if rounds < 1:
        raise MubinnError("the measurement takes at least 1 round.")
    own = chosen(instruction_set)
    sets = instruction_sets() if instruction_set is None else (own,)
    threads = dict.fromkeys((1, cores()))
    seconds = {(name, t): _cpu(name, sets, t, rounds) for name in SHAPES for t in threads}
    figures = [
        _figure(name, own, seconds[name, 1]["blas"] / seconds[name, 1][own]) for name in SHAPES
    ]
    device, others = _gpu(rounds)
    rows = [
        [name, t, f"{1e3 * found['blas']:.4g}", *(f"{found['blas'] / found[s]:.3g}" for s in sets)]
        for (name, t), found in seconds.items()
    ]
    columns = ["product", "threads", "BLAS in ms", *sets]
    return {
        "figures": [*figures, *others],
        "tables": {"speed over float32 BLAS": {"columns": columns, "rows": rows}},
        "versions": versions("mubinn", "numpy"),
        "parameters": {
            "instruction_set": own,
            "shapes": {**SHAPES, **GPU_SHAPES} if others else SHAPES,
            "levels": LEVELS,
            "blas": _blas(),
            "gpu": device,
            "rounds": rounds,
        },
    }


def _figure(name: str, kind: str, value: float) -> dict[str, Any]:
    goal = GOALS.get(name, {}).get(kind)
    return figure(name, value, "1", "" if goal is None else f">= {goal:g}")


def _cpu(name: str, sets: tuple[str, ...], threads: int, rounds: int) -> dict[str, float]:
    """Return the seconds of one product by BLAS and by each instruction set."""
    from threadpoolctl import threadpool_limits

    rows, size, outputs = SHAPES[name]
    rng = np.random.default_rng(0)
    a, w = LEVELS.get(name, (1, 1))
    x = rng.normal(0, 1, (rows, size)).astype(np.float32)
    bits = rng.integers(0, 2, (w, outputs, size), dtype=np.uint8)
    weights = (2 * bits[0] - 1.0).astype(np.float32)
    out = np.empty((rows, outputs), np.float32)
    orders = {"rows": weights.T, "columns": np.ascontiguousarray(weights.T)}
    runs: dict[str, Run] = {
        order: partial(np.matmul, x, own, out=out) for order, own in orders.items()
    }
    for own in sets:
        product = _product(name, bits, a, own)
        made = np.empty((rows, outputs), product.result)
        runs[own] = partial(product, x, threads=threads, out=made)
    with threadpool_limits(threads, user_api="blas"):
        found = _seconds(runs, rounds)
    found["blas"] = min(found.pop(order) for order in orders)
    return found


def _product(name: str, bits: Any, levels: int, instruction_set: str) -> LevelProduct | XnorProduct:
    if name not in LEVELS:
        return XnorProduct.of(bits[0], instruction_set=instruction_set)
    scales = 0.5 ** np.arange(levels)
    gains = np.random.default_rng(1).integers(1, 1 << 16, (bits.shape[1], levels, len(bits)))
    return LevelProduct.of(bits, gains, scales, instruction_set=instruction_set)


def _seconds(
    runs: dict[str, Run], rounds: int, wait: Callable[[Any], object] = id
) -> dict[str, float]:
    """Return the best time of a call of each.

    So many calls are timed at once as take `SPAN` seconds: what else the machine does meets all
    alike. `wait` is called with the last one's result.
    """
    counts = {}
    for name, run in runs.items():
        wait(run())
        start = perf_counter()
        wait(run())
        counts[name] = max(1, int(SPAN / (perf_counter() - start)))

    def repeat(name: str) -> None:
        for _ in range(counts[name]):
            made = runs[name]()
        wait(made)

    best = best_seconds({name: partial(repeat, name) for name in runs}, rounds)
    return {name: best[name] / count for name, count in counts.items()}


def _blas() -> str:
    from threadpoolctl import threadpool_info

    found = [own for own in threadpool_info() if own["user_api"] == "blas"]
    return ", ".join(f"{own['internal_api']} {own['version']}" for own in found)


def _gpu(rounds: int) -> tuple[str, list[dict[str, Any]]]:
    """Return the name of the GPU and its figures, or that there is none."""
    try:
        jax: Any = import_module("jax")
    except ImportError:
        return "none that JAX can use: it is not installed", []
    if jax.default_backend() != "gpu":
        return "none", []
    figures = []
    for name, shape in GPU_SHAPES.items():
        seconds = _seconds(gpu_runs(shape), rounds, jax.block_until_ready)
        figures.append(_figure(name, "gpu", seconds["blas"] / seconds["xnor"]))
    return str(jax.devices()[0].device_kind), figures


def gpu_runs(shape: tuple[int, int, int], interpret: bool = False) -> dict[str, Run]:
    """Return runs of the kernel for GPUs and of XLA's float32 product."""
    jax: Any = import_module("jax")
    from mubinn.train.kernels.xnor import pack, xnor_product

    rows, size, outputs = shape
    rng = np.random.default_rng(0)
    x, w = (
        jax.device_put(rng.choice([-1.0, 1.0], own).astype(np.float32))
        for own in ((rows, size), (outputs, size))
    )
    products: dict[str, Callable[..., Any]] = {
        "blas": jax.jit(lambda x: jax.numpy.matmul(x, w.T, precision="highest")),
        "xnor": partial(xnor_product, weights=pack(w), outputs=outputs, interpret=interpret),
    }
    return {name: partial(product, x) for name, product in products.items()}
