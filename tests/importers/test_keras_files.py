"""Keras models as versions 2 and 3 keep them: whole .h5 files, configurations of either form."""

import io
import zipfile

import h5py
import numpy as np
import pytest
from keras_files import FOLDER, NAMES, h5, older, oldest, packed

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.any_file import import_model
from mubinn.golden.importers.parts import ImportOptions

FRAMES = "stack_frames.keras"


def same(one, other):
    assert one.readout == other.readout
    assert [layer.cell for layer in one.layers] == [layer.cell for layer in other.layers]
    for below, above in zip(one.layers, other.layers, strict=True):
        assert all((getattr(below, name) == getattr(above, name)).all() for name in ("wx", "wh"))
        assert (below.b == above.b).all()
    assert (one.wd == other.wd).all()
    assert (one.bd == other.bd).all()


@pytest.mark.parametrize("change", [lambda config: None, older])
@pytest.mark.parametrize("weights", ["{}:0", "{}"])
@pytest.mark.parametrize("name", NAMES)
def test_whole_h5_models_are_read(tmp_path, name, change, weights):
    path = h5(tmp_path / "m", name, change, weights)
    same(import_model(path), import_model(FOLDER / name))


def test_a_sequential_model_may_be_no_more_than_its_layers(tmp_path):
    name = "sequential_lstm.keras"
    same(import_model(h5(tmp_path / "m", name, oldest)), import_model(FOLDER / name))


@pytest.mark.parametrize("name", NAMES)
def test_functional_models_of_keras_2_are_read(tmp_path, name):
    path = packed(tmp_path / "m", name, older)
    same(import_model(path), import_model(FOLDER / name))


def branched(config):
    older(config)
    nodes = config["config"]["layers"][-1]["inbound_nodes"]
    nodes[0].append([config["config"]["layers"][0]["config"]["name"], 0, 0, {}])


@pytest.mark.parametrize("write", [packed, h5])
def test_branches_of_keras_2_are_refused(tmp_path, write):
    with pytest.raises(MubinnError, match="the one before it alone"):
        import_model(write(tmp_path / "m", "functional_lstm.keras", branched))


def stored(path, change):
    """The recorded model of frames with its variables changed."""
    with zipfile.ZipFile(FOLDER / FRAMES) as source, zipfile.ZipFile(path, "w") as archive:
        for part in source.namelist():
            data = source.read(part)
            if part.endswith(".h5"):
                buffer = io.BytesIO(data)
                with h5py.File(buffer, "a") as file:
                    change(file["layers"])
                data = buffer.getvalue()
            archive.writestr(part, data)
    return path


def test_older_versions_spell_conv_lstm_otherwise(tmp_path):
    def change(layers):
        for k in ("", "_1"):
            layers.move(f"conv_lstm2d{k}", f"conv_lst_m2d{k}")

    same(import_model(stored(tmp_path / "m", change)), import_model(FOLDER / FRAMES))


SHAPES = [
    (0, (3, 1, 4, 12), r"shapes \(3, 1, 4, 12\), \(3, 3, 3, 12\) and \(12,\), which do not fit"),
    (0, (3, 3, 4, 8), "which do not fit"),
    (1, (3, 3, 3, 8), "which do not fit"),
    (1, (3, 12), "lacks weights"),
    (2, (3,), "which do not fit"),
    (2, None, "lacks weights"),
]


@pytest.mark.parametrize(("number", "shape", "words"), SHAPES)
def test_weights_of_frames_that_do_not_fit(tmp_path, number, shape, words):
    def change(layers):
        place = f"conv_lstm2d/cell/vars/{number}"
        del layers[place]
        if shape is not None:
            layers[place] = np.zeros(shape, np.float32)

    with pytest.raises(MubinnError, match=f"layer conv_lstm2d .*{words}"):
        import_model(stored(tmp_path / "m", change))


