"""BC, TC and QC: printed thresholds, free factors, least squares, and what fits no rule."""

import numpy as np
import pytest
from own_cells import OWN, STEPS, float_model, windows
from simulators import QUICK

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.rules import Rule, parse_encoders
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model import bit_true, reference
from mubinn.golden.quantize import quantize
from mubinn.sim.layer.layer_check import check_layer

NORMAL = np.random.default_rng(0).normal(0.02, 0.5, 200_000)
PRINTED = {
    "bc": (50, 50),
    "tc": (15.9, 68.3, 15.9),
    "tc:0.5": (30.9, 38.3, 30.9),
    "qc": (40.1, 9.9, 9.9, 40.1),
    "qc:0.16666667": (43.4, 6.6, 6.6, 43.4),
    "qc:0.674": (25, 25, 25, 25),
}


@pytest.mark.parametrize("text", PRINTED)
def test_shares_of_normal_values(text):
    """What each printed rule makes of normal values; mu is nearly 0, as in the equations."""
    rule = parse_encoders([text])["w"]
    values = NORMAL - NORMAL.mean()
    found, counts = np.unique(rule.tensor(values[None], (1,)).float_values, return_counts=True)
    assert counts / len(values) * 100 == pytest.approx(PRINTED[text], abs=0.3)
    values = {"bc": [-1, 1], "tc": [-1, 0, 1], "qc": [-1, -0.5, 0.5, 1]}[rule.name]
    assert found / found[-1] == pytest.approx(values)


@pytest.mark.parametrize("text", PRINTED)
def test_thresholds_are_those_of_the_print(text):
    rule = parse_encoders([text])["x"]
    reach = NORMAL.mean() + (rule.factor or 0) * NORMAL.std()
    cuts = {"bc": [0], "tc": [-reach, reach], "qc": [-reach, 0, reach]}[rule.name]
    assert rule.thresholds(NORMAL) == pytest.approx(cuts)
    made = rule.quantizer(NORMAL, offset=0.25)
    assert (made.encoder is None) == (rule.name == "bc")
    if made.encoder:
        stored = made.encoder.thresholds / 2**made.fraction
        assert stored == pytest.approx(cuts, abs=2.0 ** -(made.fraction + 1))
    assert made.offset == 0.25 * 2**made.fraction
    assert made.levels == rule.levels


