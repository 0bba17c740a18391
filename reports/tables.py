"""Table I, its variants and the units as CSV, Markdown and LaTeX."""

from collections.abc import Callable
from dataclasses import dataclass

from tabulate import tabulate

from mubinn.reports import text
from mubinn.reports.csv_text import csv_text
from mubinn.synth.table1.paper import LAW
from mubinn.synth.table1.table import Entry, Table1, VariantEntry

TABLE_COLUMNS = ("x_levels", "w_levels", "delay_s", "paper_delay_s", "depth", "area_um2")
UNIT_COLUMNS = (
    "unit",
    "roles",
    "parameters",
    "entries",
    "depth",
    "gates",
    "delay_ps",
    "delay_fo4",
    "area_um2",
)


def table1_csv(table: Table1) -> str:
    """Return the 36 entries; full precision is written FP, delays have six significant digits."""
    return csv_text(
        TABLE_COLUMNS,
        (
            (
                entry.x_levels,
                entry.w_levels,
                text.fixed(entry.delay_s, 6),
                text.printed(entry.paper_delay_s),
                entry.depth,
                f"{entry.area_um2:.1f}",
            )
            for entry in table.entries
        ),
    )


def units_csv(table: Table1) -> str:
    """Return every distinct unit; several roles or entries stand in one cell, by semicolons."""
    return csv_text(
        UNIT_COLUMNS,
        (
            (
                unit.kind,
                ";".join(unit.roles),
                unit.parameters,
                ";".join(entry.replace(",", "x") for entry in unit.entries),
                unit.depth,
                unit.gates,
                f"{unit.delay_ps:.2f}",
                f"{unit.delay_fo4:.3f}",
                f"{unit.area_um2:.2f}",
            )
            for unit in table.units
        ),
    )


VARIANT_COLUMNS = (
    "datapath",
    "x_levels",
    "w_levels",
    "delay_s",
    "cell_ns",
    "fp_over_this",
    "figure3_over_this",
    "area_um2",
)


def variants_csv(table: Table1) -> str:
    """Return the binarized entries of the variants, one after the other."""
    return csv_text(
        VARIANT_COLUMNS,
        (
            (
                variant.name,
                entry.x_levels,
                entry.w_levels,
                text.fixed(entry.delay_s, 6),
                text.fixed(entry.cell_ns, 6),
                text.fixed(entry.ratio, 6),
                text.fixed(entry.over_figure3, 6),
                f"{entry.area_um2:.1f}",
            )
            for variant in table.variants
            for entry in variant.entries
        ),
    )


VIEWS: tuple[tuple[str, str, Callable[[Entry], str]], ...] = (
    ("ours", "Cell operation delay in seconds, this synthesis", lambda e: text.seconds(e.delay_s)),
    (
        "paper",
        "Cell operation delay in seconds, the paper's Table I",
        lambda e: text.printed(e.paper_delay_s),
    ),
    ("ratio", "Delay of (FP, FP) over this entry's, this synthesis", lambda e: text.ratio(e.ratio)),
    (
        "paper_ratio",
        "Delay of (FP, FP) over this entry's, the paper",
        lambda e: text.ratio(e.paper_ratio),
    ),
    ("law", "What the law gives for the paper's values, seconds", lambda e: f"{e.law_s:.4f}"),
    ("depth", "Logic depth in two-input gates", lambda e: str(e.depth)),
    ("area", "Area in um^2", lambda e: f"{e.area_um2:.0f}"),
)
"""Six by six tables: name, caption and what a cell shows."""


def grid(table: Table1, write: Callable[[Entry], str]) -> list[list[str]]:
    """Return a table of six rows: A, then the text of its entries from W = 1 to FP."""
    return [[a, *(write(table.entry(a, w)) for w in text.LEVELS)] for a in text.LEVELS]


