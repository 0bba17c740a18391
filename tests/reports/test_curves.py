"""Measures by epoch: written and read, means in the table, means and ranges in the picture."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from mubinn.golden.ground.errors import MubinnError
from mubinn.reports.curves import Curves, curves_by_epoch, read_curves
from mubinn.reports.measures import MEASURES

RUNS = {
    ("lstm", "FP"): {0: np.arange(25) + 1.0, 3: np.arange(25) + 2.0},
    ("lstm", "MuBiNN2 (2,2)"): {0: np.array([10.0, 20.0]), 3: np.array([14.0, 21.0])},
    ("gru", "BC"): {0: np.array([33.3333])},
}
OWN = Curves(RUNS, MEASURES["accuracy"])


def test_curves_are_read_as_they_were_written():
    found = read_curves(OWN.to_csv(), OWN.measure)
    assert found.measure is OWN.measure
    assert list(found.runs) == list(RUNS)
    for key, seeds in RUNS.items():
        assert list(found.runs[key]) == list(seeds)
        for seed, own in seeds.items():
            np.testing.assert_array_equal(found.runs[key][seed], own)


@pytest.mark.parametrize(
    "text", ["", "cell,method,seed,accuracy\n", OWN.to_csv().replace("accuracy", "perplexity")]
)
def test_another_table_is_refused(text):
    with pytest.raises(MubinnError, match="no columns cell, method, seed, epoch, accuracy: give"):
        read_curves(text, OWN.measure)


def test_the_table_has_means_as_far_as_runs_go():
    lines = [[cell.strip() for cell in line.split("|")] for line in OWN.table().splitlines()]
    assert lines[0][1:-1] == ["Cell", "Method", "1", "2", "5", "10", "20", "25"]
    assert lines[2][1:-1] == ["lstm", "FP", "1.50", "2.50", "5.50", "10.50", "20.50", "25.50"]
    assert lines[3][1:-1] == ["lstm", "MuBiNN2 (2,2)", "12.00", "20.50", *[""] * 4]
    assert lines[4][1:-1] == ["gru", "BC", "33.33", *[""] * 5]


@pytest.mark.parametrize(
    ("lengths", "epochs"),
    [
        ((1,), [1]),
        ((5, 4), [1, 2, 4, 5]),
        ((10, 9), [1, 2, 5, 9, 10]),
        ((60, 120), [1, 2, 5, 10, 20, 50, 60, 100, 120]),
    ],
)
def test_the_table_has_the_end_of_every_method(lengths, epochs):
    runs = {("gru", str(length)): {0: np.ones(length)} for length in lengths}
    assert Curves(runs, OWN.measure).epochs == epochs


def test_the_picture_has_means_and_ranges_and_a_name_for_each_method():
    figure = curves_by_epoch(OWN)
    for axis, cell in zip(figure.axes, ("lstm", "gru"), strict=True):
        assert axis.get_title() == cell.upper()
        own = [seeds for (of, _), seeds in RUNS.items() if of == cell]
        for line, seeds in zip(axis.get_lines(), own, strict=True):
            values = np.stack(list(seeds.values()))
            np.testing.assert_array_equal(line.get_xdata(), np.arange(1, values.shape[1] + 1))
            np.testing.assert_allclose(line.get_ydata(), values.mean(axis=0))
        ranges = [own for own in axis.collections if isinstance(own, PolyCollection)]
        assert len(ranges) == sum(len(seeds) > 1 for seeds in own)
        for shape, seeds in zip(ranges, own, strict=False):
            heights = shape.get_paths()[0].vertices[:, 1]
            assert set(np.concatenate(list(seeds.values()))) == set(heights)
    assert figure.axes[0].get_ylabel() == "validation accuracy, %"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["FP", "MuBiNN2 (2,2)", "BC"]
    colours = {line.get_color() for axis in figure.axes for line in axis.get_lines()}
    assert len(colours) == len(RUNS)
