"""Level table: the stored word of a code, one multiplexer tree."""

from amaranth.hdl import Module, Mux, Value, unsigned
from amaranth.lib import data

from mubinn.golden.units.level_table import LevelTableParams
from mubinn.hw.stream.unit import StreamUnit


class LevelTable(StreamUnit):
    """`mubinn.golden.units.level_table.level_table` in hardware; combinational, latency 0.

    Parameters
    ----------
    params : LevelTableParams

    Members
    -------
    i : In(stream of {code: levels, words: [unsigned(width)] of 2**levels})
    o : Out(stream of {word: unsigned(width)})
    """

    def __init__(self, params: LevelTableParams) -> None:
        self.params = params
        super().__init__(
            {
                "code": params.levels,
                "words": data.ArrayLayout(unsigned(params.width), 1 << params.levels),
            },
            {"word": params.width},
        )

    def compute(self, m: Module) -> None:
        """Halve the words with each bit of the code, the lowest first."""
        i = self.i.payload
        words: list[Value] = [i.words[k] for k in range(1 << self.params.levels)]
        for level in range(self.params.levels):
            words = [
                Mux(i.code[level], high, low)
                for low, high in zip(words[::2], words[1::2], strict=True)
            ]
        m.d.comb += self.o.payload.word.eq(words[0])
