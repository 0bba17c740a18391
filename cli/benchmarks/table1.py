"""``mubinn bench table1``: Table I and its variants, the headline ratios, and the time they take.

The time of the 36 entries has a goal; that of the variants (`mubinn.synth.table1.variants`) comes
on top.
"""

import tempfile
from time import perf_counter
from typing import Any

from mubinn.cli.benchmarks.figures import figure, subject, subject_about
from mubinn.cli.shared.recordings import calibrated
from mubinn.reports.tables import views
from mubinn.synth.flow.flow import tool_versions
from mubinn.synth.liberty.library import Library
from mubinn.synth.table1.paper import DELAY_S
from mubinn.synth.table1.table1 import measure
from mubinn.synth.table1.variants import with_variants

WORKERS = 2
GOAL = "<= 600"


def bench_table1(library: Library | None = None) -> dict[str, Any]:
    """Measure Table I with an empty cache and return the ratios of (FP, FP) to (3, 3).

    Beside the first ratio stands the paper's; the goal of the time is ten minutes on two cores.

    Parameters
    ----------
    library : Library, optional
        By default the built-in one.
    """
    library, model = subject(library, None)
    origin = calibrated(model)
    with tempfile.TemporaryDirectory(prefix="mubinn-bench-") as empty:
        start = perf_counter()
        table = measure(library, origin, workers=WORKERS, cache_path=empty)
        seconds = perf_counter() - start
        start = perf_counter()
        table = with_variants(table, library, origin, workers=WORKERS, cache_path=empty)
        more = perf_counter() - start
    goal = f"the paper: {DELAY_S[None, None] / DELAY_S[3, 3]:.1f}"
    return {
        "figures": [
            figure("fp_over_3_3", table.fp_over_3_3, "ratio", goal),
            figure("seconds", seconds, "s", GOAL),
            *(
                figure(f"{variant.name}_fp_over_3_3", variant.entry("3", "3").ratio, "ratio")
                for variant in table.variants
            ),
            figure("variants_seconds", more, "s"),
        ],
        "tables": {
            view.caption: {"columns": ["A \\ W", *view.levels], "rows": view.rows}
            for view in views(table)
        },
        "versions": tool_versions(),
        "parameters": {
            **subject_about(library, model),
            "steps": table.steps,
            "units": len(table.units),
            "workers": WORKERS,
        },
    }
