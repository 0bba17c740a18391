"""An AXI4-Lite slave for a few registers."""

from collections.abc import Mapping

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out

from mubinn.hw.axi.register_map import BYTES, Access, Register
from mubinn.hw.stream.component import Component, View

DATA = 8 * BYTES
OKAY, SLVERR = 0, 2


def lite_members(address_width: int) -> dict[str, Member]:
    """Return the signals of a slave's AXI4-Lite port, by their names after the prefix."""
    return {
        "awaddr": In(address_width),
        "awprot": In(3),
        "awvalid": In(1),
        "awready": Out(1),
        "wdata": In(DATA),
        "wstrb": In(BYTES),
        "wvalid": In(1),
        "wready": Out(1),
        "bresp": Out(2),
        "bvalid": Out(1),
        "bready": In(1),
        "araddr": In(address_width),
        "arprot": In(3),
        "arvalid": In(1),
        "arready": Out(1),
        "rdata": Out(DATA),
        "rresp": Out(2),
        "rvalid": Out(1),
        "rready": In(1),
    }


class AxiLite(Component):
    """Registers behind AXI4-Lite: one access of each direction at a time.

    A write's response comes one cycle after both its address and data were offered, a read's one
    cycle after its address. Words are whole and aligned: other addresses, byte strobes that are
    not all 1, and accesses that a register does not allow have the response SLVERR and no effect.

    Parameters
    ----------
    registers : mapping of str to Register

    Members
    -------
    axi : In(AXI4-Lite)
    hold : In(1)
        Writes wait.
    read : In, a value of 32 bits by register that can be read
    write : Out, {valid, data} by register that can be written
        ``valid`` for one cycle, with the data.
    """

    axi: View
    hold: Signal
    read: View
    write: View

    def __init__(self, registers: Mapping[str, Register]) -> None:
        self.registers = registers
        self.address_width = max(r.offset for r in registers.values()).bit_length()
        readable = {n: In(DATA) for n, r in registers.items() if r.access != Access.WRITE}
        port = wiring.Signature({"valid": Out(1), "data": Out(DATA)})
        writable = {n: Out(port) for n, r in registers.items() if r.access != Access.READ}
        super().__init__(
            {
                "axi": Out(wiring.Signature(lite_members(self.address_width))),
                "hold": In(1),
                "read": Out(wiring.Signature(readable)),
                "write": Out(wiring.Signature(writable)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return both directions."""
        m = Module()
        self._writes(m)
        self._reads(m)
        return m

    def _writes(self, m: Module) -> None:
        axi = self.axi
        taken = Signal()
        m.d.comb += [
            taken.eq(axi.awvalid & axi.wvalid & ~axi.bvalid & ~self.hold),
            axi.awready.eq(taken),
            axi.wready.eq(taken),
        ]
        with m.If(axi.bready):
            m.d.sync += axi.bvalid.eq(0)
        with m.If(taken):
            m.d.sync += [axi.bvalid.eq(1), axi.bresp.eq(SLVERR)]
        for name, register in self.registers.items():
            if register.access == Access.READ:
                continue
            port = getattr(self.write, name)
            whole = (axi.awaddr == register.offset) & axi.wstrb.all()
            m.d.comb += [port.valid.eq(taken & whole), port.data.eq(axi.wdata)]
            with m.If(port.valid):
                m.d.sync += axi.bresp.eq(OKAY)

    def _reads(self, m: Module) -> None:
        axi = self.axi
        m.d.comb += axi.arready.eq(~axi.rvalid)
        with m.If(axi.rready):
            m.d.sync += axi.rvalid.eq(0)
        with m.If(axi.arvalid & axi.arready):
            m.d.sync += [axi.rvalid.eq(1), axi.rresp.eq(SLVERR), axi.rdata.eq(0)]
            with m.Switch(axi.araddr):
                for name, register in self.registers.items():
                    if register.access != Access.WRITE:
                        with m.Case(register.offset):
                            m.d.sync += [
                                axi.rresp.eq(OKAY),
                                axi.rdata.eq(getattr(self.read, name)),
                            ]
