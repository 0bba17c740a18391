"""ONNX graphs as exporters write them: constants behind nodes, weights beside, several outputs."""

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from mubinn.cli.main import mubinn
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


def save(
    path, made, given, *, ends=("y",), shape=("n", "t", FEATURES), opset=17, states=(), **options
):
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        made,
        "hand",
        [
            helper.make_tensor_value_info("x", kind, shape),
            *(helper.make_tensor_value_info(name, kind, (1, "n", HIDDEN)) for name in states),
        ],
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


def larger_graphs():
    """Graphs of which the part from L to D is a model, and what is in the way."""
    transposed, lstm = nodes()
    lstm.name = "L"
    head = [LAST[0], node("Gemm", ["s", "fc.weight"], ["y"], transB=1, name="D")]
    begun = nodes()[1]
    begun.name = "L"
    begun.input.extend(["", "h0", "c0"])
    front = [node("MatMul", ["x", "F"], ["f"]), node("Elu", ["f"], ["r"])]
    fronted = node("Transpose", ["r"], ["t"], perm=[1, 0, 2])
    mean = [
        node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=0),
        node("MatMul", ["m", "B2"], ["b"]),
    ]
    return {
        "states": ([transposed, begun, *head], {"states": ("h0", "c0")}, "it reads x, h0, c0"),
        "front": ([*front, fronted, lstm, *head], {}, "it has a node Elu"),
        "above": (
            [transposed, lstm, *head, node("ArgMax", ["y"], ["k"])],
            {"ends": ["k"]},
            "ArgMax",
        ),
        "branch": (
            [transposed, lstm, *head, *mean, node("Add", ["y", "b"], ["z"])],
            {"ends": ["z"]},
            "its node MatMul b not reading what stands before it",
        ),
        "filter": (
            [
                node("Abs", ["x"], ["a"]),
                node("Transpose", ["a"], ["t"], perm=[1, 0, 2]),
                lstm,
                *head,
            ],
            {},
            "it has a node Abs",
        ),
    }


def large(folder, name):
    made, options, words = larger_graphs()[name]
    given = tensors() | {"F": np.eye(FEATURES, dtype=np.float32) - 0.5}
    given["B2"] = np.ones((FEATURES, CLASSES), np.float32)
    return save(folder / "m", made, given, **options), words


@pytest.mark.parametrize("name", larger_graphs())
def test_a_larger_graph_is_refused_with_where_to_cut(tmp_path, name):
    path, words = large(tmp_path, name)
    with pytest.raises(MubinnError, match=words) as refused:
        import_model(path)
    assert str(refused.value).endswith(
        "the part from L to D is such a model: give --from L --to D to cut it out."
    )


@pytest.mark.parametrize(("first", "last"), [("L", "D"), ("hs", "y")])
@pytest.mark.parametrize("name", larger_graphs())
def test_a_part_of_a_larger_graph_is_taken(tmp_path, name, first, last):
    path, _ = large(tmp_path, name)
    alone = save(tmp_path / "alone", [*nodes(), *LAST], tensors())
    part, whole = import_model(path, ImportOptions(first=first, last=last)), import_model(alone)
    assert (part.layers[0].wh == whole.layers[0].wh).all()
    assert (part.wd == whole.wd).all()
    assert part.readout == whole.readout == "last"
    states = ", whose states h0 and c0 begin at 0" if name == "states" else ""
    assert part.meta["imported_from"] == (
        f"an ONNX graph from {first} to {last}, whose input is steps, windows, features{states}"
    )


def test_the_command_line_cuts_too(tmp_path):
    path, _ = large(tmp_path, "states")
    command = ["quantize", str(path), "--levels", "1,1", "--normalise", "window", "--windows", "4"]
    made = str(tmp_path / "made")
    for options, words in [((), "--from L --to D"), (("--from", "L", "--to", "?"), "no node '?'")]:
        result = CliRunner().invoke(mubinn, [*command, *options, "-o", made])
        assert (result.exit_code, words in result.stderr) == (2, True)
    result = CliRunner().invoke(mubinn, [*command, "--from", "L", "--to", "D", "-o", made])
    assert result.exit_code == 0, result.output


