"""One build or one run with cocotb's runner, as a process of its own.

cocotb's runner works on the process's environment, changes what it does under pytest and ends
the process where a test fails. In a process of its own none of that reaches the caller, and two
simulations may run side by side.

Called as ``python -m mubinn.sim.cocotb_job JOB.json``; the file holds ``{"simulator", "action",
"arguments"}``.
"""

import json
import sys
import warnings
from pathlib import Path


def main() -> None:
    """Run the job in the file that the command line names."""
    from cocotb_tools.runner import get_runner

    warnings.simplefilter("error", DeprecationWarning)
    job = json.loads(Path(sys.argv[1]).read_text())
    runner = get_runner(job["simulator"])
    if job["action"] == "build":
        runner.build(**job["arguments"])
    else:
        runner.test(**job["arguments"])


if __name__ == "__main__":
    main()