def test_a_neighbourhood_without_a_middle_is_refused(tmp_path):
    def change(layers):
        for number, shape in enumerate([(2, 3, 4, 12), (2, 3, 3, 12)]):
            place = f"conv_lstm2d/cell/vars/{number}"
            del layers[place]
            layers[place] = np.zeros(shape, np.float32)

    with pytest.raises(MubinnError, match="2 x 3 pixels has no middle"):
        import_model(stored(tmp_path / "m", change))


def test_axes_are_counted_within_what_is_done_at_every_step(tmp_path):
    def last(config):
        config["config"]["layers"][2]["config"]["layer"]["config"]["axis"] = [3]

    same(import_model(packed(tmp_path / "m", FRAMES, last)), import_model(FOLDER / FRAMES))


def test_after_the_steps_the_last_axis_is_the_second(tmp_path):
    def along(axis):
        return lambda config: config["config"]["layers"][-1]["config"].update(axis=[axis])

    name = "stack_dense.keras"
    same(import_model(packed(tmp_path / "m", name, along(1))), import_model(FOLDER / name))
    with pytest.raises(MubinnError, match=r"normalises along axis \[2\]"):
        import_model(packed(tmp_path / "n", name, along(2)))


def added(place, kind, **config):
    layer = {"class_name": kind, "config": {"name": kind.lower(), **config}}
    return lambda model: model["config"]["layers"].insert(place, layer)


@pytest.mark.parametrize("write", [packed, h5])
def test_layers_that_do_nothing_are_passed_over(tmp_path, write):
    name = "sequential_lstm.keras"
    path = write(tmp_path / "m", name, added(4, "Flatten"))
    same(import_model(path), import_model(FOLDER / name))
    with pytest.raises(MubinnError, match="flatten of class Flatten cannot stand there"):
        import_model(write(tmp_path / "n", name, added(1, "Flatten")))


@pytest.mark.parametrize("kind", ["Normalization", "Rescaling"])
def test_layers_that_prepare_the_input_are_told(tmp_path, kind):
    for write in (packed, h5):
        with pytest.raises(MubinnError, match=f"class {kind} prepares the input, .*recordings"):
            import_model(write(tmp_path / kind, "sequential_lstm.keras", added(1, kind)))


UNSAID = {
    "sequential_lstm.keras": ["activation", "recurrent_activation", "use_bias", "return_sequences"],
    "functional_gru_before.keras": ["reset_after"],
}


@pytest.mark.parametrize(
    ("name", "setting"), [(name, setting) for name in UNSAID for setting in UNSAID[name]]
)
def test_what_versions_take_differently_is_to_be_said(tmp_path, name, setting):
    def change(config):
        del config["config"]["layers"][1]["config"][setting]

    with pytest.raises(MubinnError, match=f"does not say its {setting}, whose default differs"):
        import_model(packed(tmp_path / "m", name, change))


VERSIONS = {"2.4.0": "ramp(1/5, 1/2, 0)", "1.2": "ramp(1/5, 1/2, 0)", "3.0.5": "ramp(1/6, 1/2, 0)"}


@pytest.mark.parametrize("version", [*VERSIONS, "10.1"])
def test_the_version_of_the_file_decides_hard_sigmoid(tmp_path, version):
    path = h5(tmp_path / "m", "functional_lstm_hard.keras", version=version)
    kinds = {node.kind for node in import_model(path).layers[0].cell.of("activation")}
    assert kinds == {VERSIONS.get(version, VERSIONS["3.0.5"]), "ramp(1, 0, -1)"}


def test_a_hard_sigmoid_of_no_version_is_refused(tmp_path):
    path = h5(tmp_path / "m", "functional_lstm_hard.keras", version="")
    with pytest.raises(MubinnError, match=r"hard_sigmoid, .* the file does not say its version"):
        import_model(path)