def begun_at(value):
    """Shape arithmetic that makes the state from which an LSTM begins."""
    shape = [
        node("Shape", ["x"], ["shape"]),
        node("Slice", ["shape", "zero", "one"], ["n"]),
        node("Concat", ["one", "n", "hidden"], ["wanted"], axis=0),
        node("Expand", ["begin", "wanted"], ["h0"]),
    ]
    given = tensors() | {"begin": np.full((1, 1, 1), value, np.float32)}
    given["hidden"] = np.array([HIDDEN], np.int64)
    inner = nodes()
    inner[1].input.extend(["", "h0", "h0"])
    return [*shape, *inner, *LAST], given


def test_a_part_may_begin_at_a_state_of_zeros_alone(tmp_path):
    options = ImportOptions(first="hs", last="y")
    import_model(save(tmp_path / "m", *begun_at(0.0)), options)
    with pytest.raises(MubinnError, match="begins with the state h0, which is not 0"):
        import_model(save(tmp_path / "m", *begun_at(0.1)), options)


def test_a_state_from_the_signal_itself_is_not_cut_off(tmp_path):
    inner = nodes()
    inner[1].input.extend(["", "h0"])
    first = [
        node("ReduceMean", ["t"], ["m"], axes=[0], keepdims=1),
        node("MatMul", ["m", "P"], ["h0"]),
    ]
    given = tensors() | {"P": np.ones((FEATURES, HIDDEN), np.float32)}
    path = save(tmp_path / "m", [inner[0], *first, inner[1], *LAST], given)
    for options in (ImportOptions(), ImportOptions(first="t", last="y")):
        with pytest.raises(MubinnError, match="computes something else"):
            import_model(path, options)


def test_what_a_part_reads_from_outside_is_named(tmp_path):
    made = [*nodes(), LAST[0], node("Mul", ["s", "x"], ["v"]), top()]
    made[-1].input[0] = "v"
    path = save(tmp_path / "m", made, tensors())
    with pytest.raises(MubinnError, match=r"a node Mul|reads x from outside of the part"):
        import_model(path, ImportOptions(first="hs", last="y"))


def test_nodes_to_cut_at_must_be_there(tmp_path):
    path = save(tmp_path / "m", [*nodes(), *LAST], tensors())
    for options in (ImportOptions(first="z"), ImportOptions(last="z")):
        with pytest.raises(MubinnError, match="no node 'z' that depends on its input: there is h"):
            import_model(path, options)
    with pytest.raises(MubinnError, match="no dense layer that reads"):
        import_model(path, ImportOptions(last="hs"))


@pytest.mark.parametrize(
    ("turned", "back"), [([0, 1, 2], [1, 0, 2]), ([1, 0, 2], [0, 1, 2]), ([1, 2, 0], [0, 2, 1])]
)
def test_outputs_at_every_step_may_lie_in_any_order(tmp_path, turned, back):
    each = [
        node("Squeeze", ["hs", "one"], ["s"]),
        node("MatMul", ["s", "D"], ["z"]),
        node("Transpose", ["z"], ["y"], perm=turned),
    ]
    rng = np.random.default_rng(3)
    given = tensors() | {"D": rng.normal(size=(HIDDEN, CLASSES)).astype(np.float32)}
    path = save(tmp_path / "m", [*nodes(), *each], given)
    assert import_model(path).readout == "every"
    x = rng.normal(size=(3, 6, FEATURES)).astype(np.float32)
    y = ReferenceEvaluator(str(path)).run(["y"], {"x": x})[0]
    scores = reference.logits(import_model(path), x.astype(np.float64))
    np.testing.assert_allclose(scores, y.transpose(back), atol=5e-5)
    with pytest.raises(MubinnError, match="leave out --readout last"):
        import_model(path, ImportOptions("last"))


def test_zeros_of_a_shape_that_is_not_computed_are_zeros(tmp_path):
    made, given = begun_at(0.0)
    made[0] = node("Shape", ["f"], ["shape"])
    front = node("Conv", ["x", "K"], ["f"], kernel_shape=[3], pads=[1, 1])
    made = [front, *made]
    made[5].input[0] = "f"
    given["K"] = np.ones((5, 5, 3), np.float32)
    path = save(tmp_path / "m", made, given, shape=("n", 5, FEATURES))
    words = r"node Conv f is a conv.* that reads zeros after .* give --from hs --to y to cut it out"
    with pytest.raises(MubinnError, match=words):
        import_model(path)
    import_model(path, ImportOptions(first="hs", last="y"))


