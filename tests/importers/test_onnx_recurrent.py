"""ONNX's recurrent nodes in float64 against ONNX Runtime, with all that may be set."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.onnx_recurrent import run, settings_of
from mubinn.golden.importers.parts import ImportOptions

FEATURES, HIDDEN, STEPS, BATCH = 3, 4, 6, 5
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
ORDER = ("X", "W", "R", "B", "lengths", "h0", "c0", "P")
LINES = {"activation_alpha": [0.3, 0.75, 0.5], "activation_beta": [0.4, 0.0, 0.125]}
LINE = {"activation_alpha": [0.75]}
SETTINGS = [
    ("LSTM", {}),
    ("LSTM", {"input_forget": 1}),
    ("LSTM", {"input_forget": 1, "activations": ["HardSigmoid", "Tanh", "Tanh"]}),
    ("LSTM", {"activations": ["Sigmoid", "Tanh", "HardSigmoid"]}),
    ("LSTM", {"activations": ["HardSigmoid", "Affine", "Affine"], "clip": 0.3} | LINES),
    ("LSTM", {"activations": ["HardSigmoid", "HardSigmoid", "Tanh"], "clip": 0.3}),
    ("GRU", {}),
    ("GRU", {"linear_before_reset": 1, "activations": ["HardSigmoid", "tanh"]}),
    ("GRU", {"activations": ["HardSigmoid", "HardSigmoid"], "activation_alpha": [0.4]}),
    ("GRU", {"activations": ["HardSigmoid", "Relu"], "clip": 0.5}),
    ("RNN", {}),
    ("RNN", {"activations": ["Affine"], "activation_beta": [0.25], "clip": 0.75} | LINE),
]


def tensors(kind, directions):
    rng, rows = np.random.default_rng(0), GATES[kind] * HIDDEN
    shapes = {
        "X": (STEPS, BATCH, FEATURES),
        "W": (directions, rows, FEATURES),
        "R": (directions, rows, HIDDEN),
        "B": (directions, 2 * rows),
        "h0": (directions, BATCH, HIDDEN),
    }
    if kind == "LSTM":
        shapes |= {"c0": shapes["h0"], "P": (directions, 3 * HIDDEN)}
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def settings(kind, attributes):
    options = ImportOptions(ceiling=8.0)
    return settings_of(kind, "n", attributes, options)


def own(kind, given, attributes):
    inputs = [given[name].astype(np.float64) if name in given else None for name in ORDER]
    return run(kind, settings(kind, attributes), attributes, inputs)


def of_runtime(kind, given, attributes):
    runtime = pytest.importorskip("onnxruntime")
    names = [name if name in given else "" for name in ORDER[: 8 if "P" in given else 6]]
    ends = ["Y", "Y_h", "Y_c"][: 3 if kind == "LSTM" else 2]
    graph = helper.make_graph(
        [helper.make_node(kind, names, ends, hidden_size=HIDDEN, **attributes)],
        "one",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in given.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ends],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, given)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("kind", "attributes"), SETTINGS, ids=str)
def test_nodes_do_as_onnx_runtime_has_them(kind, attributes, direction):
    both = 2 if direction == "bidirectional" else 1
    own_settings = dict(attributes) | {"direction": direction}
    for name in ("activations", "activation_alpha", "activation_beta"):
        if name in attributes:
            own_settings[name] = attributes[name] * both
    given = tensors(kind, both)
    found = own(kind, given, own_settings)
    wanted = of_runtime(kind, given, own_settings)
    for one, other in zip(found, wanted, strict=True):
        assert np.ptp(other) > 0.05
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", GATES)
def test_windows_may_stand_before_steps(kind):
    given = tensors(kind, 2)
    about = {"direction": "bidirectional"}
    y, *states = own(kind, given, about)
    moved = {n: a.swapaxes(0, 1) if n in ("X", "h0", "c0") else a for n, a in given.items()}
    z, *ends = own(kind, moved, about | {"layout": 1})
    assert (z == y.transpose(2, 0, 1, 3)).all()
    for one, other in zip(ends, states, strict=True):
        assert (one == other.swapaxes(0, 1)).all()


def test_what_the_evaluator_knows_is_left_to_it():
    assert settings("LSTM", {}).is_plain("LSTM")
    assert not settings("GRU", {"direction": "bidirectional"}).is_plain("GRU")
    assert not settings("GRU", {"direction": "reverse"}).is_plain("GRU")
    assert settings("LSTM", {"activations": [b"Sigmoid", b"Tanh", b"Tanh"]}).is_plain("LSTM")
    assert not settings("LSTM", {"input_forget": 1}).is_plain("LSTM")
    assert not settings("RNN", {"activations": ["Sigmoid"]}).is_plain("RNN")


FAULTS = [
    ("RNN", {"clip": 2.0}, "clips the sums before its tanh, which ours does not"),
    ("RNN", {"activations": ["Softsign"]}, "activation Softsign: train it with Sigmoid, Tanh"),
    ("RNN", {"activations": ["Affine"], "activation_alpha": [-1.0]}, "Affine without its alpha or"),
    ("RNN", {"activations": ["HardSigmoid"], "activation_alpha": [-1.0]}, "does not rise"),
    ("GRU", {"activations": ["Sigmoid", "Relu"]}, "has no limit, as hardware must"),
    ("GRU", {"activations": ["Sigmoid", "Relu"], "clip": 9.0}, "clips the sums before its sigmoid"),
    ("RNN", {"activations": ["Relu"], "clip": 9.0}, "has no limit, as hardware must"),
]


@pytest.mark.parametrize(("kind", "attributes", "words"), FAULTS, ids=str)
def test_what_ours_cannot_be_is_refused(kind, attributes, words):
    with pytest.raises(MubinnError, match=words):
        settings_of(kind, "n", attributes, ImportOptions())
