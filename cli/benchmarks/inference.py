"""``mubinn bench inference``: whole-set bit-true inference beside float32 LSTMs.

The float LSTM is timed alone: its input already lies in the order that it wants, and neither mean
nor classifier nor a clip of c is counted. Ours is timed from prepared samples to classes, encoding
included. Measure on an idle machine: threads that spin while they wait, as PyTorch's do, lose far
more time beside other work than ours do, and the ratio then flatters us.
"""

import os
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np

from mubinn.cli.benchmarks.figures import best_seconds, figure, subject_model, versions
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.bits import words_of
from mubinn.golden.inference.compiled import available
from mubinn.golden.inference.input import Array
from mubinn.golden.inference.loops import WORD
from mubinn.golden.inference.run import CompiledModel
from mubinn.golden.model.float_layer import FloatLayer
from mubinn.golden.quantize import quantize
from mubinn.train.data.windows import find_data, load_labelled, prepare, synthetic_eeg

WINDOWS, STEPS, FEATURES = 3270, 320, 32
DECIMATE = 2
THREADS = 2
ROUNDS = 5
BATCHES = (64, 256, 1024)
"""Batch sizes that a float LSTM may choose from; its fastest is timed."""

GOALS = {(1, 1): 1.0, (3, 3): 2.0}
Run = Callable[[], object]


def bench_inference(windows: int = WINDOWS, rounds: int = ROUNDS) -> dict[str, Any]:
    """Return our time over the faster float32 LSTM's at (1, 1) and (3, 3).

    All take the same windows and `THREADS` threads, in turn, `rounds` times; the best time of each
    counts. The model is the one that ships with the project; `prepare` halves the steps.

    Raises
    ------
    MubinnError
        Where neither PyTorch nor ONNX Runtime is installed, or `rounds` is below 1.
    """
    if rounds < 1 or windows < 32:
        raise MubinnError("the measurement takes at least 1 round and 32 windows.")
    x, source = _windows(windows)
    model = subject_model(None)
    floats = float_lstms(model.lstm_layers[0], x)
    runs: dict[str, Run] = {name: run for name, (run, _) in floats.items()}
    compiled = {}
    for levels in GOALS:
        compiled[levels] = CompiledModel(quantize(model, Levels.of(*levels), x[:32].astype(float)))
        runs[_name(levels)] = partial(compiled[levels].infer, x, threads=THREADS)
    seconds = best_seconds(runs, rounds)
    fastest = min(floats, key=lambda name: seconds[name])
    return {
        "figures": [
            figure(
                f"ratio_{a}_{w}",
                seconds[_name((a, w))] / seconds[fastest],
                "1",
                f"{'<' if goal == 1 else '<='} {goal:g}",
            )
            for (a, w), goal in GOALS.items()
        ],
        "versions": _versions(floats),
        "parameters": {
            "data": source,
            "windows": len(x),
            "steps": x.shape[1],
            "features": x.shape[2],
            "hidden": model.layers[0].hidden,
            "threads": THREADS,
            "cores": os.cpu_count(),
            "rounds": rounds,
            "faster_float": fastest,
            "float_batch": {name: batch for name, (_, batch) in floats.items()},
            "kernel": {_name(k): c.choose(*x.shape[:2]) for k, c in compiled.items()},
            "product": {_name(k): _product(c, *x.shape[:2]) for k, c in compiled.items()},
            "seconds": seconds,
        },
    }


def _name(levels: tuple[int, int]) -> str:
    return "mubinn_{}_{}".format(*levels)


def _product(compiled: CompiledModel, windows: int, steps: int) -> str:
    """Return what the first layer multiplies each step: a matrix, or words of level bits."""
    kernel = compiled.choose(windows, steps)
    if kernel == "popcount":
        layer = compiled.model.lstm_layers[0]
        return f"{layer.wx.rows} x {words_of(layer) // layer.wx.rows} words of {WORD} bits"
    weights = (compiled.fused if kernel == "fused" else compiled.layers)[0].gates.weights
    return "{} x {} {}".format(*weights.shape, weights.dtype)


