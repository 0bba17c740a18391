"""``--device`` and what goes with it: the same options, defaults and design for each command."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.common import STATE, AliasedOption, datapath_option
from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.boards.device import NAMES, Device, find_device

if TYPE_CHECKING:
    from mubinn.golden.model.quantized_model import QuantizedModel
    from mubinn.hw.export.device_design import DeviceDesign


_OPTIONS = (
    click.option(
        "--device",
        "--target",
        "device",
        cls=AliasedOption,
        metavar="NAME",
        help=f"An FPGA: {NAMES}.",
    ),
    click.option(
        "--lanes",
        type=click.IntRange(min=1),
        metavar="N",
        help="With --device: elements of a word.  [default: all of x and h]",
    ),
    click.option(
        "--units",
        type=click.IntRange(min=1),
        metavar="N",
        help="With --device: XNOR multipliers side by side.  [default: 1]",
    ),
    click.option(
        "--bus",
        type=click.Choice(["axi", "wishbone"]),
        help="With --device: AXI4-Stream and AXI4-Lite, or a Wishbone bus, as in LiteX, whose "
        "words are registers and packets.  [default: axi]",
    ),
    click.option(
        "--width",
        type=click.IntRange(min=8),
        metavar="BITS",
        help="With --device: TDATA of both AXI4-Streams.  [default: the device's, 32, or 8 where "
        "pins are few]",
    ),
    click.option(
        "--registers/--no-registers",
        default=None,
        help="With --device: with or without AXI4-Lite.  [default: where the pins suffice]",
    ),
    click.option(
        "--samples",
        "sample_width",
        type=click.IntRange(min=2),
        metavar="BITS",
        help="With --device: take raw samples of so many bits in place of level bits.",
    ),
    click.option(
        "--adc",
        "adc_width",
        type=click.IntRange(8, 24),
        metavar="BITS",
        help="With --device: take samples of so many bits as an ADC has them, and make those of "
        "the layers on chip; of a model trained with --normalise causal.",
    ),
    click.option(
        "--load-weights",
        "loadable",
        is_flag=True,
        default=None,
        help="With --device: weights are loaded at run time, on an UP5K into its SPRAM.",
    ),
    click.option(
        "--max-steps",
        type=click.IntRange(min=1),
        help="With --device: steps of the longest window, for which the logits are wide enough.  "
        "[default: 4096]",
    ),
    click.option(
        "--state",
        type=STATE,
        help="With --device: what a window begins with: nothing (cleared), the state that the "
        "window before has left (carried), or as a register says.  [default: cleared]",
    ),
    click.option(
        "--state-port",
        is_flag=True,
        default=None,
        help="With --device and a state that goes on: registers by which all of it goes out and "
        "in, before a power-down, or for streams that share the accelerator.",
    ),
    click.option(
        "--settle",
        type=click.IntRange(min=2),
        metavar="STEPS",
        help="With --device: results have a field unsettled, 1 while fewer steps than so many have "
        "passed since the state was cleared.",
    ),
    click.option(
        "--step-counter",
        "step_bits",
        type=click.IntRange(1, 32),
        metavar="BITS",
        help="With --device: results have a field step of so many bits, the count of steps since "
        "the state was cleared, which wraps.",
    ),
    click.option("--top", "name", metavar="NAME", help="Top module, and what others begin with."),
    datapath_option,
)
_DESIGN = (
    "lanes",
    "units",
    "bus",
    "width",
    "registers",
    "sample_width",
    "adc_width",
    "loadable",
    "max_steps",
    "state",
    "state_port",
    "settle",
    "step_bits",
    "name",
)


@dataclass(frozen=True)
class DeviceRequest:
    """What the options say.

    Attributes
    ----------
    name : str or None
        The device.
    datapath : str or None
        Another one than the model's.
    options : dict
        Those of `mubinn.hw.export.device_design.DesignOptions` that are given.
    alone : tuple of str
        Options that mean something without a device.
    """

    name: str | None
    datapath: str | None
    options: dict[str, Any]
    alone: tuple[str, ...] = ("name",)

    def __post_init__(self) -> None:
        """Raise `MubinnError` on options of a device without one."""
        if self.name is None and (foreign := self.options.keys() - {*self.alone}):
            given = {
                "sample_width": "samples",
                "adc_width": "adc",
                "loadable": "load-weights",
                "step_bits": "step-counter",
                "name": "top",
            }
            name = min(foreign)
            raise MubinnError(
                f"--{given.get(name, name.replace('_', '-'))} is for FPGAs: give it with --device."
            )

    @property
    def device(self) -> Device:
        """The device that is named; raises `MubinnError` on an unknown one."""
        assert self.name is not None
        return find_device(self.name)

    def design(self, model: QuantizedModel) -> DeviceDesign:
        """Return the accelerator of a model."""
        from mubinn.hw.export.device_design import DesignOptions, device_design

        return device_design(model, self.device, DesignOptions(**self.options))


def device_options(
    command: Callable[..., None], alone: tuple[str, ...] = ("name",)
) -> Callable[..., None]:
    """Add the options to a command, which gets them as a `DeviceRequest` named ``asked``."""

    @functools.wraps(command)
    def collected(device: str | None, datapath: str | None, **values: Any) -> None:
        given = {name: values.pop(name) for name in _DESIGN}
        options = {name: value for name, value in given.items() if value is not None}
        command(asked=DeviceRequest(device, datapath, options, alone), **values)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected
