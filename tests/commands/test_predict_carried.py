"""``mubinn predict --state carried``: a person's windows are one stream, as hardware has it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from mubinn.cli.main import mubinn
from mubinn.golden.binarize.levels import Levels
from mubinn.golden.model import bit_true, reference
from mubinn.golden.model.float_model import Preprocessing
from mubinn.golden.model.front_end import FrontEnd
from mubinn.golden.model.model_file import save_model
from mubinn.golden.quantize import quantize
from mubinn.train.data.recordings import prepare

PEOPLE = np.array([0, 1, 0, 2, 0, 1, 0, 2])


def predict(*arguments, status=0):
    result = CliRunner().invoke(mubinn, ["predict", *map(str, arguments)])
    assert result.exit_code == status, (result.output, result.stderr)
    return result


@pytest.mark.parametrize(
    ("normalise", "readout"), [("window", "leaky:3"), ("causal", "leaky:3@end"), ("causal", "mean")]
)
def test_a_persons_windows_go_on_from_each_other(
    tmp_path, random_float, monkeypatch, normalise, readout
):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).integers(-900, 900, (8, 12, 4)).astype(np.int16)
    how = Preprocessing(normalise, 2)
    start = replace(
        random_float(features=4, hidden=5, classes=3, readout=readout), preprocessing=how
    )
    ready = prepare(x, normalise=normalise, decimate=2)
    model = quantize(start, Levels.of(2, 2), ready.astype(float))
    save_model("a.safetensors", start)
    save_model("a.mubinn", model)
    np.savez("x.npz", X=x, subject=PEOPLE)
    arguments = ["a.mubinn", "x.npz", "--float", "a.safetensors", "--json"]
    rows = json.loads(predict(*arguments, "--state", "carried").stdout)["windows"]
    assert rows != json.loads(predict(*arguments).stdout)["windows"]
    found = [[list(row["scores"].values()), list(row["float"]["scores"].values())] for row in rows]
    for person in range(3):
        own = np.flatnonzero(person == PEOPLE)
        if normalise == "causal":
            front_end = FrontEnd.made(how, 4, 16)
            samples, _ = front_end.run(x[own].reshape(-1, 4).astype(np.int64))
            steps = samples / (1 << 12)
        else:
            steps = ready[own].reshape(-1, 4).astype(float)
        # In one go, read as scores of a step: sums and ends are those of each window.
        each = {"leaky:3": "leaky:3", "leaky:3@end": "leaky:3", "mean": "every"}[readout]
        scores = bit_true.run(replace(model, readout=each), model.encode_input(steps))[1]
        logits = reference.logits(replace(start, readout=each), steps)
        wanted = []
        for values in (scores, logits):
            windows = values.reshape(len(own), 6, 3)
            if readout == "mean":
                windows = windows.sum(axis=1) if values is scores else windows.mean(axis=1)
            elif readout.endswith("end"):
                windows = windows[:, -1]
            wanted.append(windows)
        many = 6 if readout == "leaky:3" else 1
        chosen = [row for row, (k, _) in zip(found, _places(many), strict=True) if k in own]
        assert [row[0] for row in chosen] == wanted[0].reshape(-1, 3).tolist()
        np.testing.assert_allclose([row[1] for row in chosen], wanted[1].reshape(-1, 3), 1e-9)
    refused = predict("a.mubinn", "x.npz", "--hop", "1", "--state", "carried", status=2)
    assert "leave out --hop" in refused.stderr


def _places(many):
    return [(k, step) for k in range(len(PEOPLE)) for step in range(many)]
