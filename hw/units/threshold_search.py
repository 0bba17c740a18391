"""Threshold search: the code of a value by comparisons with stored numbers."""

from amaranth.hdl import Cat, Const, Module, Mux, ShapeLike, Signal, Value, signed, unsigned

from mubinn.golden.units.threshold_search import ThresholdSearchParams
from mubinn.hw.arith.comparator import at_least
from mubinn.hw.arith.decision_diagram import decision_diagram
from mubinn.hw.stream.unit import StreamUnit


class ThresholdSearch(StreamUnit):
    """`golden.units.threshold_search` in hardware; combinational, latency 0.

    The nodes are constants. All are compared at once, and the outcomes of a tree choose each other.

    Parameters
    ----------
    params : ThresholdSearchParams

    Members
    -------
    i : In(stream of {value: signed(width), tree: select_width})
        There is no member `tree` where there is one tree.
    o : Out(stream of {code: levels})
    """

    def __init__(self, params: ThresholdSearchParams) -> None:
        self.params = params
        fields: dict[str, ShapeLike] = {"value": signed(params.width)}
        if params.select_width:
            fields["tree"] = unsigned(params.select_width)
        super().__init__(fields, {"code": params.levels})

    def compute(self, m: Module) -> None:
        """Add the comparisons, level by level."""
        bits: list[Value] = []
        for level in range(self.params.levels):
            bit = Signal(name=f"bit_{level}")
            m.d.comb += bit.eq(self._chosen(m, level, bits))
            bits.append(bit)
        m.d.comb += self.o.payload.code.eq(Cat(*bits))

    def _chosen(self, m: Module, level: int, bits: list[Value]) -> Value:
        """Compare all nodes of `level`; return the outcome that the bits so far lead to."""
        outcomes = [self._compare(m, level, prefix) for prefix in range(1 << level)]
        # The last bit is there last, so it chooses last.
        for bit in bits:
            pairs = zip(outcomes[::2], outcomes[1::2], strict=True)
            outcomes = [Mux(bit, high, low) for low, high in pairs]
        return outcomes[0]

    def _compare(self, m: Module, level: int, prefix: int) -> Value:
        """Return whether the value reaches the node of the tree and of `prefix` at `level`."""
        p = self.params
        width = max(p.width, p.node_width)
        place = (1 << level) - 1 + prefix
        trees = [*p.trees, *([p.trees[0]] * ((1 << p.select_width) - len(p.trees)))]
        nodes = [tree[place] for tree in trees]
        name = f"node_{level}_{prefix}"
        tree = self.i.payload.tree if p.select_width else Const(0, 0)
        node = decision_diagram(m, nodes, tree, width, name=name)
        value = Signal(signed(width), name=f"{name}_value")
        m.d.comb += value.eq(self.i.payload.value)
        return at_least(m, value, node, name=f"{name}_reached")
