"""An accelerator in a system of LiteX, which a host reaches over the UART of its bus."""

import importlib.util

import numpy as np
import pytest
from driven import stimulus_of

from mubinn.hw.boards.device import find_device
from mubinn.hw.export.accelerator_folder import accelerator_folder
from mubinn.hw.export.device_design import DesignOptions, device_design
from mubinn.sim.runner.simulate import simulate

pytestmark = pytest.mark.interop

BIT, CLOCK, ORIGIN = 8, 1_000_000, 0x3000_0000
SYSTEM = """
module system(clk, rst, serial_rx, serial_tx);
  input clk;
  input rst;
  input serial_rx;
  output serial_tx;
  soc soc (.clk(clk), .rst(rst), .serial_rx(serial_rx), .serial_tx(serial_tx));
endmodule
"""
"""With its ports as a simulation finds them."""


def system(folder):
    """The Verilog of a system without a processor around the accelerator of a folder."""
    from litex.build.generic_platform import GenericPlatform, Pins, Subsignal
    from litex.soc.integration.soc_core import SoCMini
    from migen import ClockDomain, Module

    pins = [
        ("clk", 0, Pins(1)),
        ("rst", 0, Pins(1)),
        ("serial", 0, Subsignal("tx", Pins(1)), Subsignal("rx", Pins(1))),
    ]
    platform = GenericPlatform("none", pins, name="soc")
    soc = SoCMini(platform, clk_freq=CLOCK, cpu_type=None, with_timer=False)
    soc.submodules.crg = crg = Module()
    crg.clock_domains.cd_sys = ClockDomain("sys")
    crg.comb += crg.cd_sys.clk.eq(platform.request("clk"))
    crg.comb += crg.cd_sys.rst.eq(platform.request("rst"))
    soc.add_uartbone(baudrate=CLOCK // BIT)
    spec = importlib.util.spec_from_file_location("litex_module", folder / "litex_module.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    region = module.add_accelerator(soc, origin=ORIGIN)
    soc.finalize()
    assert region.origin == ORIGIN
    return str(platform.get_verilog(soc, name="soc")), [s[0] for s in platform.sources]


def test_a_driver_works_over_the_bus_of_a_system(random_model, tmp_path):
    model = random_model(features=3, hidden=2, levels=(2, 1), readout="every")
    design = device_design(model, find_device("ecp5"), DesignOptions(bus="wishbone"))
    for name, text in accelerator_folder(model, design).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    verilog, sources = system(tmp_path)
    assert sources == [str(tmp_path / "mubinn.v")]
    stimulus = stimulus_of(model, design.top, 2, 3)
    stimulus |= {"bit": np.array(BIT), "origin": np.array(ORIGIN)}
    result = simulate(
        f"{verilog}\n{design.verilog}{SYSTEM}",
        top="system",
        bench="mubinn.sim.wishbone.tb_litex",
        stimulus=stimulus,
        simulator="verilator",
    )
    assert result.tests == 1