def test_a_part_keeps_the_sizes_that_are_built_into_it(tmp_path):
    front = node("Abs", ["x"], ["a"])
    transposed, lstm = nodes()
    transposed.input[0] = "a"
    rows = node("Reshape", ["h", "rows"], ["s"])
    given = tensors() | {"rows": np.array([2, HIDDEN], np.int64)}
    path = save(
        tmp_path / "m", [front, transposed, lstm, rows, top()], given, shape=(2, 9, FEATURES)
    )
    assert import_model(path, ImportOptions(first="hs")).readout == "last"


def fused(kind, inputs, **attributes):
    return node(kind, inputs, ["y"], domain="com.microsoft", **attributes)


FUSED = {
    "gemm": fused("FusedGemm", ["s", "fc.weight"], transB=1, activation="Sigmoid"),
    "matmul": fused("FusedMatMul", ["s", "fc.weight"], transB=1, alpha=1.0),
    "scaled": fused("FusedMatMul", ["s", "half"], alpha=2.0),
}


@pytest.mark.parametrize("name", FUSED)
def test_nodes_that_the_runtime_fuses_are_taken_apart(tmp_path, name):
    given = tensors()
    given["half"] = given["fc.weight"].T / 2
    alone = import_model(save(tmp_path / "alone", [*nodes(), *LAST], given))
    model = import_model(save(tmp_path / "m", [*nodes(), LAST[0], FUSED[name]], given))
    assert (model.wd == alone.wd).all()
    assert model.readout == "last"


def test_other_fused_nodes_are_refused(tmp_path):
    turned = fused("FusedMatMul", ["s", "fc.weight"], transA=1, transB=1)
    bent = fused("FusedGemm", ["s", "fc.weight"], transB=1, activation="Elu")
    for last in (turned, bent):
        with pytest.raises(MubinnError, match="no dense layer"):
            import_model(save(tmp_path / "m", [*nodes(), LAST[0], last], tensors()))
    relu = fused("FusedGemm", ["s", "fc.weight"], transB=1, activation="Relu")
    with pytest.raises(MubinnError, match="y/sum has the activation 'relu'"):
        import_model(save(tmp_path / "m", [*nodes(), LAST[0], relu], tensors()))


def test_quantized_graphs_are_told_so(tmp_path):
    lstm = nodes()[1]
    whole = node("DynamicQuantizeLSTM", lstm.input, lstm.output, domain="com.microsoft")
    head = node("MatMulInteger", ["s", "Q"], ["y"])
    given = tensors() | {"Q": np.ones((HIDDEN, CLASSES), np.int8)}
    for made in ([nodes()[0], whole, *LAST], [*nodes(), LAST[0], head]):
        with pytest.raises(MubinnError, match="give the model before any quantization"):
            import_model(save(tmp_path / "m", made, given))


def chosen(condition, end, then, other, **more):
    """An If node; each branch is nodes and the name of what it gives, with tensors of its own."""
    branches = []
    for made, name in (then, other):
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        own = [numpy_helper.from_array(array, key) for key, array in more.items()]
        branches.append(helper.make_graph(made, "branch", [], [value], own))
    return node("If", [condition], [end], then_branch=branches[0], else_branch=branches[1])


def squeezed(size):
    """What PyTorch writes for squeeze(0): by the size of an axis, as the file may not tell it."""
    return [
        node("Shape", ["h"], ["sizes"]),
        node("Gather", ["sizes", "place"], ["size"]),
        node("Equal", ["size", "one"], ["is one"]),
        chosen(
            "is one",
            "s",
            ([node("Squeeze", ["h", "zero"], ["inner"])], "inner"),
            ([node("Identity", ["h"], ["inner"])], "inner"),
        ),
        top(),
    ], {"place": np.array([size], np.int64)}


def test_a_choice_by_a_size_that_the_file_fixes_is_made(tmp_path):
    head, more = squeezed(0)
    check(save(tmp_path / "m", [*nodes(), *head], tensors() | more))


def test_a_choice_by_a_size_that_the_file_leaves_open_is_refused(tmp_path):
    head, more = squeezed(1)
    path = save(tmp_path / "m", [*nodes(), *head], tensors() | more)
    with pytest.raises(MubinnError, match="If s chooses what is computed by is one, which its"):
        import_model(path)


