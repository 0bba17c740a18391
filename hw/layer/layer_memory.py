"""The memories of a layer, M_w, M_B, M_g and M_s of Figure 3, in the order they are read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Shape, ShapeLike, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Member, Out

from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.folding.layer_plan import LayerPlan, Pass
from mubinn.golden.folding.row_schedule import RowSchedule
from mubinn.golden.ground.fixed import Bits, Ints
from mubinn.hw.cells.cell_layout import CellLayouts, scale_array
from mubinn.hw.cells.issue_layout import issue_layout
from mubinn.hw.layer.sequencer import cell_of, gate_of, issue_address
from mubinn.hw.layer.word_rom import WordRom
from mubinn.hw.stream.component import Component, Memory, View, WritePort, view_const

Word = list[dict[str, list[int]]]
"""Contents by engine and field."""


def weight_layout(plan: LayerPlan) -> data.ArrayLayout:
    """Return a word of M_w: for each engine and slot a plane of the parts, x in the low bits."""
    parts = data.StructLayout({name: unsigned(lanes) for name, lanes in plan.parts.items()})
    return data.ArrayLayout(data.ArrayLayout(parts, plan.slots), plan.engines)


def weight_words(plan: LayerPlan) -> list[int]:
    """Return M_w: rows in order, in each its words of elements, in each its words of planes."""
    layer = plan.layer
    words = [
        _slots(plan, plan.schedule, _words(plan, own, layer.wx.bits, layer.wh.bits), rows)
        for own, rows in zip(plan.passes, plan.phase_rows, strict=False)
    ]
    if plan.dense:
        bits = plan.dense.w.bits
        nothing = np.zeros((*bits.shape[:2], layer.features), np.uint8)
        planes = _words(plan, plan.passes[-1], nothing, bits)
        words.append(_slots(plan, plan.class_schedule, planes, plan.dense_rows))
    return _integers(np.concatenate(words))


def _words(plan: LayerPlan, own: Pass, x: Bits, h: Bits) -> Bits:
    """Return planes of W_x and W_h [W, R, n] as the words of rows, [W, R, words, lanes]."""
    h = h[:, :, : own.columns]
    if plan.whole:
        parts = [x, *(_padded(h, plan.state_lanes) if plan.state_lanes else ())]
        return np.concatenate(parts, axis=2)[:, :, None]
    lanes = int(plan.lanes or 0)
    found = []
    for bits in (x,) * own.reads_x + (h,) * (own.columns > 0):
        wide = np.concatenate(_padded(bits, lanes), axis=2)
        found.append(wide.reshape(*bits.shape[:2], -1, lanes))
    return np.concatenate(found, axis=2)


def _padded(bits: Bits, lanes: int) -> list[Bits]:
    """Return planes [W, R, n], and what fills the last word of so many lanes up.

    Half of the spare lanes match the zeros that they meet, and half do not; where their count is
    odd, the parity of the dot product tells. Rows without any have scales of 0.
    """
    spare = -bits.shape[2] % lanes if bits.shape[2] else lanes
    matched = (spare + lanes % 2) // 2
    pad = np.repeat(np.array([0, 1], np.uint8), (matched, spare - matched))
    return [bits, np.broadcast_to(pad, (*bits.shape[:2], spare))]


def _slots(plan: LayerPlan, schedule: RowSchedule, bits: Bits, rows: Ints) -> Bits:
    """Return the memory's words of `rows`, bits [words, engines * slots * lanes]."""
    missing = schedule.weights - len(bits)
    bits = np.concatenate([bits, np.zeros((missing, *bits.shape[1:]), np.uint8)])
    # A dummy's row, -1, reads whatever the last row holds.
    chosen = bits[:, rows]
    if plan.rolling:
        # Planes numbered on through the rows, and enough of them for the last word.
        stream = np.swapaxes(chosen, 0, 1).reshape(-1, *chosen.shape[2:])
        stream = np.concatenate([stream, stream[: schedule.slots]])
        words = [stream[k : k + schedule.slots] for k in schedule.windows(len(rows))]
        return np.swapaxes(np.stack(words), 1, 2).reshape(len(words), -1)
    firsts = dict.fromkeys(schedule.first_planes)
    windows = [chosen[first : first + schedule.slots] for first in firsts]
    # [plane words, slots, rows, engines, words, lanes] in the order of the address.
    ordered = np.stack(windows).transpose(2, 4, 0, 3, 1, 5)
    if plan.slots > schedule.slots:
        ordered = np.pad(ordered, [*[(0, 0)] * 4, (0, plan.slots - schedule.slots), (0, 0)])
    return np.ascontiguousarray(ordered).reshape(-1, plan.engines * plan.slots * bits.shape[-1])


