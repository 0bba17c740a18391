"""{{ top }} in a system of LiteX: ``add_accelerator(soc)``, before the system is finalized."""

from pathlib import Path

from litex.soc.integration.soc import SoCRegion
from litex.soc.interconnect import wishbone
from migen import ClockSignal, Instance, ResetSignal


def add_accelerator(soc, name="{{ top }}", origin=None):
    """Put the accelerator on the bus of a system, and its Verilog among the sources.

    Parameters
    ----------
    soc : SoC
    name : str
        Of the region.
    origin : int, optional
        Its first byte; by default LiteX chooses it.

    Returns
    -------
    SoCRegion
        Registers are at its ``origin`` plus their offsets.
    """
    bus = wishbone.Interface(data_width=32, adr_width=30, addressing="word")
    soc.specials += Instance(
        "{{ top }}",
        i_clk_i=ClockSignal("sys"),
        i_rst_i=ResetSignal("sys"),
        i_adr_i=bus.adr[: {{address_width - 2}}],
        i_dat_i=bus.dat_w,
        o_dat_o=bus.dat_r,
        i_sel_i=bus.sel,
        i_cyc_i=bus.cyc,
        i_stb_i=bus.stb,
        i_we_i=bus.we,
        o_ack_o=bus.ack,
        o_err_o=bus.err,
    )
    soc.platform.add_source(str(Path(__file__).with_name("{{ top }}.v")))
    region = SoCRegion(origin=origin, size={{"%#x" % (2**address_width)}}, cached=False)
    soc.bus.add_slave(name, bus, region)
    return region
