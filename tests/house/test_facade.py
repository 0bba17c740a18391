"""What programs import: the front of each floor, and the module paths that they have known."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = sorted(path.parent.name for path in ROOT.glob("*/public.py"))


def names(floor):
    tree = ast.parse((ROOT / floor / "public.py").read_text())
    return [
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]


def test_floors_have_a_front():
    assert "golden" in FLOORS


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_hands_out_what_is_public(floor):
    package = import_module(f"mubinn.{floor}")
    public = import_module(f"mubinn.{floor}.public")
    assert names(floor)
    for name in names(floor):
        assert getattr(package, name) is getattr(public, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        package.nothing  # noqa: B018


@pytest.mark.parametrize("floor", FLOORS)
def test_a_front_alone_imports_nothing_heavy(floor):
    code = (
        f"import sys, mubinn.{floor}\n"
        "heavy = {'numpy', 'amaranth', 'jax', 'cocotb', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_quantize_is_a_function_whatever_was_imported_before():
    code = (
        "import mubinn.golden.quantize\n"
        "from mubinn.golden import quantize\n"
        "from mubinn.golden.quantize import quantize as same\n"
        "assert callable(quantize) and quantize is same"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_paths_that_programs_know_still_work():
    from mubinn.golden import Levels, infer, load_float, quantize
    from mubinn.golden.inference import infer as known_infer
    from mubinn.golden.levels import Levels as KnownLevels
    from mubinn.golden.model_file import load_float as known_load
    from mubinn.golden.quantize import quantize as known_quantize

    assert (Levels, infer, load_float, quantize) == (
        KnownLevels,
        known_infer,
        known_load,
        known_quantize,
    )
