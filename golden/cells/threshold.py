"""The threshold datapath of any cell: all that follows the sums as comparisons and small tables.

==============================  ==================================================================
encoder of an activation of a   one search of it among ``2**W - 1`` thresholds: monotone activation
row or of a sum                 and encoder together (Eq. 1-4, Algorithm 1)
encoder of a sum of two terms   a table of each, an addition and a search, in units as short as
of codes                        the search allows (`shorten`; Eq. 5)
encoder of one term of codes    a table of codes (Eq. 6); where every element has an offset of its
                                own, a table of the value rounded down, and a search among
                                thresholds plus the offset
a code times a sum of a row     stays a product, the MAC
==============================  ==================================================================

A term of codes is a product of two, or a code times an activation of a code. Activations are exact
here: thresholds and tables are those of the real functions, proven to the last bit
(`mubinn.golden.cells.exact_activation`), so the codes equal those of the equations with the layer's
scales. The numbers follow from the quantizers alone; nothing of this is stored in a model file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.exact_activation import first_reaching, floor_product
from mubinn.golden.cells.figure3 import Figure3, added
from mubinn.golden.cells.graph import Node
from mubinn.golden.cells.lowering import (
    code_in,
    direct_gates,
    gates_by_row,
    is_factor,
    is_pair,
    row_of,
    short_name,
    terms,
)
from mubinn.golden.cells.operations import Add, Code, Search, Table, Wide
from mubinn.golden.cells.shorten import shorten
from mubinn.golden.ground.fixed import Ints, signed_width
from mubinn.golden.units.code_table import CodeTableParams
from mubinn.golden.units.shapes import Kind
from mubinn.golden.units.threshold_search import (
    ThresholdSearchParams,
    encoder_nodes,
    encoder_search,
)


class Thresholds(Figure3):
    """The rules of this datapath; products with a row's sum stay those of Figure 3."""

    _shared: ThresholdSearchParams | None = None

    def encoded(self, node: Node) -> str:
        """Add the units of an encoder and of what it reads; return its name."""
        value, phase = node.operands[0], self.cell.phase(node)
        own = terms(value)
        if own_offsets(self.quantizer(node)) and not (len(own) == 1 and is_term(own[0])):
            raise self.fault(
                value,
                f"its thresholds would differ between cells, as the offsets of {node.name} do: "
                "give one offset, or use the datapath figure3.",
            )
        if value.operation == "activation" and not is_factor(value.operands[0]):
            return self._activated_search(node, value.operands[0], phase)
        if len(own) <= 2 and all(map(is_term, own)):
            if len(own) == 2:
                return self._two_terms(node, own, phase)
            return self._one_term(node, own[0], phase)
        name = self._value(value, f"{node.name}_raw", phase)
        made, quantizer = self.wide(name), self.quantizer(node)
        search = encoder_search((quantizer,), made.fraction, made.width)
        return self.add(node.name, f"search_{node.name}", Search(search), name, phase=phase)

    def _activated_search(self, node: Node, source: Node, phase: int) -> str:
        """Add the search of a sum: each gate's encoder through its activation's inverse."""
        direct = direct_gates(self.cell)
        if node in direct:
            bound = Wide(self.layer.z_bound, self.layer.z_fraction)
            self._shared = self._shared or self._searches(gates_by_row(self.cell), bound)
            operation = Search(self._shared, row_of(self.cell, node))
            return self.add(node.name, "search_gate", operation, self.names[source], phase=phase)
        value = self._value(source, f"{node.name}_raw", phase)
        operation = Search(self._searches((node,), self.wide(value)))
        return self.add(node.name, f"search_{node.name}", operation, value, phase=phase)

    def _searches(self, gates: Sequence[Node], value: Wide) -> ThresholdSearchParams:
        """Return the search of a sum with a tree for each gate; rows that are none have any."""
        trees = tuple(self._tree(node, value) for node in gates)
        return ThresholdSearchParams(value.width, trees)

    def _tree(self, node: Node, value: Wide) -> tuple[int, ...]:
        kind, quantizer = node.operands[0].kind, self.quantizer(node)
        return tuple(
            first_reaching(kind, Fraction(at, 1 << quantizer.fraction), value.fraction, value.bound)
            for at in encoder_nodes(quantizer)
        )

    def _products(self, pairs: Sequence[Node], name: str, phase: int) -> str:
        """Add a table of each product, and their sum; they are numbers and stay exact."""
        fraction = max(self.layer.fraction(pair) for pair in pairs)
        names = []
        for pair in pairs:
            words = self._products_of(pair, fraction)
            own = name if len(pairs) == 1 else f"_{short_name(pair)}"
            made = Wide(int(np.abs(words).max()), fraction)
            names.append(self._table(own, pair, words, made, phase))
        if len(names) == 1:
            return names[0]
        operation = added([self.wide(own) for own in names])
        return self.add(name, f"sum_{name}", operation, *names, phase=phase)

    def _two_terms(self, node: Node, own: Sequence[Node], phase: int) -> str:
        """Add two tables, their sum, and the search that encodes it."""
        if not all(map(is_pair, own)):
            raise self.fault(
                node.operands[0],
                "thresholds are exact for one activation of a code in a term, not in a sum: use "
                "the datapath figure3.",
            )
        quantizer, fraction = self.quantizer(node), self.layer.fraction(node.operands[0])
        nodes = np.array(encoder_nodes(quantizer), np.int64) << fraction - quantizer.fraction
        addends = [self._products_of(pair, fraction) for pair in own]
        left, right, nodes = shorten(addends[0], addends[1], nodes)
        bound = int(np.abs(left).max() + np.abs(right).max())
        names = [
            self._table(f"_{short_name(pair)}", pair, words, Wide(int(np.abs(words).max())), phase)
            for pair, words in zip(own, (left, right), strict=True)
        ]
        total = Add((0, 0), bound, 0)
        name = self.add(f"{node.name}_raw", f"sum_{node.name}", total, *names, phase=phase)
        search = ThresholdSearchParams(signed_width(bound), (tuple(nodes.tolist()),))
        return self.add(node.name, f"search_{node.name}", Search(search), name, phase=phase)

    def _one_term(self, node: Node, term: Node, phase: int) -> str:
        """Add the table of codes of one term."""
        quantizer = self.quantizer(node)
        raw = self._rounded_down(term, quantizer.fraction)
        if own_offsets(quantizer):
            made = Wide(int(np.abs(raw).max()), quantizer.fraction)
            name = self._table(f"{node.name}_raw", term, raw, made, phase)
            largest = int(np.abs(raw).max() + np.abs(quantizer.offset).max()) + 1
            trees = (tuple(encoder_nodes(quantizer, 0)),)
            search = ThresholdSearchParams(signed_width(largest), trees)
            operation = Search(search, offset=quantizer.offset)
            return self.add(node.name, f"search_{node.name}", operation, name, phase=phase)
        shared = replace(quantizer, offset=quantizer.offset.reshape(-1)[0])
        codes = shared.encode(raw, quantizer.fraction)
        return self._table(node.name, term, codes, Code(quantizer.levels), phase)

    def _rounded_down(self, term: Node, fraction: int) -> Ints:
        """Return the values of a term for all codes, rounded down to `fraction` bits.

        Thresholds are integers in their quantizer's fraction, which a value reaches where its
        floor does.
        """
        if is_pair(term):
            exact = self.layer.fraction(term)
            return self._products_of(term, exact) >> exact - fraction
        factors = [Fraction(1 << fraction)]
        activation = term
        if term.operation == "product":
            factor, activation = sorted(term.operands, key=is_factor, reverse=True)
            unit = self.quantizer(code_in(factor)).fraction
            factors = [Fraction(int(v) << fraction, 1 << unit) for v in self._values(factor)]
        code = activation.operands[0]
        values = [Fraction(int(v), 1 << self.quantizer(code).fraction) for v in self._values(code)]
        kind: Kind = activation.kind
        raw = [floor_product(factor, kind, value) for value in values for factor in factors]
        return np.array(raw, np.int64)

    def _products_of(self, pair: Node, fraction: int) -> Ints:
        """Return the products of all values in `fraction` bits, the first code in the low bits."""
        left, right = pair.operands
        values = np.outer(self._values(right), self._values(left)).ravel()
        return np.asarray(values << fraction - self.layer.fraction(pair))

    def _values(self, factor: Node) -> Ints:
        """Return the values of all codes, or of their complements."""
        quantizer = self.quantizer(code_in(factor))
        values = np.asarray(quantizer.decode(np.arange(1 << quantizer.levels)))
        return values if factor.is_code else (1 << quantizer.fraction) - values

    def _table(self, name: str, term: Node, words: Ints, made: Code | Wide, phase: int) -> str:
        """Add the table of a term over its codes."""
        codes = codes_of(term)
        levels = tuple(self.quantizer(code).levels for code in codes)
        operation = Table(CodeTableParams(tuple(words.tolist())), levels, made)
        role = f"table_{name}" if isinstance(made, Code) else name.removeprefix("_")
        names = [self.names[code] for code in codes]
        return self.add(name, role, operation, *names, phase=phase)


def is_term(node: Node) -> bool:
    """Return whether a value is a table over at most two codes."""
    if is_pair(node):
        return True
    if node.operation == "activation":
        return node.operands[0].is_code
    if node.operation != "product":
        return False
    code, other = sorted(node.operands, key=is_factor, reverse=True)
    return is_factor(code) and other.operation == "activation" and other.operands[0].is_code


def codes_of(term: Node) -> list[Node]:
    """Return the codes of a term, that of the low bits of its table first."""
    if is_pair(term):
        return [code_in(factor) for factor in term.operands]
    if term.operation == "activation":
        return [code_in(term.operands[0])]
    code, activation = sorted(term.operands, key=is_factor, reverse=True)
    return [code_in(code), code_in(activation.operands[0])]


def own_offsets(quantizer: Quantizer) -> bool:
    """Return whether the offset differs between elements."""
    return bool((quantizer.offset != quantizer.offset.reshape(-1)[0]).any())
