"""Level counts and their names."""

import pytest

from mubinn.golden.binarize.levels import MAX_LEVELS, Levels, level_name, parse_level, parse_levels
from mubinn.golden.ground.errors import MubinnError


def test_shorthand_sets_x_alone_to_a():
    levels = Levels.of(2, 4)
    assert (levels.x, levels.w, levels.h, levels.c, levels.gate, levels.b) == (2, 4, 4, 4, 4, 4)
    assert str(levels) == "(2,4)"


def test_single_tensors_override():
    levels = Levels.of(1, 1, h=2, c=2)
    assert (levels.h, levels.c, levels.gate) == (2, 2, 1)
    assert str(levels) == "(1,1) h=2 c=2"
    assert str(Levels.of(None, 3, b=None)) == "(FP,3) b=FP"


@pytest.mark.parametrize(
    ("levels", "passes"),
    [(Levels.of(1, 1), 1), (Levels.of(3, 3), 9), (Levels.of(2, 4), 16), (Levels.of(5, 1), 5)],
)
def test_passes(levels, passes):
    assert levels.passes == passes


@pytest.mark.parametrize("count", [0, -1, MAX_LEVELS + 1, True, 1.5, "3"])
def test_unknown_counts_are_refused(count):
    with pytest.raises(MubinnError, match=r"unknown level count .* for h"):
        Levels.of(1, 1, h=count)


def test_full_precision_has_no_count():
    with pytest.raises(MubinnError, match="keeps w in full precision"):
        Levels.of(3, None).count("w")
    assert Levels.of(3, None).count("x") == 3


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("3,3", Levels.of(3, 3)),
        ("(2, 4)", Levels.of(2, 4)),
        ("FP,2", Levels.of(None, 2)),
        ("5,fp", Levels.of(5, None)),
    ],
)
def test_names_are_read(text, levels):
    assert parse_levels(text) == levels


def test_names_are_read_with_single_tensors():
    assert parse_levels("1,1", c=2) == Levels.of(1, 1, c=2)


@pytest.mark.parametrize("text", ["3", "3,3,3", "", "a,b", "0,1", f"1,{MAX_LEVELS + 1}", "1.5,2"])
def test_unknown_names_are_refused(text):
    with pytest.raises(MubinnError, match="unknown level"):
        parse_levels(text)


@pytest.mark.parametrize("count", [None, 1, 5])
def test_name_and_parse_are_inverse(count):
    assert parse_level(level_name(count)) == count
