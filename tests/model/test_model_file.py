"""Model files: exact round trips, equal bytes for equal models, one sentence for every fault."""

import os
import stat
from dataclasses import asdict, replace

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from ordered import with_thresholds

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.scales import LevelTensor, Quantizer
from mubinn.golden.cells.formats import Formats
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import container
from mubinn.golden.model.container import Container, read_container, to_bytes, write_container
from mubinn.golden.model.float_model import FloatModel, Preprocessing
from mubinn.golden.model.model_file import load_any, load_float, load_model, save_model
from mubinn.golden.model.quantized_model import QuantizedModel


def content(value):
    """A model as plain data that compares with ==."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tolist())
    if isinstance(value, Quantizer | LevelTensor) or hasattr(value, "__dataclass_fields__"):
        return {name: content(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {key: content(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [content(item) for item in value]
    return value


CASES = [
    {"levels": (1, 1), "features": 1, "hidden": 1, "offsets": False},
    {"levels": (3, 3), "depth": 3, "per_row": True, "readout": "last"},
    {"levels": Levels.of(2, 4, h=1, c=5, gate=3, b=2), "formats": Formats(14, 9, 12, 6)},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_quantized_models_come_back_exactly(random_model, tmp_path, case):
    model = random_model(1, **case)
    how = Preprocessing("none", 3)
    model = replace(model, meta={"Notiz": 'fünf 5 % \n "x"', "": ""}, preprocessing=how)
    save_model(tmp_path / "a.mubinn", model)
    loaded = load_model(tmp_path / "a.mubinn")
    assert content(loaded) == content(model)
    assert all(b.h is a.x for b, a in zip(loaded.layers, loaded.layers[1:], strict=False))
    assert content(load_any(str(tmp_path / "a.mubinn"))) == content(model)


@pytest.mark.parametrize("leave", [(), ("x", "g", "h")])
def test_thresholds_come_back_exactly(random_model, tmp_path, leave):
    model = with_thresholds(random_model(1, (2, 2), depth=2), leave=leave)
    save_model(tmp_path / "a.mubinn", model)
    assert content(load_model(tmp_path / "a.mubinn")) == content(model)


def test_algorithm_1_leaves_nothing_in_the_file(random_model, tmp_path):
    save_model(tmp_path / "a.mubinn", random_model(1, (2, 2)))
    held = read_container(tmp_path / "a.mubinn")
    assert "encoders" not in held.structure["layers"][0]
    assert not [name for name in held.tensors if "thresholds" in name or "codes" in name]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"h": "splines"}, "encoder of h is of the unknown kind 'splines': read it with"),
        ({"y": "thresholds"}, "has an encoder of y, which is none"),
        ({"h": 3}, "encoders is not an object of texts"),
        ([], "encoders is not an object"),
        ({"f": "thresholds"}, "tensor 0.M_g.f.codes is missing"),
        (None, "tensor 0.M_g.h.codes has no place"),
    ],
)
def test_faults_of_encoders(random_model, tmp_path, change, why):
    path = tmp_path / "a.mubinn"
    save_model(path, with_thresholds(random_model(1, (2, 2)), leave=(*"xfigoc",)))
    held = read_container(path)
    own = held.structure["layers"][0]
    assert own["encoders"] == {"h": "thresholds"}
    own["encoders"] = {**own["encoders"], **change} if isinstance(change, dict) else change
    write_container(path, held)
    with pytest.raises(MubinnError, match=why):
        load_model(path)


def test_the_datapath_comes_back_and_old_files_have_figure_3(random_model, tmp_path):
    path = tmp_path / "a.mubinn"
    save_model(path, random_model(1, depth=2).with_datapath("threshold"))
    assert load_model(path).datapath == "threshold"
    held = read_container(path)
    for layer in held.structure["layers"]:
        layer["datapath"] = "lut"
    write_container(path, held)
    with pytest.raises(MubinnError, match="unknown datapath 'lut'"):
        load_model(path)
    for layer in held.structure["layers"]:
        del layer["datapath"]
    write_container(path, held)
    assert load_model(path).datapath == "figure3"


@pytest.mark.parametrize("clip", [None, 0.1, 1.0])
def test_float_models_come_back_exactly(random_float, tmp_path, clip):
    model = random_float(2, depth=2, c_clip=clip)
    save_model(tmp_path / "a.safetensors", model)
    assert content(load_float(tmp_path / "a.safetensors")) == content(model)
    assert isinstance(load_any(tmp_path / "a.safetensors"), FloatModel)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_clips_of_any_encoder_come_back(random_float, random_float_gru, tmp_path, name):
    model = {"lstm": random_float, "gru": random_float_gru}[name](2)
    own = {"lstm": {"h": 0.5, "f": 0.75}, "gru": {"h": 0.5, "n": 0.25}}[name]
    clipped = replace(model, layers=(replace(model.layers[0], clips=own),))
    save_model(tmp_path / "a", clipped)
    assert load_float(tmp_path / "a").layers[0].clips == own


def test_float_models_are_stored_in_float32(random_float, tmp_path):
    model = random_float(2)
    fine = replace(model, wd=model.wd + 1e-12)
    save_model(tmp_path / "a", fine)
    assert (load_float(tmp_path / "a").wd == fine.wd.astype(np.float32)).all()
    wide = replace(model, wd=model.wd + 1e39)
    with pytest.raises(MubinnError, match=r"dense.wd holds values beyond float32"):
        save_model(tmp_path / "b", wide)
    assert sorted(os.listdir(tmp_path)) == ["a"]


def test_equal_models_give_equal_bytes(random_model, random_float, tmp_path):
    for name in "abc":
        meta = {"x": "1", "y": "2"} if name == "a" else {"y": "2", "x": "1"}
        model = replace(random_model(1), meta=meta)
        if name == "c":
            model = load_model(tmp_path / "a.q")
        save_model(tmp_path / f"{name}.q", model)
        save_model(tmp_path / f"{name}.f", replace(random_float(1), meta=meta))
    for kind in "qf":
        files = {(tmp_path / f"{name}.{kind}").read_bytes() for name in "abc"}
        assert len(files) == 1
    save_model(tmp_path / "d.q", random_model(2))
    assert (tmp_path / "d.q").read_bytes() != (tmp_path / "a.q").read_bytes()


def test_file_is_safetensors_with_packed_bits_named_by_memory(random_model, tmp_path):
    path = tmp_path / "a.mubinn"
    model = random_model(3, (3, 3), features=32, hidden=40)
    save_model(path, model)
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata()
        assert metadata["format"] == "mubinn-quantized"
        assert metadata["version"] == "1"
        assert metadata["checksum"].startswith("sha256:")
        wx = file.get_tensor("0.M_w.wx")
        assert {name.split(".")[1] for name in file.keys()}  # noqa: SIM118 == {"M_x", "M_w", "M_B", "M_g", "M_s"}
    layer = model.layers[0]
    assert len(wx) == layer.wx.bits.size // 8
    first = sum(int(bit) << 7 - k for k, bit in enumerate(layer.wx.bits.ravel()[:8]))
    assert wx[0] == first
    bits = layer.wx.bits.size + layer.wh.bits.size + layer.b.bits.size
    assert path.stat().st_size < bits // 8 + 5000
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~current_umask()


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def refused(path, load=load_any):
    """The message of the refusal: one line that names the file."""
    with pytest.raises(MubinnError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_kinds_are_not_confused(tmp_path, random_model, random_float):
    save_model(tmp_path / "q", random_model(1))
    save_model(tmp_path / "f", random_float(1))
    assert "holds a float model where a quantized one is needed" in refused(
        tmp_path / "f", load_model
    )
    assert "holds a quantized model where a float one is needed" in refused(
        tmp_path / "q", load_float
    )


def forge(path, model, change):
    """Write a file whose checksum is right though its content was changed by `change`."""
    save_model(path, model)
    found = container.read_container(path)
    structure, tensors, kind = found.structure, dict(found.tensors), found.format
    kind = change(structure, tensors) or kind
    path.write_bytes(to_bytes(Container(kind, structure, tensors)))
    return refused(path)


def test_other_formats_and_versions(tmp_path, random_model, monkeypatch):
    path = tmp_path / "a"
    assert "unknown format 'gru'" in forge(path, random_model(1), lambda s, t: "gru")
    monkeypatch.setattr(container, "VERSION", "2")
    save_model(path, random_model(1))
    monkeypatch.undo()
    assert "format version '2', this program reads '1'" in refused(path)


def set_at(path, value):
    """Return a change that sets the structure's field at `path`."""

    def change(structure, tensors):
        for key in path[:-1]:
            structure = structure[key]
        structure[path[-1]] = value

    return change