@pytest.mark.parametrize("given", [True, False])
def test_choices_by_constants_are_made(tmp_path, given):
    """One within another, two branches with equal names, a tensor of the branch, one around it."""
    inner = chosen("no", "w", ([], "W"), ([node("Mul", ["W", "twice"], ["w0"])], "w0"))
    plain = ([node("Identity", ["W"], ["w"])], "w")
    halved = ([inner], "w") if given else plain
    first = chosen("yes", "V", halved, plain, twice=np.array(2, np.float32))
    second = chosen("yes", "U", ([node("Identity", ["R"], ["w"])], "w"), plain)
    values = tensors() | {"yes": np.array([True]), "no": np.array(False)}
    made = [first, second, *nodes(W="V", R="U"), *LAST]
    path = save(tmp_path / "m", made if given else made[::-1], values)
    if given:
        check(path)
    else:
        assert (import_model(path).layers[0].wh == whole(tmp_path).layers[0].wh).all()


def whole(folder):
    return import_model(save(folder / "whole", [*nodes(), *LAST], tensors()))


def test_a_model_within_a_choice_is_told_so(tmp_path):
    transposed, lstm = nodes()
    asked = node("ReduceMax", ["x"], ["most"], keepdims=0)
    whether = node("Cast", ["most"], ["any"], to=TensorProto.BOOL)
    other = ([node("Identity", ["x"], ["h"])], "h")
    made = [asked, whether, chosen("any", "h", ([transposed, lstm], "h"), other), *LAST]
    with pytest.raises(MubinnError, match="If h chooses what is computed by any"):
        import_model(save(tmp_path / "m", made, tensors()))


def test_a_choice_in_front_is_cut_off(tmp_path):
    transposed, lstm = nodes()
    transposed.input[0] = "a"
    both = [([node(kind, ["x"], ["b"])], "b") for kind in ("Abs", "Neg")]
    front = [
        node("Shape", ["x"], ["sizes"]),
        node("Gather", ["sizes", "one"], ["steps"]),
        node("Equal", ["steps", "one"], ["short"]),
        chosen("short", "a", *both),
    ]
    path = save(tmp_path / "m", [*front, transposed, lstm, *LAST], tensors())
    with pytest.raises(MubinnError, match=r"If a chooses .* give --from hs --to y to cut it out"):
        import_model(path)
    assert (import_model(path, ImportOptions(first="hs")).wd == whole(tmp_path).wd).all()


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_windows_before_steps_in_a_node(tmp_path, kind, hard):
    """Layout 1, which ONNX Runtime does not have."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    given = tensors()
    given |= {"W": given["W"][:, : gates * HIDDEN], "R": given["R"][:, : gates * HIDDEN]}
    given["B"] = given["B"][:, : 2 * gates * HIDDEN]
    words = ["HardSigmoid", "Tanh", "Tanh"][: 3 if kind == "LSTM" else gates // 3 + 1]
    about = {"activations": words} if hard else {}
    models = []
    for layout in (0, 1):
        node_in = node(
            *(kind, ["tx"[layout], "W", "R", "B"], ["", "h"]),
            **{"hidden_size": HIDDEN, "layout": layout, **about},
        )
        last = node("Squeeze", ["h", "one" if layout else "zero"], ["s"])
        path = save(tmp_path / str(layout), [nodes()[0], node_in, last, top()], given)
        if not hard:
            check(path)
        models.append(import_model(path))
    assert models[0].readout == models[1].readout == "last"
    assert models[0].layers[0].cell is models[1].layers[0].cell
    for name in ("wx", "wh", "b"):
        assert (getattr(models[0].layers[0], name) == getattr(models[1].layers[0], name)).all()


def test_peepholes_of_zeros_are_none(tmp_path):
    made = nodes()
    made[1].input.extend(["", "", "", "P"])
    given = tensors() | {"P": np.zeros((1, 3 * HIDDEN), np.float32)}
    assert import_model(save(tmp_path / "m", [*made, *LAST], given)).cell == "lstm"


def test_a_relu_ends_where_it_is_told_to(tmp_path):
    given = tensors()
    given |= {"W": 4 * given["W"][:, :HIDDEN], "R": given["R"][:, :HIDDEN]}
    given["B"] = given["B"][:, : 2 * HIDDEN]
    rnn = node("RNN", ["t", "W", "R", "B"], ["", "h"], hidden_size=HIDDEN, activations=["Relu"])
    path = save(tmp_path / "m", [nodes()[0], rnn, *LAST], given)
    with pytest.raises(MubinnError, match=r"node RNN h has the activation relu, .* give --ceiling"):
        import_model(path)
    model = import_model(path, ImportOptions(ceiling=0.5))
    assert [n.kind for n in model.layers[0].cell.of("activation")] == ["ramp(1, 0, 0, 1/2)"]
