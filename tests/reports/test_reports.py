import base64
import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from mubinn.cli.shared.recordings import calibrated
from mubinn.golden.ground.errors import MubinnError
from mubinn.reports import figures, tables, text
from mubinn.reports.content import (
    Accuracy,
    GeneratedFile,
    Generation,
    ReportContent,
    Verification,
)
from mubinn.reports.page import page
from mubinn.reports.writer import MARK, render_report, write_report
from mubinn.synth import builtin_library
from mubinn.synth.flow.result import UNITS, Metric, SynthResult
from mubinn.synth.table1 import table1
from mubinn.synth.table1.delay_model import Workload
from mubinn.synth.table1.table import Variant, VariantEntry, assemble


def measured(number):
    values = {"depth": 3 + number % 9, "gates": 1000 * number, "delay_ps": 100.5 + 7 * number}
    values |= {"delay_fo4": 4 + number / 25, "area_um2": 25.25 * number}
    metrics = {name: Metric(value, UNITS[name]) for name, value in values.items()}
    return SynthResult("unit", metrics, {}, {}, "lib", "00", "11", "22", {"yosys": "0.1"})


def variant(name, number):
    """A made-up variant, every value of it different."""
    entries = []
    for a in text.BINARIZED:
        for w in text.BINARIZED:
            number += 0.37
            values = (number / 1000, number, 900 / number, 40 / number, 1e3 * number)
            entries.append(VariantEntry(a, w, *values, f"{name} sum", {"unit": 77 * number}))
    return Variant(name, tuple(entries))


@pytest.fixture(scope="module")
def content(random_float):
    forms = table1.all_forms(calibrated(random_float()))
    results = {key: measured(n) for n, key in enumerate(table1.distinct_units(forms))}
    table = assemble(forms, results, Workload(5, 4, 1300), builtin_library())
    table = replace(table, variants=(variant("thresholds", 30), variant("merged", 2)))
    compared = {"dot_x": 12_345, "h": 678, "all": 13_023}
    return ReportContent(
        table1=table,
        verification=Verification(
            "(3,3)", 5, 4, 2, 160, "windows & more", "Sim 1.2", compared, 98_765, 157, 1.5, 65_843.3
        ),
        accuracy=Accuracy("eeg.npz", 0, 660, "(3,3)", 0.8394, 0.8333, 0.8242, 0.61),
        generation=Generation(
            "float <model>", "(3,3)", "synthetic", (GeneratedFile("design/a.v", 4321, "Verilog"),)
        ),
        versions={"yosys": "0.1", "python": "3.11"},
        command="mubinn report -o DIR",
        commands={"simulation": "mubinn simulate"},
    )


class Page(HTMLParser):
    """What the tests ask of a page: ids, resources, tables by id, text."""

    def __init__(self, html):
        super().__init__()
        self.ids, self.resources, self.tables, self.text = [], [], {}, ""
        self._table = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids += [attributes["id"]] if "id" in attributes else []
        names = ("src", "srcset", "data", "action") if tag != "link" else ("href",)
        self.resources += [attributes[name] for name in names if name in attributes]
        assert tag not in ("script", "iframe", "object", "base")
        if tag == "table":
            self._table = self.tables.setdefault(attributes.get("id"), [])
        if tag == "tr" and self._table is not None:
            self._table.append([])
        if tag in ("td", "th") and self._table is not None:
            self._table[-1].append([])

    def handle_endtag(self, tag):
        if tag == "table":
            self._table = None

    def handle_data(self, data):
        self.text += data
        if self._table and self._table[-1] and data.strip():
            self._table[-1][-1].append(data.strip())


@pytest.fixture(scope="module")
def html(content):
    return page(content, figures.pictures(content.table1))


@pytest.fixture(scope="module")
def shown(html):
    return Page(html)


@pytest.fixture
def no_pictures(monkeypatch):
    """Leave out the drawing where a test is about something else."""
    monkeypatch.setattr(figures, "render", lambda name, *_: name.encode())


def test_page_needs_nothing_from_outside(html, shown):
    assert len(shown.resources) == 2 * len(figures.PICTURES)
    for resource in shown.resources:
        kind, data = resource.split(",")
        assert kind == "data:image/svg+xml;base64"
        svg = base64.b64decode(data).decode()
        assert not re.findall(r"(?:href|src)=\"(?!#|data:)", svg)
        assert "<script" not in svg
    assert not re.search(r"https?://", html)
    assert not re.search(r"@import|url\(", html)


def test_page_has_all_sections_and_links_to_them(html, shown):
    sections = {"headline", "table1", "ratios", "delay-model", "units", "verification", "accuracy"}
    assert sections | {"files", "how"} <= set(shown.ids)
    assert len(shown.ids) == len(set(shown.ids))
    links = re.findall(r'href="#([^"]+)"', html)
    assert links
    assert set(links) <= set(shown.ids)


