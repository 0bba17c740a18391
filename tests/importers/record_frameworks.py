"""Models of PyTorch, Keras and ONNX Runtime with their own outputs, as the importers' tests want.

Run as a program it writes tests/data/frameworks/ anew:

    KERAS_BACKEND=jax python tests/record_frameworks.py

`make interop` calls the same makers with other sizes, against the frameworks that are installed.
"""

import os
import sys
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "data" / "frameworks"

CEILING = 0.75
"""Stands for the layer ReLU with this largest value."""


def signal(rng, windows, steps, features):
    return rng.normal(size=(windows, steps, features)).astype(np.float32)


def torch_module(kind, sizes, depth, readout, bias=True, **settings):
    import torch

    features, hidden, classes = sizes

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            cell = getattr(torch.nn, kind)
            self.rnn = cell(features, hidden, depth, batch_first=True, bias=bias, **settings)
            self.both = bool(settings.get("bidirectional"))
            self.fc = torch.nn.Linear((1 + self.both) * hidden, classes)

        def forward(self, x):
            h, ends = self.rnn(x)
            if readout == "mean":
                return self.fc(h.mean(1))
            ends = ends[0] if isinstance(ends, tuple) else ends
            return self.fc(torch.cat([ends[-2], ends[-1]], -1) if self.both else h[:, -1])

    return Module().eval()


def run_torch(module, x):
    import torch

    with torch.no_grad():
        return module(torch.from_numpy(x)).numpy()


def torch_pt(kind, depth, readout, bias=True, **settings):
    def make(path, rng, sizes, x):
        import torch

        torch.manual_seed(int(rng.integers(1 << 30)))
        module = torch_module(kind, sizes, depth, readout, bias, **settings)
        torch.save(module.state_dict(), path)
        return run_torch(module, x)

    return make


def torch_safetensors(path, rng, sizes, x):
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(int(rng.integers(1 << 30)))
    module = torch_module("GRU", sizes, 2, "last").bfloat16()
    save_file(module.state_dict(), path)
    return run_torch(module.float(), x)


def torch_onnx(kind, depth, readout, **settings):
    def make(path, rng, sizes, x):
        import torch

        torch.manual_seed(int(rng.integers(1 << 30)))
        module = torch_module(kind, sizes, depth, readout, **settings)
        axes = {"x": {0: "windows", 1: "steps"}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (torch.from_numpy(x),),
                str(path),
                dynamo=False,
                dynamic_axes=axes,
                input_names=["x"],
            )
        return run_onnx(path, x)

    return make


