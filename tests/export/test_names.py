"""Names that a user gives, two models in one design, and what other tools say of the Verilog."""

import re
import subprocess

import pyslang
import pytest
from simulators import needs_icarus

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.boards.device import find_device
from mubinn.hw.export.accelerator_folder import accelerator_folder
from mubinn.hw.export.device_design import DesignOptions, device_design
from mubinn.hw.export.layer_folder import layer_designs
from mubinn.hw.export.names import module_name
from mubinn.sim.runner import toolchain


@pytest.fixture(scope="module")
def folders(random_of, tmp_path_factory):
    """Two models in one folder, as ``left`` and ``right``, with the bench of ``left``."""
    folder = tmp_path_factory.mktemp("two")
    made = {}
    for name, about, device in (
        ("right", {"levels": (2, 1), "cell": "gru", "reset": "before"}, "ecp5"),
        ("left", {"levels": (1, 2)}, "xc7"),
    ):
        model = random_of(features=4, hidden=3, **about)
        options = DesignOptions(units=2, width=32, name=name)
        files = accelerator_folder(model, device_design(model, find_device(device), options))
        made[name] = files
        for part, text in files.items():
            if "/" not in part:
                (folder / part).write_text(text)
    return folder, made


def modules(text):
    return set(re.findall(r"^module \\?(\S+?)\s*\(", text, re.M))


def test_all_modules_begin_with_the_name(folders):
    left, right = (modules(files[f"{name}.v"]) for name, files in folders[1].items())
    assert not left & right
    for name, files in folders[1].items():
        assert all(found.split(".")[0] == name for found in modules(files[f"{name}.v"]))
        assert f"{name}.core" in files
        assert set(re.findall(r"#define (\w+?)_", files[f"{name}.h"])) == {name.upper()}


@needs_icarus
def test_two_models_live_in_one_design(folders):
    folder, _ = folders
    sources = ["testbench.v", "left.v", "right.v", "cells.v"]
    subprocess.run(["iverilog", "-g2005", "-o", "both", *sources], cwd=folder, check=True)
    told = subprocess.run(["vvp", "-n", "both"], cwd=folder, capture_output=True, text=True)
    assert "PASS" in told.stdout


def lint(folder, *arguments):
    env, _ = toolchain.prepare("verilator")
    run = subprocess.run(
        ["verilator", "--lint-only", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
    )
    return run.returncode, re.findall(r"^%.*", run.stderr, re.M)


def test_verilator_accepts_what_is_generated_as_it_is(folders, random_of, tmp_path):
    folder, _ = folders
    bench = ("--timing", "--top-module", "testbench", "testbench.v")
    assert lint(folder, *bench, "left.v", "cells.v") == (0, [])
    assert lint(folder, "right.v", "--top-module", "right") == (0, [])
    for number, design in enumerate(layer_designs(random_of(levels=(3, 2), depth=2), name="eeg")):
        assert design.name == f"eeg_{number}"
        (tmp_path / f"{design.name}.v").write_text(design.verilog)
        assert lint(tmp_path, f"{design.name}.v") == (0, [])


def errors_of_slang(*files):
    options = pyslang.ast.CompilationOptions()
    options.defaultTimeScale = pyslang.TimeScale.fromString("1ns/1ps")  # the bench has one
    compilation = pyslang.ast.Compilation(pyslang.Bag([options]))
    for file in files:
        compilation.addSyntaxTree(pyslang.syntax.SyntaxTree.fromFile(str(file)))
    return [str(found.code) for found in compilation.getAllDiagnostics() if found.isError()]


def test_slang_reads_what_is_generated(folders, tmp_path):
    folder, made = folders
    names = [name for name in made["left"] if name.endswith(".v")]
    assert errors_of_slang(*(folder / name for name in {*names, "right.v"})) == []
    (tmp_path / "broken.v").write_text(made["left"]["left.v"].replace("endmodule", "", 1))
    assert errors_of_slang(tmp_path / "broken.v") != []


def test_what_comes_after_a_generated_file_is_linted_as_before(folders, tmp_path):
    text = folders[1]["right"]["right.v"]
    (tmp_path / "own.v").write_text(
        text + "module own(input [3:0] a, output [1:0] b);\n  assign b = a;\nendmodule\n"
    )
    status, said = lint(tmp_path, "own.v", "--top-module", "own")
    assert status == 1
    assert "WIDTHTRUNC" in said[0]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("3d", "a letter first"),
        ("my-model", "letters, digits"),
        ("", "letters, digits"),
        ("größe", "letters, digits"),
        ("module", "keyword"),
        ("logic", "keyword"),
        ("testbench", "bench has that name"),
    ],
)
def test_names_that_no_module_has(name, why):
    with pytest.raises(MubinnError, match=why):
        module_name(name)
    with pytest.raises(MubinnError, match=why):
        DesignOptions(name=name)
