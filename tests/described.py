"""PyTorch modules with descriptions of their layers, and what PyTorch makes of them.

Weights are drawn by NumPy, so that the tests need no PyTorch. Run as a program it prints the
outputs that `test_torch_layers` holds, anew:

    python tests/described.py
"""

import numpy as np

FEATURES = 3

MODELS = {
    "a convolution and an LSTM": """
        [[layer]]
        kind = "conv1d"
        prefix = "front.0"
        stride = 2
        padding = "valid"
        activation = "none"
        [[layer]]
        kind = "batchnorm1d"
        prefix = "front.1"
        eps = 1e-3
        activation = "relu6"
        [[layer]]
        kind = "lstm"
        prefix = "rnn"
        [[layer]]
        kind = "linear"
        prefix = "fc"
        readout = "last"
        head = "classes"
    """,
    "a causal convolution and a GRU": """
        [[layer]]
        kind = "conv1d"
        prefix = "conv."
        stride = 1
        padding = "causal"
        activation = "tanh"
        [[layer]]
        kind = "batchnorm1d"
        prefix = "norm"
        eps = 1e-5
        activation = "none"
        [[layer]]
        kind = "gru"
        prefix = "rnn"
        [[layer]]
        kind = "linear"
        prefix = "fc"
        readout = "mean"
        head = "sigmoid"
    """,
    "dense layers around RNNs": """
        unused = ["spare", "scale"]
        [[layer]]
        kind = "batchnorm1d"
        prefix = "norm"
        eps = 1e-5
        activation = "none"
        [[layer]]
        kind = "linear"
        prefix = "0"
        activation = "relu"
        [[layer]]
        kind = "rnn"
        prefix = "2"
        nonlinearity = "relu"
        [[layer]]
        kind = "rnn"
        prefix = "3"
        nonlinearity = "tanh"
        [[layer]]
        kind = "linear"
        prefix = "4"
        activation = "hardsigmoid"
        [[layer]]
        kind = "linear"
        prefix = "6"
        readout = "every"
        head = "regression"
    """,
    "several layers above the last step": """
        [[layer]]
        kind = "conv1d"
        prefix = "conv"
        stride = 1
        padding = "valid"
        dilation = 1
        groups = 1
        activation = "sigmoid"
        [[layer]]
        kind = "lstm"
        prefix = "rnn"
        [[layer]]
        kind = "linear"
        prefix = "fc1"
        readout = "last"
        activation = "hardtanh"
        [[layer]]
        kind = "linear"
        prefix = "fc2"
        head = "classes"
        [[layer]]
        kind = "batchnorm1d"
        prefix = "norm"
        eps = 1e-5
        activation = "none"
    """,
    "two directions": """
        [[layer]]
        kind = "batchnorm1d"
        prefix = "norm"
        eps = 1e-5
        activation = "none"
        [[layer]]
        kind = "gru"
        prefix = "low"
        [[layer]]
        kind = "batchnorm1d"
        prefix = "norm2"
        eps = 1e-5
        activation = "none"
        [[layer]]
        kind = "lstm"
        prefix = "high"
        [[layer]]
        kind = "linear"
        prefix = "fc"
        readout = "last"
        head = "classes"
    """,
    "projections": """
        [[layer]]
        kind = "lstm"
        prefix = "low"
        [[layer]]
        kind = "batchnorm1d"
        prefix = "norm"
        eps = 1e-5
        activation = "none"
        [[layer]]
        kind = "lstm"
        prefix = "high"
        [[layer]]
        kind = "linear"
        prefix = "fc"
        readout = "mean"
        head = "classes"
    """,
}
"""Descriptions by what they are of."""

