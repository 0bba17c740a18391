"""The doors by which files come in: good files for each, ways to change them, and readers."""

import io
import json
import shutil
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from click.testing import CliRunner
from described import MODELS, state
from edf_files import Line, edf_bytes
from fuzz.mutate import Change, Rng, altered, altered_json, altered_zip, packed, pick, unpacked
from keras_files import NAMES, h5, older
from set_files import CODES, PLACES, moving, record
from torch_files import Call, Global, archive, stream

from mubinn.cli.main import mubinn
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.container import from_bytes, to_bytes

RECORDED = Path(__file__).parents[1] / "importers" / "data" / "frameworks"


class Fault(Exception):
    """A file that ended otherwise than it should."""


@dataclass(frozen=True)
class Door:
    """A kind of files.

    Attributes
    ----------
    seeds : callable
        Given a folder of good files, returns names and contents of those to change.
    changes : sequence of callable
        How they are changed.
    enter : callable
        Given the folder and a changed file, reads it and returns whether it was taken; raises
        `Fault` or anything else where that does not end in success or in one sentence.
    """

    seeds: Callable[[Path], list[Path]]
    changes: Sequence[Change]
    enter: Callable[[Path, Path], bool]

    def case(self, rng: Rng, folder: Path) -> tuple[str, bytes]:
        """Return the suffix and the bytes of a malformed file."""
        seed = pick(rng, self.seeds(folder))
        return seed.suffix, pick(rng, self.changes)(rng, seed.read_bytes())


def files(*names: str) -> Callable[[Path], list[Path]]:
    """Return the files of these names in the folder, or among the recorded ones."""

    def found(folder: Path) -> list[Path]:
        return [
            path
            for name in names
            for place in (folder, RECORDED)
            for path in sorted(place.glob(name))
        ]

    return found


def command(*words: str) -> Callable[[Path, Path], bool]:
    """Return what hands a file, FILE among `words`, to a command, whose output is OUT."""

    def enter(folder: Path, path: Path) -> bool:
        out = folder / "out"
        named = {"FILE": str(path), "OUT": str(out)}
        given = [named.get(word, word.replace("@", f"{folder}/")) for word in words]
        before = {path.name for path in folder.iterdir()}
        try:
            result = CliRunner().invoke(mubinn, given)
            if not isinstance(result.exception, SystemExit | None):
                raise result.exception
            left = {path.name for path in folder.iterdir()} - before
            if result.exit_code not in (0, 2):
                raise Fault(f"exit code {result.exit_code}: {result.output[-200:]}")
            if result.exit_code == 2 and (left or result.stdout):
                raise Fault(f"it failed and left {left or result.stdout[:80]}")
            if result.exit_code == 2:
                said = [line for line in result.stderr.split("\n") if not line.startswith("note: ")]
                check_sentence("\n".join(said).removeprefix("mubinn: ").removesuffix("\n"))
            return result.exit_code == 0
        finally:
            if out.is_dir():
                shutil.rmtree(out)
            out.unlink(missing_ok=True)

    return enter


def call(read: Callable[[Path], Any]) -> Callable[[Path, Path], bool]:
    """Return what hands a file to a function."""

    def enter(_: Path, path: Path) -> bool:
        try:
            read(path)
        except MubinnError as error:
            check_sentence(str(error))
            return False
        return True

    return enter


def in_place_of(kept: str, read: Callable[[Path], Any]) -> Callable[[Path, Path], bool]:
    """Return what puts a file in the place of one among others, and hands that to a function."""

    def enter(folder: Path, path: Path) -> bool:
        place = folder / f"{kept}{path.suffix}"
        good = place.read_bytes()
        try:
            place.write_bytes(path.read_bytes())
            return call(read)(folder, place)
        finally:
            place.write_bytes(good)

    return enter


def check_sentence(text: str) -> None:
    """Raise `Fault` unless `text` is one sentence that a person can read."""
    if not text.endswith(".") or "\n" in text or len(text) > 1200 or "Traceback" in text:
        raise Fault(f"no sentence: {text[:300]!r}")


