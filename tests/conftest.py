"""Random models for the tests, built straight from integers: no fitting stands between."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.scales import LevelTensor, Quantizer
from mubinn.golden.cells.formats import Formats
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.library import gru, gru_before, lstm
from mubinn.golden.model.float_layer import gru_layer as float_gru
from mubinn.golden.model.float_layer import lstm_layer as float_lstm
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.quantized_model import QuantizedDense, QuantizedModel
from mubinn.sim.runner.toolchain import OPTIMISATION
from mubinn.train.data.windows import find_data, load_labelled, prepare, synthetic_eeg

# The trainer asks JAX for this; here a test may have started JAX before.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")


# How long an example takes depends on what else the machine does.
settings.register_profile("loaded", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded")


def pytest_configure(config):
    """Have what runs briefly compiled in less time; slow tests run long enough for compilers."""
    # A fifth of an elaboration goes into looking for garbage among objects that all live on.
    gc.set_threshold(100_000, 50, 50)
    if "not slow" in config.getoption("markexpr"):
        os.environ.setdefault(OPTIMISATION, "-O0")
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Mark as long what long.txt names; it names nothing that is not there."""
    here = Path(__file__).parent
    lines = (here / "long.txt").read_text().splitlines()
    named = {f"{here.name}/{line}" for line in lines if not line.startswith("#")}
    found = {item.nodeid: item for item in items}
    for name in named & found.keys():
        found[name].add_marker(pytest.mark.long)
    whole = config.args == config.getini("testpaths")
    if whole and named - found.keys():
        raise pytest.UsageError(f"long.txt names what is not there: {min(named - found.keys())}")


