"""A model on a board: its design, and the folder that a bitstream of it is handed out in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from mubinn.golden.folding.layer_plan import MAX_STEPS
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.float_model import CAUSAL
from mubinn.golden.model.layer_state import StateKind
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.hw.accelerator.link_accelerator import link_top
from mubinn.hw.boards.board import ABOUT, ADC, Board
from mubinn.hw.boards.pll import Pll, find_pll
from mubinn.hw.export.interface import packet
from mubinn.hw.export.layer_folder import describe, head_of_model
from mubinn.hw.export.memory_files import LOAD, load_text
from mubinn.hw.export.names import module_name
from mubinn.hw.export.render import Json, render
from mubinn.hw.export.verilog_text import verilog_text
from mubinn.hw.layer.loadable_memory import contents, without_contents
from mubinn.hw.link.board_top import BoardTop
from mubinn.hw.link.line import BAUD, LEAST_DIVISOR

FARTHEST = 0.02
"""How far the line may be from the bit rate that was asked for, as a share of it."""

SCK_CYCLES = 10
"""Clock cycles of a period of SCK, at least."""

ENABLES = "clock enables"
"""What a core sleeps by whose device has no gate."""

BITS = 10
"""Of a byte on an UART: 8N1."""


@dataclass(frozen=True)
class BoardOptions:
    """What is asked of a board; None is the board's or the model's own.

    Attributes
    ----------
    port : "uart" or "spi"
    clock_mhz : float or None
        Of the core; by default the board's clock.
    baud : int or None
        Of the UART, in bit/s.
    adc_width : int or None
        See `mubinn.hw.accelerator.accelerator.Accelerator`; by default `ADC` where the model's
        front end reads such samples.
    lanes, units, state, state_port, loadable, max_steps, sleeps
        See there.
    """

    port: str = "uart"
    clock_mhz: float | None = None
    baud: int | None = None
    adc_width: int | None = None
    lanes: int | None = None
    units: int = 1
    state: StateKind = "cleared"
    state_port: bool = False
    loadable: bool = False
    max_steps: int = MAX_STEPS
    sleeps: bool = False


@dataclass(frozen=True)
class BoardDesign:
    """A design and what it was made from.

    Attributes
    ----------
    board : Board
    options : BoardOptions
        None but of lanes.
    top : BoardTop
    verilog, pins : str
        Top module `name`; the constraints.
    """

    board: Board
    options: BoardOptions
    top: BoardTop
    verilog: str
    pins: str

    @property
    def name(self) -> str:
        """Name of the top module."""
        return _name(self.board)

    @property
    def clock_mhz(self) -> float:
        """Of the core."""
        return self.top.pll.mhz if self.top.pll else self.board.clock_mhz

    @property
    def baud(self) -> float | None:
        """Bit rate of the UART, as it is."""
        divisor = self.top.link.divisor
        return None if divisor is None else self.clock_mhz * 1e6 / divisor


@dataclass(frozen=True)
class Placed:
    """What became of a design.

    Attributes
    ----------
    used : mapping of str to float
        By resource of the device.
    fmax_mhz : float
    bitstream : bytes
    tools : mapping of str to str
        Versions.
    """

    used: Mapping[str, float]
    fmax_mhz: float
    bitstream: bytes
    tools: Mapping[str, str]


def _name(board: Board) -> str:
    return module_name(board.name.replace("-", "_"))


def board_design(model: QuantizedModel, board: Board, options: BoardOptions) -> BoardDesign:
    """Return a model's accelerator behind a port of a board.

    Raises
    ------
    MubinnError
        On a clock, a bit rate or a configuration that there is not.
    """
    pll = _pll(board, options.clock_mhz)
    clock_mhz = pll.mhz if pll else board.clock_mhz
    divisor = None
    if options.port == "uart":
        divisor = find_divisor(clock_mhz, options.baud or BAUD)
    elif options.baud is not None:
        raise MubinnError("A SPI has no bit rate of its own: leave --baud out.")
    adc = options.adc_width
    if adc is None and model.preprocessing.normalise == CAUSAL:
        adc = ADC
    options = BoardOptions(**{**vars(options), "adc_width": adc})
    link = link_top(
        model,
        divisor=divisor,
        lanes=options.lanes,
        units=options.units,
        adc_width=adc,
        state=options.state,
        state_port=options.state_port,
        loadable=options.loadable,
        max_steps=options.max_steps,
        sleeps=options.sleeps,
        gated=bool(board.device.gate),
        network=board.device.network,
    )
    top = BoardTop(link, board, pll)
    suffix, _ = board.device.constraints
    pins = render(f"board.{suffix}", {"board": board, "pins": board.pins(options.port)})
    text = verilog_text(top, _name(board))
    if options.loadable:
        text = without_contents(text, single_port=board.device.single_port)
    return BoardDesign(board, options, top, text, pins)


def _pll(board: Board, clock_mhz: float | None) -> Pll | None:
    """Return the PLL that makes the core's clock, if it is not the board's own."""
    if clock_mhz is None or clock_mhz == board.clock_mhz:
        return None
    return find_pll(board.pll, board.clock_mhz, clock_mhz)


def find_divisor(clock_mhz: float, baud: int) -> int:
    """Return the clock cycles of a bit; raise `MubinnError` where they are too few or too far off.

    >>> find_divisor(12, 115200)
    104
    """
    divisor = max(1, round(clock_mhz * 1e6 / baud))
    if divisor < LEAST_DIVISOR:
        most = int(clock_mhz * 1e6 / LEAST_DIVISOR)
        raise MubinnError(
            f"{baud} bit/s are too fast for a clock of {clock_mhz:g} MHz: give --baud {most} at "
            "most."
        )
    made = clock_mhz * 1e6 / divisor
    if abs(made - baud) > FARTHEST * baud:
        raise MubinnError(
            f"{baud} bit/s cannot be made of {clock_mhz:g} MHz: give --baud {round(made)}, the "
            "nearest one."
        )
    return divisor


def check_speed(design: BoardDesign, fmax_mhz: float) -> None:
    """Raise `MubinnError` where a design is too slow for its clock."""
    if fmax_mhz < design.clock_mhz:
        raise MubinnError(
            f"{design.name} reaches {fmax_mhz:.1f} MHz, which is below its clock of "
            f"{design.clock_mhz:g} MHz: give a lower --clock, another --seed, or fewer units."
        )


def board_folder(
    model: QuantizedModel, stored: bytes, design: BoardDesign, placed: Placed
) -> dict[str, str | bytes]:
    """Return the files of the folder.

    Top module, constraints, bitstream, the model's file, `ABOUT` and ``README.md``; of weights that
    are loaded, the bytes to load.

    Parameters
    ----------
    model : QuantizedModel
        What `design` was made from.
    stored : bytes
        Its file.
    design : BoardDesign
    placed : Placed
    """
    name, board = design.name, design.board
    suffix, _ = board.device.constraints
    about = describe_board(model, design, placed)
    weights = contents(design.top.link.core.plans) if design.options.loadable else b""
    pins = board.pins(design.options.port)
    values = {"about": about, "board": board, "pins": pins, "enables": ENABLES}
    return {
        "README.md": render("board.md", values),
        f"{name}.v": design.verilog,
        f"{name}.{suffix}": design.pins,
        f"{name}.{board.suffix}": placed.bitstream,
        "model.mubinn": stored,
        **({LOAD: load_text(weights)} if weights else {}),
        ABOUT: json.dumps(about, indent=2) + "\n",
    }


def describe_board(model: QuantizedModel, design: BoardDesign, placed: Placed) -> Json:
    """Return what a host and the page have to know, as JSON types."""
    board, link, options, name = design.board, design.top.link, design.options, design.name
    core, device = link.core, board.device
    layers = [
        describe(layer)["cycles"] | {"classifier": layer.plan.class_issues} for layer in core.layers
    ]
    step = link.rules.step
    clock_hz = design.clock_mhz * 1e6
    return {
        "board": board.name,
        "title": board.title,
        "device": device.name,
        "part": device.part,
        "top": name,
        "link": f"{name}.link",
        "verilog": f"{name}.v",
        "constraints": f"{name}.{device.constraints[0]}",
        "bitstream": f"{name}.{board.suffix}",
        "load": board.load.format(file=f"{name}.{board.suffix}"),
        "model": "model.mubinn",
        "port": options.port,
        "clock_hz": round(clock_hz),
        "pll": {} if design.top.pll is None else dict(design.top.pll.settings),
        "divisor": link.divisor,
        "baud": None if link.divisor is None else options.baud or BAUD,
        "sck_hz": round(clock_hz / SCK_CYCLES) if link.divisor is None else None,
        "adc": options.adc_width,
        "channels": model.features,
        "samples_per_step": core.samples,
        "step_bytes": step,
        "room": link.rules.room,
        "min_steps": link.min_steps,
        "max_steps": link.max_steps,
        "state": options.state,
        "state_bytes": link.state_bytes,
        "weights": "loaded" if options.loadable else "initialised",
        "load_bytes": len(contents(core.plans)) if options.loadable else 0,
        **head_of_model(model),
        "input": packet(link.reader.layout, 8, link.reader.per_step),
        "result": packet(core.o.payload.shape(), 8),
        "lanes": options.lanes,
        "units": options.units,
        "cycles_per_step": core.cycles_per_step,
        "layers": layers,
        "front_end_cycles": None if core.front_end is None else core.interval,
        "sleep": (device.gate or ENABLES) if options.sleeps else None,
        "sensor": _sensor(model, design),
        "used": device.taken(placed.used),
        "fmax_mhz": placed.fmax_mhz,
        "bitstream_bytes": len(placed.bitstream),
        "notes": dict(model.meta),
        "versions": {"mubinn": version("mubinn"), **placed.tools},
    }


def _sensor(model: QuantizedModel, design: BoardDesign) -> Json | None:
    """Return what the rate of the model's data asks for; None where its notes do not name it."""
    try:
        rate = float(model.meta["rate_hz"])
    except (KeyError, ValueError):
        return None
    core = design.top.link.core
    steps = rate / model.preprocessing.decimate
    clock = core.cycles_per_step * steps
    baud = design.baud
    # Without what is stuffed: flags, header, payload, check.
    line = design.top.link.rules.step + 8
    return {
        "rate_hz": rate,
        "steps_hz": steps,
        "clock_hz": clock,
        "asleep": 1 - clock / (design.clock_mhz * 1e6),
        "line_share": None if baud is None else steps * line * BITS / baud,
    }
