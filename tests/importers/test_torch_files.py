"""Files of PyTorch as people keep them: checkpoints of any form, with anything beside."""

import pickle
import time
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save
from torch_files import Call, Global, Pid, Raw, archive, stream

from mubinn.cli.main import mubinn
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.any_file import import_model
from mubinn.golden.importers.parts import ImportOptions

LAST = ImportOptions("last")
NAMED = ImportOptions("last", head="fc")
SHAPES = {
    "rnn.weight_ih_l0": (16, 3),
    "rnn.weight_hh_l0": (16, 4),
    "rnn.bias_ih_l0": (16,),
    "rnn.bias_hh_l0": (16,),
    "fc.weight": (2, 4),
    "fc.bias": (2,),
}


def state(seed=0, **more):
    rng = np.random.default_rng(seed)
    made = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    return OrderedDict(made | {name.replace("__", "."): value for name, value in more.items()})


def read(folder, data, options=LAST):
    path = folder / "model"
    path.write_bytes(data)
    return import_model(path, options)


def check(folder, data, options=LAST, wanted=None):
    """Demand the weights of `wanted`, or of the usual state."""
    wanted = state() if wanted is None else wanted
    model = read(folder, data, options)
    assert (model.wd == wanted["fc.weight"]).all()
    assert (model.bd == wanted["fc.bias"]).all()
    assert sorted(model.layers[0].wh.ravel()) == sorted(wanted["rnn.weight_hh_l0"].ravel())


FORMS = {"archive": archive, "stream": stream}
both = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@both
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_both_forms_are_read(tmp_path, form, protocol):
    check(tmp_path, form(state(), protocol=protocol))


@pytest.mark.parametrize("names", [["net"], ["weights"], ["a", "b c", "model"], ["0", "x"]])
def test_weights_may_stand_under_any_name(tmp_path, names):
    value = state()
    for name in names:
        value = {name: value, "epoch": 3, "loss": [0.5, 0.25], "best": None}
    check(tmp_path, archive(value))
    check(tmp_path, archive([value, "note"]))


NUMPY = Call("numpy.dtype", "f8", False, True, state=(3, "<", None, None, None, -1, -1, 0))
BESIDE = {
    "NumPy scalar": Call("numpy._core.multiarray.scalar", NUMPY, b"12345678"),
    "NumPy array": Call(
        "numpy._core.multiarray._reconstruct",
        Global("numpy.ndarray"),
        (0,),
        b"b",
        state=(1, (2,), NUMPY, False, b"1234567812345678"),
    ),
    "size": Call("torch.Size", (3, 4)),
    "device": Call("torch.device", "cuda", 0),
    "type": Global("torch.float32"),
    "path": Call("pathlib.PosixPath", "/", "tmp"),
    "own object": Raw(b"cmine\nConfig\n)\x81}X\x01\x00\x00\x00aK\x01sb"),
    "own dictionary": Raw(b"cmine\nState\n)\x81(K\x01K\x02u"),
    "own list": Raw(b"cmine\nRow\n)\x81(K\x01K\x02e"),
    "object of old": Raw(b"(imine\nConfig\n"),
    "name with a backslash": Raw(b"c\\i\n\\}\n"),
    "set": {1, 2},
    "optimizer": {"state": {0: {"step": 4, "exp_avg": np.zeros((16, 3))}}, "param_groups": [{}]},
    "generator": {"rng": np.zeros(5056, np.int64)},
    "tuple as a key": {(1, 2): 3},
}


@both
@pytest.mark.parametrize("name", BESIDE)
def test_what_stands_beside_is_passed_over(tmp_path, form, name):
    protocol = 4 if name == "set" else 2
    check(tmp_path, form({"net": state(), "more": BESIDE[name]}, protocol=protocol))
    check(tmp_path, form({"more": BESIDE[name], "net": state()}, protocol=protocol))


@both
def test_nothing_is_called(tmp_path, form):
    made = tmp_path / "made"
    check(tmp_path, form({"x": Call("pathlib.Path.touch", str(made)), "net": state()}))
    check(tmp_path, form({"x": Call("os.mkdir", str(made)), "net": state()}))
    assert not made.exists()