def set_tensor(name, value):
    def change(structure, tensors):
        tensors[name] = value(tensors[name]) if callable(value) else value

    return change


def drop(name):
    def change(structure, tensors):
        del tensors[name]

    return change


HUGE = 10**30
QUANTIZED_FAULTS = {
    "no layers": (set_at(["layers"], []), "no recurrent layer"),
    "layers": (set_at(["layers"], 3), "its field layers is not a list"),
    "layer": (set_at(["layers", 0], 3), "its field layers.0 is not an object"),
    "formats": (set_at(["layers", 0, "formats", "z_width"], 60), "no table of usable size"),
    "format": (set_at(["layers", 0, "formats", "z_width"], HUGE), "an integer from 0 to 64"),
    "boolean": (set_at(["layers", 0, "formats", "z_width"], True), "an integer from 0 to 64"),
    "fraction": (set_at(["layers", 0, "fractions", "x"], -1), "an integer from 0 to 30"),
    "text": (set_at(["layers", 0, "fractions", "x"], "7"), "is not an integer"),
    "no field": (lambda s, t: s["layers"][0].pop("stored") and None, "stored is not an object"),
    "shape": (set_at(["layers", 0, "stored", "wx", "shape"], [3, 16, 6]), "not level bits"),
    "huge": (set_at(["layers", 0, "stored", "wx", "shape"], [HUGE, 16, 5]), "not level bits"),
    "zero": (set_at(["layers", 0, "stored", "wx", "shape"], [0, 16, 5]), "not level bits"),
    "minus": (set_at(["layers", 0, "stored", "wx", "shape"], [-3, -16, 5]), "not level bits"),
    "none": (set_at(["layers", 0, "stored", "wx", "shape"], []), "not level bits"),
    "list": (set_at(["layers", 0, "stored", "wx", "shape"], [3.0, 16, 5]), "list of integers"),
    "other": (set_at(["layers", 0, "stored", "wx", "shape"], [3, 8, 10]), "are not (W, 4H, I)"),
    "turned": (set_at(["layers", 0, "stored", "wx", "shape"], [3, 5, 16]), "do not divide 5 rows"),
    "flat": (set_at(["layers", 0, "stored", "wx", "shape"], [240]), "planes of zeros and ones"),
    "levels": (set_at(["layers", 0, "stored", "wx", "shape"], [15, 16, 1]), "do not fit 15"),
    "readout": (set_at(["readout"], "first"), "unknown readout"),
    "preparation": (set_at(["preprocessing", "decimate"], 0), "an integer from 1 to"),
    "notes": (set_at(["meta"], {"a": 1}), "its field meta is not an object of texts"),
    "missing": (drop("0.M_w.wx"), "tensor 0.M_w.wx is missing"),
    "extra": (set_tensor("1.M_w.wx", np.zeros(3)), "has no place"),
    "type": (set_tensor("0.M_s.wx", lambda v: v.astype(np.float64)), "is float64, not int64"),
    "nan": (set_tensor("0.M_s.wx", np.full((4, 3), np.nan)), "is float64, not int64"),
    "negative": (set_tensor("0.M_s.wx", lambda v: -v - 1), "out of range"),
    "too large": (set_tensor("0.M_s.wx", lambda v: v + (1 << 62)), "out of range"),
    "many bits": (set_tensor("0.M_s.wx", lambda v: v + (1 << 46)), "more than 52 bits"),
    "empty": (set_tensor("0.M_s.wx", np.zeros((0, 3), int)), "do not divide 16 rows"),
    "scales": (set_tensor("0.M_g.c.scales", np.zeros(0, int)), "not a list of integers"),
    "nine": (set_tensor("0.M_g.c.scales", np.ones(9, int)), "unknown level count 9"),
    "offset": (set_tensor("0.M_g.c.offset", np.zeros(3, int)), "offset of c is not one number"),
    "least": (set_tensor("0.M_g.c.offset", np.array(-(1 << 63))), "units or more"),
}


