'''cocotb test benches that drive the hardware against the golden model, and their runner.

A bench of a unit with one input and one output stream is one file, ``sim/units/tb_<stem>.py``::

    """Bench of the adder."""

    import numpy as np

    from mubinn.golden.units.adder import AdderParams, adder
    from mubinn.sim.testbench.payload import Fields
    from mubinn.sim.testbench.tb_unit import full_speed, pins, stalled

    __all__ = ["full_speed", "golden", "pins", "stalled", "stimulus"]

    def stimulus(params: AdderParams, random: np.random.Generator, count: int) -> Fields:
        """Return inputs by field name: corner values, then random ones."""
        low, high = -(1 << params.width - 1), 1 << params.width - 1
        a, b = random.integers(low, high, (2, count))
        a[:2], b[:2] = (low, high - 1), (low, high - 1)
        return {"a": a, "b": b}

    def golden(params: AdderParams, fields: Fields) -> Fields:
        """Return the golden results by field name."""
        return {"sum": adder(params, fields["a"], fields["b"])}

The three imported names are the cocotb tests: every transfer at full speed (values, latency, one
transfer a cycle), every transfer with both sides pausing at random (values and stream protocol),
and some transfers pin by pin. A test runs them with one call, and more stimulus by ``fields=``::

    check_unit(Adder(params), bench="mubinn.sim.units.tb_adder", params=params, count=20_000)

Fields are named as in the payload's layout, ``payload`` where it is a plain value, ``a.b`` where
nested; array layouts are further axes. Values are integers, or 0/1 with the field's bits as last
axis, lowest first (the only form for outputs wider than 63 bits).

Where a design has other ports, its bench has cocotb tests of its own: they take their stimulus
from :func:`mubinn.sim.testbench.bench.load_stimulus`, start the clock with
:func:`mubinn.sim.testbench.bench.start_clock`, use :class:`mubinn.sim.testbench.streams.Driver` and
``Monitor``, hand arrays back with :func:`mubinn.sim.testbench.bench.save_outputs`, and run by
:func:`mubinn.sim.runner.simulate.simulate`; :func:`mubinn.sim.testbench.compare.compare_traces`
compares what came back. Python waking at every clock edge costs most of the time: wake at transfers
or frames.'''

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mubinn.sim.public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    import mubinn.sim.public as public

    return getattr(public, name)
