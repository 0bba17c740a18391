"""Windows and their results as beats, for a bench that has nothing but files."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.bit_true import run, run_from
from mubinn.golden.model.head import head_of
from mubinn.golden.model.layer_state import all_kept
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.model.sample_format import SampleFormat
from mubinn.golden.model.stamp import Stamp
from mubinn.hw.accelerator.accelerator import Accelerator
from mubinn.hw.axi.axi_top import AxiTop
from mubinn.hw.axi.register_map import CARRYING, CONTROL, LOADING
from mubinn.hw.export.driver import Driver
from mubinn.hw.export.render import Json
from mubinn.hw.wishbone.wishbone_top import WishboneTop


class _NoPort:
    """A driver's port where packets alone are asked for."""

    def read(self, address: int) -> int:
        raise NotImplementedError

    def write(self, address: int, value: int) -> None:
        raise NotImplementedError

    def send(self, packet: bytes) -> None:
        raise NotImplementedError

    def receive(self) -> bytes:
        raise NotImplementedError


def golden_vectors(
    top: AxiTop | WishboneTop, about: Json, sent: Ints, codes: Ints
) -> dict[str, str]:
    """Return windows as they are sent, and what the bit-true model makes of them.

    Parameters
    ----------
    top : AxiTop or WishboneTop
        Around an `mubinn.hw.accelerator.accelerator.Accelerator`.
    about : mapping
        Its `mubinn.hw.export.interface.interface`.
    sent, codes : int [windows, steps, I]
        As `drawn_windows` has them.

    Raises
    ------
    MubinnError
        On windows longer than the logits hold.

    Returns
    -------
    dict of str to str
        ``input.hex`` and ``result.hex``, a beat a line: TLAST above TDATA.
    """
    model: QuantizedModel = top.core.model
    top.core.plans[-1].check_steps(codes.shape[1])
    driver = Driver(_NoPort(), {**about, "registers": {}})
    packets = [driver.pack(window) for window in sent.tolist()]
    found = _results(model, codes, top.core.stamp, carried=top.core.state != "cleared")
    packed = [driver.pack_result(result) for result in found]
    width = about["tdata_bits"]
    return {"input.hex": _beats(packets, width), "result.hex": _beats(packed, width)}


def _results(
    model: QuantizedModel, codes: Ints, stamp: Stamp | None, *, carried: bool
) -> Iterator[Json]:
    """Yield the results of windows as a driver has them, those of a window step by step."""
    state, before = None, 0
    steps = model.steps(codes.shape[1])
    for window in codes:
        if carried:
            _, scores, classes, state = run_from(model, window, state)
        else:
            _, scores, classes = run(model, window)
        stamps = stamp.of(before, steps, model.reading) if stamp else {}
        before += steps if carried else 0
        yield from results(model, scores, classes, stamps)


def results(
    model: QuantizedModel,
    scores: Ints,
    classes: Ints | None,
    stamps: Mapping[str, Ints] = MappingProxyType({}),
) -> Iterator[Json]:
    """Yield the results of a window as a driver has them: one, or those of its steps.

    Parameters
    ----------
    model : QuantizedModel
    scores, classes
        Of `mubinn.golden.model.bit_true.run`, of one window.
    stamps : mapping of str to int64 [results]
        Of `mubinn.golden.model.stamp.Stamp.of`.
    """
    field, each = head_of(model.head).field, model.reading.each
    for step in np.ndindex(scores.shape[:-1]):
        said = {name: int(values[step[-1] if each else 0]) for name, values in stamps.items()}
        numbers = scores[step].tolist()
        found: Json = {} if classes is None else {"label": int(classes[step])}
        found[field] = numbers if len(numbers) > 1 else numbers[0]
        yield found | ({"end": int(step[-1] == len(scores) - 1)} if each else {}) | said


def commands(loaded: bytes, *, carry: bool = False) -> str:
    """Return the accesses to the registers before the first input, a line each: address above data.

    Parameters
    ----------
    loaded : bytes
        Contents of the memories, empty where they are initialised.
    carry : bool
        Have windows leave their state to the next ones, by the register of a build that has it.
    """
    start = 1 << CONTROL["control"].fields["start"].lowest
    writes = [(CONTROL["control"].offset, start)]
    if carry:
        state = CARRYING["state"]
        writes = [(state.offset, 1 << state.fields["carry"].lowest), *writes]
    if loaded:
        words = (loaded[k : k + 4] for k in range(0, len(loaded), 4))
        data = [(LOADING["load"].offset, int.from_bytes(word, "little")) for word in words]
        writes = [(LOADING["loading"].offset, 1), *data, *writes]
    return "".join(f"{address << 32 | word:x}\n" for address, word in writes)


def drawn_windows(
    core: Accelerator,
    windows: int,
    steps: int,
    seed: int = 0,
    kept: Sequence[bool] | None = None,
) -> tuple[Ints, Ints]:
    """Return random numbers to send, and the codes [windows, steps, I] that they are or become.

    Samples of an ADC [windows, steps times decimation, I] are a walk beside noise of its own, an
    offset a channel, and some that reach the ADC's ends. `kept` says of which windows the state is
    kept, where it is not that of all whose core keeps them.
    """
    model = core.model
    x = model.layers[0].x
    random = np.random.default_rng(seed)
    shape = (windows, steps * core.samples, model.features)
    if core.encoder is None:
        codes = random.integers(0, 1 << x.levels, shape)
        return codes, codes
    if core.front_end is not None:
        front_end = core.front_end.front_end
        most = 1 << front_end.width - 1
        wave = random.normal(0, most / 64, shape)
        wave += random.normal(0, most / 256, shape).cumsum(axis=1)
        wave += random.uniform(-most / 4, most / 4, model.features)
        wave[random.random(shape) < 1 / 64] *= 64
        sent = np.clip(np.rint(wave), -most, most - 1).astype(np.int64)
        made = front_end.windows(sent, kept or all_kept(core.state, windows))
        return sent, model.encode_input(made / (1 << INPUT_FRACTION))
    samples: SampleFormat = core.encoder.params
    # As wide as the values of the codes, so that all thresholds lie within.
    values = random.normal(0, x.scales.sum() / (1 << x.fraction), shape)
    sent = samples.quantize(values)
    return sent, model.encode_input(sent / (1 << INPUT_FRACTION))


def _beats(packets: list[bytes], width: int) -> str:
    """Return packets as lines of hexadecimal digits."""
    size, lines = width // 8, []
    for packet in packets:
        words = [packet[k : k + size] for k in range(0, len(packet), size)]
        for k, word in enumerate(words):
            last = k == len(words) - 1
            lines.append(f"{int(last) << width | int.from_bytes(word, 'little'):x}")
    return "\n".join(lines) + "\n"