def test_accuracy_is_absent_without_data(content, shown, no_pictures):
    drawn = figures.pictures(content.table1)
    bare = Page(page(replace(content, accuracy=None), drawn))
    assert "accuracy" not in bare.ids
    assert "accuracy" not in bare.text.lower()
    assert "83.94" in shown.text.replace("\u202f", " ")


def test_csv_has_the_columns_of_the_contract(content):
    lines = tables.table1_csv(content.table1).splitlines()
    assert lines[0] == "x_levels,w_levels,delay_s,paper_delay_s,depth,area_um2"
    assert len(lines) == 37
    assert lines[6].startswith("1,FP,")
    assert lines[36].startswith("FP,FP,")
    for row in csv.DictReader(io.StringIO(tables.table1_csv(content.table1))):
        entry = content.table1.entry(row["x_levels"], row["w_levels"])
        assert float(row["delay_s"]) == pytest.approx(entry.delay_s, rel=5e-6)
        assert float(row["paper_delay_s"]) == entry.paper_delay_s
        assert int(row["depth"]) == entry.depth
        assert float(row["area_um2"]) == pytest.approx(entry.area_um2, abs=0.051)


def test_numbers_on_the_page_are_those_of_the_csv(content, shown):
    rows = list(csv.DictReader(io.StringIO(tables.table1_csv(content.table1))))
    delays, depths = shown.tables["delays"], shown.tables["depth-area"]
    for number, row in enumerate(rows):
        i, j = number // 6 + 1, number % 6 + 1
        assert delays[i][0] == [row["x_levels"]]
        assert delays[0][j] == [row["w_levels"]]
        assert delays[i][j] == [text.seconds(float(row["delay_s"])), row["paper_delay_s"]]
        assert depths[i][j] == [row["depth"], text.count(float(row["area_um2"]))]
    full, ours = float(rows[35]["delay_s"]), float(rows[14]["delay_s"])
    assert (rows[14]["x_levels"], rows[14]["w_levels"]) == ("3", "3")
    assert f"{text.ratio(full / ours)}\u00d7(FP, FP) over (3, 3), this synthesis" in shown.text
    assert "47.2\u00d7(FP, FP) over (3, 3), the paper" in shown.text


def test_variants_on_the_page_are_those_of_the_csv(content, shown):
    rows = list(csv.DictReader(io.StringIO(tables.variants_csv(content.table1))))
    assert tuple(rows[0]) == tables.VARIANT_COLUMNS
    assert [row["datapath"] for row in rows] == ["thresholds"] * 25 + ["merged"] * 25
    entries = [e for variant in content.table1.variants for e in variant.entries]
    for number, (row, e) in enumerate(zip(rows, entries, strict=True)):
        i, j = number % 25 // 5 + 1, number % 5 + 1
        assert (row["x_levels"], row["w_levels"]) == (str(i), str(j))
        names = ("delay_s", "cell_ns", "fp_over_this", "figure3_over_this", "area_um2")
        values = (e.delay_s, e.cell_ns, e.ratio, e.over_figure3, e.area_um2)
        assert [float(row[name]) for name in names] == pytest.approx(values, rel=5e-6)
        delays, speeds = (shown.tables[f"{k}-{row['datapath']}"] for k in ("variant", "speed"))
        assert delays[i][j] == [text.seconds(e.delay_s), text.ratio(e.ratio)]
        assert speeds[i][j] == [text.ratio(e.over_figure3), text.count(e.area_um2)]
    assert "thresholds sum" in shown.text
    markdown = tables.markdown(content.table1, content.command)
    assert f"Merged sums and thresholds, {content.table1.library}: area in um^2" in markdown


def test_entries_that_were_not_measured_are_blank(content, no_pictures):
    thresholds, merged = content.table1.variants
    diagonal = tuple(e for e in merged.entries if e.x_levels == e.w_levels)
    table = replace(content.table1, variants=(thresholds, replace(merged, entries=diagonal)))
    assert table.variants[1].entry("2", "2") is diagonal[1]
    with pytest.raises(MubinnError, match=r"\(2, 3\) was not measured with merged"):
        table.variants[1].entry("2", "3")
    part = Page(page(replace(content, table1=table), figures.pictures(table)))
    whole = part.tables["variant-thresholds"]
    for i, row in enumerate(part.tables["variant-merged"][1:], 1):
        assert [bool(cell) for cell in row[1:]] == [j == i for j in range(1, 6)]
        assert all(whole[i][1:])
    assert part.text.count("--all-merged") == 1
    *_, maps, _ = figures.variant_maps(table, figures.LIGHT).axes
    assert [label.get_text() for label in maps.texts] == [text.seconds(e.delay_s) for e in diagonal]
    rows = list(csv.DictReader(io.StringIO(tables.variants_csv(table))))
    assert len(rows) == 25 + 5
    (view,) = (v for v in tables.views(table) if v.name == "merged_ratio")
    assert [len([cell for cell in row if cell]) for row in view.rows] == [2] * 5


