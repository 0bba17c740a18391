"""120 files and more of PyTorch, Keras 2 and 3, and ONNX's exporters against their frameworks.

    python tests/importers/interop.py [--folder build/interop] [--only WORDS]

Each case makes a model, lets its framework write the file and compute its outputs, and compares
what the imported model gives. Files and outputs are kept in the folder case by case: a run that is
cut off goes on where it was, and the next one compares with what is there. A table of counts
follows; the exit code is 1 where a case differs.
"""

import argparse
import json
import os
import runpy
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.any_file import import_model
from mubinn.golden.importers.parts import ImportOptions
from mubinn.golden.model import reference

RECORDER = runpy.run_path(str(Path(__file__).parent / "record_frameworks.py"))
TOLERANCE = 5e-5
SIZES = ((3, 8, 2), (1, 5, 3), (6, 16, 4))
"""Features, cells and classes, in turn."""

FRAMEWORKS = ("torch", "keras", "tf_keras", "tensorflow-cpu", "tf2onnx", "onnx", "onnxruntime")

Maker = Callable[[Path, np.random.Generator, tuple[int, int, int], Any], Any]


@dataclass(frozen=True)
class Case:
    """A file of one framework.

    Attributes
    ----------
    family : str
        Row of the table.
    name : str
        Of the file; what it is follows from its content.
    make : callable
        Writes the file and returns the framework's outputs.
    options : ImportOptions
        What the file leaves open.
    """

    family: str
    name: str
    make: Maker
    options: ImportOptions = field(default_factory=ImportOptions)


def seeded(rng):
    import torch

    torch.manual_seed(int(rng.integers(1 << 30)))
    return torch


def torch_state(kind, depth, readout, write, **options):
    def make(path, rng, sizes, x):
        torch = seeded(rng)
        module = RECORDER["torch_module"](kind, sizes, depth, readout, **options)
        write(torch, module, path)
        return RECORDER["run_torch"](module.float(), x)

    return make


def zipped(torch, module, path):
    torch.save(module.state_dict(), path)


def streamed(torch, module, path):
    torch.save(module.state_dict(), path, _use_new_zipfile_serialization=False)


def trained(form):
    """A checkpoint in the middle of training, with whatever stands beside the weights."""

    def write(torch, module, path):
        optimizer = torch.optim.Adam(module.parameters())
        module(torch.ones(2, 3, module.rnn.input_size)).sum().backward()
        optimizer.step()
        torch.save(
            {
                "epoch": np.int64(3),
                "net": module.state_dict(),
                "optimizer": optimizer.state_dict(),
                "history": np.arange(4.0),
                "device": torch.device("cpu"),
                "size": torch.Size([3, 4]),
                "random": torch.get_rng_state(),
                "options": argparse.Namespace(rate=1e-3),
                "sparse": torch.eye(3).to_sparse(),
            },
            path,
            _use_new_zipfile_serialization=form,
        )

    return write


def tensors(kind):
    def write(torch, module, path):
        from safetensors.torch import save_file

        module.to(getattr(torch, kind))
        state = {**module.state_dict(), "num_batches_tracked": torch.tensor(5)}
        save_file(state, path)

    return write


