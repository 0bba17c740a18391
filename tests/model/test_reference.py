"""The float64 reference against PyTorch, against a plain loop, and quantized against scalars."""

import math

import numpy as np
import pytest

from mubinn.golden.cells.library import rnn
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import reference
from mubinn.golden.model.float_layer import FloatLayer, lstm_layer
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.reference import FloatQuantizer, LayerQuantizers


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def plain_lstm(layer, x, clip=math.inf):
    """Eq. (1)-(6) for one window, one scalar after the other."""
    n = layer.hidden
    h, c, found = [0.0] * n, [0.0] * n, []
    for row in x:
        z = [
            sum(w * v for w, v in zip(layer.wx[r], row, strict=True))
            + sum(w * v for w, v in zip(layer.wh[r], h, strict=True))
            + layer.b[r]
            for r in range(4 * n)
        ]
        f, i, o = ([sigmoid(v) for v in z[k * n : (k + 1) * n]] for k in (0, 1, 3))
        g = [math.tanh(v) for v in z[2 * n : 3 * n]]
        c = [f[k] * c[k] + i[k] * g[k] for k in range(n)]
        c = [min(max(v, -clip), clip) for v in c]
        h = [o[k] * math.tanh(c[k]) for k in range(n)]
        found.append(h)
    return np.array(found)


@pytest.mark.parametrize("clip", [None, 0.3])
def test_equals_a_plain_loop(random_float, clip):
    layer = random_float(1, c_clip=clip).layers[0]
    x = np.random.default_rng(2).normal(size=(12, 5)) * 2
    run = reference.run_layer(layer, LayerQuantizers(), x)
    assert run["h"] == pytest.approx(plain_lstm(layer, x, clip or math.inf), abs=1e-14)
    clipped = np.abs(run["c_raw"]).max() > (clip or math.inf)
    assert clipped == (clip is not None)
    assert np.abs(run["c"]).max() <= (clip or math.inf)


