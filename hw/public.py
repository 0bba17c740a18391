"""The names of `mubinn.hw`: what programs use of it."""

from mubinn.hw.accelerator.accelerator import Accelerator as Accelerator
from mubinn.hw.boards.device import DEVICES as DEVICES
from mubinn.hw.boards.device import Device as Device
from mubinn.hw.boards.device import find_device as find_device
from mubinn.hw.export.accelerator_folder import accelerator_folder as accelerator_folder
from mubinn.hw.export.device_design import DesignOptions as DesignOptions
from mubinn.hw.export.device_design import DeviceDesign as DeviceDesign
from mubinn.hw.export.device_design import device_design as device_design
from mubinn.hw.export.verilog_text import verilog_text as verilog_text
from mubinn.hw.layer.lstm_layer import LstmLayer as LstmLayer