@pytest.fixture(scope="session", autouse=True)
def temporary(tmp_path_factory):
    """Have pytest keep temporary folders, and remove old ones: failed simulations leave theirs."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("temporary")
        patch.setenv("TMPDIR", str(folder))
        patch.setattr("tempfile.tempdir", None)  # asked for anew
        yield folder


def quantizer(rng, levels, fraction, offset=0, top=200):
    return Quantizer(-np.sort(-rng.integers(1, top, levels)), fraction, offset)


def level_tensor(rng, shape, groups, fraction, top=60):
    return LevelTensor(
        rng.integers(0, 2, shape), rng.integers(0, top, (groups, shape[0])), fraction
    )


def layer_of(rng, levels, features, hidden, x=None, groups=4, offsets=True, formats=None):
    x = x or quantizer(rng, levels.x, 6, rng.integers(-9, 9, features) if offsets else 0)
    h = quantizer(rng, levels.h, 7, rng.integers(-9, 9, hidden) if offsets else 0)
    half = 128 if offsets else 0
    gates = {g: quantizer(rng, levels.gate, 8, 0 if g == "g" else half) for g in lstm.gate_names}
    rows, fractions = 4 * hidden, (9, 7)
    wx = level_tensor(rng, (levels.w, rows, features), groups, fractions[0])
    wh = level_tensor(rng, (levels.w, rows, hidden), groups, fractions[1])
    fraction = max(x.fraction + fractions[0], h.fraction + fractions[1])
    b = level_tensor(rng, (levels.b, rows), 4, fraction, top=1 << 13)
    c = quantizer(rng, levels.c, 7, 5 if offsets else 0)
    own = {**gates, "c": c, "h": h}
    return QuantizedLayer(lstm, x, own, wx, wh, b, formats or Formats())


def build(
    seed=0,
    levels=(3, 3),
    features=5,
    hidden=4,
    classes=3,
    depth=1,
    per_row=False,
    offsets=True,
    readout="mean",
    formats=None,
    head="classes",
    **own,
):
    rng = np.random.default_rng(seed)
    counts = levels if isinstance(levels, Levels) else Levels.of(*levels, **own)
    layers = []
    for _ in range(depth):
        below = layers[-1] if layers else None
        groups = 4 * hidden if per_row else 4
        layers.append(
            layer_of(
                rng,
                counts,
                below.hidden if below else features,
                hidden,
                below.h if below else None,
                groups,
                offsets,
                formats,
            )
        )
    w = level_tensor(rng, (counts.w, classes, hidden), classes if per_row else 1, 8)
    b = level_tensor(rng, (counts.b, classes), 1, layers[-1].h.fraction + 8)
    return QuantizedModel(tuple(layers), QuantizedDense(w, b, head), readout, meta={"fold": "0"})


GRU_OPTIONS = ("per_row", "offsets", "formats", "reset")


def gru_layer_of(
    rng, levels, features, hidden, x, per_row=False, offsets=True, formats=None, reset="after"
):
    x = x or quantizer(rng, levels.x, 6, rng.integers(-9, 9, features) if offsets else 0)
    h = quantizer(rng, levels.h, 7, 5 if offsets else 0)
    half = 128 if offsets else 0
    gates = {g: quantizer(rng, levels.gate, 8, 0 if g == "n" else half) for g in gru.gate_names}
    count = 4 if reset == "after" else 3
    rows, fractions = count * hidden, (9, 7)
    groups = rows if per_row else count
    wx = level_tensor(rng, (levels.w, rows, features), groups, fractions[0])
    wh = level_tensor(rng, (levels.w, rows, hidden), groups, fractions[1])
    states = [h] if reset == "after" else [h, quantizer(rng, levels.h, 8, -3 if offsets else 0)]
    fraction = max(x.fraction + fractions[0], *(s.fraction + fractions[1] for s in states))
    b = level_tensor(rng, (levels.b, rows), count, fraction, top=1 << 13)
    if reset == "before":
        own = {**gates, "s": states[1], "h": h}
        return QuantizedLayer(gru_before, x, own, wx, wh, b, formats or Formats())
    # Row z, r, nh, nx: nh reads h alone, nx reads x alone.
    quarter = groups // 4
    for tensor, row in ((wx, 2), (wh, 3)):
        scales = tensor.scales.copy()
        scales[row * quarter : (row + 1) * quarter] = 0
        object.__setattr__(tensor, "scales", scales)
    return QuantizedLayer(gru, x, {**gates, "h": h}, wx, wh, b, formats or Formats())


def build_quantized_gru(
    seed=0,
    levels=(3, 3),
    features=5,
    hidden=4,
    classes=3,
    depth=1,
    readout="mean",
    head="classes",
    **how,
):
    """Return a GRU; `how` is that of `gru_layer_of`, and counts of single tensors."""
    rng = np.random.default_rng(seed)
    options = {name: how.pop(name) for name in tuple(how) if name in GRU_OPTIONS}
    counts = levels if isinstance(levels, Levels) else Levels.of(*levels, **how)
    layers = []
    for _ in range(depth):
        below = layers[-1] if layers else None
        size, x = (below.hidden, below.h) if below else (features, None)
        layers.append(gru_layer_of(rng, counts, size, hidden, x, **options))
    w = level_tensor(rng, (counts.w, classes, hidden), classes if options.get("per_row") else 1, 8)
    b = level_tensor(rng, (counts.b, classes), 1, layers[-1].h.fraction + 8)
    return QuantizedModel(tuple(layers), QuantizedDense(w, b, head), readout, meta={"fold": "0"})


def build_float(
    seed=0, features=5, hidden=4, classes=3, depth=1, c_clip=1.0, readout="mean", head="classes"
):
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(0, 0.4, shape).astype(np.float32)

    layers = tuple(
        float_lstm(
            normal(4 * hidden, hidden if index else features),
            normal(4 * hidden, hidden),
            normal(4 * hidden),
            c_clip,
        )
        for index in range(depth)
    )
    dense = normal(classes, hidden), normal(classes)
    return FloatModel(layers, *dense, readout, meta={"data": "none"}, head=head)


def build_gru(
    seed=0,
    features=5,
    hidden=4,
    classes=3,
    depth=1,
    reset="after",
    readout="mean",
    bias=0.4,
    head="classes",
):
    rng = np.random.default_rng(seed)

    def normal(*shape, scale=0.4):
        return rng.normal(0, scale, shape).astype(np.float32)

    layers = tuple(
        float_gru(
            normal(3 * hidden, hidden if index else features),
            normal(3 * hidden, hidden),
            normal(3 * hidden, scale=bias),
            normal(hidden, scale=bias),
            reset,
        )
        for index in range(depth)
    )
    dense = normal(classes, hidden), normal(classes)
    return FloatModel(layers, *dense, readout, meta={"data": "none"}, head=head)


@pytest.fixture(scope="session")
def random_model():
    """Return the factory of random quantized models."""
    return build


@pytest.fixture(scope="session")
def random_float():
    """Return the factory of random float models, values exact in float32."""
    return build_float


@pytest.fixture(scope="session")
def random_float_gru():
    """Return the factory of random float GRUs, values exact in float32."""
    return build_gru


@pytest.fixture(scope="session")
def random_gru():
    """Return the factory of random quantized GRUs."""
    return build_quantized_gru


@pytest.fixture(scope="session")
def random_of():
    """Return the factory of random quantized models of a cell, ``"lstm"`` or ``"gru"``."""
    return lambda cell="lstm", **how: {"lstm": build, "gru": build_quantized_gru}[cell](**how)


@pytest.fixture(scope="session")
def windows_of():
    """Return what gives `count` windows of 320 steps, and windows to calibrate with.

    Real where the recordings are at hand, else synthetic. The function returns calibration windows
    as the bundled float model reads them, test windows [count, 320, I], and which of the two.
    """

    def chosen(count):
        source = find_data()
        data = load_labelled(source) if source else synthetic_eeg(windows=400, seed=7)
        held_out = data.take(data.fold == 0)
        rest = data.take(data.fold != 0)
        spread = held_out.x[:: max(1, len(held_out.x) // count)][:count]
        calibration = prepare(rest.x[:: max(1, len(rest.x) // 64)][:64])
        return calibration, prepare(spread, decimate=1), "real" if source else "synthetic"

    return chosen
