"""A model's accelerator behind a UART or a SPI slave."""

from typing import Any

from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.hw.accelerator.accelerator import Accelerator
from mubinn.hw.accelerator.state_ring import check_port
from mubinn.hw.link.line import check_divisor
from mubinn.hw.link.link_top import LinkTop
from mubinn.hw.link.packets import CRC, HEADER
from mubinn.hw.link.session import Pauses
from mubinn.hw.link.spi import CYCLES
from mubinn.hw.stream.packet import beats


def link_top(
    model: QuantizedModel,
    *,
    divisor: int | None = None,
    steps: int = 1,
    gated: bool = False,
    **options: Any,
) -> LinkTop:
    """Return a model's accelerator behind a link; its ``core`` is the `Accelerator`.

    Parameters
    ----------
    model : QuantizedModel
    divisor, gated : int or None, bool
        Of `mubinn.hw.link.link_top.LinkTop`.
    steps : int
        Most time steps of a packet.
    options
        Of `mubinn.hw.accelerator.accelerator.Accelerator`, as ``adc_width``. With the state
        "register" it is no register that says what a window leaves: the first packet of the next
        one says whether it goes on from there.

    Raises
    ------
    MubinnError
        A step or a result does not fit into a packet; or an option is not for this model.
    """
    carries = options.get("state") == "register"
    if divisor is not None:
        check_divisor(divisor)
    if options.get("state_port"):
        # Before there is half an accelerator.
        check_port(options.get("state", "cleared"), sleeps=bool(options.get("sleeps")))
    core = Accelerator(model, **options | ({"state": "carried"} if carries else {}))
    return LinkTop(
        core,
        divisor=divisor,
        room=steps * core.per_step * beats(core.i.payload.shape(), 8),
        per_step=core.per_step,
        min_steps=model.least_steps,
        max_steps=core.max_steps,
        carries=carries,
        gated=gated,
    )


def byte_cycles(top: LinkTop) -> int:
    """Return the least clock cycles that a byte takes on the line."""
    return 8 * CYCLES if top.divisor is None else 10 * top.divisor


def latency(top: LinkTop, steps: int) -> int:
    """Return the most clock cycles from the last step of a window of `steps` steps to its result.

    A backward layer begins with it.
    """
    core = top.core
    turned = any(layer.place.backward for layer in core.model.layers)
    own = core.cycles_per_window(steps if turned else core.model.least_steps)
    return int(len(core.layers) * (own + core.cycles_per_step))


def pauses(top: LinkTop, steps: int) -> Pauses:
    """Return what a host that does not see pin ready leaves between packets of such windows.

    The payload of a packet comes once that of the one before has gone to the core, and that of the
    next window once the one before it has its result. Where a board's results take longer on the
    line than its samples, packets wait for them as well.

    Parameters
    ----------
    top : LinkTop
        Of `link_top`.
    steps : int
        Of a window.
    """
    core, rules = top.core, top.rules
    byte = byte_cycles(top)
    each = core.model.reading.each
    most = min(steps, rules.room // rules.step)
    # A byte of a payload goes out in two cycles; what the core cannot hold waits for it.
    taken = max(2 * most * rules.step, most * core.cycles_per_step) + CYCLES
    # Between the end of a packet and the first byte of the next payload; and a packet, unstuffed.
    head, whole = 2 + HEADER, 2 + HEADER + most * rules.step + CRC
    answer = 2 + 2 * (top.writer.beats + CRC)
    ended = taken + latency(top, steps)
    within = max(0, -(-taken // byte) - head, answer * most - whole if each else 0)
    behind = max(within, -(-ended // byte) - head, answer - whole)
    # A word of a state takes two cycles besides those of its bytes.
    given = 3 * min(rules.room, top.state_bytes or 0) + 3 * CYCLES
    return Pauses(within, behind, max(0, -(-given // byte) - head))