@pytest.mark.parametrize("text", PRINTED)
def test_no_other_scale_has_a_smaller_error(text):
    rule = parse_encoders([text])["w"]
    values = np.stack([NORMAL[:999], 3 * NORMAL[999:1998]])
    tensor = rule.tensor(values, (1, 1))
    signs = 2 * tensor.bits.astype(int) - 1

    def errors(scales):
        made = np.einsum("gn,ngr->gr", np.ldexp(scales.astype(float), -tensor.fraction), signs)
        return np.square(values - made).sum(axis=1)

    least = errors(tensor.scales)
    step = np.array(tensor.scales[0] // tensor.scales[0, -1])
    assert (least <= errors(tensor.scales + step) + 1e-9).all()
    assert (least <= errors(tensor.scales - step) + 1e-9).all()


def test_rows_of_zeros_count_for_nothing():
    rule = parse_encoders(["tc"])["w"]
    values = np.concatenate([np.zeros((2, 50)), NORMAL[:100].reshape(2, 50)])
    tensor = rule.tensor(values, (2, 2))
    assert not tensor.scales[0].any()
    assert (tensor.values[2:] == rule.tensor(values[2:], (2,)).values).all()


@pytest.mark.parametrize("text", ["tc", "qc:0.7"])
@pytest.mark.parametrize("cell", OWN, ids=lambda cell: cell.name)
def test_any_cell_takes_rules(cell, text):
    model, x = float_model(cell), windows()
    made = quantize(model, Levels.of(2, 2), x, encoders=parse_encoders([text]))
    layer = made.layers[0]
    assert set(layer.thresholds) == {"x", *layer.quantizers}
    rule = parse_encoders([text])["w"]
    assert (layer.wh.values == rule.tensor(model.layers[0].wh, layer.sizes.row_counts).values).all()
    assert (layer.wx.levels, layer.b.levels) == (2, 2)


@pytest.mark.parametrize("texts", [["qc:0.674"], ["w=tc:0.7"], ["x=qc:0.9", "h=qc:0.674"]])
def test_rules_come_about_as_near_to_the_float_model_as_algorithm_1(random_float, texts):
    model, x = random_float(0, hidden=32), windows()
    real = reference.logits(model, x)
    errors = []
    for encoders in ({}, parse_encoders(texts)):
        made = quantize(model, Levels.of(2, 2), x, encoders=encoders)
        _, scores, _ = bit_true.run(made, made.encode_input(x))
        found = np.ldexp(scores.astype(float), -made.dense.b.fraction) / STEPS
        errors.append(np.sqrt(np.square(found - real).mean()))
    assert errors[1] < 1.1 * errors[0]


@pytest.mark.parametrize("datapath", ["figure3", "threshold"])
def test_hardware_of_rules_equals_the_bit_true_model(random_float, datapath):
    x = windows()
    made = quantize(
        random_float(0), Levels.of(2, 2), x, encoders=parse_encoders(["qc:1.2", "h=tc"])
    )
    made = made.with_datapath(datapath)
    assert check_layer(made, made.encode_input(x)[:2], simulator=QUICK).tests == 2


def test_rules_of_single_tensors_leave_the_others():
    model, x = float_model(OWN[1]), windows()
    plain = quantize(model, Levels.of(2, 2), x).layers[0]
    made = quantize(model, Levels.of(2, 2), x, encoders=parse_encoders(["h=tc"])).layers[0]
    assert list(made.thresholds) == ["h"]
    for name, quantizer in plain.quantizers.items():
        if name != "h":
            assert made.quantizers[name].scales.tolist() == quantizer.scales.tolist()
    assert made.x.scales.tolist() == plain.x.scales.tolist()


def test_texts():
    assert parse_encoders([]) == {}
    assert parse_encoders(["mlb"]) == {}
    assert parse_encoders(["tc", "x=mlb", "w=qc:0.5"]) == {
        "w": Rule("qc", 0.5, "w"),
        **{name: Rule("tc", 1.0, name) for name in ("h", "c", "gate")},
    }
    assert str(parse_encoders(["h=qc:0.674"])["h"]) == "qc:0.674"
    assert str(parse_encoders(["bc"])["h"]) == "bc"


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["ttq"], "unknown encoder 'ttq': choose one of mlb, bc, tc, qc"),
        (["y=tc"], "unknown tensor 'y' in the encoder 'y=tc': choose of x, w, h, c, gate"),
        (["b=tc"], "unknown tensor 'b'"),
        (["tc", "qc"], "two encoders are given for all that is not named"),
        (["h=tc", "h=mlb"], "two encoders are given for h"),
        (["bc:1"], "bc has no threshold factor"),
        (["mlb:1"], "mlb has no threshold factor"),
        (["tc:"], "factor of the encoder 'tc:' is no number above 0"),
        (["tc:-1"], "is no number above 0"),
        (["tc:nan"], "is no number above 0"),
        (["tc:11"], "and up to 10"),
    ],
)
def test_faults_of_texts(texts, why):
    with pytest.raises(MubinnError, match=why):
        parse_encoders(texts)


@pytest.mark.parametrize(
    ("levels", "texts", "form", "why"),
    [
        ((2, 3), ["w=tc"], "free", r"encoder tc:1 has 2 levels, but w is to have 3: give w 2"),
        ((1, 2), ["h=bc"], "free", "encoder bc has 1 level, but h is to have 2"),
        ((2, 2), ["h=qc"], "shift", "encoder qc:0.25 of h has scales of its own, not of the form"),
    ],
)
def test_rules_that_do_not_fit(levels, texts, form, why):
    with pytest.raises(MubinnError, match=why):
        quantize(
            float_model(OWN[0]),
            Levels.of(*levels),
            windows(),
            scale_form=form,
            encoders=parse_encoders(texts),
        )


def test_thresholds_that_would_not_rise():
    model, x = float_model(OWN[0]), windows() - 3
    with pytest.raises(MubinnError, match=r"^x has the mean -3.* of tc:0.5 would not rise"):
        quantize(model, Levels.of(2, 2), x, encoders=parse_encoders(["x=tc:0.5"]))
    with pytest.raises(MubinnError, match="b takes no encoder"):
        quantize(model, Levels.of(2, 2), x, encoders={"b": Rule("tc", 1.0)})