def behind_checksum(rng: Rng, data: bytes) -> bytes:
    """Return one of our model files with its structure or a tensor changed, its checksum right."""
    content = from_bytes(data)
    if rng.integers(2):
        changed = json.loads(altered_json(rng, json.dumps(content.structure).encode()))
        try:
            return to_bytes(replace(content, structure=changed))
        except ValueError:  # no such file can be written: its JSON has no infinities
            return data
    tensors = dict(content.tensors)
    name = pick(rng, sorted(tensors))
    array = np.array(tensors.pop(name))
    kind = int(rng.integers(6))
    if kind == 1:
        tensors[name + "x"] = array
    elif kind == 2:
        tensors[name] = array.astype(pick(rng, (np.float32, np.int8, np.int64, np.uint8, np.bool_)))
    elif kind == 3:
        tensors[name] = array[..., :-1] if array.ndim else array[None]
    elif kind == 4:
        tensors[name] = array[None]
    elif kind == 5 and array.size:
        limits = np.finfo if array.dtype.kind == "f" else np.iinfo
        values = (0, 1, limits(array.dtype).max, limits(array.dtype).min)
        array.flat[int(rng.integers(array.size))] = pick(rng, values)
        tensors[name] = array
    return to_bytes(replace(content, tensors=tensors))


def npy_header(rng: Rng, data: bytes) -> bytes:
    """Return an .npy file with its header, which is text, changed and its length right."""
    length = int.from_bytes(data[8:10], "little")
    header = altered(rng, data[10 : 10 + length])
    return data[:8] + (len(header) % 65536).to_bytes(2, "little") + header + data[10 + length :]


def npz_header(rng: Rng, data: bytes) -> bytes:
    """Return an .npz file with the header of a member changed behind its checksum."""
    members = unpacked(data)
    name = pick(rng, list(members))
    members[name] = npy_header(rng, members[name])
    return packed(members)


def json_lines(rng: Rng, data: bytes) -> bytes:
    """Return lines of JSON with one of them changed as JSON."""
    lines = data.splitlines()
    chosen = int(rng.integers(len(lines)))
    lines[chosen] = altered_json(rng, lines[chosen])
    return b"\n".join(lines) + b"\n"


