"""``mubinn bench inference``: whole-set bit-true inference beside float32 LSTMs and GRUs.

The float layer is timed alone: its input already lies in the order that it wants, and neither mean
nor classifier nor a clip of c is counted. Ours is timed from prepared samples to classes, encoding
included. Measure on an idle machine: threads that spin while they wait, as PyTorch's do, lose far
more time beside other work than ours do, and the ratio then flatters us.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np

from mubinn.cli.benchmarks.figures import best_seconds, figure, subject_model, versions
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.cells.constants import RESETS
from mubinn.golden.cells.library import gru, lstm
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.inference.compiled import available
from mubinn.golden.inference.input import WORD, Array
from mubinn.golden.inference.rows import words_of
from mubinn.golden.inference.run import CompiledModel
from mubinn.golden.model.float_layer import FloatLayer, gru_layer, gru_parts
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.quantize import quantize
from mubinn.train.data.windows import find_data, load_labelled, prepare, synthetic_eeg

WINDOWS, STEPS, FEATURES = 3270, 320, 32
DECIMATE = 2
THREADS = 2
ROUNDS = 5
BATCHES = (64, 256, 1024)
"""Batch sizes that a float layer may choose from; its fastest is timed."""

GOALS = {
    "ratio_1_1": ("lstm", (1, 1), 0.25),
    "ratio_3_3": ("lstm", (3, 3), 1.0),
    "gru_ratio_1_1": ("gru", (1, 1), 0.5),
    "gru_ratio_3_3": ("gru", (3, 3), 1.5),
    "gru_before_ratio_3_3": ("gru_before", (3, 3), 1.5),
}
"""Figures: cell, levels and the most that our time over the float one's is to be."""

Run = Callable[[], object]


def bench_inference(windows: int = WINDOWS, rounds: int = ROUNDS) -> dict[str, Any]:
    """Return our time over the fastest float32 layer's for three cells at (1, 1) or (3, 3).

    All take the same windows and `THREADS` threads, in turn, `rounds` times; the best time of each
    counts. The LSTM is the model that ships with the project; the GRUs have the weights of its
    gates f, i and g as their z, r and n. `prepare` halves the steps. Both reset forms of the GRU
    are held to ONNX Runtime's of the same form.

    Raises
    ------
    MubinnError
        Where neither PyTorch nor ONNX Runtime is installed, or `rounds` is below 1.
    """
    if rounds < 1 or windows < 32:
        raise MubinnError("the measurement takes at least 1 round and 32 windows.")
    x, source = _windows(windows)
    models = _models()
    floats = {cell: float_layers(model.layers[0], x) for cell, model in models.items()}
    runs = {f"{cell} {name}": run for cell, own in floats.items() for name, (run, _) in own.items()}
    compiled = {}
    for name, (cell, levels, _) in GOALS.items():
        fitted = quantize(models[cell], Levels.of(*levels), x[:32].astype(float))
        compiled[name] = CompiledModel(fitted)
        runs[name] = partial(compiled[name].infer, x, threads=THREADS)
    seconds = best_seconds(runs, rounds)
    fastest = {c: min(seconds[f"{c} {name}"] for name in own) for c, own in floats.items()}
    return {
        "figures": [
            figure(name, seconds[name] / fastest[cell], "1", f"<= {goal:g}")
            for name, (cell, _, goal) in GOALS.items()
        ],
        "versions": _versions({name for own in floats.values() for name in own}),
        "parameters": {
            "data": source,
            "windows": len(x),
            "steps": x.shape[1],
            "features": x.shape[2],
            "hidden": models["lstm"].layers[0].hidden,
            "threads": THREADS,
            "cores": os.cpu_count(),
            "rounds": rounds,
            "float_batch": {
                cell: {name: batch for name, (_, batch) in own.items()}
                for cell, own in floats.items()
            },
            "kernel": {name: own.choose(*x.shape[:2]) for name, own in compiled.items()},
            "product": {name: _product(own, *x.shape[:2]) for name, own in compiled.items()},
            "seconds": seconds,
        },
    }


