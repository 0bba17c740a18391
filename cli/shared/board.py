"""What a host has to know of a board: of a folder that was built, or of options beside a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.hw.boards.board import ABOUT, ADC
from mubinn.hw.link.line import BAUD, LEAST_DIVISOR

if TYPE_CHECKING:
    from mubinn.golden.model.quantized_model import QuantizedModel
    from mubinn.hw.export.driver import Driver
    from mubinn.hw.link.host import Host
    from mubinn.hw.link.link_top import LinkTop

OWN = (
    *("adc", "state", "divisor", "link", "units", "lanes", "samples", "max_steps", "datapath"),
    *("load_weights", "sleep", "state_port"),
)
"""Options that a built folder has already answered."""


@dataclass(frozen=True, eq=False)
class Board:
    """A model behind a link.

    Attributes
    ----------
    model : QuantizedModel
    top : LinkTop
        As the board has it; its Verilog is `verilog`.
    baud : int
    source : (Path, str) or None
        File and module of Verilog that was built; else it is made of `top`.
    clock_hz : float or None
        Of a board that was built.
    """

    model: QuantizedModel
    top: LinkTop
    baud: int = BAUD
    source: tuple[Path, str] | None = None
    clock_hz: float | None = None

    @property
    def core(self) -> Any:
        """The accelerator."""
        return self.top.core

    @property
    def quantum(self) -> int:
        """Raw samples of a channel that make a step."""
        if self.core.front_end is not None:
            return int(self.core.samples)
        return self.model.preprocessing.decimate

    @property
    def packet_steps(self) -> int:
        """Most steps of a packet."""
        return self.top.rules.room // self.top.rules.step

    @property
    def byte_cycles(self) -> int:
        """Least clock cycles of a byte on the line."""
        from mubinn.hw.accelerator.link_accelerator import byte_cycles

        return byte_cycles(self.top)

    @cached_property
    def driver(self) -> Driver:
        """What packs windows and unpacks results."""
        from mubinn.hw.export.driver import Driver
        from mubinn.hw.export.interface import link_interface

        nobody: Any = None
        return Driver(nobody, link_interface(self.top))

    @cached_property
    def contents(self) -> bytes:
        """The weights that are loaded; none where the bitstream has them."""
        from mubinn.hw.layer.loadable_memory import contents

        return b"" if self.top.loader is None else contents(self.core.plans)

    def host(self) -> Host:
        """Return the host's end of the link."""
        from mubinn.hw.link.host import Host

        top = self.top
        rules = top.rules
        return Host(
            rules.step,
            room=rules.room,
            min_steps=top.min_steps,
            max_steps=top.max_steps,
            state_bytes=top.state_bytes,
        )

    def verilog(self) -> tuple[str, str]:
        """Return the Verilog of the link, and the name of its module."""
        from mubinn.hw.export.verilog_text import verilog_text
        from mubinn.hw.layer.loadable_memory import without_contents

        if self.source is None:
            text = verilog_text(self.top, "link")
            return without_contents(text) if self.contents else text, "link"
        path, name = self.source
        # The module alone: names with a dot are none for a simulator's files.
        text = path.read_text()
        return text.replace(f"\\{name} ", "board_link "), "board_link"


def open_board(path: Path, given: Mapping[str, Any]) -> Board:
    """Return the board of a model file, or of a folder that `mubinn build` has made.

    Parameters
    ----------
    path : Path
    given : mapping
        Options by the names of `OWN`, those that are given.

    Raises
    ------
    MubinnError
        It is neither; an option is not for it, or contradicts the folder; the model has no such
        link.
    """
    from mubinn.golden.model.model_file import load_model

    if path.is_dir():
        return _built(path, given)
    model = load_model(path)
    if "datapath" in given:
        model = model.with_datapath(given["datapath"])
    uart = given.get("link", "uart") == "uart"
    if not uart and "divisor" in given:
        raise MubinnError("--divisor is the bit of a UART: leave it out with --link spi.")
    divisor = given.get("divisor", LEAST_DIVISOR) if uart else None
    causal = model.preprocessing.normalise == "causal"
    width = given.get("adc", ADC if causal and "samples" not in given else None)
    options = {name: given[name] for name in ("units", "lanes", "max_steps") if name in given}
    return Board(model, _top(model, divisor, width, given, options))


def _top(
    model: QuantizedModel,
    divisor: int | None,
    adc: int | None,
    given: Mapping[str, Any],
    options: dict[str, Any],
    steps: int = 1,
) -> LinkTop:
    from mubinn.hw.accelerator.link_accelerator import link_top
    from mubinn.hw.stream.component import asked_alone

    top: LinkTop = asked_alone(
        link_top(
            model,
            divisor=divisor,
            steps=steps,
            adc_width=adc,
            sample_width=given.get("samples"),
            state=given.get("state", "cleared"),
            state_port=bool(given.get("state_port")),
            loadable=bool(given.get("load_weights")),
            sleeps=bool(given.get("sleep")),
            **options,
        )
    )
    return top


def _built(folder: Path, given: Mapping[str, Any]) -> Board:
    from mubinn.golden.model.model_file import load_model

    if given:
        name = min(given).replace("_", "-")
        raise MubinnError(f"--{name} is what {folder} was built with: leave it out.")
    try:
        about = json.loads((folder / ABOUT).read_text())
        model = load_model(folder / about["model"])
        options = {
            name: about[name]
            for name in ("units", "lanes", "max_steps")
            if about.get(name) is not None
        }
        about["load_weights"] = about.get("weights") == "loaded"
        about["state_port"] = bool(about.get("state_bytes"))
        steps = about["room"] // about["step_bytes"]
        top = _top(model, about["divisor"], about["adc"], about, options, steps)
        rules, state = top.rules, top.state_bytes
        found = {"step_bytes": rules.step, "room": rules.room, "state_bytes": state}
        if any(about.get(name) != value for name, value in found.items()):
            raise MubinnError(
                f"{folder / ABOUT} tells of packets that its model does not have: build it anew."
            )
        source = (folder / about["verilog"], about["link"])
        return Board(model, top, about["baud"] or BAUD, source, about.get("clock_hz"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MubinnError(
            f"{folder} is no folder of a board: give a model, or what mubinn build has made."
        ) from error