def torch_cases():
    forms = {
        "pt": ("PyTorch .pt", zipped, 12),
        "old.pt": ("PyTorch .pt before 1.6", streamed, 8),
        "check.pt": ("PyTorch checkpoint", trained(True), 8),
        "oldcheck.pt": ("PyTorch checkpoint", trained(False), 4),
        **{
            f"{kind}.safetensors": ("safetensors", tensors(kind), 3)
            for kind in ("float32", "float64", "float16", "bfloat16")
        },
    }
    for suffix, (family, write, count) in forms.items():
        models = product(("LSTM", "GRU"), (True, False), (1, 2, 3), ("last", "mean"))
        some = list(models)[:: 24 // count][:count]
        for kind, bias, depth, readout in some:
            name = f"{kind}_{depth}_{readout}_{'bias' if bias else 'bare'}.{suffix}"
            make = torch_state(kind, depth, readout, write, bias=bias)
            yield Case(family, name, make, ImportOptions(readout))
    for name, write, readout in (("pt", zipped, "last"), ("old.pt", streamed, "mean")):
        for kind, options in RNNS.items():
            make = torch_state("RNN", 2, readout, write, nonlinearity=kind)
            yield Case(f"PyTorch .{name}", f"RNN_{kind}.{name}", make, options(readout))


RNNS = {
    "tanh": lambda readout: ImportOptions(readout, nonlinearity="tanh"),
    "relu": lambda readout: ImportOptions(readout, nonlinearity="relu", ceiling=8.0),
}


def scripted(kind, depth, readout, opset):
    def make(path, rng, sizes, x):
        torch = seeded(rng)
        module = RECORDER["torch_module"](kind, sizes, depth, readout)
        torch.onnx.export(
            module,
            (torch.from_numpy(x),),
            str(path),
            dynamo=False,
            opset_version=opset,
            dynamic_axes={"x": {0: "windows", 1: "steps"}},
            input_names=["x"],
        )
        return RECORDER["run_torch"](module, x)

    return make


def traced(kind, depth, readout, **options):
    def make(path, rng, sizes, x):
        torch = seeded(rng)
        module = RECORDER["torch_module"](kind, sizes, depth, readout)
        free = options.get("dynamic_shapes")
        shapes = {"dynamic_shapes": ({0: torch.export.Dim("windows")},)} if free else {}
        given = {key: value for key, value in options.items() if key != "dynamic_shapes"}
        torch.onnx.export(
            module, (torch.from_numpy(x),), str(path), input_names=["x"], **shapes, **given
        )
        return RECORDER["run_onnx"](path, x)

    return make


def optimised(kind, readout, level):
    """What ONNX Runtime makes of a graph."""

    def make(path, rng, sizes, x):
        import onnxruntime

        plain = path.with_suffix(".plain")
        y = scripted(kind, 1, readout, 17)(plain, rng, sizes, x)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"])
        return y

    return make


def converted(kind, readout, opset):
    """What tf2onnx makes of a Keras model."""

    def make(path, rng, sizes, x):
        import tf2onnx
        import tf_keras

        model = keras_chain(tf_keras, kind, readout, sizes, functional=True)
        drawn(model, rng)
        tf2onnx.convert.from_keras(model, opset=opset, output_path=str(path))
        return np.asarray(model(x, training=False))

    return make


def onnx_cases():
    for opset, kind in product(range(7, 21), ("LSTM", "GRU")):
        readout = "mean" if opset % 2 else "last"
        name = f"{kind}_{opset}_{readout}.onnx"
        yield Case("ONNX of torch.jit", name, scripted(kind, 1 + opset % 2, readout, opset))
    for opset in (9, 17):
        yield Case("ONNX of torch.jit", f"RNN_{opset}.onnx", scripted("RNN", 2, "last", opset))
    choices = [{}, {"external_data": False}, {"dynamic_shapes": True}, {"optimize": False}]
    choices += [{"opset_version": opset} for opset in (18, 20, 21, 22)]
    for number, (choice, kind) in enumerate(product(choices, ("LSTM", "GRU"))):
        readout = "mean" if number // 2 % 2 else "last"
        name = f"{kind}_{number}_{readout}.export.onnx"
        yield Case(
            "ONNX of torch.export", name, traced(kind, 1 + number // 4 % 2, readout, **choice)
        )
    for opset, kind in product((9, 11, 13, 15, 17, 18), ("LSTM", "GRU")):
        readout = "mean" if opset % 4 == 1 else "last"
        name = f"{kind}_{opset}_{readout}.tf.onnx"
        yield Case("ONNX of tf2onnx", name, converted(kind, readout, opset))
    levels = ("ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED")
    for level, kind, readout in product(levels, ("LSTM", "GRU"), ("last", "mean")):
        name = f"{kind}_{level[11:].lower()}_{readout}.ort.onnx"
        yield Case("ONNX optimised by its Runtime", name, optimised(kind, readout, level))


def keras_chain(keras, kind, readout, sizes, *, functional, depth=1, **settings):
    features, hidden, classes = sizes
    layers = keras.layers
    chain = [
        getattr(layers, kind)(
            hidden + k, return_sequences=k + 1 < depth or readout == "mean", **settings
        )
        for k in range(depth)
    ]
    chain.insert(1, layers.Dropout(0.2))
    chain += [layers.GlobalAveragePooling1D()] if readout == "mean" else []
    chain.append(layers.Dense(classes, activation="softmax" if depth > 1 else None))
    top = inputs = keras.Input((None, features))
    if not functional:
        return keras.Sequential([inputs, *chain])
    for layer in chain:
        top = layer(top)
    return keras.Model(inputs, top)


def drawn(model, rng):
    """Give a model random weights."""
    shapes = [weight.shape for weight in model.get_weights()]
    model.set_weights([rng.normal(0, 0.5, shape).astype(np.float32) for shape in shapes])


def keras_file(package, kind, readout, **options):
    def make(path, rng, sizes, x):
        keras = __import__(package)
        model = keras_chain(keras, kind, readout, sizes, **options)
        drawn(model, rng)
        model.save(path)
        return np.asarray(model(x, training=False))

    return make


def keras_cases():
    chosen = [
        ("LSTM", "last", {}),
        ("GRU", "last", {}),
        ("LSTM", "mean", {"depth": 2}),
        ("GRU", "mean", {"reset_after": False}),
        ("LSTM", "last", {"use_bias": False}),
        ("GRU", "last", {"depth": 2, "use_bias": False, "reset_after": False}),
        ("SimpleRNN", "last", {"depth": 2}),
        ("SimpleRNN", "mean", {"activation": "relu6", "use_bias": False}),
        ("LSTM", "mean", {"recurrent_activation": "hard_sigmoid"}),
        ("GRU", "last", {"activation": "relu6", "recurrent_activation": "hard_sigmoid"}),
    ]
    for (package, suffix), functional in product(
        product(("tf_keras", "keras"), ("keras", "h5")), (True, False)
    ):
        which = f"Keras {2 if package == 'tf_keras' else 3} .{suffix}"
        for number, (kind, readout, options) in enumerate(chosen):
            form = "functional" if functional else "sequential"
            name = f"{kind}_{number}_{form}.{package}.{suffix}"
            make = keras_file(package, kind, readout, functional=functional, **options)
            yield Case(which, name, make)
    for package, name in product(("tf_keras", "keras"), RECORDER["STACKS"]):
        make = RECORDER["keras_stack"](name, package)
        yield Case("Keras stacks", f"stack_{name}.{package}.keras", make)


def cases():
    """Return all cases, each with a number of its own for its seed."""
    return [*torch_cases(), *onnx_cases(), *keras_cases()]


def error_of(path, options, x, y):
    """Return the largest difference of the imported model's outputs from the framework's own."""
    model = import_model(path, options)
    scores = reference.logits(model, x.astype(np.float64))
    if model.head == "sigmoid":
        scores = 1 / (1 + np.exp(-scores))
    elif np.allclose(y.sum(axis=-1), 1, atol=1e-5):
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores = scores / scores.sum(axis=-1, keepdims=True)
    return float(np.abs(scores - y.reshape(scores.shape)).max())


def made(case, number, folder, about):
    """Return windows and the framework's outputs; what an earlier run has made is taken."""
    path, kept = folder / case.name, folder / f"{case.name}.npz"
    if kept.exists():
        found = np.load(kept)
        if str(found["about"]) == about:
            return found["x"], found["y"]
    rng = np.random.default_rng(number)
    sizes = SIZES[number % len(SIZES)]
    x = RECORDER["signal"](rng, 4, RECORDER["steps_of"](case.make, 9), sizes[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the frameworks' own
        y = np.asarray(case.make(path, rng, sizes, x))
    part = folder / "part.npz"
    np.savez(part, x=x, y=y, about=about)
    part.rename(kept)
    return x, y


def run(case, number, folder, about):
    """Return what became of a case: its error, or why there is none."""
    try:
        x, y = made(case, number, folder, about)
    except Exception as error:  # whatever a framework raises
        return {"lacks": f"{type(error).__name__}: {str(error).strip()[:300]}"}
    try:
        return {"error": error_of(folder / case.name, case.options, x, y)}
    except MubinnError as error:
        return {"refused": str(error)}


def versions():
    found = {}
    for name in FRAMEWORKS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def fits(result):
    return result.get("error", np.inf) <= TOLERANCE


def table(done):
    """Print the counts of each family; return whether all cases fit."""
    from tabulate import tabulate

    rows = []
    for family in dict.fromkeys(case.family for case, _ in done):
        own = [result for case, result in done if case.family == family]
        counts = Counter(
            "equal" if fits(result) else next(iter(result)).replace("error", "differ")
            for result in own
        )
        errors = [result["error"] for result in own if "error" in result]
        shown = f"{max(errors):.1e}" if errors else "-"
        rest = [counts[key] for key in ("equal", "differ", "refused", "lacks")]
        rows.append([family, len(own), *rest, shown])
    rows.append(["all", *(sum(row[k] for row in rows) for k in range(1, 6)), ""])
    heads = ["files", "all", "equal", "differ", "refused", "not made", "largest error"]
    print(tabulate(rows, heads))
    return all(fits(result) for _, result in done)


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("build/interop"))
    parser.add_argument("--only", default="", help="cases whose family or name holds this")
    given = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "jax")
    given.folder.mkdir(parents=True, exist_ok=True)
    about = json.dumps(versions())
    done = []
    chosen = [(k, c) for k, c in enumerate(cases()) if given.only in f"{c.family} {c.name}"]
    for count, (number, case) in enumerate(chosen, 1):
        result = run(case, number, given.folder, about)
        done.append((case, result))
        said = "equal" if fits(result) else " ".join(map(str, *result.items()))
        print(f"{count}/{len(chosen)} {case.name}: {said}", flush=True)
    return 0 if table(done) else 1


if __name__ == "__main__":
    sys.exit(main())
