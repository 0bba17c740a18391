"""Liberty files: what is accepted, what is refused and in which words, what is measured."""

import gzip
import os
import re
from pathlib import Path

import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth import builtin_library, load_library, tech65_liberty
from mubinn.synth.liberty.boolean import truth_table
from mubinn.synth.liberty.library import parse_library
from mubinn.synth.liberty.nldm import Table, cap_unit_ff, pin_capacitance, time_unit_ps
from mubinn.synth.liberty.tree import parse

SHARED = Path(os.environ.get("MUBINN_SHARED", Path(__file__).parents[3] / "shared"))
REAL = {
    "sky130hd_tt.lib.gz": (80.0, "sky130_fd_sc_hd__inv_1"),
    "sg13g2_stdcell_typ_1p20V_25C.lib": (61.0, "sg13g2_inv_1"),
}


def only(*families):
    """The built-in library with these cell families alone."""
    head, *cells = re.split(r"(?=^  cell \()", tech65_liberty(), flags=re.MULTILINE)
    cells[-1] = cells[-1].rsplit("}", 1)[0]
    kept = (c for c in cells if re.match(r"  cell \((\w+?)(_X\d+)?\)", c).group(1) in families)
    return head + "".join(kept) + "}\n"


@pytest.mark.parametrize("name", REAL)
def test_real_libraries(name):
    path = SHARED / "data" / "liberty" / name
    if not path.exists():
        pytest.skip("the real libraries are not here")
    fo4, inverter = REAL[name]
    library = load_library(path)
    assert library.inverters[0][0].name == inverter
    assert library.fo4_ps == pytest.approx(fo4, rel=0.01)
    assert not [c.name for c in library.usable() if "lpflow" in c.name or "probe" in c.name]
    assert len(library.usable()) > 60


def test_plain_gzip_and_several_files_are_equal(tmp_path):
    text = tech65_liberty()
    plain, packed, rest = tmp_path / "a.lib", tmp_path / "a.lib.gz", tmp_path / "b.lib"
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    assert load_library(plain).gates == load_library(packed).gates == builtin_library().gates
    assert load_library(plain).sha256 == load_library(packed).sha256
    plain.write_text(only("INV", "BUF"))
    rest.write_text(only("NAND2", "DFF"))
    both = load_library([plain, rest])
    assert {c.name.split("_")[0] for c in both.gates} == {"INV", "BUF", "NAND2", "DFF"}
    assert both.fo4_ps == pytest.approx(25.0, rel=1e-4)


def test_areas_add_up_and_a_cell_without_one_is_told():
    library = builtin_library()
    area = {cell.name: cell.area_um2 for cell in library.gates}
    both = ["INV_X1", "DFF_X1", "INV_X1"]
    assert library.area_um2(both) == pytest.approx(2 * area["INV_X1"] + area["DFF_X1"])
    bare = re.sub(r"(cell \(INV_X1\) \{\s*)area[^;]*;", r"\1", tech65_liberty())
    assert bare != tech65_liberty()
    message = "the library bare gives no area for INV_X1, MAGIC: complete it"
    with pytest.raises(MubinnError, match=f"(?i){message}"):
        parse_library([bare], "bare").area_um2([*both, "MAGIC"])


def test_pattern_excludes_cells():
    library = parse_library([tech65_liberty()], "t", ["INV_X1", "XOR*"])
    assert library.inverters[0][0].name == "INV_X2"
    assert not [c for c in library.usable() if c.name.startswith("XOR")]
    assert "set_driving_cell INV_X8" in library.constraints()


def test_constraints_come_from_the_smallest_inverter():
    assert builtin_library().constraints() == "set_driving_cell INV_X4\nset_load 3.24 [fF]\n"


