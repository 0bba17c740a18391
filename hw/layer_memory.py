"""The memories of a layer, M_w, M_B, M_g and M_s of Figure 3, in the order they are read."""

from typing import Any

import numpy as np
from amaranth.hdl import Module, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory, WritePort
from amaranth.lib.wiring import In, Out

from mubinn.golden.fixed import Ints
from mubinn.golden.lstm_model import QuantizedLstm
from mubinn.golden.scales import code_of
from mubinn.hw.cell_layout import CellLayouts
from mubinn.hw.sequencer import pass_layout, per_row

WEIGHTS = ("wx", "wh")
GAMMAS = ("gamma_x", "gamma_h", "bias_scales")


def cell_major(rows: Ints) -> Ints:
    """Return rows [4H, ...], gate * H + cell, in the order cell * 4 + gate."""
    return np.swapaxes(rows.reshape(4, -1, *rows.shape[1:]), 0, 1).reshape(rows.shape)


def weight_words(layer: QuantizedLstm) -> list[dict[str, int]]:
    """Return M_w: for each cell, gate and weight level the planes of W_x and W_h."""
    words = []
    for row in cell_major(np.arange(layer.wx.rows)):
        for level in range(layer.wx.levels):
            planes = (layer.wx.bits[level, row], layer.wh.bits[level, row])
            words.append({n: _integer(bits) for n, bits in zip(WEIGHTS, planes, strict=True)})
    return words


def _integer(bits: Any) -> int:
    """Return 0/1 values as one integer, the first in bit 0."""
    return int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")


def scale_words(layer: QuantizedLstm) -> list[dict[str, Any]]:
    """Return M_s: for each gate (of each cell, with scales per row) and pass, g_ij and bias scales.

    A product with fewer level pairs than there are passes gets g_ij = 0 for the rest.
    """
    passes = layer.levels.passes
    gammas = []
    for gamma in (layer.gamma_x, layer.gamma_h):
        flat = gamma.reshape(layer.wx.rows, -1)
        gammas.append(np.pad(flat, ((0, 0), (0, passes - flat.shape[1]))))
    rows = cell_major(np.arange(layer.wx.rows))
    words = []
    for row in rows if per_row(layer) else rows[:4]:
        for index in range(passes):
            words.append(
                {
                    "gamma_x": int(gammas[0][row, index]),
                    "gamma_h": int(gammas[1][row, index]),
                    "bias_scales": layer.b.row_scales[row].tolist(),
                }
            )
    return words


def offset_words(layer: QuantizedLstm) -> list[int]:
    """Return the threshold offset of h of every cell, in the fraction of h_raw."""
    shift = layer.h_raw_fraction - layer.h.fraction
    return [int(v) << shift for v in np.broadcast_to(layer.h.offset, layer.hidden)]


class LayerMemories(wiring.Component):  # type: ignore[type-arg]
    """All memories with synchronous reads: the words of a pass one cycle after its addresses.

    Parameters
    ----------
    layouts : CellLayouts

    Members
    -------
    enable : In(1)
        Read; without it the words stay.
    address : In(pass_layout)
    words : Out({wx, wh, gamma_x, gamma_h, bias, bias_scales, c, h_offset})
    write : Out(WritePort.Signature), whose members are inputs
        Of M_g, the codes of c by cell.
    """

    enable: Any
    address: Any
    words: Any
    write: Any

    def __init__(self, layouts: CellLayouts) -> None:
        self.layouts = layouts
        self.layer = layouts.params.layer
        names = (*WEIGHTS, *GAMMAS, "bias", "c", "h_offset")
        words = data.StructLayout({name: layouts.a_pass[name].shape for name in names})
        cell_address = (self.layer.hidden - 1).bit_length()
        write = WritePort.Signature(addr_width=cell_address, shape=unsigned(layouts.c_bits))
        super().__init__(
            {
                "enable": In(1),
                "address": In(pass_layout(self.layer)),
                "words": Out(words),
                "write": Out(write),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the memories."""
        m = Module()
        layer, fields = self.layer, self.layouts.a_pass
        weights = data.StructLayout({name: fields[name].shape for name in WEIGHTS})
        scales = data.StructLayout({name: fields[name].shape for name in GAMMAS})
        biases = cell_major(code_of(layer.b.bits)).tolist()
        address = self.address
        weight = self._read(m, "m_w", weights, weight_words(layer), address.weight)
        scale = self._read(m, "m_s", scales, scale_words(layer), address.gamma)
        bias = self._read(m, "m_b", fields["bias"].shape, biases, address.row)
        m.d.comb += [getattr(self.words, name).eq(getattr(weight, name)) for name in WEIGHTS]
        m.d.comb += [getattr(self.words, name).eq(getattr(scale, name)) for name in GAMMAS]
        m.d.comb += self.words.bias.eq(bias)
        if len(layer.h.offset.shape):
            shape = fields["h_offset"].shape
            offset = self._read(m, "m_h_offset", shape, offset_words(layer), address.cell)
            m.d.comb += self.words.h_offset.eq(offset)
        else:
            m.d.comb += self.words.h_offset.eq(offset_words(layer)[0])
        m_g: Any = Memory(shape=unsigned(self.layouts.c_bits), depth=layer.hidden, init=[])
        m.submodules.m_g = m_g
        wiring.connect(m, wiring.flipped(self.write), m_g.write_port())
        port = m_g.read_port()
        m.d.comb += [port.en.eq(self.enable), port.addr.eq(address.cell)]
        m.d.comb += self.words.c.eq(port.data)
        return m

    def _read(self, m: Module, name: str, shape: Any, words: list[Any], address: Any) -> Any:
        """Add a read-only memory `name` and return its word."""
        memory: Any = Memory(shape=shape, depth=len(words), init=words)
        m.submodules[name] = memory
        port = memory.read_port()
        m.d.comb += [port.en.eq(self.enable), port.addr.eq(address)]
        return port.data
