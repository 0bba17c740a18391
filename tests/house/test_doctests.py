"""The examples in docstrings: each gives what it says, and every unit has one."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = ("golden", "hw", "sim", "synth", "train", "reports", "cli")
MODULES = sorted(
    ".".join(("mubinn", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for floor in FLOORS
    for path in (ROOT / floor).rglob("*.py")
    if floor == "golden" or ">>>" in path.read_text()
)
UNITS = {"units", "baseline"}
SHARED = {"binary32", "shapes"}
"""What units share, which is none itself."""


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name):
    module = import_module(name)
    assert doctest.testmod(module).failed == 0
    room, stem = name.split(".")[-2:]
    if room in UNITS and stem not in SHARED:
        found = doctest.DocTestFinder().find(getattr(module, stem), stem)
        assert sum(len(test.examples) for test in found) > 0, f"{stem} has no example"


def test_modules_are_found():
    assert len(MODULES) > 60