def _integers(bits: Bits) -> list[int]:
    """Return each row of 0/1 values as one integer, the first in bit 0."""
    packed = np.packbits(bits, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def scale_layout(plan: LayerPlan) -> data.ArrayLayout:
    """Return a word of M_s: g_ij of each part and, where biases have levels, their scales."""
    gamma = data.ArrayLayout(unsigned(plan.gamma_width), plan.scales)
    fields: dict[str, ShapeLike] = {f"gamma_{name}": gamma for name in plan.parts}
    if not plan.folded_bias:
        fields["bias_scales"] = scale_array(plan.bias_add.scale_width, plan.bias_add.levels)
    layout = data.StructLayout(fields)
    return data.ArrayLayout(layout, plan.engines if plan.scaled_rows else 1)


def scale_words(plan: LayerPlan) -> list[Word]:
    """Return M_s by address: ``cycle``, whether the word is of h, then the row or its gate.

    Packed rows with scales of their own have a word an issue. Those of classes with level pairs of
    their own stand behind all others, with as many cycles as these take.
    """
    words: list[Word] = []
    if plan.rolling and plan.scaled_rows:
        for dense, rows in _passes(plan):
            for issue in range(plan.schedule.count(len(rows))):
                place = plan.schedule.row_of(issue)
                pair = rows[place], rows[min(place + 1, len(rows) - 1)]
                words.append(_word(plan, *pair, dense, False, issue % plan.schedule.cycles))
        return words
    for dense, places in _passes(plan) if plan.scaled_rows else _gate_passes(plan):
        count = (plan.class_schedule if dense else plan.schedule).cycles
        for row, following in zip(places, np.roll(places, -1, axis=0), strict=True):
            for of_h in (False,) if plan.whole else (False, True):
                cycles = [_word(plan, row, following, dense, of_h, c) for c in range(count)]
                words += cycles + cycles[:1] * ((1 << cycle_bits(count)) - count)
    return words


def cycle_bits(cycles: int) -> int:
    """Return the bits of an address that tell the cycles of a row apart."""
    return (cycles - 1).bit_length()


def _passes(plan: LayerPlan) -> Iterator[tuple[bool, Ints]]:
    """Yield the rows that follow each other without a pause, and whether they are of classes."""
    yield from ((False, rows) for rows in plan.phase_rows)
    yield True, plan.dense_rows


def _gate_passes(plan: LayerPlan) -> Iterator[tuple[bool, Ints]]:
    """Yield one row of each gate in the place of `_passes`, those of a cell filled up."""
    for gates in plan.layer.phases:
        yield False, np.array([[plan.layer.row_slice(gate).start] for gate in gates])
    spare = (1 << CellLayouts(plan.layer).row_bits) - plan.layer.cell_rows
    yield False, np.zeros((spare, 1), np.int64)
    yield True, np.zeros((1 if plan.dense else 0, 1), np.int64)


def _word(
    plan: LayerPlan, rows: Ints, following: Ints, dense: bool, of_h: bool, cycle: int
) -> Word:
    """Return a word of M_s: the scales of all engines."""
    pairs = zip(rows.tolist(), following.tolist(), strict=True)
    return [_scales(plan, row, after, dense, of_h, cycle) for row, after in pairs]


def _scales(
    plan: LayerPlan, row: int, following: int, dense: bool, of_h: bool, cycle: int
) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for name in plan.parts:
        source = name if plan.whole else ("h" if of_h else "x")
        if dense:
            source = "dense" if source == "h" else ""
        scales = plan.row_scales(source, row, following, cycle) if source else [0] * plan.scales
        found[f"gamma_{name}"] = scales
    if not plan.folded_bias:
        found["bias_scales"] = _bias(plan, dense)[1][row].tolist()
    return found


def _bias(plan: LayerPlan, dense: bool) -> tuple[Ints, Ints]:
    assert plan.dense or not dense
    return plan.bias(plan.dense.b if plan.dense and dense else plan.layer.b)


def bias_layout(plan: LayerPlan) -> data.ArrayLayout:
    """Return a word of M_B: the level bits of a row's bias, or its sign and magnitude."""
    add = plan.bias_add
    fields: dict[str, ShapeLike] = {"bias": unsigned(add.levels)}
    if plan.folded_bias:
        fields["bias_scales"] = scale_array(add.scale_width, add.levels)
    return data.ArrayLayout(data.StructLayout(fields), plan.engines)


def bias_words(plan: LayerPlan) -> list[Word]:
    """Return M_B, rows in order."""
    words: list[Word] = []
    names = ["bias", "bias_scales"] if plan.folded_bias else ["bias"]
    for dense, rows in ((False, plan.rows), (True, plan.dense_rows)):
        if not len(rows):
            continue
        codes, scales = _bias(plan, dense)
        for row in rows:
            word = [{"bias": int(codes[r]), "bias_scales": scales[r].tolist()} for r in row]
            words.append([{name: w[name] for name in names} for w in word])
    return words


def offset_words(layer: QuantizedLayer) -> list[int]:
    """Return the threshold offset of h of every cell, in the fraction of h_raw."""
    shift = layer.fraction_of(layer.cell.states[0].name) - layer.h.fraction
    return [int(v) << shift for v in np.broadcast_to(layer.h.offset, layer.outputs)]


def stored_words(layer: QuantizedLayer) -> list[int]:
    """Return the numbers of every cell, codes side by side."""
    words, shift = np.zeros(layer.hidden, np.int64), 0
    for name, levels in CellLayouts(layer).stored.items():
        words, shift = words | layer.stored_codes(name) << shift, shift + levels
    found: list[int] = words.tolist()
    return found


def state_address(plan: LayerPlan) -> Shape:
    """Return the addresses of M_g: cells, pixel after pixel where a layer sweeps frames."""
    return unsigned((plan.rounds * plan.pixels - 1).bit_length())


@dataclass(frozen=True)
class Contents:
    """A memory that holds a part of a model.

    Attributes
    ----------
    name : str
        In Verilog.
    figure3 : str
        What the paper's Figure 3 calls it.
    holds : str
    layout : Layout
        Of a word.
    words : list
        One integer a word, or fields by engine.
    """

    name: str
    figure3: str
    holds: str
    layout: data.Layout
    words: Sequence[Any]

    @property
    def width(self) -> int:
        """Bits of a word."""
        return Shape.cast(self.layout).width


def constant_contents(plan: LayerPlan) -> list[Contents]:
    """Return the memories of a layer that hold the model, but for those without a bit."""
    layer = plan.layer
    bias = "sign and magnitude" if plan.folded_bias else "level bits"
    scales = "" if plan.folded_bias else ", and those of the bias"
    weights = "weights: level planes of W_x and of W_h"
    found = [
        Contents("m_w", "M_w", weights, weight_layout(plan), weight_words(plan)),
        Contents("m_s", "M_s", f"scales g_ij{scales}", scale_layout(plan), scale_words(plan)),
        Contents("m_b", "M_B", f"biases, {bias}", bias_layout(plan), bias_words(plan)),
    ]
    tags = issue_layout(plan)
    offsets = offset_words(layer)
    if len(set(offsets)) > 1:
        layout = data.ArrayLayout(tags["h_offset"].shape, plan.engines)
        words = by_engine(plan, offsets)
        found.append(Contents("m_h_offset", "M_s", "threshold offsets of h", layout, words))
    if layer.stored:
        layout = data.ArrayLayout(tags["stored"].shape, plan.engines)
        words = by_engine(plan, stored_words(layer))
        names = ", ".join(layer.stored)
        found.append(Contents("m_stored", "M_B", f"numbers of each cell: {names}", layout, words))
    return [memory for memory in found if memory.width]


def by_engine(plan: LayerPlan, cells: Sequence[int]) -> list[list[int]]:
    """Return a number of each cell as words of all engines; a dummy cell has 0."""
    padded = [*cells, *[0] * (plan.rounds * plan.engines - len(cells))]
    found: list[list[int]] = np.reshape(padded, (plan.rounds, plan.engines)).tolist()
    return found


class LayerMemories(Component):
    """All memories with synchronous reads: the words of an issue one cycle after its addresses.

    Parameters
    ----------
    plan : LayerPlan
    logic : bool
        What holds the model is logic, `mubinn.hw.layer.word_rom.WordRom`, in place of memories.

    Members
    -------
    address : In(issue_address(plan))
    weights : Out(weight_layout(plan))
    scales : Out(scale_layout(plan))
    biases : Out(bias_layout(plan))
    c, h_offset : Out(arrays by engine), and stored, where cells have numbers of their own
        Of the cell of the row.
    base : In(state_address(plan)), where a layer sweeps frames
        Where M_g has the first cells of the present pixel.
    write : Out(WritePort.Signature), whose members are inputs
        Of M_g, the codes of c by cell, all engines in one word.
    """

    address: View
    weights: View
    scales: View
    biases: View
    c: View
    h_offset: View
    stored: View
    base: Signal
    write: WritePort

    def __init__(self, plan: LayerPlan, *, logic: bool = False) -> None:
        self.plan = plan
        self.logic = logic
        c_bits = CellLayouts(plan.layer).kept_bits
        offset = issue_layout(plan)["h_offset"].shape
        self._codes = unsigned(c_bits * plan.engines)
        width = state_address(plan).width
        write = WritePort.Signature(addr_width=width, shape=self._codes)
        own: dict[str, Member] = {"base": In(state_address(plan))} if plan.sweep else {}
        if plan.layer.stored:
            own["stored"] = Out(data.ArrayLayout(issue_layout(plan)["stored"].shape, plan.engines))
        super().__init__(
            {
                **own,
                "address": In(issue_address(plan)),
                "weights": Out(weight_layout(plan)),
                "scales": Out(scale_layout(plan)),
                "biases": Out(bias_layout(plan)),
                "c": Out(data.ArrayLayout(unsigned(c_bits), plan.engines)),
                "h_offset": Out(data.ArrayLayout(offset, plan.engines)),
                "write": Out(write),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Return the memories."""
        m = Module()
        plan, at = self.plan, self.address
        cell = cell_of(plan, at)
        places: dict[str, tuple[View, Callable[[], Value]]] = {
            "m_w": (self.weights, lambda: Value.cast(at.weight)),
            "m_s": (self.scales, self._scale_address),
            "m_b": (self.biases, lambda: Value.cast(at.row)),
            "m_h_offset": (self.h_offset, lambda: cell),
        }
        if plan.layer.stored:
            places["m_stored"] = (self.stored, lambda: cell)
        contents = constant_contents(plan)
        for memory in contents:
            out, address = places[memory.name]
            self._read(m, memory.name, out, memory.words, address())
        if not any(memory.name == "m_h_offset" for memory in contents):
            offset = offset_words(plan.layer)[0]
            m.d.comb += [self.h_offset[e].eq(offset) for e in range(plan.engines)]
        m_g = Memory(shape=self._codes, depth=plan.rounds * plan.pixels, init=[])
        m.submodules.m_g = m_g
        wiring.connect(m, wiring.flipped(self.write), m_g.write_port())
        port = m_g.read_port()
        place = self.base + cell if plan.sweep else cell
        m.d.comb += [port.addr.eq(place), self.c.as_value().eq(port.data)]
        return m

    def _scale_address(self) -> Value:
        plan, at = self.plan, self.address
        if plan.rolling and plan.scaled_rows:
            return Value.cast(at.issue)
        gate = gate_of(plan, at)
        bits = CellLayouts(plan.layer).row_bits
        gate = Cat(gate, Const(0, bits))[:bits] & ~at.dense.replicate(bits)
        group = at.row if plan.scaled_rows else Cat(gate, at.dense)
        of_h = [] if plan.whole else [at.word >= plan.x_words]
        if plan.apart:
            return self._apart(gate, of_h)
        return Cat(at.cycle if plan.schedule.cycles > 1 else Const(0, 0), *of_h, group)

    def _apart(self, gate: Value, of_h: list[Value]) -> Value:
        """Return the address of M_s where classes have level pairs of their own."""
        plan, at = self.plan, self.address
        own, more = (cycle_bits(s.cycles) for s in (plan.schedule, plan.class_schedule))
        rows = len(plan.rows) if plan.scaled_rows else 1 << CellLayouts(plan.layer).row_bits
        first = (rows << own + len(of_h)) - (plan.scaled_rows * rows << more + len(of_h))
        row = at.row if plan.scaled_rows else Const(0, 0)
        place = Cat(at.cycle, Const(0, more))[:more]
        return Mux(
            at.dense,
            Cat(place, *of_h, row) + first,
            Cat(at.cycle[:own], *of_h, at.row if plan.scaled_rows else gate),
        )

    def _read(self, m: Module, name: str, out: View, words: Sequence[Any], address: Value) -> None:
        """Add a read-only memory `name` that drives `out`."""
        if self.logic:
            numbers = [number(out.shape(), word) for word in words]
            m.submodules[name] = rom = WordRom(numbers, len(out.as_value()))
            m.d.comb += [rom.addr.eq(address), out.as_value().eq(rom.data)]
            return
        wide = isinstance(words[0], int)
        shape = unsigned(len(out.as_value())) if wide else out.shape()
        memory = Memory(shape=shape, depth=len(words), init=words)
        m.submodules[name] = memory
        port = memory.read_port()
        value = port.data if wide else port.data.as_value()
        m.d.comb += [port.addr.eq(address), out.as_value().eq(value)]


def number(layout: data.Layout, word: int | Word) -> int:
    """Return a word of a memory as one integer, what is first in the layout in the low bits."""
    if isinstance(word, int):
        return word
    found: int = Const.cast(view_const(layout, word).as_value()).value
    return found