def onnx_node(kind, peepholes=False, **attributes):
    """A graph made by hand: time first, one node, Y_h into MatMul, Add and Softmax."""

    def make(path, rng, sizes, x):
        from onnx import TensorProto, helper, numpy_helper, save_model

        features, hidden, classes = sizes
        gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
        shapes = {
            "W": (1, gates * hidden, features),
            "R": (1, gates * hidden, hidden),
            "B": (1, 2 * gates * hidden),
            "D": (hidden, classes),
            "E": (classes,),
            "squeezed": None,
        } | ({"P": (1, 3 * hidden)} if peepholes else {})
        inputs = ["t", "W", "R", "B", *(["", "", "", "P"] if peepholes else [])]
        tensors = {
            name: rng.normal(0, 0.5, shape).astype(np.float32)
            for name, shape in shapes.items()
            if shape
        }
        tensors["squeezed"] = np.array([0], np.int64)
        nodes = [
            helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
            helper.make_node(kind, inputs, ["", "h"], hidden_size=hidden, **attributes),
            helper.make_node("Squeeze", ["h", "squeezed"], ["s"]),
            helper.make_node("MatMul", ["s", "D"], ["m"]),
            helper.make_node("Add", ["m", "E"], ["l"]),
            helper.make_node("Softmax", ["l"], ["p"], axis=-1),
        ]
        kind_ = TensorProto.FLOAT
        graph = helper.make_graph(
            nodes,
            "hand",
            [helper.make_tensor_value_info("x", kind_, ["windows", "steps", features])],
            [helper.make_tensor_value_info("p", kind_, ["windows", classes])],
            [numpy_helper.from_array(array, name) for name, array in tensors.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        save_model(model, path)
        return run_onnx(path, x)

    return make


def run_onnx(path, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def run_keras(model, path, rng, x):
    drawn = [rng.normal(0, 0.5, weight.shape).astype(np.float32) for weight in model.get_weights()]
    names = [weight.name for weight in model.weights]
    model.set_weights(
        [abs(w) + 0.1 if "variance" in name else w for name, w in zip(names, drawn, strict=True)]
    )
    model.save(path)
    return np.asarray(model(x, training=False))


def keras_sequential(path, rng, sizes, x):
    from keras import Sequential, layers

    features, hidden, classes = sizes
    model = Sequential(
        [
            layers.Input((None, features)),
            layers.LSTM(hidden, return_sequences=True, dropout=0.1),
            layers.Dropout(0.2),
            layers.LSTM(hidden + 1),
            layers.Dense(classes, activation="softmax"),
        ]
    )
    return run_keras(model, path, rng, x)


def keras_functional(cell, readout, package="keras", **settings):
    def make(path, rng, sizes, x):
        keras = import_module(package)
        Input, Model, layers = keras.Input, keras.Model, keras.layers
        features, hidden, classes = sizes
        mean = readout == "mean"
        top = inputs = Input((None, features))
        own = {
            k: layers.ReLU(max_value=CEILING) if v is CEILING else v for k, v in settings.items()
        }
        top = getattr(layers, cell)(hidden, return_sequences=mean, **own)(top)
        top = layers.GlobalAveragePooling1D()(top) if mean else top
        units = classes if mean else 1
        top = layers.Dense(units, activation=None if mean else "sigmoid")(top)
        return run_keras(Model(inputs, top), path, rng, x)

    return make


AROUND, ALL = {"padding": "same"}, {"return_sequences": True}
SIGMOID = {"activation": "sigmoid"}
STACKS = {
    "convolution": (
        ("Conv1D", {"filters": 5, "kernel_size": 3, "strides": 2, "activation": "tanh"}),
        ("LSTM", {"units": 4}),
        ("Dense", {"units": 4, "activation": "sigmoid"}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ),
    "normalised": (
        ("Conv1D", {"filters": 5, "kernel_size": 3, "padding": "causal", "use_bias": False}),
        ("BatchNormalization", {}),
        ("ReLU", {"max_value": 1.0}),
        ("GRU", {"units": 4, "return_sequences": True}),
        ("BatchNormalization", {"scale": False}),
        ("GlobalAveragePooling1D", {}),
        ("Dense", {"units": 2}),
    ),
    "dense": (
        ("BatchNormalization", {"center": False}),
        ("Dense", {"units": 5}),
        ("Activation", {"activation": "tanh"}),
        ("Conv1D", {"filters": 4, "kernel_size": 2, "activation": "hard_sigmoid"}),
        ("SimpleRNN", {"units": 3}),
        ("Dense", {"units": 3}),
        ("BatchNormalization", {}),
    ),
    "every": (
        ("LSTM", {"units": 4, "return_sequences": True}),
        ("TimeDistributed", {"layer": ("Dense", {"units": 5, "activation": "tanh"})}),
        ("TimeDistributed", {"layer": ("BatchNormalization", {})}),
        ("Dense", {"units": 1, "activation": "sigmoid"}),
    ),
    "directions": (
        ("Bidirectional", {"layer": ("LSTM", {"units": 4, "return_sequences": True})}),
        ("BatchNormalization", {}),
        ("Bidirectional", {"layer": ("GRU", {"units": 3, "use_bias": False})}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ),
    "backwards": (
        ("Bidirectional", {"layer": ("SimpleRNN", {"units": 4, "return_sequences": True})}),
        ("LSTM", {"units": 4, "go_backwards": True}),
        ("Dense", {"units": 2}),
    ),
    "frames": (
        ("TimeDistributed", {"layer": ("Conv2D", {**AROUND, "filters": 4, "kernel_size": (1, 3)})}),
        ("TimeDistributed", {"layer": ("BatchNormalization", {"center": False})}),
        ("Activation", {"activation": "tanh"}),
        (
            "ConvLSTM2D",
            {
                **AROUND,
                **ALL,
                "filters": 3,
                "kernel_size": 3,
                "recurrent_activation": "hard_sigmoid",
            },
        ),
        ("ConvLSTM2D", {**AROUND, **ALL, "filters": 2, "kernel_size": (3, 1), "use_bias": False}),
        ("TimeDistributed", {"layer": ("Conv2D", {"filters": 1, "kernel_size": 1, **SIGMOID})}),
    ),
    "movies": (
        ("ConvLSTM2D", {**AROUND, **ALL, "filters": 3, "kernel_size": 3, "dropout": 0.1}),
        ("BatchNormalization", {}),
        ("GlobalAveragePooling3D", {}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ),
}
"""Layers of models of several kinds, from the bottom up."""

FRAMES = {"frames": (3, 4), "movies": (3, 4)}
"""Of those that read frames of pixels, their rows and columns."""


def keras_layer(keras, kind, settings):
    own = {k: keras_layer(keras, *v) if k == "layer" else v for k, v in settings.items()}
    return getattr(keras.layers, kind)(**own)


def keras_stack(name, package="keras"):
    def make(path, rng, sizes, x):
        keras = import_module(package)
        chain = [keras_layer(keras, *about) for about in STACKS[name]]
        frame = FRAMES.get(name, ())
        inputs = keras.layers.Input((None, *frame, sizes[0]))
        own = x.reshape(len(x), -1, *frame, sizes[0])
        return run_keras(keras.Sequential([inputs, *chain]), path, rng, own)

    make.steps = 2 * np.prod(FRAMES[name]) if name in FRAMES else None
    return make


def steps_of(make, usual):
    """The steps of windows that a maker reads, whole frames where it reads frames."""
    return getattr(make, "steps", None) or usual


MAKERS = {
    "torch_lstm.pt": torch_pt("LSTM", 2, "last"),
    "torch_gru.pt": torch_pt("GRU", 1, "mean", bias=False),
    "torch_gru.safetensors": torch_safetensors,
    "torch_lstm.onnx": torch_onnx("LSTM", 2, "mean"),
    "torch_gru.onnx": torch_onnx("GRU", 1, "last"),
    "node_lstm.onnx": onnx_node("LSTM"),
    "node_gru_before.onnx": onnx_node("GRU"),
    "node_gru_after.onnx": onnx_node("GRU", linear_before_reset=1),
    "sequential_lstm.keras": keras_sequential,
    "functional_gru.keras": keras_functional("GRU", "mean"),
    "functional_gru_before.keras": keras_functional("GRU", "last", reset_after=False),
    "functional_lstm.keras": keras_functional("LSTM", "last", use_bias=False),
    "torch_rnn.pt": torch_pt("RNN", 2, "last"),
    "torch_rnn_relu.pt": torch_pt("RNN", 1, "mean", nonlinearity="relu"),
    "node_rnn.onnx": onnx_node("RNN"),
    "node_rnn_relu.onnx": onnx_node("RNN", activations=["Relu"], clip=0.5),
    "node_lstm_peephole.onnx": onnx_node("LSTM", peepholes=True),
    "node_lstm_coupled.onnx": onnx_node("LSTM", input_forget=1),
    "node_lstm_hard.onnx": onnx_node(
        "LSTM",
        peepholes=True,
        activations=["HardSigmoid", "Affine", "HardSigmoid"],
        activation_alpha=[0.3, 0.75, 0.5],
        activation_beta=[0.4, 0.0, 0.125],
        clip=0.5,
    ),
    "node_lstm_coupled_hard.onnx": onnx_node(
        "LSTM", activations=["HardSigmoid", "Tanh", "Sigmoid"], input_forget=1
    ),
    "node_gru_hard.onnx": onnx_node(
        "GRU",
        activations=["HardSigmoid", "Affine"],
        activation_alpha=[0.3, 0.75],
        activation_beta=[0.4, 0.0],
        clip=0.5,
        linear_before_reset=1,
    ),
    "functional_rnn.keras": keras_functional("SimpleRNN", "last"),
    "functional_rnn_relu.keras": keras_functional("SimpleRNN", "mean", activation=CEILING),
    "functional_lstm_hard.keras": keras_functional(
        "LSTM", "mean", activation="hard_tanh", recurrent_activation="hard_sigmoid"
    ),
    "keras2_lstm_hard.keras": keras_functional(
        "LSTM", "last", "tf_keras", recurrent_activation="hard_sigmoid"
    ),
    "keras2_gru_hard.keras": keras_functional(
        "GRU", "mean", "tf_keras", activation="relu6", recurrent_activation="hard_sigmoid"
    ),
    "stack_convolution.keras": keras_stack("convolution"),
    "stack_normalised.keras": keras_stack("normalised"),
    "stack_dense.keras": keras_stack("dense"),
    "stack_every.keras": keras_stack("every"),
    "stack_directions.keras": keras_stack("directions"),
    "stack_backwards.keras": keras_stack("backwards"),
    "torch_lstm_both.pt": torch_pt("LSTM", 2, "last", bidirectional=True),
    "torch_rnn_both.pt": torch_pt("RNN", 1, "mean", bias=False, bidirectional=True),
    "torch_gru_both.onnx": torch_onnx("GRU", 2, "last", bidirectional=True),
    "torch_lstm_both.onnx": torch_onnx("LSTM", 1, "mean", bidirectional=True),
    "stack_frames.keras": keras_stack("frames"),
    "stack_movies.keras": keras_stack("movies"),
}


def main():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    FOLDER.mkdir(parents=True, exist_ok=True)
    recorded = {}
    for number, (name, make) in enumerate(MAKERS.items()):
        rng = np.random.default_rng(number)
        x = signal(rng, 3, steps_of(make, 6), 3)
        recorded[f"{name}.x"] = x
        recorded[f"{name}.y"] = make(FOLDER / name, rng, (3, 4, 2 + number % 2), x)
    np.savez(FOLDER / "recorded.npz", **recorded)


if __name__ == "__main__":
    sys.exit(main())
