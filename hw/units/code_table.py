"""Code table: a stored number for every combination of codes, as logic."""

from amaranth.hdl import Module, signed, unsigned

from mubinn.golden.units.code_table import CodeTableParams
from mubinn.hw.arith.decision_diagram import decision_diagram
from mubinn.hw.stream.unit import StreamUnit


class CodeTable(StreamUnit):
    """`mubinn.golden.units.code_table.code_table` in hardware; combinational, latency 0.

    Parameters
    ----------
    params : CodeTableParams

    Members
    -------
    i : In(stream of {index: index_width})
    o : Out(stream of {word: signed(width) or unsigned(width)})
    """

    def __init__(self, params: CodeTableParams) -> None:
        self.params = params
        word = signed(params.width) if params.signed else unsigned(params.width)
        super().__init__(
            {"index": unsigned(params.index_width)},
            {"word": word},
        )

    def compute(self, m: Module) -> None:
        """Add the decision diagrams."""
        p = self.params
        m.d.comb += self.o.payload.word.eq(
            decision_diagram(m, p.words, self.i.payload.index, p.width)
        )
