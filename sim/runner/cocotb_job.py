"""One build or one run with cocotb's runner, as a process of its own.

cocotb's runner works on the process's environment, changes what it does under pytest and ends
the process where a test fails. In a process of its own none of that reaches the caller, and two
simulations may run side by side.

Called as ``python -m mubinn.sim.runner.cocotb_job JOB.json``; the file holds ``{"simulator",
"action", "arguments"}``.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

from mubinn.golden.ground.process import end_with_caller


def only_ports_public(runner: Any) -> None:
    """Take back the runner's demand that Verilator makes every signal public.

    Public signals can be neither merged nor left out, and a compressor network has thousands: with
    all of them public a layer takes several times as long to compile. The ports are named in
    a configuration file among the build arguments instead.
    """
    commands = runner._build_command

    def without() -> list[Any]:
        return [[part for part in line if part != "--public-flat-rw"] for line in commands()]

    runner._build_command = without


def main() -> None:
    """Run the job in the file that the command line names."""
    from cocotb_tools.runner import get_runner

    warnings.simplefilter("error", DeprecationWarning)
    job = json.loads(Path(sys.argv[1]).read_text())
    runner = get_runner(job["simulator"])
    if job["simulator"] == "verilator":
        only_ports_public(runner)
    if job["action"] == "build":
        runner.build(**job["arguments"])
    else:
        runner.test(**job["arguments"])


if __name__ == "__main__":
    end_with_caller()
    main()