@pytest.mark.parametrize(("features", "hidden", "depth"), [(5, 4, 1), (3, 7, 3), (32, 100, 1)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_equals_pytorch(random_float, features, hidden, depth, dtype):
    torch = pytest.importorskip("torch")
    kind = getattr(torch, dtype)
    model = random_float(3, features, hidden, depth=depth, c_clip=None)
    peer = torch.nn.LSTM(features, hidden, depth, batch_first=True, dtype=kind)
    order = np.r_[hidden : 2 * hidden, :hidden, 2 * hidden : 4 * hidden]  # i, f, g, o
    with torch.no_grad():
        for index, layer in enumerate(model.layers):
            half = layer.b[order] / 2
            values = {"weight_ih": layer.wx[order], "weight_hh": layer.wh[order]}
            values |= {"bias_ih": half, "bias_hh": half}
            for name, value in values.items():
                getattr(peer, f"{name}_l{index}").copy_(torch.from_numpy(value.copy()))
        x = np.random.default_rng(4).normal(size=(2, 40, features))
        theirs, (_, last_c) = peer(torch.from_numpy(x).to(kind))
    h = x
    for layer in model.layers:
        run = reference.run_layer(layer, LayerQuantizers(), h)
        h = run["h"]
    tolerance = 1e-13 if dtype == "float64" else 2e-5
    assert np.abs(h - theirs.numpy()).max() < tolerance
    assert np.abs(run["c"][:, -1] - last_c[-1].numpy()).max() < 2 * tolerance


def algorithm_1(value, scales, offset=0.0):
    residual, total = value - offset, offset
    for scale in scales:
        sign = 1 if residual >= 0 else -1
        residual -= sign * scale
        total += sign * scale
    return total


def test_quantizers_act_where_hardware_encodes(random_float):
    layer = random_float(5, hidden=2, c_clip=None).layers[0]
    x_s, h_s, c_s, gate_s = [1.0, 0.5], [0.3, 0.2], [0.5, 0.25], [0.25, 0.125]
    offsets = np.array([0.125, -0.25])
    quantizers = LayerQuantizers(
        FloatQuantizer(np.array(x_s)),
        {
            **{n: FloatQuantizer(np.array(gate_s), 0.0 if n == "g" else 0.5) for n in "figo"},
            "c": FloatQuantizer(np.array(c_s)),
            "h": FloatQuantizer(np.array(h_s), offsets),
        },
    )
    x = np.random.default_rng(6).normal(size=(8, 5))
    run = reference.run_layer(layer, quantizers, x)
    h = [algorithm_1(0.0, h_s, offset) for offset in offsets]
    c = [algorithm_1(0.0, c_s)] * 2
    for t in range(8):
        now = [algorithm_1(v, x_s) for v in x[t]]
        z = layer.wx @ now + layer.wh @ h + layer.b
        values = [math.tanh(v) if r // 2 == 2 else sigmoid(v) for r, v in enumerate(z)]
        gate = [algorithm_1(v, gate_s, 0.0 if r // 2 == 2 else 0.5) for r, v in enumerate(values)]
        f, i, g, o = (gate[2 * k : 2 * k + 2] for k in range(4))
        c = [algorithm_1(f[k] * c[k] + i[k] * g[k], c_s) for k in range(2)]
        h = [algorithm_1(o[k] * math.tanh(c[k]), h_s, offsets[k]) for k in range(2)]
        assert run["gate"][t] == pytest.approx(gate, abs=1e-12)
        assert run["c"][t] == pytest.approx(c, abs=1e-12)
        assert run["h"][t] == pytest.approx(h, abs=1e-12)


@pytest.mark.parametrize("readout", ["last", "mean"])
def test_readouts(random_float, readout):
    model = random_float(7, depth=2, readout=readout)
    x = np.random.default_rng(8).normal(size=(3, 9, 5))
    for window, scores in zip(x, reference.logits(model, x), strict=True):
        h = plain_lstm(model.layers[1], plain_lstm(model.layers[0], window, 1.0), 1.0)
        read = h[-1] if readout == "last" else h.mean(axis=0)
        assert scores == pytest.approx(model.wd @ read + model.bd, abs=1e-13)


def test_batches_are_independent(random_float):
    model = random_float(9)
    x = np.random.default_rng(1).normal(size=(2, 3, 6, 5))
    together = reference.logits(model, x)
    assert together.shape == (2, 3, 3)
    assert reference.logits(model, x[1, 2]) == pytest.approx(together[1, 2], abs=1e-14)


def zeros(*shape):
    return np.zeros(shape)


FAULTS = [
    (lambda: lstm_layer(zeros(8), zeros(8, 2), zeros(8)), r"expected \(4H, I\)"),
    (lambda: lstm_layer(zeros(6, 3), zeros(6, 2), zeros(6)), r"expected \(4H, I\)"),
    (lambda: lstm_layer(zeros(8, 0), zeros(8, 2), zeros(8)), r"expected \(4H, I\)"),
    (lambda: lstm_layer(zeros(8, 3), zeros(8, 3), zeros(8)), r"wh has shape \(8, 3\)"),
    (lambda: lstm_layer(zeros(8, 3), zeros(8, 2), zeros(7)), r"b has shape \(7,\)"),
    (lambda: lstm_layer(zeros(8, 3) + np.nan, zeros(8, 2), zeros(8)), "wx holds NaN"),
    (lambda: lstm_layer(zeros(8, 3), zeros(8, 2), zeros(8), 0.0), "c_clip is 0.0"),
    (lambda: lstm_layer(zeros(8, 3), zeros(8, 2), zeros(8), math.nan), "c_clip is nan"),
    (
        lambda: FloatLayer(rnn, zeros(2, 3), zeros(2, 2), zeros(2), {"c": 1.0}),
        "cell rnn has no encoder 'c' to clip: give one of h",
    ),
]


@pytest.mark.parametrize(("make", "message"), FAULTS)
def test_unusable_layers_are_refused(make, message):
    with pytest.raises(MubinnError, match=message):
        make()


def test_unusable_models_are_refused():
    layer = lstm_layer(zeros(8, 3), zeros(8, 2), zeros(8))
    with pytest.raises(MubinnError, match="no recurrent layer"):
        FloatModel((), zeros(2, 2), zeros(2))
    with pytest.raises(MubinnError, match="expects 3 inputs, the one below has 2"):
        FloatModel((layer, layer), zeros(2, 2), zeros(2))
    with pytest.raises(MubinnError, match="2 classes up"):
        FloatModel((layer,), zeros(1, 2), zeros(1))
    with pytest.raises(MubinnError, match=r"wd has shape \(2, 3\)"):
        FloatModel((layer,), zeros(2, 3), zeros(2))
    with pytest.raises(MubinnError, match="bd holds NaN"):
        FloatModel((layer,), zeros(2, 2), zeros(2) + np.inf)
    with pytest.raises(MubinnError, match="unknown readout"):
        FloatModel((layer,), zeros(2, 2), zeros(2), "first")
    model = FloatModel((layer,), zeros(2, 2), zeros(2))
    assert (model.features, model.classes) == (3, 2)
