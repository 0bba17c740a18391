"""``mubinn bench table1``: the headline ratio of Table I, and the time that all entries take."""

import tempfile
from time import perf_counter
from typing import Any

from mubinn.cli.common import FLOAT_MODEL, bundled
from mubinn.golden.model_file import load_float
from mubinn.synth.flow import tool_versions
from mubinn.synth.liberty import Library, builtin_library
from mubinn.synth.paper import DELAY_S
from mubinn.synth.table1 import measure

WORKERS = 2
GOAL = "<= 600"


def bench_table1(library: Library | None = None) -> dict[str, Any]:
    """Measure Table I with an empty cache and return the ratio of (FP, FP) to (3, 3).

    Beside the ratio stands the paper's; the goal of the time is ten minutes on two cores.

    Parameters
    ----------
    library : Library, optional
        By default the built-in one.
    """
    library = library or builtin_library()
    model = load_float(bundled(FLOAT_MODEL))
    with tempfile.TemporaryDirectory(prefix="mubinn-bench-") as empty:
        start = perf_counter()
        table = measure(library, model, workers=WORKERS, cache_path=empty)
        seconds = perf_counter() - start
    goal = f"the paper: {DELAY_S[None, None] / DELAY_S[3, 3]:.1f}"
    return {
        "figures": [
            {"name": "fp_over_3_3", "value": table.fp_over_3_3, "unit": "ratio", "goal": goal},
            {"name": "seconds", "value": seconds, "unit": "s", "goal": GOAL},
        ],
        "versions": tool_versions(),
        "parameters": {
            "library": library.name,
            "features": table.features,
            "hidden": table.hidden,
            "steps": table.steps,
            "units": len(table.units),
            "workers": WORKERS,
        },
    }