@pytest.mark.parametrize("name", QUANTIZED_FAULTS)
def test_forged_quantized_files_are_refused(tmp_path, random_model, name):
    change, message = QUANTIZED_FAULTS[name]
    assert message in forge(tmp_path / "a", random_model(1), change)


def with_value(value):
    def change(array):
        array = array.copy()
        array.flat[0] = value
        return array

    return change


FLOAT_FAULTS = {
    "nan": (set_tensor("0.wx", with_value(np.nan)), "wx holds NaN or infinite"),
    "infinite": (set_tensor("dense.bd", with_value(np.inf)), "bd holds NaN or infinite"),
    "shape": (set_tensor("0.wh", lambda v: v[:, 1:]), "wh has shape"),
    "type": (set_tensor("0.wh", lambda v: v.astype(np.float16)), "is float16, not float32"),
    "missing": (drop("dense.wd"), "tensor dense.wd is missing"),
    "clip": (set_at(["layers", 0, "c_clip"], -1), "is not a positive number or null"),
    "huge clip": (set_at(["layers", 0, "c_clip"], 10**400), "is not a positive number or null"),
    "text clip": (set_at(["layers", 0, "c_clip"], "1"), "is not a positive number or null"),
    "no clip": (lambda s, t: s["layers"][0].clear(), "c_clip is not a number"),
    "layers": (lambda s, t: s["layers"].append({"c_clip": None}), "tensor 1.wx is missing"),
}


@pytest.mark.parametrize("name", FLOAT_FAULTS)
def test_forged_float_files_are_refused(tmp_path, random_float, name):
    change, message = FLOAT_FAULTS[name]
    assert message in forge(tmp_path / "a", random_float(1), change)


def test_notes_are_texts(tmp_path, random_model):
    with pytest.raises(MubinnError, match="the note 'epochs': 6 is not text"):
        save_model(tmp_path / "a", replace(random_model(1), meta={"epochs": 6}))
    assert not list(tmp_path.iterdir())


def test_loaded_models_are_models(random_model, tmp_path):
    save_model(tmp_path / "a", random_model(1))
    model = load_model(tmp_path / "a")
    assert isinstance(model, QuantizedModel)
    assert asdict(model.layers[0].formats) == asdict(Formats())