VARIANT_VIEWS: tuple[tuple[str, str, Callable[[VariantEntry], str]], ...] = (
    ("delay", "cell operation delay in seconds", lambda e: text.seconds(e.delay_s)),
    ("ratio", "delay of (FP, FP) over this entry's", lambda e: text.ratio(e.ratio)),
    ("speed", "delay with Figure 3 over this entry's", lambda e: text.ratio(e.over_figure3)),
    ("area", "area in um^2", lambda e: f"{e.area_um2:.0f}"),
)
"""Five by five tables: name, caption and what a cell shows."""


@dataclass(frozen=True)
class View:
    """A table by levels: its name, its caption with the library, and its rows, each from A on."""

    name: str
    caption: str
    levels: tuple[str, ...]
    rows: list[list[str]]


def views(table: Table1) -> list[View]:
    """Return all tables by levels, those of the variants last."""
    found = [
        View(name, _of(table, name, caption), text.LEVELS, grid(table, write))
        for name, caption, write in VIEWS
    ]
    for variant in table.variants:
        title = f"{text.VARIANT_TEXT[variant.name]}, {table.library}"
        for name, caption, write in VARIANT_VIEWS:
            rows = [
                [a, *(write(e) if (e := variant.find(a, w)) else "" for w in text.BINARIZED)]
                for a in text.BINARIZED
            ]
            view = View(f"{variant.name}_{name}", f"{title}: {caption}", text.BINARIZED, rows)
            found.append(view)
    return found


def _of(table: Table1, name: str, caption: str) -> str:
    """Return the caption with the library, where that made the values."""
    return f"{caption}, {table.library}" if name in ("ours", "ratio", "area") else caption


def markdown(table: Table1, command: str) -> str:
    """Return all tables as Markdown."""
    parts = [
        "# Table I",
        f"`{command}`",
        f"{table.features} features, {table.hidden} cells, {table.steps} steps; library "
        f"{table.library}. A: levels of the input; W: of weights and internals; FP: "
        "binary32.",
        f"**(FP, FP) / (3, 3) = {text.ratio(table.fp_over_3_3)}**; the paper's: "
        f"{text.ratio(table.paper_fp_over_3_3)}.",
    ]
    for view in views(table):
        headers = ["A \\ W", *view.levels]
        rows = tabulate(view.rows, headers, "github", disable_numparse=True)
        parts.append(f"## {view.caption}\n\n{rows}")
    parts.append(
        f"The law: {LAW}. Its worst error over the paper's 36 values is "
        f"{100 * table.law_error:.2f} %."
    )
    rows = tabulate(
        [
            [
                unit.kind,
                " ".join(unit.roles),
                unit.parameters,
                text.used_by(unit.entries),
                unit.depth,
                unit.gates,
                f"{unit.delay_ps:.0f}",
                f"{unit.delay_fo4:.1f}",
                f"{unit.area_um2:.0f}",
            ]
            for unit in table.units
        ],
        [
            "Unit",
            "Roles",
            "Parameters",
            "Entries",
            "Depth",
            "Gates",
            "Delay, ps",
            "Delay, FO4",
            "Area, um^2",
        ],
        "github",
        disable_numparse=True,
    )
    return "\n\n".join([*parts, f"## Units\n\n{rows}"]) + "\n"


def latex(table: Table1) -> str:
    """Return Table I, ours and the paper's, and its variants as LaTeX tables for booktabs."""
    parts = ["% needs \\usepackage{booktabs}"]
    for view in views(table):
        headers = ["A / W", *view.levels]
        body = tabulate(
            view.rows,
            headers,
            "latex_booktabs",
            disable_numparse=True,
            colalign=("right",) * len(headers),
        )
        escaped = view.caption.replace("um^2", "\\textmu m\\textsuperscript{2}")
        escaped = escaped.replace("_", "\\_")
        parts.append(
            f"\\begin{{table}}\n\\centering\n\\caption{{{escaped}.}}\n\\label{{tab:mubinn-"
            f"{view.name.replace('_', '-')}}}\n{body}\n\\end{{table}}"
        )
    return "\n\n".join(parts) + "\n"
