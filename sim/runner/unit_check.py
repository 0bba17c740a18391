"""Checking a stream unit against its golden function, in one call."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from amaranth.hdl import Value
from numpy.typing import ArrayLike

from mubinn.golden.ground.errors import MubinnError
from mubinn.sim.runner.harness import Harness
from mubinn.sim.runner.simulate import SimResult, simulate
from mubinn.sim.testbench.payload import Fields, fields_of, fields_to_json, pack_bits, unpack_bits


@dataclass(frozen=True)
class UnitResult:
    """What the check of a unit gave.

    Attributes
    ----------
    transfers : int
        Transfers compared in the run at full speed.
    rate : float
        Transfers a second in that run, all work of the bench included.
    wakeups : int
        Times that Python was woken in that run.
    outputs : dict of str to ndarray
        The hardware's results by field.
    simulation : SimResult
        Tests, cycles, build and waves.
    """

    transfers: int
    rate: float
    wakeups: int
    outputs: Fields
    simulation: SimResult


def check_unit(
    unit: Any,
    *,
    bench: str,
    params: Any = None,
    fields: Mapping[str, ArrayLike] | None = None,
    expected: Mapping[str, ArrayLike] | None = None,
    count: int = 2000,
    latency: int = 0,
    pause_i: float = 0.25,
    pause_o: float = 0.25,
    batch: int = 64,
    pins: int = 200,
    seed: int = 1,
    **options: Any,
) -> UnitResult:
    """Run a unit's bench: every transfer at full speed, again with pauses, and some by its pins.

    Parameters
    ----------
    unit : wiring.Component
        Streams ``i`` and ``o``, one output transfer for each input transfer.
    bench : str
        Module with the cocotb tests, such as ``mubinn.sim.units.tb_xnor_multiplier``.
    params : object
        The unit's parameters, for the bench's ``stimulus`` and ``golden``.
    fields : mapping of str to array, optional
        Inputs by field name (``payload`` where the payload is a plain value): integers
        (transfers, ...) or bits (transfers, ..., width), see
        `mubinn.sim.testbench.payload.pack_bits`. By default ``stimulus(params, random,
        count)`` of the bench.
    expected : mapping of str to array, optional
        Golden results by field name; by default ``golden(params, fields)`` of the bench.
    count : int
        Transfers that ``stimulus`` is asked for.
    latency : int
        The unit's latency in cycles; it and one transfer a cycle are demanded.
    pause_i, pause_o : float
        Probabilities with which source and sink pause in the run with pauses, below 1.
    batch : int
        Transfers for which Python wakes once.
    pins : int
        Transfers through the pins.
    seed : int
        Of the stimulus and of the pauses.
    options
        For `mubinn.sim.runner.simulate.simulate`: simulator, waves, run_dir, cache_dir, ...

    Returns
    -------
    UnitResult

    Raises
    ------
    SimulationMismatch
        On the first wrong field, with transfer, expected, got and the inputs; on a wrong latency
        or throughput; on a breach of the stream protocol.
    MubinnError
        If a field is missing or does not fit, or the simulator cannot run.
    """
    if fields is None or expected is None:
        module = import_module(bench)
        if fields is None:
            fields = module.stimulus(params, np.random.default_rng(seed), count)
        if expected is None:
            expected = module.golden(params, fields)
    i_fields, o_fields = _layout(unit, "i"), _layout(unit, "o")
    i_width, o_width = len(Value.cast(unit.i.payload)), len(Value.cast(unit.o.payload))
    inputs = pack_bits(i_fields, i_width, fields)
    golden = pack_bits(o_fields, o_width, expected)
    if len(inputs) != len(golden) or not len(inputs):
        raise MubinnError(
            f"A unit's check needs as many golden results as inputs, and at least one; given were "
            f"{len(inputs)} inputs and {len(golden)} results."
        )
    name = type(unit).__name__
    job = {
        "unit": name,
        "batch": batch,
        "latency": latency,
        "pause_i": pause_i,
        "pause_o": pause_o,
        "pins": pins,
        "seed": seed,
        "i_width": i_width,
        "o_width": o_width,
        "i_fields": fields_to_json(i_fields),
        "o_fields": fields_to_json(o_fields),
    }
    stimulus = {
        "job": np.array(json.dumps(job)),
        "inputs": np.packbits(inputs, axis=-1, bitorder="little"),
        "expected": np.packbits(golden, axis=-1, bitorder="little"),
    }
    run = simulate(
        Harness(unit, batch), top=f"bench_{name}", bench=bench, stimulus=stimulus, **options
    )
    results = np.unpackbits(run.outputs["results"], axis=-1, count=o_width, bitorder="little")
    seconds = float(run.outputs["seconds"])
    return UnitResult(
        transfers=len(inputs),
        rate=len(inputs) / seconds,
        wakeups=int(run.outputs["wakeups"]),
        outputs=unpack_bits(o_fields, results),
        simulation=run,
    )


def _layout(unit: Any, port: str) -> Any:
    return fields_of(getattr(unit, port).payload.shape())