def _models() -> dict[str, FloatModel]:
    """Return a float model of each cell, by the cell's name."""
    model = subject_model(None)
    layer = model.layers[0]
    parts = [array[: 3 * layer.hidden] for array in (layer.wx, layer.wh, layer.b)]
    found = {"lstm": model}
    for reset in RESETS:
        own = gru_layer(parts[0], parts[1], parts[2], np.zeros(layer.hidden), reset)
        found[own.cell.name] = replace(model, layers=(own,))
    return found


def _product(compiled: CompiledModel, windows: int, steps: int) -> str:
    """Return what the first layer multiplies each step: a matrix, or words of level bits."""
    kernel, layer = compiled.choose(windows, steps), compiled.model.layers[0]
    if kernel == "words":
        return f"{layer.wx.rows} x {words_of(layer) // layer.wx.rows} words of {WORD} bits"
    kind = "int16" if kernel == "pairs" else compiled.numpy[0].weights[0].dtype
    return f"{layer.wx.rows} x {layer.hidden + layer.features} {kind}"


def _windows(count: int) -> tuple[Array, str]:
    """Return prepared windows, real where the data set is at hand, and where they come from."""
    path = find_data()
    recorded = load_labelled(path) if path else synthetic_eeg(count, STEPS, FEATURES)
    return prepare(recorded.x[:count], decimate=DECIMATE), path.name if path else "synthetic"


def float_layers(layer: FloatLayer, x: Array) -> dict[str, tuple[Run, int]]:
    """Return a run and its fastest batch size for every float layer that is installed.

    A run returns h of all steps of the last batch, float32 [T, N, H].
    """
    found: dict[str, tuple[Run, int]] = {}
    makers = {"torch": _torch, "onnxruntime": _onnxruntime}
    for name, make in makers.items():
        if name == "torch" and layer.cell is not lstm:
            continue
        try:
            found[name] = _fastest(make(layer), x)
        except ImportError:
            continue
    if not found:
        raise MubinnError(
            f"neither onnxruntime nor torch is installed to compare the {layer.cell.name} with: "
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


def _onnx_parts(layer: FloatLayer) -> tuple[str, dict[str, Array], dict[str, int]]:
    """Return the node that computes `layer`, its weights, and its attributes."""
    if layer.cell is lstm:
        b = np.concatenate([_stacked(layer.b, "iofg", layer.hidden), np.zeros(4 * layer.hidden)])
        own = [_stacked(array, "iofg", layer.hidden) for array in (layer.wx, layer.wh)]
        # No clip: the c_clip of a trained model costs a float LSTM next to nothing; it is left out.
        return "LSTM", {"W": own[0], "R": own[1], "B": b}, {}
    wx, wh, b, bn = (array.copy() for array in gru_parts(layer))
    for array in (wx, wh, b):
        array[: layer.hidden] *= -1  # ONNX has z weigh the old state
    b = np.concatenate([b, np.zeros(2 * layer.hidden), bn])
    return "GRU", {"W": wx, "R": wh, "B": b}, {"linear_before_reset": int(layer.cell is gru)}


def _onnxruntime(layer: FloatLayer) -> Callable[[Array], Array]:
    onnx: Any = import_module("onnx")
    runtime: Any = import_module("onnxruntime")
    helper, numpy_helper, kind = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT
    name, weights, attributes = _onnx_parts(layer)
    node = helper.make_node(name, ["X", *weights], ["Y"], hidden_size=layer.hidden, **attributes)
    graph = helper.make_graph(
        [node],
        name,
        [helper.make_tensor_value_info("X", kind, ["steps", "windows", layer.features])],
        [helper.make_tensor_value_info("Y", kind, ["steps", 1, "windows", layer.hidden])],
        [numpy_helper.from_array(v.astype(np.float32)[None], k) for k, v in weights.items()],
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