REFUSED = {
    "not a Liberty": "hello { }",
    "truncated": tech65_liberty()[:40000],
    "no usable inverter": only("NAND2", "BUF"),
    "no usable NAND2 or NOR2": only("INV", "BUF", "AOI21"),
    "no usable buffer": only("INV", "NAND2", "NOR2"),
    "no cell_rise table": tech65_liberty().replace("cell_rise", "cell_raise"),
    "not complete": tech65_liberty().replace("index_2", "index_3"),
    "no input capacitance": re.sub(r"(?<!max_)capacitance : [\d.]+;", "", tech65_liberty()),
    "2 x 2 or smaller": re.sub(
        r'values \("[^()]*,[^()]*"\)', 'values ("1, 2", "3, 4")',
        re.sub(r'(index_\d) \("([^,"]*, [^,"]*), [^"]*"\)', r'\1 ("\2")', tech65_liberty()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what):
    with pytest.raises(MubinnError, match=what) as caught:
        parse_library([REFUSED[what]], "x.lib")
    assert str(caught.value).count("\n") == 0


def test_unreadable_files(tmp_path):
    with pytest.raises(MubinnError, match="cannot be read"):
        load_library(tmp_path / "absent.lib")
    with pytest.raises(MubinnError, match="cannot be read"):
        load_library(tmp_path)
    half = tmp_path / "half.lib.gz"
    half.write_bytes(gzip.compress(tech65_liberty().encode())[:5000])
    with pytest.raises(MubinnError, match="cannot be read"):
        load_library(half)
    broken = tmp_path / "broken.lib.gz"
    broken.write_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\xff" * 100)
    with pytest.raises(MubinnError, match="cannot be read"):
        load_library(broken)
    noise = tmp_path / "noise.lib"
    noise.write_bytes(bytes(range(256)) * 4)
    with pytest.raises(MubinnError, match="not Liberty text"):
        load_library(noise)
    latin = tmp_path / "latin.lib"
    latin.write_bytes(b"/* caf\xe9 */" + tech65_liberty().encode())
    assert load_library(latin).texts == builtin_library().texts


@pytest.mark.parametrize(
    ("function", "table"),
    [
        ("!A", (1, 0b01)),
        ("A'", (1, 0b01)),
        ("(A)''", (1, 0b10)),
        ("(A B)'", (2, 0b0111)),
        ("!(A*B)", (2, 0b0111)),
        ("!A + !B", (2, 0b0111)),
        ("!A & !B", (2, 0b0001)),
        ("A ^ B", (2, 0b0110)),
        ("A | B & A", (2, 0b1010)),
        ("A & 1", (1, 0b10)),
        ("A | 0 ^ 1", (1, 0b11)),
        ("A @ B", None),
        ("(A", None),
        ("A &", None),
        ("A )", None),
        ("& A", None),
        ("1", None),
        ("A & B & C", None),
    ],
)
def test_truth_table(function, table):
    assert truth_table(function) == table


def test_interpolation_is_bilinear():
    table = Table((0.0, 1.0, 3.0), (0.0, 2.0), ((0.0, 4.0), (1.0, 5.0), (3.0, 7.0)))
    for slew, load in ((0.5, 1.0), (2.0, 0.5), (4.0, 3.0), (-1.0, 0.0), (3.0, 2.0)):
        assert table.at(slew, load) == pytest.approx(slew + 2 * load)
    assert Table((1.0,), (0.0, 1.0, 2.0), ((3.0, 4.0, 6.0),)).at(9.0, 1.5) == 5.0


def test_units():
    def library(text):
        return parse(f"library (l) {{ {text} }}").groups[0]

    assert time_unit_ps(library('time_unit : "10ps";')) == 10.0
    assert time_unit_ps(library("")) == 1000.0
    assert cap_unit_ff(library("capacitive_load_unit (1,pf);")) == 1000.0
    assert cap_unit_ff(library('capacitive_load_unit ("0.5", "FF");')) == 0.5
    assert cap_unit_ff(library("")) == 1000.0
    pins = "pin (Y) { direction : output; } pin (A) { direction : input; capacitance : 2; }"
    [cell] = library(f"capacitive_load_unit (1,ff); cell (I) {{ {pins} }}").groups
    assert pin_capacitance(cell) == 2.0


def test_groups():
    text = 'pin (A) { direction : "input"; values ("1, 2", \\\n "3"); timing () { k : a b; } }'
    [group] = parse(text).groups
    assert (group.kind, group.arguments, group.get("direction")) == ("pin", ("A",), "input")
    assert group.numbers("values") == (1, 2, 3)
    assert next(group.of("timing")).get("k") == "a b"
    assert next(group.of("timing")).parent is group
    assert parse(text) is parse(text)
    with pytest.raises(MubinnError, match="ends within"):
        parse("pin (A) { direction : input;")
    with pytest.raises(MubinnError, match="closes"):
        parse("pin (A) { } }")


def test_semicolons_may_be_missing_and_braces_may_be_quoted():
    text = 'cell (X) {\n area : 1.5\n pin ("Y") {\n function : "A } B"\n k : v }\n a (1)\n b (2) }'
    [cell] = parse(text).groups
    assert (cell.get("area"), cell.get("a"), cell.get("b")) == ("1.5", "1", "2")
    [pin] = cell.groups
    assert (pin.arguments, pin.get("function"), pin.get("k")) == (("Y",), "A } B", "v")


def test_axes_in_either_order_and_units_give_the_same_fo4():
    text = tech65_liberty()
    wide = text.replace('time_unit : "1ps"', 'time_unit : "1ns"')
    assert parse_library([wide], "ns").fo4_ps == pytest.approx(25e3, rel=1e-4)
    swapped = (
        text.replace("variable_1 : input_net_transition", "variable_1 : X")
        .replace("variable_2 : total_output_net_capacitance", "variable_2 : input_net_transition")
        .replace("variable_1 : X", "variable_1 : total_output_net_capacitance")
    )
    axes = (
        swapped.replace("index_1", "index_9")
        .replace("index_2", "index_1")
        .replace("index_9", "index_2")
    )

    def transposed(match):
        rows = [row.split(", ") for row in re.findall(r'"([^"]*)"', match.group(1))]
        columns = zip(*rows, strict=True)
        return "values (" + ", ".join('"' + ", ".join(c) + '"' for c in columns) + ")"

    turned = re.sub(r'values \(("[^()]*, [^()]*")\)', transposed, axes)
    assert turned != axes
    assert parse_library([turned], "t").fo4_ps == pytest.approx(25.0, rel=1e-4)
