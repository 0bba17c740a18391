"""One library however it is spelled: the same text for the tools, or a sentence that says where."""

import gzip
import re
import tracemalloc

import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth import builtin_library, load_library, tech65_liberty
from mubinn.synth.liberty import source
from mubinn.synth.liberty.adder_gates import adder_map
from mubinn.synth.liberty.boolean import truth_table
from mubinn.synth.liberty.gate_energy import LibraryEnergy
from mubinn.synth.liberty.gate_timing import LibraryTiming
from mubinn.synth.liberty.library import parse_library

TEXT = tech65_liberty()
BASE = builtin_library()
UNIT, LOAD = 'time_unit : "1ps"', "capacitive_load_unit (1, ff)"
HEAD = "library (mubinn_tech65) {\n"
INVERTER = TEXT[TEXT.index("  cell (INV_X1)") : TEXT.index("  cell (INV_X2)")]


def scaled(pattern, factor):
    """The text with the numbers of what matches multiplied, as many digits as it takes."""

    def number(found):
        return repr(round(float(found[0]) * factor, 12))

    def found(match):
        return match[1] + re.sub(r"[\d.]+", number, match[2])

    text = re.sub(pattern, found, TEXT)
    assert text != TEXT
    return text


_POWER = r"(?:rise|fall)_power \(scalar\) \{ values \(\""
CAPACITANCES = rf'((?:capacitance : |index_2 \("|{_POWER}))([^;")]*)'
SPELLINGS = {
    "as it is": TEXT,
    "a byte order mark": "\ufeff" + TEXT,
    "lines of another system": TEXT.replace("\n", "\r\n"),
    "a blank in the time unit": TEXT.replace(UNIT, 'time_unit : "1 ps"'),
    "a capital time unit": TEXT.replace(UNIT, 'time_unit : "1PS"'),
    "a time unit without quotes": TEXT.replace(UNIT, "time_unit : 1ps"),
    "a time unit in ns": TEXT.replace(UNIT, 'time_unit : "0.001ns"'),
    "a capital load unit": TEXT.replace(LOAD, "capacitive_load_unit (1, FF)"),
    "a quoted load unit": TEXT.replace(LOAD, 'capacitive_load_unit ("1.0", "ff")'),
    "a load unit in pF": TEXT.replace(LOAD, "capacitive_load_unit (0.001, pf)"),
    "a load unit of half a fF": scaled(CAPACITANCES, 2).replace(LOAD, LOAD.replace("1", "0.5")),
    "units at the end": TEXT.replace(UNIT + ";", "").rstrip()[:-1] + UNIT + ";\n}\n",
    "no semicolons": re.sub(r"(:\s*[^;{}\n]*);", r"\1\n", TEXT),
    "no semicolons on one line": TEXT.replace("input; clock", "input clock"),
    "formulas without quotes": re.sub(r'function : "([^"]*)"', r"function : \1", TEXT),
    "words in quotes": re.sub(r"(direction|timing_sense|area) : ([\w.]+);", r'\1 : "\2";', TEXT),
    "names in quotes": re.sub(r"(cell|pin|grid3|ff) \((\w+)\)", r'\1 ("\2")', TEXT),
    "continued lines": TEXT.replace('", "', '", \\\n "').replace("area :", "area : \\\n"),
    "tables without quotes": re.sub(r'index_(\d) \("([^"]*)"\)', r"index_\1 (\2)", TEXT),
    "no blanks": re.sub(r" ?([:(){};,]) ?", r"\1", TEXT),
    "braces on lines of their own": TEXT.replace(") {", ")\n {"),
    "comments": "// it's {\n" + TEXT.replace("{\n", "{ /* } \" */\n"),
    "comments in strings": TEXT.replace(HEAD, HEAD + 'comment : "/a/*/b {x}"; date : "*/ }";'),
    "quotes in strings": TEXT.replace(HEAD, HEAD + r'comment : "the \"fast\" one {";'),
    "dates of other tools": TEXT.replace(HEAD, HEAD + "revision : 1.2.3; date : $Date: now $;\n"),
    "dont_use that is false": TEXT.replace("area : 1.08;", 'area : 1.08; dont_use : "FALSE";'),
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_tools_are_given_one_text(spelling):
    assert spelling == "as it is" or SPELLINGS[spelling] != TEXT
    library = parse_library([SPELLINGS[spelling]], "t")
    assert library.texts == BASE.texts
    assert library.sha256 == BASE.sha256
    assert library.fo4_ps == BASE.fo4_ps


LOADED = "pin (A) { direction : input; capacitance : 0.81; }"


@pytest.mark.parametrize(
    "load",
    ["rise_capacitance : 0.81; fall_capacitance : 0.7;", "fall_capacitance : 0.81;", ""],
)
def test_a_load_by_edges_or_by_default_is_a_load(load):
    text = TEXT.replace(HEAD, HEAD + "default_input_pin_cap : 0.81;\n")
    assert LOADED in INVERTER
    inverter = INVERTER.replace(LOADED, f"pin (A) {{ direction : input; {load} }}")
    library = parse_library([text.replace(INVERTER, inverter)], "t")
    assert library.inverters[0][1] == BASE.inverters[0][1]
    assert library.fo4_ps == BASE.fo4_ps
    text, base = library.texts[0], BASE.texts[0]
    assert text.count(" capacitance : 0.81;") == base.count(" capacitance : 0.81;")


def test_a_load_that_nothing_states_is_asked_for():
    text = TEXT.replace(LOADED, "pin (A) { direction : input; }")
    with pytest.raises(MubinnError, match="has no input capacitance"):
        parse_library([text], "t")
    flop = TEXT.index("  cell (DFF_X1)")
    pin = re.compile(r"(pin \(D\) \{ direction : input;) capacitance : [\d.]+;")
    text = TEXT[:flop] + pin.sub(r"\1", TEXT[flop:], count=1)
    with pytest.raises(MubinnError, match="the input D of the cell DFF_X1 has no capacitance"):
        parse_library([text], "t")
    parse_library([text], "t", ["DFF_*"])


def test_leakage_that_nothing_states_is_asked_for():
    bare = re.sub(r"    cell_leakage_power : [\d.]+;\n", "", TEXT)
    assert bare != TEXT
    with pytest.raises(MubinnError, match="states no default_cell_leakage_power"):
        LibraryEnergy(parse_library([bare], "t")).gate("NAND2_X1")
    text = bare.replace(HEAD, HEAD + "default_cell_leakage_power : 3;\n")
    assert LibraryEnergy(parse_library([text], "t")).gate("NAND2_X1").leakage_nw == 3
    unit = 'leakage_power_unit : "1nW";'
    with pytest.raises(MubinnError, match="states no leakage_power_unit"):
        LibraryEnergy(parse_library([TEXT.replace(unit, "")], "t")).gate("NAND2_X1")


def test_what_is_written_is_read_as_itself():
    assert parse_library(BASE.texts, "again").texts == BASE.texts
    assert BASE.texts[0].isascii()


NOT_TO_USE = ("true", '"true"', "TRUE", '" True "', "1", "yes")


@pytest.mark.parametrize("value", NOT_TO_USE)
def test_a_file_forbids_cells_in_any_spelling(value):
    text = TEXT.replace("cell (INV_X1) {", "cell (INV_X1) { dont_use : " + value + ";")
    library = parse_library([text], "t")
    plain = parse_library([TEXT], "t", ["INV_X1"])
    assert "INV_X1" not in [cell.name for cell in library.usable()]
    assert library.inverters[0][0].name == "INV_X2"
    assert library.constraints() == plain.constraints() != BASE.constraints()
    usual = text.replace(f"dont_use : {value}", "dont_use : true")
    assert library.sha256 == parse_library([usual], "t").sha256


def merged(pins, related, text):
    """The timing of NAND2_X1 with one group for both inputs, or the same twice."""
    begin = text.index("  cell (NAND2_X1)")
    end = text.index("  cell (NAND2_X2)")
    cell = text[begin:end]
    first, second = [m.start() for m in re.finditer(r"      timing \(\)", cell)]
    power = cell.index("      internal_power", second)
    timing = cell[first:power][: cell[first:power].index("      timing ()", 9)]
    if "internal_power" in timing:
        timing = timing[: timing.index("      internal_power")]
    both = "".join(timing.replace('"A"', f'"{name}"') for name in related)
    inner = re.findall(r"      internal_power.*\n", cell)
    made = cell[:first] + both + "".join(inner) + "    }\n  }\n"
    heads = re.search(r"    pin \(A\).*\n    pin \(B\).*\n", made)[0]
    line = "    pin ({}) {{ direction : input; capacitance : 0.8; }}\n"
    made = made.replace(heads, "".join(line.format(name) for name in pins))
    return text[:begin] + made + text[end:]


def test_several_pins_and_several_related_pins_are_one_each():
    apart = parse_library([merged(["A", "B"], ["A", "B"], TEXT)], "t")
    for pins in (["A, B"], ['"A B"'], ['"A","B"']):
        for related in (["A B"], ["A, B"], [" A  B "]):
            assert parse_library([merged(pins, related, TEXT)], "t").texts == apart.texts
    arcs = LibraryTiming(apart).gate("NAND2_X1").arcs["Y"]
    assert [arc.pin for arc in arcs] == ["A", "B"]
    assert arcs[0].delay == arcs[1].delay


def test_names_may_begin_with_digits():
    text = TEXT.replace("cell (FA_X1)", "cell (2FA)").replace("!A", "!2A").replace("(A)", "(2A)")
    text = text.replace('related_pin : "A"', 'related_pin : "2A"')
    assert truth_table("!2A") == (1, 0b01)
    assert truth_table("12") is None
    library = parse_library([text], "t")
    assert library.fo4_ps == BASE.fo4_ps
    assert r"\2FA (input" in adder_map(library)[0]


def test_files_are_included_from_beside(tmp_path):
    (tmp_path / "sub").mkdir()
    main = tmp_path / "main.lib"
    main.write_text(TEXT.replace(INVERTER, 'include_file ("sub/inv.lib");\n'))
    (tmp_path / "sub" / "inv.lib").write_text("/* one */ include_file (more.lib)\n")
    (tmp_path / "sub" / "more.lib").write_text(INVERTER)
    assert load_library(main).texts == BASE.texts
    (tmp_path / "sub" / "more.lib").write_text(INVERTER.replace("area : 1.08", "\narea : --"))
    with pytest.raises(MubinnError, match=r"more\.lib, line 3: area holds '--'"):
        load_library(main)
    (tmp_path / "sub" / "more.lib").write_text("include_file (inv.lib);")
    with pytest.raises(MubinnError, match=r"inv\.lib includes itself"):
        load_library(main)
    (tmp_path / "sub" / "more.lib").unlink()
    with pytest.raises(MubinnError, match=r"inv\.lib, line 1: .*more\.lib cannot be read"):
        load_library(main)
    with pytest.raises(MubinnError, match="put its text here"):
        parse_library([main.read_text()], "t")


def test_units_of_several_files_become_one(tmp_path):
    head = TEXT[: TEXT.index("  cell (INV_X1)")]
    rest = TEXT.replace(INVERTER, "").replace(LOAD, "capacitive_load_unit (1000, ff)")
    rest = scaled_rest(rest)
    (tmp_path / "a.lib").write_text(head + INVERTER + "}\n")
    (tmp_path / "b.lib").write_text(rest)
    both = load_library([tmp_path / "a.lib", tmp_path / "b.lib"])
    whole = parse_library([head + INVERTER + "}\n", TEXT.replace(INVERTER, "")], "t")
    assert both.texts == whole.texts


def scaled_rest(text):
    """The text with capacitances and energies in thousandths."""

    def found(match):
        return match[1] + re.sub(r"[\d.]+", lambda n: f"{float(n[0]) / 1000:.12g}", match[2])

    return re.sub(CAPACITANCES, found, text)


def after(line, text):
    """The built-in library with `text` before that line of it, counted from one."""
    lines = TEXT.splitlines(keepends=True)
    return "".join([*lines[: line - 1], text + "\n", *lines[line - 1 :]])


REFUSED = {
    "line 17: area holds '--'": TEXT.replace("area : 1.08", "area : --"),
    "line 17: area holds 'nan'": TEXT.replace("area : 1.08", "area : nan"),
    "line 17: area holds '1_0'": TEXT.replace("area : 1.08", "area : 1_0"),
    "line 19: capacitance holds 'x'": TEXT.replace("capacitance : 0.81;", "capacitance : x;", 1),
    "line 24: index_1 holds '1e999'": TEXT.replace('("6.48219', '("1e999', 1),
    "line 24: an index of the cell_rise table does not rise": TEXT.replace("32.411", "6.48219", 1),
    "line 24: the cell_rise table is not complete": TEXT.replace("7.71142, ", "", 1),
    "line 4: time_unit is '1parsec'": TEXT.replace('"1ps"', '"1 parsec"'),
    "line 4: time_unit is '0ps'": TEXT.replace('"1ps"', '"0ps"'),
    "line 6: capacitive_load_unit is '1xf'": TEXT.replace("(1, ff)", "(1, xf)"),
    "line 2: the library has no capacitive_load_unit": TEXT.replace(LOAD + ";", ""),
    "line 5: dont_use is 'perhaps'": after(5, "cell (A) { dont_use : perhaps; }"),
    "line 9: '@@ ;' is no Liberty statement": after(9, "  @@ ;"),
    "line 9: .* is no name of a cell": after(9, 'cell ("X; exec -- true") { }'),
    "line 9: a pin has no name": after(9, "cell (X) { pin () { } }"),
    "the string that begins here": after(9, 'revision : "1.2;'),
    "line 9: the comment that begins here": after(9, "/* revision"),
    "line 2: the text ends within the group": after(9, "cell (X) {").rstrip(),
    "line 1743: a brace closes what none has opened": TEXT + "}\n",
    "groups are nested too deeply": after(9, "a () {" * 3000 + "}" * 3000),
    "the cell INV_X1 is there twice": TEXT.replace(INVERTER, INVERTER + INVERTER),
    "a second library begins": TEXT + TEXT,
    "is not a Liberty file": '{"cells": [1, 2]}',
    "no usable inverter": TEXT.replace('"!A"', '"' + "!" * 5001 + 'A"'),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_one_sentence_says_where(what):
    assert REFUSED[what] != TEXT
    with pytest.raises(MubinnError, match=what) as caught:
        parse_library([REFUSED[what]], "cells.lib")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_of_several_files_the_right_one_is_told(tmp_path):
    good, bad = tmp_path / "good.lib", tmp_path / "bad.lib"
    good.write_text(TEXT)
    bad.write_text("hello")
    with pytest.raises(MubinnError, match=r"bad\.lib is not a Liberty file"):
        load_library([good, bad])
    bad.write_text("/*\n * licence\n */\n" + TEXT.replace("area : 1.08", "area : --"))
    with pytest.raises(MubinnError, match=r"bad\.lib, line 20: area"):
        load_library([good, bad])


def test_a_packed_file_that_grows_is_refused_early(tmp_path, monkeypatch):
    path = tmp_path / "zeros.lib.gz"
    path.write_bytes(gzip.compress(bytes(2**28), 9))
    tracemalloc.start()
    with pytest.raises(MubinnError, match="not Liberty text"):
        load_library(path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
    monkeypatch.setattr(source, "LARGEST", 2**22)
    path.write_bytes(gzip.compress(b" " * 2**25))
    with pytest.raises(MubinnError, match="too large"):
        load_library(path)
    (tmp_path / "pipe.lib").mkdir()
    with pytest.raises(MubinnError, match="cannot be read"):
        load_library(tmp_path / "pipe.lib")
