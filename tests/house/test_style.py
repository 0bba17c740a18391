"""House rules that no linter knows: stems, packages, imports, sizes."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("golden", "hw", "sim", "synth", "reports", "train", "cli")
UNIT_ROOMS = ("units", "baseline")
SHARED = {"binary32"}
"""What the full-precision units share, on each side."""
MAX_FILES = 25


def sources(*packages):
    return sorted(path for name in packages for path in (ROOT / name).rglob("*.py"))


def names_of(path, kind):
    tree = ast.parse(path.read_text())
    return {node.name for node in tree.body if isinstance(node, kind)}


def imports_of(path):
    """Every module that a file names in an import, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def camel(stem):
    return "".join(part.capitalize() for part in stem.split("_"))


def stems(floor, room):
    return {path.stem for path in (ROOT / floor / room).glob("*.py")} - {"__init__"}


UNITS = [
    (room, stem)
    for room in UNIT_ROOMS
    for stem in sorted((stems("golden", room) & stems("hw", room)) - SHARED)
]


@pytest.mark.parametrize(("room", "unit"), UNITS)
def test_a_unit_has_one_stem_everywhere(room, unit):
    files = [ROOT / "golden" / room / f"{unit}.py", ROOT / "hw" / room / f"{unit}.py"]
    files += [ROOT / "sim" / room / f"tb_{unit}.py", ROOT / "tests" / room / f"test_{unit}.py"]
    assert [path.as_posix() for path in files if not path.exists()] == []
    assert unit in names_of(files[0], ast.FunctionDef)
    assert camel(unit) in names_of(files[1], ast.ClassDef)


def test_every_unit_is_found():
    assert len(UNITS) >= 18


@pytest.mark.parametrize("room", UNIT_ROOMS)
def test_every_bench_belongs_to_a_unit(room):
    benches = {stem.removeprefix("tb_") for stem in stems("sim", room) if stem.startswith("tb_")}
    assert benches == {unit for where, unit in UNITS if where == room}


ROOMS = sorted({path.parent.relative_to(ROOT).as_posix() for path in sources(*PACKAGES, "tests")})


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_is_crowded(room):
    assert len(list((ROOT / room).glob("*.py"))) <= MAX_FILES


def test_every_test_lies_in_a_room():
    rooms = {Path(room).name for room in ROOMS if not room.startswith("tests")} | {
        "house",
        "fuzz",
        "networks",
    }
    found = list((ROOT / "tests").rglob("test_*.py"))
    assert len(found) > 100
    homeless = [
        path.relative_to(ROOT).as_posix()
        for path in found
        if path.parent.parent != ROOT / "tests" or path.parent.name not in rooms
    ]
    assert homeless == []


def test_the_list_of_packages_is_what_stands_on_the_disk():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tool = project["tool"]["setuptools"]
    listed = {name.removeprefix("mubinn.").replace(".", "/") for name in tool["packages"]}
    on_disk = {
        path.parent.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("__init__.py")
    }
    assert listed == on_disk
    assert set(PACKAGES) <= listed
    assert set(project["tool"]["mypy"]["packages"]) >= {f"mubinn.{name}" for name in PACKAGES}
    for name in PACKAGES:
        assert tool["package-dir"][f"mubinn.{name}"] == name
        assert (ROOT / ".typing" / "mubinn" / name).resolve() == ROOT / name
        assert (ROOT / name / "py.typed").exists()


def test_every_folder_of_python_is_listed():
    folders = {path.parent.relative_to(ROOT).parts[0] for path in ROOT.glob("*/*.py")}
    assert folders - {"tests", "build", "docs"} <= set(PACKAGES)


def module_of(path):
    name = ".".join(("mubinn", *path.relative_to(ROOT).with_suffix("").parts))
    return name.removesuffix(".__init__")


MODULES = {module_of(path) for path in sources(*PACKAGES)}
LAZY = {
    "cli/shared/group.py",  # click's commands
    "cli/benchmarks/table.py",
    "sim/runner/unit_check.py",  # a bench is named by who checks a unit
    "synth/fpga/fpga_worker.py",  # programs of other packages
}


def test_pages_that_are_named_exist():
    for path in [*sources(*PACKAGES), ROOT / "README.md"]:
        for named in re.findall(r"\bdocs/[\w/]+\.\w+", path.read_text()):
            assert (ROOT / named).exists(), f"{path}: {named}"


def test_modules_that_are_named_in_strings_exist():
    """Workers, benches and lazy commands are named: no contract of the imports sees them."""
    for path in sources(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named = re.fullmatch(r"mubinn(\.[a-z_0-9]+)+", node.value)
                assert not named or node.value in MODULES, f"{path}: {node.value}"


def test_imports_are_no_strings():
    for path in sources(*PACKAGES):
        if path.relative_to(ROOT).as_posix() in LAZY:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{path}: {ast.unparse(node)}"
                assert not name.value.startswith("mubinn"), f"{path}: {name.value}"


def test_the_contracts_of_the_imports_hold():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-2000:]


def test_golden_imports_no_framework():
    heavy = {"amaranth", "jax", "jaxlib", "torch", "onnxruntime", "optax", "cocotb", "pyosys"}
    for path in sources("golden"):
        assert not {name.split(".")[0] for name in imports_of(path)} & heavy, path
    modules = sorted(map(module_of, sources("golden")))
    code = (
        f"import sys, importlib\nfor name in {modules}: importlib.import_module(name)\n"
        f"assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_hardware_keeps_its_annotations():
    paths = sources("hw")
    assert len(paths) > 5
    for path in paths:
        assert not any(name.startswith("__future__") for name in imports_of(path)), path


def test_hardware_uses_no_deprecated_names():
    for path in sources("hw"):
        old = {"amaranth.hdl.Record", "amaranth.hdl.Memory", "amaranth.hdl.rec"}
        assert not imports_of(path) & old, path


def test_no_pickle():
    for path in sources(*PACKAGES):
        assert not {name.split(".")[0] for name in imports_of(path)} & {"pickle", "joblib"}, path


def test_text_speaks_of_the_project_alone():
    foreign = ("/" + "work/", "/" + "tmp/h/", "TO" + "DO", "FIX" + "ME", "X" * 3)
    for path in sources(*PACKAGES, "tests"):
        text = path.read_text()
        assert [word for word in foreign if word in text] == [], path


def test_no_group_is_repeated_possessively():
    # CPython 3.11.0 to 3.11.4 match (...)*+ wrongly (gh-106052), and they are among what we take.
    possessive = re.compile(r"\)[*+?}]\+")
    assert possessive.search(r"(?:a|b)*+")
    found = [path.as_posix() for path in sources(*PACKAGES) if possessive.search(path.read_text())]
    assert found == []