def test_modules_saved_one_by_one_are_one_model(tmp_path):
    whole = state()
    inner = {"encoder": OrderedDict(), "out": OrderedDict()}
    for name, value in whole.items():
        inner["encoder" if name.startswith("rnn") else "out"][name.split(".")[1]] = value
    check(tmp_path, archive(inner | {"optimizer": BESIDE["optimizer"]}))


def test_several_dictionaries_are_asked_about(tmp_path):
    data = archive({"net": state(), "averaged": state(1)})
    with pytest.raises(MubinnError, match="several dictionaries of weights, averaged, net: name"):
        read(tmp_path, data)
    options = ImportOptions("last", ("averaged.rnn",), "averaged.fc")
    check(tmp_path, data, options, state(1))


def test_one_dictionary_under_two_names_is_one(tmp_path):
    made = state()
    check(tmp_path, archive({"last": made, "best": made}))


UNREAD = {
    "mask": np.ones((2, 4), bool),
    "index": np.arange(3),
    "infinite": np.array([np.nan, np.inf], np.float32),
}


@pytest.mark.parametrize("form", [archive, stream, lambda made: save(dict(made))])
@pytest.mark.parametrize("name", UNREAD)
def test_what_nobody_reads_is_not_checked(tmp_path, form, name):
    check(tmp_path, form(state(mask=UNREAD[name])), NAMED)
    with pytest.raises(MubinnError, match="the weights mask have no place"):
        read(tmp_path, form(state(mask=UNREAD[name])))


@pytest.mark.parametrize("form", [archive, stream, lambda made: save(dict(made))])
def test_counters_have_no_place_in_a_model(tmp_path, form):
    check(tmp_path, form(state(num_batches_tracked=np.array(7))))


def quantized(name):
    storage = Pid(("storage", Global(f"torch.{name}"), "9", "cpu", 4))
    return Call("torch._utils._rebuild_tensor_v2", storage, 0, (4,), (1,), False, {})


ODD = {
    "an unknown storage": quantized("QuantStorage"),
    "a quantized tensor": Call("torch._utils._rebuild_qtensor", 0, (4,)),
    "a sparse tensor": Call("torch._utils._rebuild_sparse_tensor", 0, (4,)),
}


@pytest.mark.parametrize("name", ODD)
def test_tensors_of_other_kinds_matter_only_where_they_are_used(tmp_path, name):
    check(tmp_path, archive(state(odd=ODD[name])), NAMED)
    with pytest.raises(MubinnError, match="the weights odd have no place"):
        read(tmp_path, archive(state(odd=ODD[name])))
    with pytest.raises(MubinnError, match=r"the tensor rnn.bias_hh_l0 holds torch\.\S+, not plain"):
        read(tmp_path, archive(state(rnn__bias_hh_l0=ODD[name])), NAMED)


def marked(*marks):
    storage = Pid(("storage", Global("torch.UntypedStorage"), "9", "cpu", 8))
    version = 3 if isinstance(marks[0], Global) else 2
    return Call(
        f"torch._utils._rebuild_tensor_v{version}", storage, 0, (2, 4), (4, 1), False, {}, *marks
    )


@pytest.mark.parametrize("marks", [(Global("torch.float8_e5m2"),), ({"neg": True},)])
def test_types_and_marks_that_are_not_read_are_told(tmp_path, marks):
    with pytest.raises(MubinnError, match=r"the tensor fc.weight holds .*give the weights before"):
        read(tmp_path, archive(state(fc__weight=marked(*marks))))


def entry(kind, size):
    """A safetensors file with a tensor of any type."""
    data = save(dict(state(odd=np.zeros(size, np.uint8))))
    old = b'"odd":{"dtype":"U8"'
    assert old in data
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length].replace(old, old.replace(b"U8", kind.encode()))
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


@pytest.mark.parametrize("kind", ["F8_E4M3", "F8_E5M2", "F4", "C64", "U16", "U64", "I16", "NEW"])
def test_types_of_safetensors_are_passed_over(tmp_path, kind):
    check(tmp_path, entry(kind, 16), NAMED)


def test_parameters_with_attributes_are_tensors(tmp_path):
    plain, made = state(), state()
    for name, function in [("fc.weight", "_tensor._rebuild_from_type_v2"), ("fc.bias", "")]:
        made[name] = Typed(plain[name], function)
    check(tmp_path, archive(made))