def test_units_are_listed_once_each(content, shown):
    rows = list(csv.DictReader(io.StringIO(tables.units_csv(content.table1))))
    assert tuple(rows[0]) == tables.UNIT_COLUMNS
    assert len(rows) == len(content.table1.units) == len(shown.tables["all-units"]) - 1
    for row, cells in zip(rows, shown.tables["all-units"][1:], strict=True):
        assert cells[0] == [row["unit"]]
        assert cells[4] == [row["depth"]]
        assert cells[6] == [f"{float(row['delay_ps']):.0f}"]


def test_verification_is_shown_in_numbers(shown):
    plain = shown.text.replace("\u202f", " ")
    for number in ("12 345", "13 023", "98 765", "65 843"):
        assert number in plain
    assert "windows & more" in plain
    assert "float <model>" in plain


def test_markdown_and_latex_hold_all_entries(content):
    markdown = tables.markdown(content.table1, content.command)
    latex = tables.latex(content.table1)
    for entry in content.table1.entries:
        assert text.seconds(entry.delay_s) in markdown
        assert text.seconds(entry.delay_s) in latex
        assert text.printed(entry.paper_delay_s) in latex
    assert "0.33 %" in markdown
    count = len(tables.VIEWS) + 2 * len(tables.VARIANT_VIEWS)
    assert latex.count("\\begin{table}") == latex.count("\\end{tabular}") == count
    assert latex.count(content.table1.library) == 3 + 2 * len(tables.VARIANT_VIEWS)
    assert "_" not in re.sub(r"\\label\{[^}]*\}|\\_", "", latex)


@pytest.mark.parametrize("name", figures.PICTURES)
def test_pictures_are_readable_and_the_same_each_time(content, name):
    png = figures.render(name, content.table1, "png")
    assert png.startswith(b"\x89PNG")
    assert png == figures.render(name, content.table1, "png")
    svg = figures.render(name, content.table1, "svg")
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert svg == figures.render(name, content.table1, "svg")
    assert svg != figures.render(name, content.table1, "svg", figures.DARK)
    assert not re.search(rb"<dc:date>", svg)


def test_pictures_label_every_entry(content):
    for draw, write in ((figures.delay_maps, text.seconds), (figures.ratio_maps, text.ratio)):
        left, right = draw(content.table1, figures.LIGHT).axes[:2]
        want = [
            write(e.delay_s if write is text.seconds else e.ratio) for e in content.table1.entries
        ]
        assert [label.get_text() for label in left.texts] == want
        assert len(right.texts) == 36
        assert left.collections[0].norm is right.collections[0].norm
    *maps, bar = figures.variant_maps(content.table1, figures.LIGHT).axes
    last = content.table1.variants[1].entries[24]
    assert maps[0].get_title() == "Figure 3"
    assert [len(axis.texts) for axis in maps] == [25, 25, 25]
    assert maps[2].texts[24].get_text() == text.seconds(last.delay_s)
    assert content.table1.library in bar.get_ylabel()
    bars = figures.breakdown(content.table1, figures.LIGHT).axes
    assert sum(len(axis.texts) for axis in bars) == 36


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0114159, "0.0114"),
        (0.99961, "1.00"),
        (47.187, "47.2"),
        (0.002, "0.00200"),
        (1234.5, "1230"),
    ],
)
def test_three_significant_digits(value, written):
    assert text.fixed(value, 3) == written


def test_entries_are_named_briefly():
    assert text.used_by(["1,1", "2,1", "3,1"]) == "A 1\u20133; W 1"
    assert text.used_by(["1,FP", "FP,FP"]) == "A 1, FP; W FP"
    assert text.used_by(["1,1", "2,2"]) == "(1,1) (2,2)"


def test_report_is_the_same_bytes_and_replaces_an_earlier_one(content, tmp_path, no_pictures):
    target = tmp_path / "report"
    attached = {"design/a.v": b"module a; endmodule\n"}
    written = write_report(content, target, attached)
    first = {name: (target / name).read_bytes() for name in written}
    assert first["design/a.v"] == attached["design/a.v"]
    assert {n: data for n, data in first.items() if n != MARK} == render_report(content, attached)
    write_report(replace(content, accuracy=None), target)
    assert not (target / "design").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    listed = json.loads((target / MARK).read_text())["files"]
    assert "index.html" in listed
    assert sorted(path.name for path in target.iterdir()) == listed


def test_folder_of_other_files_is_left_alone(content, tmp_path, no_pictures):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(MubinnError, match=r"mine\.txt, which was not written there"):
        write_report(content, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_interrupted_write_leaves_the_earlier_report(content, tmp_path, monkeypatch, no_pictures):
    target = tmp_path / "report"
    write_report(content, target)
    before = (target / "index.html").read_bytes()
    rename = type(target).rename

    def fail(self, to):
        if self.name.endswith(".tmp"):
            raise OSError(28, "No space left on device")
        return rename(self, to)

    monkeypatch.setattr(type(target), "rename", fail)
    with pytest.raises(MubinnError, match="no space left on device"):
        write_report(replace(content, accuracy=None), target)
    assert (target / "index.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