SHAPES = {
    "a convolution and an LSTM": {
        **{"front.0.weight": (5, 3, 3), "front.0.bias": (5,)},
        **{f"front.1.{n}": (5,) for n in ("weight", "bias", "running_mean", "running_var")},
        **{f"rnn.weight_{n}": s for n, s in {"ih_l0": (16, 5), "hh_l0": (16, 4)}.items()},
        **{f"rnn.weight_{n}": s for n, s in {"ih_l1": (16, 4), "hh_l1": (16, 4)}.items()},
        **{f"rnn.bias_{n}": (16,) for n in ("ih_l0", "hh_l0", "ih_l1", "hh_l1")},
        **{"fc.weight": (2, 4), "fc.bias": (2,)},
    },
    "a causal convolution and a GRU": {
        "conv.weight": (4, 3, 3),
        **{f"norm.{n}": (4,) for n in ("running_mean", "running_var")},
        **{"rnn.weight_ih_l0": (15, 4), "rnn.weight_hh_l0": (15, 5)},
        **{f"rnn.bias_{n}": (15,) for n in ("ih_l0", "hh_l0")},
        **{"fc.weight": (1, 5), "fc.bias": (1,)},
    },
    "dense layers around RNNs": {
        **{f"norm.{n}": (3,) for n in ("weight", "bias", "running_mean", "running_var")},
        **{"0.weight": (5, 3), "0.bias": (5,)},
        **{"2.weight_ih_l0": (4, 5), "2.weight_hh_l0": (4, 4)},
        **{"2.bias_ih_l0": (4,), "2.bias_hh_l0": (4,)},
        **{"3.weight_ih_l0": (4, 4), "3.weight_hh_l0": (4, 4)},
        **{"4.weight": (3, 4), "4.bias": (3,), "6.weight": (2, 3)},
        **{"spare.weight": (7, 4), "spare.bias": (7,), "scale": (1,)},
    },
    "several layers above the last step": {
        **{"conv.weight": (4, 3, 2), "conv.bias": (4,)},
        **{"rnn.weight_ih_l0": (12, 4), "rnn.weight_hh_l0": (12, 3)},
        **{"fc1.weight": (4, 3), "fc1.bias": (4,), "fc2.weight": (3, 4)},
        **{f"norm.{n}": (3,) for n in ("weight", "bias", "running_mean", "running_var")},
    },
    "two directions": {
        **{f"norm.{n}": (3,) for n in ("weight", "bias", "running_mean", "running_var")},
        **{f"norm2.{n}": (8,) for n in ("weight", "bias", "running_mean", "running_var")},
        **{f"low.weight_ih_l0{end}": (12, 3) for end in ("", "_reverse")},
        **{f"low.weight_hh_l0{end}": (12, 4) for end in ("", "_reverse")},
        **{f"low.bias_{n}_l0{end}": (12,) for n in ("ih", "hh") for end in ("", "_reverse")},
        **{f"high.weight_ih_l0{end}": (12, 8) for end in ("", "_reverse")},
        **{f"high.weight_ih_l1{end}": (12, 6) for end in ("", "_reverse")},
        **{f"high.weight_hh_l{k}{end}": (12, 3) for k in (0, 1) for end in ("", "_reverse")},
        **{"fc.weight": (2, 6), "fc.bias": (2,)},
    },
    "projections": {
        **{"low.weight_ih_l0": (20, 3), "low.weight_hh_l0": (20, 2), "low.weight_hr_l0": (2, 5)},
        **{f"low.bias_{n}_l0": (20,) for n in ("ih", "hh")},
        **{f"norm.{n}": (2,) for n in ("weight", "bias", "running_mean", "running_var")},
        **{f"high.weight_ih_l0{end}": (16, 2) for end in ("", "_reverse")},
        **{f"high.weight_ih_l1{end}": (16, 6) for end in ("", "_reverse")},
        **{f"high.weight_hh_l{k}{end}": (16, 3) for k in (0, 1) for end in ("", "_reverse")},
        **{f"high.weight_hr_l{k}{end}": (3, 4) for k in (0, 1) for end in ("", "_reverse")},
        **{"fc.weight": (2, 6), "fc.bias": (2,)},
    },
}
"""Tensors of their state dictionaries, beside counters of batches."""


def state(name, dtype=np.float32):
    """The state dictionary of a model."""
    rng = np.random.default_rng(len(name))
    made = {key: rng.normal(0, 0.5, shape) for key, shape in SHAPES[name].items()}
    made |= {key: abs(a) + 0.2 for key, a in made.items() if key.endswith("running_var")}
    return {key: array.astype(dtype) for key, array in made.items()}


def windows(name):
    """Windows [2, 7, I] that a model reads."""
    return np.random.default_rng(len(name)).normal(size=(2, 7, FEATURES)).astype(np.float32)