def json_header(rng: Rng, data: bytes) -> bytes:
    """Return a safetensors archive with its header changed as JSON and its length right."""
    length = int.from_bytes(data[:8], "little")
    header = altered_json(rng, data[8 : 8 + length])
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def h5_config(rng: Rng, data: bytes) -> bytes:
    """Return a Keras model of the older form with its configuration changed as JSON."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        changed = altered_json(rng, file.attrs["model_config"].encode())
        file.attrs["model_config"] = np.bytes_(changed)
    return buffer.getvalue()


def edf_field(rng: Rng, data: bytes) -> bytes:
    """Return an EDF file with a few bytes of its header, which is text, written over."""
    header = int(data[184:192])
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        word = pick(rng, (b"-1", b"0", b"1e9", b"99999999", b"nan", b"\0\0", b"EDF+D", b"%", b"  "))
        start = int(rng.integers(8, header - 8)) // 8 * 8
        changed[start : start + 8] = word.ljust(8)
    return bytes(changed)


def _library(path: Path) -> None:
    from mubinn.synth import load_library

    load_library(path)


def _log(path: Path) -> None:
    from mubinn.reports.accuracy import Run
    from mubinn.train.runs.sweep import is_finished, summary

    run = path.with_name("run")
    run.mkdir(exist_ok=True)
    log = path.replace(run / "log.jsonl")
    try:
        if is_finished(run):
            Run.of(summary(log))
    finally:
        shutil.rmtree(run)


def _checkpoint(path: Path) -> None:
    from mubinn.train.runs.checkpoint import load_checkpoint

    load_checkpoint(path)


def _watch(path: Path) -> None:
    from mubinn.train.data.watch_text import runs_of

    runs_of(path.parents[1], 20)


def _record(path: Path) -> None:
    from mubinn.train.data.beats import beats

    beats(path.parent)


QUANTIZE = ("--levels", "1,1", "--windows", "2", "-o", "OUT")
MODEL = ("quantize", "FILE", "--data", "@three.npz", *QUANTIZE)
LAST = (*MODEL, "--readout", "last")
DATA = ("quantize", "@good.safetensors", "--data", "FILE", *QUANTIZE)

DOORS = {
    "quantized": Door(
        files("good.mubinn", "gru.mubinn"), (altered, behind_checksum), command("info", "FILE")
    ),
    "float": Door(
        files("good.safetensors"), (altered, behind_checksum, json_header), command("info", "FILE")
    ),
    "safetensors": Door(files("torch_*.safetensors"), (altered, json_header), command(*LAST)),
    "torch": Door(files("torch_[gl]*.pt"), (altered, altered_zip, altered_zip), command(*LAST)),
    "torch_rnn": Door(
        files("torch_rnn*.pt"),
        (altered, altered_zip),
        command(*LAST, "--nonlinearity", "relu", "--ceiling", "8"),
    ),
    "torch_stream": Door(files("old*.pt"), (altered,), command(*LAST)),
    "keras": Door(files("*.keras"), (altered, altered_zip, altered_zip), command(*MODEL)),
    "keras_h5": Door(files("*.h5"), (altered, altered, h5_config), command(*MODEL)),
    "onnx": Door(files("*.onnx"), (altered,), command(*MODEL)),
    "described": Door(
        files("described.pt"), (altered, altered_zip), command(*MODEL, "--describe", "@layers.toml")
    ),
    "description": Door(
        files("layers.toml"),
        (altered,),
        command("quantize", "@described.pt", *MODEL[2:], "--describe", "FILE"),
    ),
    "npz": Door(
        files("windows.npz", "people.npz"), (altered, altered_zip, npz_header), command(*DATA)
    ),
    "npy": Door(files("windows.npy"), (altered, npy_header), command(*DATA)),
    "recording": Door(
        files("windows.npz", "anna.npz"),
        (altered_zip, npz_header),
        command("calibrate", "@good.mubinn", "FILE", "-o", "OUT"),
    ),
    "edf": Door(
        files("a.edf", "b.bdf"), (altered, edf_field, edf_field), command(*DATA, "--window", "0.5")
    ),
    "checkpoint": Door(
        files("checkpoint.npz"), (altered, altered_zip, npz_header), call(_checkpoint)
    ),
    "log": Door(files("log.jsonl"), (altered, json_lines, json_lines), call(_log)),
    "liberty": Door(files("small.lib"), (altered,), call(_library)),
    "watch": Door(
        files("wisdm/accel/*.txt"),
        (altered,),
        in_place_of("wisdm/accel/data_1600_accel_watch", _watch),
    ),
    "wfdb": Door(files("mitdb/100.*"), (altered,), in_place_of("mitdb/100", _record)),
}
"""Every kind of file that the program reads, by name."""


def make_good(folder: Path, models: Iterable[tuple[str, Any]]) -> None:
    """Write the good files: the models by name, and data, logs and a library for them."""
    from mubinn.golden.model.model_file import save_model

    for name, model in models:
        save_model(folder / name, model)
    _older_forms(folder)
    _chosen(folder)
    _stacks(folder)
    _published_sets(folder)
    _data_and_logs(folder)
    for path in folder.glob("*.npz"):  # which note when they were made
        path.write_bytes(packed(unpacked(path.read_bytes()), zipfile.ZIP_DEFLATED))


def _data_and_logs(folder: Path) -> None:
    """Write data of every form, a checkpoint, a library and a log."""
    from mubinn.synth.liberty.tech65 import tech65_liberty
    from mubinn.train.runs.checkpoint import save_checkpoint

    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (20, 16, 5)).astype(np.float32)
    y = np.arange(20) % 2
    np.savez(folder / "windows.npz", X=x, y=y)
    # Two frames of 3 x 4 pixels, for models that read such.
    np.savez(folder / "three.npz", X=np.tile(x[:, :12, :3], (1, 2, 1)), y=y)
    names = np.array(["left", "right"])
    people = np.arange(20) // 2
    about = {"classes": names, "channels": np.array([*"abcde"]), "fs_hz": 80.0, "scale_uV": 0.1}
    for name, subject in [("people.npz", people), ("anna.npz", np.zeros_like(people))]:
        np.savez_compressed(
            folder / name,
            X=(100 * x).astype(np.int16),
            y=names[y],
            subject=subject,
            fold=people % 5,
            **about,
        )
    np.save(folder / "windows.npy", x)
    lines = [Line(name, rng.normal(0, 90, 32 * 9), rate=32) for name in "abcde"]
    texts = [("left", 1, 2), ("right", 4, 2)]
    starts = [0, 1, 2, 3, 9, 10, 11, 12, 13]
    (folder / "a.edf").write_bytes(edf_bytes(lines, kind="EDF+D", texts=texts, starts=starts))
    (folder / "b.bdf").write_bytes(edf_bytes(lines, kind="BDF"))
    arrays = {f"leaf{k}": rng.normal(0, 1, (3, k + 1)).astype(np.float32) for k in range(3)}
    rows = [{"epoch": 1, "loss": 0.5, "validation_accuracy": None, "seconds": 1.0}]
    about = {"fingerprint": "a", "devices": 2, "best_epoch": 1, "history": rows}
    save_checkpoint(folder / "checkpoint.npz", arrays, about)
    (folder / "small.lib").write_text(tech65_liberty(25.0))
    method = {"name": "mubinn2", "levels": {"x": 3, "w": 3}, "scale_form": "free"}
    start = {"method": method, "normalise": "window", "fold": 0, "seed": 0}
    end = {"test_accuracy": 0.8, "bit_true_accuracy": 0.8, "agreement": 1.0, "windows": 20}
    log = [
        {"event": "start", "recipe": start, "windows": {"train": 1}, "versions": {}},
        {"event": "epoch", **rows[0]},
        {"event": "end", **end, "epochs": 1, "notes": {}},
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))


def _chosen(folder: Path) -> None:
    """Write an ONNX graph whose last node stands in both branches of a choice."""
    import onnx

    model = onnx.load(RECORDED / "node_lstm.onnx")
    last = model.graph.node.pop()
    [end] = last.output
    last.output[0] = "inner"
    value = onnx.helper.make_tensor_value_info("inner", onnx.TensorProto.FLOAT, None)
    branch = onnx.helper.make_graph([last], "branch", [], [value])
    both = {"then_branch": branch, "else_branch": branch}
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(onnx.helper.make_node("If", ["yes"], [end], **both))
    onnx.save_model(model, folder / "choice.onnx")


def _stacks(folder: Path) -> None:
    """Write models of convolutions and normalisations below an LSTM: of PyTorch, and a graph."""
    import onnx

    name = next(iter(MODELS))
    tensors = state(name)
    (folder / "layers.toml").write_text(MODELS[name])
    (folder / "described.pt").write_bytes(packed(unpacked(archive(tensors))))
    node = onnx.helper.make_node
    norm = [f"front.1.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    gates = ("rnn.weight_ih_l0", "rnn.weight_hh_l0")
    given = {key: tensors[key][None] if key in gates else tensors[key] for key in tensors}
    given |= {"zero": np.array([0]), "low": np.float32(0), "high": np.float32(1)}
    given |= {"around": np.array([0, 0, 2, 0, 0, 0])}
    nodes = [
        node("Transpose", ["x"], ["c"], perm=[0, 2, 1]),
        node("Pad", ["c", "around"], ["p"]),
        node("Conv", ["p", "front.0.weight", "front.0.bias"], ["k"], strides=[2]),
        node("BatchNormalization", ["k", *norm], ["b"]),
        node("Clip", ["b", "low", "high"], ["r"]),
        node("Transpose", ["r"], ["t"], perm=[2, 0, 1]),
        node("LSTM", ["t", *gates], ["", "h"], hidden_size=4),
        node("Squeeze", ["h", "zero"], ["s"]),
        node("Gemm", ["s", "fc.weight", "fc.bias"], ["y"], transB=1),
    ]
    read = {name for part in nodes for name in part.input}
    graph = onnx.helper.make_graph(
        nodes,
        "stack",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ("n", "t", 3))],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(given[key]), key) for key in given if key in read],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnx.save_model(model, folder / "stack.onnx")


def _published_sets(folder: Path) -> None:
    """Write a person's watch and two records of beats."""
    moving(folder / "wisdm", 1600, "A", seconds=15)
    (folder / "mitdb").mkdir()
    record(folder / "mitdb", "100", PLACES, CODES)
    record(folder / "mitdb", "101", PLACES, CODES)


def _older_forms(folder: Path) -> None:
    """Write models as PyTorch kept them before version 1.6, and as Keras 2 did."""
    rng = np.random.default_rng(0)
    shapes = {
        **{"rnn.weight_ih_l0": (16, 3), "rnn.weight_hh_l0": (16, 4)},
        **{"rnn.bias_ih_l0": (16,), "rnn.bias_hh_l0": (16,)},
        **{"fc.weight": (2, 4), "fc.bias": (2,)},
    }
    for name, kind in [("old_float.pt", np.float32), ("old_half.pt", np.float16)]:
        state = OrderedDict((key, rng.normal(0, 1, shapes[key]).astype(kind)) for key in shapes)
        beside = {"epoch": 3, "device": Call("torch.device", "cpu"), "step": Global("numpy.int64")}
        (folder / name).write_bytes(stream({"net": state, **beside}))
    for name in NAMES:
        h5(folder / f"{Path(name).stem}.h5", name, older)
