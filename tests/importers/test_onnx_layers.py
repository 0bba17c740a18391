"""ONNX graphs of convolutions, dense layers and normalisations beside recurrent nodes."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.any_file import import_model
from mubinn.golden.importers.parts import ImportOptions
from mubinn.golden.model import reference

FEATURES, WIDTH, HIDDEN, CLASSES = 3, 5, 4, 2
SHAPES = {
    "K": (WIDTH, FEATURES, 3),
    "K2": (WIDTH, WIDTH, 2),
    "B": (WIDTH,),
    "F": (FEATURES, WIDTH),
    "G": (WIDTH, WIDTH),
    "W": (1, 4 * HIDDEN, WIDTH),
    "W2": (2, 4 * HIDDEN, FEATURES),
    "R2": (2, 4 * HIDDEN, HIDDEN),
    "B2": (2, 8 * HIDDEN),
    "P2": (2, 3 * HIDDEN),
    "V2": (2, 3 * HIDDEN, 2 * HIDDEN),
    "U2": (2, 3 * HIDDEN, HIDDEN),
    "D8": (2 * HIDDEN, CLASSES),
    "Wx": (1, 4 * HIDDEN, FEATURES),
    "R": (1, 4 * HIDDEN, HIDDEN),
    "U": (1, 3 * HIDDEN, HIDDEN),
    "D": (CLASSES, HIDDEN),
    "H": (WIDTH, HIDDEN),
    "D5": (CLASSES, WIDTH),
    "E": (CLASSES,),
    **{f"{name}{size}": (size,) for name in ("scale", "shift", "mean") for size in (2, 3, 4, 5)},
    **{f"variance{size}": (size,) for size in (2, 3, 4, 5)},
}
"""Tensors and their shapes; each graph takes some."""

node = helper.make_node


def tensors():
    rng = np.random.default_rng(1)
    made = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in SHAPES.items()}
    made |= {name: abs(a) + 0.2 for name, a in made.items() if name.startswith("variance")}
    numbers = {"zero": [0], "one": [1], "end": [-2], "axis": [2], "around": [0, 0, 2, 0, 0, 0]}
    numbers |= {"whole": [0, 0, -1], "rows": [0, -1], "last": [-1], "far": [1 << 31]}
    made |= {name: np.array(value, np.int64) for name, value in numbers.items()}
    limits = {"low": 0.0, "high": 1.0, "half": 0.5}
    made |= {f"{name}t": made[name].T for name in ("H", "D", "D5")}
    return made | {name: np.array(value, np.float32) for name, value in limits.items()}


def norm(read, end, size):
    names = [f"{name}{size}" for name in ("scale", "shift", "mean", "variance")]
    return node("BatchNormalization", [read, *names], [end], epsilon=1e-3)


def lstm(read, weights="W"):
    return node("LSTM", [read, weights, "R"], ["hs", "h"], hidden_size=HIDDEN)


CHANNELS = node("Transpose", ["x"], ["xc"], perm=[0, 2, 1])
STEPS = node("Transpose", ["f"], ["t"], perm=[2, 0, 1])
TIME = node("Transpose", ["f"], ["t"], perm=[1, 0, 2])
LAST = node("Squeeze", ["h", "zero"], ["s"])
TOP = node("Gemm", ["s", "D", "E"], ["y"], transB=1)
BODY = [lstm("t"), LAST, TOP]
GRAPHS = {
    "a convolution and relu6": [
        CHANNELS,
        node("Conv", ["xc", "K", "B"], ["k"], kernel_shape=[3], strides=[2]),
        node("Clip", ["k", "low", "high"], ["f"]),
        *(STEPS, *BODY),
    ],
    "a normalised convolution": [
        CHANNELS,
        node("Conv", ["xc", "K"], ["k"]),
        norm("k", "b", 5),
        node("Tanh", ["b"], ["f"]),
        *(STEPS, *BODY),
    ],
    "a convolution after zeros": [
        CHANNELS,
        node("Pad", ["xc", "around"], ["p"]),
        node("Conv", ["p", "K", "B"], ["k"]),
        node("HardSigmoid", ["k"], ["f"]),
        *(STEPS, *BODY),
    ],
    "a convolution, its end cut off": [
        CHANNELS,
        node("Conv", ["xc", "K"], ["k"], pads=[2, 2]),
        node("Slice", ["k", "zero", "end", "axis"], ["c"]),
        node("Sigmoid", ["c"], ["f"]),
        *(STEPS, *BODY),
    ],
    "two convolutions over an axis of images": [
        CHANNELS,
        node("Unsqueeze", ["xc", "axis"], ["i"]),
        node("Unsqueeze", ["K", "axis"], ["Ki"]),
        node("Unsqueeze", ["K2", "axis"], ["K2i"]),
        node("Conv", ["i", "Ki"], ["k"], pads=[0, 2, 0, 0]),
        node("Tanh", ["k"], ["a"]),
        node("Conv", ["a", "K2i", "B"], ["j"]),
        node("Tanh", ["j"], ["d"]),
        node("Squeeze", ["d", "axis"], ["f"]),
        *(STEPS, *BODY),
    ],
    "dense layers at every step": [
        node("MatMul", ["x", "F"], ["m"]),
        node("Add", ["m", "B"], ["a"]),
        node("Relu", ["a"], ["r"]),
        node("MatMul", ["r", "G"], ["l"]),
        node("MatMul", ["l", "G"], ["g"]),
        node("Tanh", ["g"], ["f"]),
        *(TIME, *BODY),
    ],
    "a normalised and scaled input": [
        node("Sub", ["x", "mean3"], ["a"]),
        node("Div", ["a", "scale3"], ["b"]),
        node("Mul", ["half", "b"], ["c"]),
        node("Sub", ["half", "c"], ["f"]),
        *(TIME, lstm("t", "Wx"), LAST, TOP),
    ],
    "normalisations above": [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        lstm("t", "Wx"),
        LAST,
        norm("s", "n", 4),
        node("Gemm", ["n", "D"], ["d"], transB=1),
        norm("d", "e", 2),
        node("Softmax", ["e"], ["y"], axis=-1),
    ],
    "dense layers above": [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        lstm("t", "Wx"),
        LAST,
        node("Gemm", ["s", "H", "B"], ["p"], transB=1, alpha=0.5, beta=2.0),
        node("Relu", ["p"], ["q"]),
        node("Gemm", ["q", "D5", "E"], ["y"], transB=1),
    ],
    "two cells and a mean": [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        lstm("t", "Wx"),
        node("Squeeze", ["hs", "one"], ["u"]),
        node("Mul", ["u", "scale4"], ["v"]),
        node("GRU", ["v", "U", "U"], ["gs"], hidden_size=HIDDEN),
        node("ReduceMean", ["gs"], ["m"], axes=[0, 1], keepdims=0),
        node("MatMul", ["m", "Dt"], ["y"]),
    ],
    "a dense layer and every step": [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        lstm("t", "Wx"),
        node("Squeeze", ["hs", "one"], ["u"]),
        node("MatMul", ["u", "Ht"], ["p"]),
        node("Tanh", ["p"], ["q"]),
        node("MatMul", ["q", "D5t"], ["z"]),
        node("Transpose", ["z"], ["w"], perm=[1, 0, 2]),
        node("LogSoftmax", ["w"], ["y"], axis=-1),
    ],
    "a backward cell": [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("LSTM", ["t", "Wx", "R"], ["", "h"], hidden_size=HIDDEN, direction="reverse"),
        *(LAST, TOP),
    ],
    "a backward cell at every step": [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("LSTM", ["t", "Wx", "R"], ["hs"], hidden_size=HIDDEN, direction="reverse"),
        *(node("Squeeze", ["hs", "one"], ["s"]), node("MatMul", ["s", "Dt"], ["z"])),
        node("Transpose", ["z"], ["y"], perm=[1, 0, 2]),
    ],
    "two directions where each ends": [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node(
            *("LSTM", ["t", "W2", "R2", "B2", "", "", "", "P2"], ["", "h"]),
            **{"hidden_size": HIDDEN, "direction": "bidirectional"},
            activations=["Sigmoid", "Tanh", "Tanh", "HardSigmoid", "Tanh", "HardSigmoid"],
        ),
        *(node("Transpose", ["h"], ["g"], perm=[1, 0, 2]), node("Reshape", ["g", "rows"], ["s"])),
        node("MatMul", ["s", "D8"], ["y"]),
    ],
    "two directions on two directions": [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("LSTM", ["t", "W2", "R2"], ["hs"], hidden_size=HIDDEN, direction="bidirectional"),
        node("Transpose", ["hs"], ["g"], perm=[0, 2, 1, 3]),
        *(node("Reshape", ["g", "whole"], ["s"]), node("Mul", ["s", "half"], ["u"])),
        node("GRU", ["u", "V2", "U2"], ["gs"], hidden_size=HIDDEN, direction="bidirectional"),
        node("ReduceMean", ["gs"], ["m"], axes=[0]),
        node("Transpose", ["m"], ["v"], perm=[2, 0, 1, 3]),
        *(node("Reshape", ["v", "rows"], ["w"]), node("MatMul", ["w", "D8"], ["y"])),
    ],
}
FOUND = {
    "a convolution and relu6": "dense_ramp_lstm last classes",
    "a normalised convolution": "dense_lstm last classes",
    "a convolution after zeros": "dense_ramp_lstm last classes",
    "a convolution, its end cut off": "dense_sigmoid_lstm last classes",
    "two convolutions over an axis of images": "dense_lstm last classes",
    "dense layers at every step": "dense_ramp_dense_lstm last classes",
    "a normalised and scaled input": "lstm last classes",
    "normalisations above": "lstm last classes",
    "dense layers above": "lstm_dense_ramp last classes",
    "two cells and a mean": "lstm_gru mean classes",
    "a dense layer and every step": "lstm_dense every classes",
    "a backward cell": "lstm last classes",
    "a backward cell at every step": "lstm every classes",
    "two directions where each ends": "peephole_peephole_ramp last classes",
    "two directions on two directions": "lstm_gru mean classes",
}
"""What the graphs are."""


def save(path, nodes, opset=17):
    given = tensors()
    read = {name for part in nodes for name in part.input}
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "hand",
        [helper.make_tensor_value_info("x", kind, ("n", "t", FEATURES))],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(array, name) for name, array in given.items() if name in read],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    onnx.save_model(model, path)
    return path


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_give_what_onnx_runtime_gives(tmp_path, name):
    runtime = pytest.importorskip("onnxruntime")
    path = save(tmp_path / "m", GRAPHS[name])
    ceiling = 8.0 if any(part.op_type == "Relu" for part in GRAPHS[name]) else None
    model = import_model(path, ImportOptions(ceiling=ceiling))
    assert f"{model.cell} {model.readout} {model.head}" == FOUND[name]
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(2).normal(size=(3, 9, FEATURES)).astype(np.float32)
    y = session.run(None, {"x": x})[0]
    scores = reference.logits(model, x.astype(np.float64))
    if GRAPHS[name][-1].op_type in ("Softmax", "LogSoftmax"):
        scores = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
        y = y if GRAPHS[name][-1].op_type == "LogSoftmax" else np.log(y)
    assert np.ptp(y) > 0.02
    np.testing.assert_allclose(scores, y, rtol=5e-6, atol=5e-6)


def test_what_has_no_limit_ends_where_it_is_told_to(tmp_path):
    """Relu and a dense layer without an activation, both of which the graph does not limit."""
    path = save(tmp_path / "m", GRAPHS["dense layers at every step"])
    with pytest.raises(
        MubinnError, match=r"node Relu r has the activation relu, .*--ceiling"
    ) as told:
        import_model(path)
    assert "cut it out" not in str(told.value)
    model = import_model(path, ImportOptions(ceiling=0.5))
    kinds = [node.kind for layer in model.layers for node in layer.cell.of("activation")]
    assert kinds[:3] == ["ramp(1, 0, 0, 1/2)", "ramp(1, 0, -1/2, 1/2)", "tanh"]


def test_normalisations_of_older_graphs_are_those_of_newer_ones(tmp_path):
    model = import_model(save(tmp_path / "m", GRAPHS["a normalised convolution"], 13))
    assert (model.cell, model.readout) == ("dense_lstm", "last")


def front(*nodes):
    return [CHANNELS, *nodes, STEPS, *BODY]


REFUSED = {
    "zeros on both sides": (
        front(node("Conv", ["xc", "K"], ["k"], pads=[1, 1]), node("Tanh", ["k"], ["f"])),
        "node Conv k is a convolution that reads zeros after the window",
    ),
    "padding of the same size": (
        front(node("Conv", ["xc", "K"], ["k"], auto_pad="SAME_UPPER"), node("Tanh", ["k"], ["f"])),
        "node Conv k is a convolution that reads zeros after the window",
    ),
    "dilation": (
        front(node("Conv", ["xc", "K"], ["k"], dilations=[2]), node("Tanh", ["k"], ["f"])),
        "of 1 groups and dilation 2: train it with one of either",
    ),
    "a convolution of its own zeros": (
        front(
            node("Pad", ["xc", "around"], ["p"]),
            node("Tanh", ["p"], ["q"]),
            node("Conv", ["q", "K"], ["f"]),
        ),
        "node Tanh q follows a Pad",
    ),
    "a gate before": (
        front(node("Sigmoid", ["xc"], ["g"]), node("Conv", ["g", "K"], ["f"])),
        "node Sigmoid g follows no dense layer or convolution",
    ),
    "a branch": (
        front(
            node("Conv", ["xc", "K"], ["k"]),
            node("Conv", ["xc", "K", "B"], ["l"]),
            node("Add", ["k", "l"], ["f"]),
        ),
        "its node Conv l not reading what stands before it",
    ),
    "one layer added to another": (
        front(
            node("Conv", ["xc", "K"], ["k"]),
            node("Slice", ["k", "zero", "one", "axis"], ["l"]),
            node("Add", ["k", "l"], ["f"]),
        ),
        "its node Add f adds l, which is no constant",
    ),
    "softmax within": (
        front(node("Conv", ["xc", "K"], ["k"]), node("Softmax", ["k"], ["f"], axis=1)),
        "its node Softmax f stands between layers",
    ),
    "pooling": (
        front(node("Conv", ["xc", "K"], ["k"]), node("MaxPool", ["k"], ["f"], kernel_shape=[2])),
        "it has a node MaxPool, which is no part of a chain",
    ),
    "the last step of two directions": (
        [
            node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
            node("LSTM", ["t", "W2", "R2"], ["hs"], hidden_size=HIDDEN, direction="bidirectional"),
            node("Slice", ["hs", "last", "far", "zero"], ["l"]),
            node("Transpose", ["l"], ["g"], perm=[2, 0, 1, 3]),
            *(node("Reshape", ["g", "rows"], ["s"]), node("MatMul", ["s", "D8"], ["y"])),
        ],
        r"a readout where each direction ends \(Y_h\), of every step",
    ),
    "a mean of two dense layers": (
        [
            *(node("Transpose", ["x"], ["t"], perm=[1, 0, 2]), lstm("t", "Wx")),
            node("ReduceMean", ["hs"], ["s"], axes=[0, 1], keepdims=0),
            *(node("MatMul", ["s", "Ht"], ["p"]), node("Tanh", ["p"], ["q"])),
            node("MatMul", ["q", "D5t"], ["y"]),
        ],
        "and one dense layer after the mean: export such a model",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_chain_of_ours_is_named(tmp_path, name):
    nodes, words = REFUSED[name]
    with pytest.raises(MubinnError, match=words):
        import_model(save(tmp_path / "m", nodes))
