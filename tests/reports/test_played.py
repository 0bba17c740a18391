"""The picture of what was played to a board."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from mubinn.reports import played as page
from mubinn.reports.played import POINTS, Played, played_picture


def drawn(monkeypatch, steps, labelled=True):
    """Return the axes' titles, labels of ticks and lines of a picture."""
    random = np.random.default_rng(0)
    scores = random.normal(0, 1e5, (steps, 3)).round()
    found = Played(
        "title",
        "s",
        random.integers(-99, 99, (2 * steps, 2)),
        ["C3", "C4"],
        float(steps),
        np.arange(steps) + 1.0,
        scores,
        scores.argmax(axis=1) if labelled else None,
        ["rest", "left", "right"],
        [(3.0, 4.0)] if labelled else [],
    )
    figures = []
    make = page._figure
    monkeypatch.setattr(page, "_figure", lambda *own: figures.append(make(*own)) or figures[-1])
    assert played_picture(found).startswith(b"\x89PNG")
    figure: Figure = figures[0]
    return [
        (axis.get_title("left"), [label.get_text() for label in axis.get_yticklabels()])
        for axis in figure.axes
    ]


@pytest.mark.parametrize(
    ("steps", "title"), [(60, "decisions"), (3 * POINTS, "shares of the decisions")]
)
def test_each_class_has_a_row_and_what_is_lost_another(monkeypatch, steps, title):
    signal, _, decisions = drawn(monkeypatch, steps)
    assert signal == ("samples as they are sent", ["C3", "C4"])
    assert decisions == (title, ["rest", "left", "right", "none: lost"])


def test_a_regression_has_no_decisions(monkeypatch):
    assert len(drawn(monkeypatch, 20, labelled=False)) == 2
