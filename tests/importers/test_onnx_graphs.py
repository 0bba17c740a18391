"""ONNX graphs as exporters write them: constants behind nodes, weights beside, several outputs."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.importers.any_file import import_model
from mubinn.golden.importers.parts import ImportOptions
from mubinn.golden.model import reference

FEATURES, HIDDEN, CLASSES = 3, 4, 2
SHAPES = {
    "W": (1, 4 * HIDDEN, FEATURES),
    "R": (1, 4 * HIDDEN, HIDDEN),
    "B": (1, 8 * HIDDEN),
    "fc.weight": (CLASSES, HIDDEN),
    "aux.weight": (5, HIDDEN),
}
node = helper.make_node


def tensors():
    rng = np.random.default_rng(1)
    made = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in SHAPES.items()}
    return made | {"zero": np.array([0], np.int64), "one": np.array([1], np.int64)}


def top(weight="fc.weight", end="y"):
    return node("Gemm", ["s", weight], [end], transB=1)


def nodes(**inputs):
    """A recurrent node of time-first steps and its last state."""
    read = [inputs.get(name, name) for name in "WRB"]
    lstm = node("LSTM", ["t", *read], ["hs", "h"], hidden_size=HIDDEN)
    return [node("Transpose", ["x"], ["t"], perm=[1, 0, 2]), lstm]


LAST = [node("Squeeze", ["h", "zero"], ["s"]), top()]


def save(path, made, given, *, ends=("y",), shape=("n", "t", FEATURES), opset=17, **options):
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        made,
        "hand",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(end, kind, None) for end in ends],
        [numpy_helper.from_array(array, name) for name, array in given.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    onnx.save_model(model, path, **options)
    return path


def check(path, options=None, end="y", tolerance=5e-5):
    """Compare the imported model with ONNX's own evaluation of the file."""
    x = np.random.default_rng(2).normal(size=(3, 6, FEATURES)).astype(np.float32)
    y = ReferenceEvaluator(str(path)).run([end], {"x": x})[0]
    scores = reference.logits(import_model(path, options), x.astype(np.float64))
    np.testing.assert_allclose(scores, y, rtol=tolerance, atol=tolerance)


def quantized(given):
    given["Q"] = np.clip(np.round(given["W"] * 50), -127, 127).astype(np.int8)
    given["scale"] = np.array(0.02, np.float32)
    return node("DequantizeLinear", ["Q", "scale"], ["V"])


def moved(name, kind, change, *more, **attributes):
    def fold(given):
        given["U"] = change(given[name])
        return node(kind, ["U", *more], ["V"], **attributes)

    return fold


def halves(given):
    given["U0"], given["U1"] = np.split(given["W"], 2, axis=1)
    return node("Concat", ["U0", "U1"], ["V"], axis=1)


BEHIND = {
    "identity": moved("W", "Identity", np.copy),
    "cast": moved("W", "Cast", lambda w: w.astype(np.float16), to=TensorProto.FLOAT),
    "transpose": moved("W", "Transpose", lambda w: w.swapaxes(1, 2), perm=[0, 2, 1]),
    "unsqueeze": moved("W", "Unsqueeze", lambda w: w[0], "zero"),
    "squeeze": moved("W", "Squeeze", lambda w: w[None], "zero"),
    "slice": moved("W", "Slice", lambda w: np.concatenate([w, w * 2]), "zero", "one"),
    "concat": halves,
    "dequantize": quantized,
}


@pytest.mark.parametrize("name", BEHIND)
def test_weights_behind_nodes_are_folded(tmp_path, name):
    given = tensors()
    fold = BEHIND[name](given)
    check(save(tmp_path / "m", [fold, *nodes(W="V"), *LAST], given, opset=19))


def test_nodes_need_not_be_sorted(tmp_path):
    given = tensors()
    fold = BEHIND["identity"](given)
    graph = [fold, *nodes(W="V"), *LAST]
    model = onnx.load(save(tmp_path / "m", graph, given))
    path = tmp_path / "unsorted"
    moved_nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(moved_nodes)
    onnx.save_model(model, path)
    assert (import_model(path).wd == import_model(tmp_path / "m").wd).all()