def _windows(count: int) -> tuple[Array, str]:
    """Return prepared windows, real where the data set is at hand, and where they come from."""
    path = find_data()
    recorded = load_labelled(path) if path else synthetic_eeg(count, STEPS, FEATURES)
    return prepare(recorded.x[:count], decimate=DECIMATE), path.name if path else "synthetic"


def float_lstms(layer: FloatLayer, x: Array) -> dict[str, tuple[Run, int]]:
    """Return a run and its fastest batch size for every float LSTM that is installed.

    A run returns h of all steps of the last batch, float32 [T, N, H].
    """
    found: dict[str, tuple[Run, int]] = {}
    for name, make in (("torch", _torch), ("onnxruntime", _onnxruntime)):
        try:
            found[name] = _fastest(make(layer), x)
        except ImportError:
            continue
    if not found:
        raise MubinnError(
            "neither onnxruntime nor torch is installed to compare with: "
            "pip install 'mubinn[bench]'."
        )
    return found


def _fastest(step: Callable[[Array], Array], x: Array) -> tuple[Run, int]:
    """Return the run over all of `x` with the batch size that is fastest on a part of it."""
    times = {}
    for batch in BATCHES:
        part = _batches(x[: max(BATCHES)], batch)
        run = partial(_over, step, part)
        run()
        start = perf_counter()
        run()
        times[batch] = perf_counter() - start
    best = min(times, key=lambda batch: times[batch])
    return partial(_over, step, _batches(x, best)), best


def _batches(x: Array, batch: int) -> list[Array]:
    parts = (x[start : start + batch] for start in range(0, len(x), batch))
    return [np.ascontiguousarray(part.transpose(1, 0, 2)) for part in parts]


def _over(step: Callable[[Array], Array], batches: list[Array]) -> Array:
    for batch in batches:
        out = step(batch)
    return out


def _stacked(values: Array, order: str, rows: int) -> Array:
    """Return the gate blocks f, i, g, o of `values` in `order`, float32."""
    blocks = values.reshape(4, rows, -1)
    return blocks[["figo".index(gate) for gate in order]].reshape(values.shape).astype(np.float32)


def _torch(layer: FloatLayer) -> Callable[[Array], Array]:
    torch: Any = import_module("torch")
    lstm = torch.nn.LSTM(layer.features, layer.hidden).eval()
    parts = {"weight_ih_l0": layer.wx, "weight_hh_l0": layer.wh, "bias_ih_l0": layer.b}
    state = {k: torch.from_numpy(_stacked(v, "ifgo", layer.hidden)) for k, v in parts.items()}
    state["bias_hh_l0"] = torch.zeros(4 * layer.hidden)
    lstm.load_state_dict(state)

    def step(batch: Array) -> Array:
        before = torch.get_num_threads()
        torch.set_num_threads(THREADS)
        try:
            with torch.inference_mode():
                out: Array = lstm(torch.from_numpy(batch))[0].numpy()
        finally:
            torch.set_num_threads(before)
        return out

    return step


def _onnxruntime(layer: FloatLayer) -> Callable[[Array], Array]:
    onnx: Any = import_module("onnx")
    runtime: Any = import_module("onnxruntime")
    helper, numpy_helper, kind = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT
    b = np.concatenate([_stacked(layer.b, "iofg", layer.hidden), np.zeros(4 * layer.hidden)])
    weights = {
        "W": _stacked(layer.wx, "iofg", layer.hidden)[None],
        "R": _stacked(layer.wh, "iofg", layer.hidden)[None],
        "B": b.astype(np.float32)[None],
    }
    # No clip: the c_clip of a trained model costs a float LSTM next to nothing, and is left out.
    node = helper.make_node("LSTM", ["X", *weights], ["Y"], hidden_size=layer.hidden)
    graph = helper.make_graph(
        [node],
        "lstm",
        [helper.make_tensor_value_info("X", kind, ["steps", "windows", layer.features])],
        [helper.make_tensor_value_info("Y", kind, ["steps", 1, "windows", layer.hidden])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    session = runtime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def step(batch: Array) -> Array:
        out: Array = session.run(None, {"X": batch})[0][:, 0]
        return out

    return step


def _versions(floats: Iterable[str]) -> dict[str, str]:
    return versions("mubinn", "numpy", *floats, *(["numba"] if available() else []))