class Typed(Call):
    """A tensor of a type with attributes, or a parameter."""

    def __init__(self, array, function):
        super().__init__("torch._utils._rebuild_parameter", array, True, {})
        if function:
            inner = Global("torch._utils._rebuild_parameter")
            arguments = (array, True, {})
            kind = Global("torch.nn.parameter.Parameter")
            super().__init__(f"torch.{function}", inner, kind, arguments, {"decay": False})


def test_a_whole_module_is_told_so(tmp_path):
    module = Raw(b"cmine\nNet\n)\x81}X\x01\x00\x00\x00aK\x01sb")
    with pytest.raises(MubinnError, match=r"only Python objects, of mine\.Net: save the weights"):
        read(tmp_path, archive(module))
    about = Pid(("module", Global("mine.Net"), "net.py", "class Net: pass"))
    with pytest.raises(MubinnError, match=r"only Python objects, of mine\.Net: save the weights"):
        read(tmp_path, stream({"net": Raw(b")\x81", about)}))
    with pytest.raises(MubinnError, match="it holds no dictionary of weights"):
        read(tmp_path, archive({"epoch": 3}))


def test_big_endian_numbers_are_refused(tmp_path):
    with pytest.raises(MubinnError, match="big-endian"):
        read(tmp_path, stream(state(), little_endian=False))


@pytest.mark.parametrize("cut", [20, 400, 900, -1])
def test_a_stream_that_is_cut_is_damaged(tmp_path, cut):
    with pytest.raises(MubinnError, match="truncated or damaged"):
        read(tmp_path, stream(state())[:cut])


@pytest.mark.parametrize("pack", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
def test_damage_to_packed_parts_is_a_fault(tmp_path, pack):
    data = archive(state(), pack=pack)
    check(tmp_path, data)
    for place in range(60, 300, 5):
        changed = bytearray(data)
        changed[place] ^= 0xFF
        with pytest.raises(MubinnError, match="cannot be imported"):
            read(tmp_path, bytes(changed))


def nested(open_, close, levels=24):
    """Two references to what is below, level upon level: 2 to the power of `levels` paths."""
    code = open_ + close + b"q\x00"
    for level in range(levels):
        code += b"0" + open_ + bytes([ord("h"), level, ord("h"), level]) + close
        code += bytes([ord("q"), level + 1])
    return Raw(code)


TUPLES = nested(b"(", b"t", 60)
BOMBS = {
    "tuples": {"more": TUPLES, "net": state()},
    "lists": {"more": nested(b"(", b"l", 60), "net": state()},
    "deep": {"more": Raw(b"(" * 200_000 + b"t" * 200_000), "net": state()},
    "keys": Raw(b"}" + TUPLES.code + b"K\x01s"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_pickles_that_grow_without_end_take_no_time(tmp_path, name):
    begun = time.process_time()
    if name == "keys":
        with pytest.raises(MubinnError, match="no dictionary of weights"):
            read(tmp_path, archive(BOMBS[name]))
    else:
        check(tmp_path, archive(BOMBS[name]))
    assert time.process_time() - begun < 5


def test_pickles_of_too_many_objects_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("mubinn.golden.importers.torch_pickle.MAX_STEPS", 1000)
    with pytest.raises(MubinnError, match="more objects than any checkpoint"):
        read(tmp_path, archive([[]] * 1000))


def test_a_tensor_too_large_for_a_model_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("mubinn.golden.importers.stored.MAX_NUMBERS", 63)
    with pytest.raises(MubinnError, match=r"rnn\.weight_hh_l0 is larger than any model's"):
        read(tmp_path, archive(state()))


def test_other_pickles_are_refused(tmp_path):
    with pytest.raises(MubinnError, match="a pickle, which could run anything"):
        read(tmp_path, pickle.dumps(dict(state())))


@pytest.mark.parametrize("command", ["info", "simulate", "generate"])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_other_commands_say_what_to_do_first(tmp_path, command, protocol):
    path = tmp_path / "model"
    path.write_bytes(stream(state(), protocol=protocol))
    more = ["-o", str(tmp_path / "made")] if command == "generate" else []
    result = CliRunner().invoke(mubinn, [command, str(path), *more])
    assert result.exit_code == 2
    assert "run `mubinn quantize` on a model of another program first" in result.stderr
