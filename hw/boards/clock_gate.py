"""Gates in a device's global buffers, by which the clock of a part of a design stops."""

from amaranth.hdl import Instance, Signal

GATES = {
    # Lattice FPGA-TN-02200, FPGA-DS-02012.
    "DCCA": ("CLKI", "CLKO"),
    # Gowin UG286.
    "DQCE": ("CLKIN", "CLKOUT"),
}
"""Ports of the clock that goes in and of the one that comes out, by the vendors' names; the enable
of each is ``CE``."""


def clock_gate(primitive: str, clock: Signal, enable: Signal, gated: Signal) -> Instance:
    """Return the primitive that passes the edges of `clock` on to `gated`.

    The edge that begins a cycle comes where `enable` was 1 at the falling edge before; at rest the
    clock is low. Both clocks leave global buffers, at the same time.

    Parameters
    ----------
    primitive : str
        A key of `GATES`.
    clock, enable, gated : Signal
        `enable` changes with the rising edge alone.

    Example
    -------
    >>> clock_gate("DCCA", Signal(), Signal(), Signal()).type
    'DCCA'
    """
    into, out = GATES[primitive]
    ports = {f"i_{into}": clock, "i_CE": enable, f"o_{out}": gated}
    return Instance(primitive, **ports)