def forward(name):
    """PyTorch's modules of a model, by name, and what computes its outputs from them."""
    import torch
    from torch import nn
    from torch.nn import functional

    def over(module, x):
        return module(x.transpose(1, 2)).transpose(1, 2)

    def first(m, x):
        return m["fc"](m["rnn"](functional.relu6(over(m["front"], x)))[0][:, -1])

    def second(m, x):
        front = torch.tanh(over(m["conv"], functional.pad(x, (0, 0, 2, 0))))
        return torch.sigmoid(m["fc"](m["rnn"](over(m["norm"], front))[0].mean(1)))

    def third(m, x):
        h = m["3"](m["2"](functional.relu(m["0"](over(m["norm"], x))))[0])[0]
        return m["6"](functional.hardsigmoid(m["4"](h)))

    def fourth(m, x):
        h = m["rnn"](torch.sigmoid(over(m["conv"], x)))[0][:, -1]
        return m["norm"](m["fc2"](functional.hardtanh(m["fc1"](h))))

    def fifth(m, x):
        below = over(m["norm2"], m["low"](over(m["norm"], x))[0])
        ends = m["high"](below)[1][0]
        return m["fc"](torch.cat([ends[-2], ends[-1]], -1))

    def sixth(m, x):
        return m["fc"](m["high"](over(m["norm"], m["low"](x)[0]))[0].mean(1))

    rnn = {"batch_first": True}
    both = rnn | {"bidirectional": True, "bias": False}
    return {
        "a convolution and an LSTM": (
            {
                "front": nn.Sequential(nn.Conv1d(3, 5, 3, stride=2), nn.BatchNorm1d(5, eps=1e-3)),
                "rnn": nn.LSTM(5, 4, 2, **rnn),
                "fc": nn.Linear(4, 2),
            },
            first,
        ),
        "a causal convolution and a GRU": (
            {
                "conv": nn.Conv1d(3, 4, 3, bias=False),
                "norm": nn.BatchNorm1d(4, affine=False),
                "rnn": nn.GRU(4, 5, **rnn),
                "fc": nn.Linear(5, 1),
            },
            second,
        ),
        "dense layers around RNNs": (
            {
                "norm": nn.BatchNorm1d(3),
                "0": nn.Linear(3, 5),
                "2": nn.RNN(5, 4, nonlinearity="relu", **rnn),
                "3": nn.RNN(4, 4, bias=False, **rnn),
                "4": nn.Linear(4, 3),
                "6": nn.Linear(3, 2, bias=False),
                "spare": nn.Linear(4, 7),
            },
            third,
        ),
        "several layers above the last step": (
            {
                "conv": nn.Conv1d(3, 4, 2),
                "rnn": nn.LSTM(4, 3, bias=False, **rnn),
                "fc1": nn.Linear(3, 4),
                "fc2": nn.Linear(4, 3, bias=False),
                "norm": nn.BatchNorm1d(3),
            },
            fourth,
        ),
        "two directions": (
            {
                "norm": nn.BatchNorm1d(3),
                "low": nn.GRU(3, 4, bidirectional=True, **rnn),
                "norm2": nn.BatchNorm1d(8),
                "high": nn.LSTM(8, 3, 2, **both),
                "fc": nn.Linear(6, 2),
            },
            fifth,
        ),
        "projections": (
            {
                "low": nn.LSTM(3, 5, proj_size=2, **rnn),
                "norm": nn.BatchNorm1d(2),
                "high": nn.LSTM(2, 4, 2, proj_size=3, **both),
                "fc": nn.Linear(6, 2),
            },
            sixth,
        ),
    }[name]


def whole(name):
    """PyTorch's module of a model, with the weights of `state`."""
    import torch

    modules, compute = forward(name)

    class Whole(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for key, module in modules.items():
                self.add_module(key, module)
            if name == "dense layers around RNNs":
                self.register_buffer("scale", torch.zeros(1))

        def forward(self, x):
            return compute(dict(self.named_children()), x)

    made = Whole().eval()
    given = {key: torch.from_numpy(array) for key, array in state(name).items()}
    missing = made.load_state_dict(given, strict=False)
    assert not missing.unexpected_keys
    assert all(key.endswith("num_batches_tracked") for key in missing.missing_keys)
    return made


def run(name, path=None):
    """PyTorch's outputs of a model, whose state dictionary it writes to a file as well."""
    import torch

    made = whole(name)
    if path is not None:
        torch.save(made.state_dict(), path)
    with torch.no_grad():
        return made(torch.from_numpy(windows(name))).numpy()


def export(name, path, opset):
    """Write a model as an ONNX graph, with PyTorch's newer exporter where `opset` is None."""
    import torch

    form = {"dynamo": opset is None}
    if opset is not None:
        form |= {"opset_version": opset, "dynamic_axes": {"x": {0: "windows", 1: "steps"}}}
    x = torch.from_numpy(windows(name))
    torch.onnx.export(whole(name), (x,), str(path), input_names=["x"], **form)


if __name__ == "__main__":
    for title in MODELS:
        print(repr(title), [round(float(n), 7) for n in run(title).ravel()])