def test_half_precision_with_casts_at_the_ends(tmp_path):
    given = {n: a.astype(np.float16) if a.dtype == np.float32 else a for n, a in tensors().items()}
    inner = nodes()
    inner[0].input[0] = "x16"
    last = [LAST[0], top(end="y16"), node("Cast", ["y16"], ["y"], to=TensorProto.FLOAT)]
    first = node("Cast", ["x"], ["x16"], to=TensorProto.FLOAT16)
    check(save(tmp_path / "m", [first, *inner, *last], given), tolerance=1e-2)


def test_arithmetic_of_shapes_is_allowed(tmp_path):
    given = tensors() | {"features": np.array([FEATURES], np.int64)}
    shape = [
        node("Shape", ["x"], ["shape"]),
        node("Slice", ["shape", "zero", "one"], ["n"]),
        node("Mul", ["n", "one"], ["m"]),
        node("Concat", ["one", "m", "hidden"], ["wanted"], axis=0),
        node("ConstantOfShape", ["wanted"], ["h0"]),
    ]
    given["hidden"] = np.array([HIDDEN], np.int64)
    inner = nodes()
    inner[1].input.extend(["", "h0", "h0"])
    check(save(tmp_path / "m", [*shape, *inner, *LAST], given))


def beside(folder):
    return save(
        folder / "m.onnx",
        [*nodes(), *LAST],
        tensors(),
        save_as_external_data=True,
        location="m.data",
        size_threshold=0,
    )


def test_weights_in_a_file_beside_are_read(tmp_path):
    check(beside(tmp_path))


def test_a_missing_file_beside_is_named(tmp_path):
    path = beside(tmp_path)
    (tmp_path / "m.data").unlink()
    with pytest.raises(MubinnError, match="which is not beside it"):
        import_model(path)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    path = beside(tmp_path / "in")
    (tmp_path / "in" / "m.data").rename(tmp_path / "m.data")
    (tmp_path / "in" / "m.data").symlink_to(tmp_path / "m.data")
    with pytest.raises(MubinnError, match="outside the folder"):
        import_model(path)


def two_heads(folder):
    made = [*nodes(), LAST[0], top("aux.weight", "a"), top()]
    return save(folder / "m", made, tensors(), ends=("y", "a"))


@pytest.mark.parametrize(("name", "end"), [("fc", "y"), ("y", "y"), ("aux", "a")])
def test_a_head_is_taken_by_name(tmp_path, name, end):
    check(two_heads(tmp_path), ImportOptions(head=name), end)


def test_several_heads_are_asked_about(tmp_path):
    with pytest.raises(MubinnError, match="could be the classifier, aux, fc: name it with --head"):
        import_model(two_heads(tmp_path))


def test_one_step_leaves_the_readout_open(tmp_path):
    path = save(tmp_path / "m", [*nodes(), *LAST], tensors(), shape=(1, 1, FEATURES))
    with pytest.raises(MubinnError, match="give --readout last or --readout mean"):
        import_model(path)
    assert import_model(path, ImportOptions("mean")).readout == "mean"


def test_channels_before_steps_are_noted(tmp_path):
    first = node("Transpose", ["x"], ["t"], perm=[2, 0, 1])
    path = save(tmp_path / "m", [first, nodes()[1], *LAST], tensors(), shape=("n", FEATURES, "t"))
    assert import_model(path).meta["imported_from"].endswith("is windows, features, steps")


def test_a_small_initial_state_is_not_overlooked(tmp_path):
    given = tensors() | {"h0": np.full((1, 1, HIDDEN), 1e-3, np.float32)}
    inner = nodes()
    inner[1].input.extend(["", "h0"])
    path = save(tmp_path / "m", [*inner, *LAST], given, shape=(1, "t", FEATURES))
    with pytest.raises(MubinnError, match="computes something else"):
        import_model(path)


def test_a_graph_that_grows_without_end_is_refused(tmp_path):
    given = tensors() | {"huge": np.full(3, 1 << 14, np.int64)}
    made = [node("ConstantOfShape", ["huge"], ["z"]), *nodes(), *LAST]
    with pytest.raises(MubinnError, match="more numbers than any model"):
        import_model(save(tmp_path / "m", made, given))