RELU = {"module": "keras.layers", "class_name": "ReLU", "config": {"max_value": 2.5}}
KINDS = [
    ("hard_tanh", "ramp(1, 0, -1)"),
    ("relu6", "ramp(1, 0, 0, 6)"),
    ("relu", "ramp(1, 0, 0, 4)"),
    ("linear", "ramp(1, 0, -4, 4)"),
    (RELU, "ramp(1, 0, 0, 5/2)"),
    ({**RELU, "config": {"max_value": None}}, "ramp(1, 0, 0, 4)"),
]


@pytest.mark.parametrize(("stated", "kind"), KINDS, ids=str)
def test_activations_of_keras_are_ours(tmp_path, stated, kind):
    def change(config):
        config["config"]["layers"][1]["config"]["activation"] = stated

    path = packed(tmp_path / "m", "functional_rnn.keras", change)
    options = ImportOptions(ceiling=4.0) if kind.endswith(" 4)") else None
    model = import_model(path, options)
    assert [node.kind for node in model.layers[0].cell.of("activation")] == [kind]
    if options:
        with pytest.raises(MubinnError, match="which has no limit"):
            import_model(path)


def test_settings_that_matter_are_held_to_in_h5_too(tmp_path):
    def change(config):
        config["config"]["layers"][1]["config"]["stateful"] = True

    with pytest.raises(MubinnError, match="stateful=True"):
        import_model(h5(tmp_path / "m", "sequential_lstm.keras", change))


def test_weights_alone_are_told_so(tmp_path):
    path = h5(tmp_path / "m", "sequential_lstm.keras")
    with h5py.File(path, "a") as file:
        del file.attrs["model_config"]
    with pytest.raises(MubinnError, match="it holds weights alone: save the model"):
        import_model(path)


def lost(file):
    del file["model_weights/lstm"]


def linked(file):
    del file["model_weights/lstm"]
    file["model_weights/lstm"] = h5py.ExternalLink("/etc/passwd", "x")


def unnamed(file):
    del file["model_weights/lstm"].attrs["weight_names"]


def numbered(file):
    file["model_weights/lstm"].attrs["weight_names"] = 3


def huge(file):
    name = "lstm/cell/kernel:0"
    del file[f"model_weights/lstm/{name}"]
    file["model_weights/lstm"].create_dataset(name, (1 << 14, 1 << 14), "f4", chunks=True)


DAMAGE = {
    lost: "lstm lacks weights",
    linked: "are a link",
    unnamed: "lstm lacks weights",
    numbered: "damaged",
    huge: "larger than any model's",
}


@pytest.mark.parametrize("change", DAMAGE)
def test_damaged_h5_models_are_refused(tmp_path, change):
    path = h5(tmp_path / "m", "sequential_lstm.keras")
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(MubinnError, match=DAMAGE[change]):
        import_model(path)


def test_a_damaged_heap_of_texts_is_not_searched(tmp_path):
    path = h5(tmp_path / "m", "sequential_lstm.keras")
    whole = path.read_bytes()
    heap = whole.index(b"GCOL\x01")
    free = bytes(16)
    for place, part in [(24, b"\xff" * 8), (24, bytes(7) + b"\x80"), (16, free)]:
        changed = bytearray(whole)
        changed[heap + place : heap + place + len(part)] = part
        path.write_bytes(changed)
        with pytest.raises(MubinnError, match="truncated or damaged"):
            import_model(path)


def test_damaged_groups_are_told_as_damage(tmp_path):
    path = h5(tmp_path / "m", "sequential_lstm.keras")
    parts, told = path.read_bytes().split(b"TREE"), []
    for k in range(1, len(parts)):
        path.write_bytes(b"TREE".join(parts[:k]) + b"tree" + b"TREE".join(parts[k:]))
        try:
            import_model(path)  # the group of a layer without weights is not read
        except MubinnError as error:
            told.append(str(error))
    assert len(told) > 3
    assert all("it is truncated or damaged" in text for text in told)
