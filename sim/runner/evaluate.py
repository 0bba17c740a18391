"""A combinational unit's results by Amaranth's own simulator: slow, but nothing to compile."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Value
from amaranth.sim import Simulator
from numpy.typing import ArrayLike

from mubinn.sim.testbench.payload import (
    Fields,
    bits_to_ints,
    fields_of,
    ints_to_bits,
    pack_bits,
    unpack_bits,
)


def evaluate_unit(unit: Any, fields: Mapping[str, ArrayLike]) -> Fields:
    """Return a latency-0 unit's output payloads, by field name, for input payloads `fields`.

    Parameters
    ----------
    unit : wiring.Component
        Streams ``i`` and ``o``.
    fields : mapping of str to array
        As for `mubinn.sim.runner.unit_check.check_unit`.

    Raises
    ------
    AssertionError
        If valid or ready does not pass straight through.
    """
    i_payload, o_payload = Value.cast(unit.i.payload), Value.cast(unit.o.payload)
    i_fields, o_fields = fields_of(unit.i.payload.shape()), fields_of(unit.o.payload.shape())
    inputs = bits_to_ints(pack_bits(i_fields, len(i_payload), fields))
    results: list[int] = []

    async def bench(ctx: Any) -> None:
        for index, value in enumerate(inputs):
            ctx.set(i_payload, value)
            ctx.set(unit.i.valid, index & 1)
            ctx.set(unit.o.ready, index >> 1 & 1)
            await ctx.delay(1e-9)
            assert ctx.get(unit.o.valid) == index & 1
            assert ctx.get(unit.i.ready) == index >> 1 & 1
            results.append(ctx.get(o_payload.as_unsigned()))

    simulator = Simulator(unit)
    simulator.add_testbench(bench)
    simulator.run()  # type: ignore[no-untyped-call]
    return unpack_bits(o_fields, ints_to_bits(results, len(o_payload)))
