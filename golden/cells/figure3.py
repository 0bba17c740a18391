"""The units of Figure 3 for any cell: LUT and encoder a gate, pointwise multipliers, MACs.

============================  ====================================================================
activation of a row or sum    `Round` to the LUT's input, `Activate`
activation of a code          `Decode` before that
encoder                       `Encode`, Algorithm 1, or the `Search` of ordered thresholds; one for
                              all gates, with constants of each
a b, or a b + c d, of codes   `Products`, one pointwise XNOR multiplier (Eq. 5)
a code times a number         `Scale`, the MAC of Eq. (6)
any other sum                 `Add`
============================  ====================================================================

Algorithm 1 has the chain of residuals that the paper draws and Table I measures. Ordered thresholds
have the search, which takes any tree. Where both can compute the same (thresholds equal to the
nodes of Algorithm 1) the search has fewer gates from three levels on and about as many below; LUTs
may be more. One encoder of constants on 16 bits, gates (Yosys, AND to XNOR) and LUTs (xc7):

======  ==============  ==============  ======================  ======================
levels  chain           search          chain, with an offset   search, with an offset
======  ==============  ==============  ======================  ======================
1       2, 0 LUTs       2, 0 LUTs       11, 3 LUTs              11, 3 LUTs
2       29, 6 LUTs      23, 8 LUTs      28, 9 LUTs              30, 10 LUTs
3       72, 25 LUTs     44, 17 LUTs     93, 36 LUTs             63, 23 LUTs
4       128, 20 LUTs    100, 39 LUTs    150, 56 LUTs            112, 40 LUTs
======  ==============  ==============  ======================  ======================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mubinn.golden.binarize.scales import Quantizer
from mubinn.golden.cells.graph import Node
from mubinn.golden.cells.lowering import (
    Numbers,
    Rules,
    code_in,
    direct_gates,
    gates_by_row,
    is_factor,
    is_pair,
    row_of,
    short_name,
    terms,
)
from mubinn.golden.cells.operations import (
    Activate,
    Add,
    Decode,
    Encode,
    Products,
    Round,
    Scale,
    Search,
    Wide,
)
from mubinn.golden.ground.fixed import Ints, signed_width, unsigned_width
from mubinn.golden.units.mac import MacParams
from mubinn.golden.units.mlb_decoder import MlbDecoderParams
from mubinn.golden.units.mlb_encoder import MlbEncoderParams
from mubinn.golden.units.pointwise import PointwiseParams
from mubinn.golden.units.requantize import RequantizeParams
from mubinn.golden.units.shapes import shape_of
from mubinn.golden.units.threshold_search import encoder_search


class Figure3(Rules):
    """The rules of this datapath."""

    def encoded(self, node: Node) -> str:
        """Add what an encoder reads, and the encoder."""
        name, phase = node.name, self.cell.phase(node)
        if node in self.cell.gates:
            source = node.operands[0].operands[0]
            own = "z" if source.operation == "row" else name
            value = self._value(source, f"{name}_raw", phase)
            y = self._activated(node.operands[0], value, (f"{name}.z_q", f"{name}.y"), own, phase)
            role = "encode_gate" if own == "z" else f"encode_{name}"
            return self.add(name, role, self._gate_encoder(node, own == "z"), y, phase=phase)
        value = self._value(node.operands[0], f"{name}_raw", phase)
        operation = encoder(self.quantizer(node), self.wide(value))
        return self.add(name, f"encode_{name}", operation, value, phase=phase)

    def _gate_encoder(self, node: Node, direct: bool) -> Encode | Search:
        """Return the encoder of a gate: those that read a row share one, in one kind for all."""
        layer = self.layer
        fraction = layer.formats.y_fraction
        gates = tuple(layer.gates.values())
        width = gate_width(layer)
        if not any(quantizer.encoder for quantizer in gates):
            return Encode(encoder_params(gates, fraction, width), layer.gates[node.name], fraction)
        if not direct:
            return Search(encoder_search((layer.gates[node.name],), fraction, width))
        own = [layer.gates[gate.name] for gate in gates_by_row(self.cell)]
        return Search(encoder_search(own, fraction, width), row_of(self.cell, node))

    def _activated(
        self, node: Node, value: str, names: tuple[str, str], own: str, phase: int
    ) -> str:
        """Add rounding and LUT of the number `value`; `own` tells their roles apart."""
        formats, made = self.layer.formats, self.wide(value)
        params = RequantizeParams(made.width, made.fraction, formats.z_width, formats.z_fraction)
        z_q = self.add(names[0], f"round_{own}", Round(params), value, phase=phase)
        operation = Activate(formats.activation(node.kind))
        return self.add(names[1], self._lut(node, own), operation, z_q, phase=phase)

    def _lut(self, node: Node, own: str) -> str:
        """Return the role of a LUT: rows share one of each kind."""
        if own != "z":
            return f"{shape_of(node.kind).label}_{own}"
        if node.kind == "sigmoid":
            return "sigmoid"
        first = next(g for g in direct_gates(self.cell) if g.operands[0].kind == node.kind)
        return f"{shape_of(node.kind).label}_{first.name}"

    def _value(self, node: Node, name: str, phase: int) -> str:
        """Add the units of a number, `name` where it is made of several; return its name."""
        if node in self.names and not node.is_code:
            return self.names[node]
        if node.operation == "activation":
            return self._activation(node, name, phase)
        own = terms(node)
        pairs = [term for term in own if is_pair(term)]
        if len(pairs) == len(own) <= 2:
            return self._products(pairs, name, phase)
        if len(own) == 1:
            return self._single(node, name, phase)
        numbers = [
            self._products(pairs[k : k + 2], "".join(map(short_name, pairs[k : k + 2])), phase)
            for k in range(0, len(pairs), 2)
        ]
        others = (term for term in own if not is_pair(term))
        numbers += [self._value(term, short_name(term), phase) for term in others]
        operation = added([self.wide(number) for number in numbers])
        return self.add(name, f"add_{name}", operation, *numbers, phase=phase)

    def _single(self, node: Node, name: str, phase: int) -> str:
        """Add the units of a code as a number, or of a code times a number."""
        if is_factor(node):
            return self._decoded(node, phase)
        if node.operation != "product":
            raise self.fault(node, "Figure 3 has no unit for it.")
        factors = sorted(node.operands, key=is_factor, reverse=True)
        code, number = factors
        if not code.is_code:
            raise self.fault(node, "a product needs a code on one side: encode one of the two.")
        value = self._value(number, f"{name}_{short_name(number)}", phase)
        made, quantizer = self.wide(value), self.quantizer(code)
        scale = int(max(quantizer.scales.max(), np.abs(quantizer.offset).max()))
        bound = quantizer.peak * made.bound
        params = MacParams(quantizer.levels, unsigned_width(scale), made.width, signed_width(bound))
        operation = Scale(params, quantizer, bound, quantizer.fraction + made.fraction)
        role = self.role("mac", name)
        return self.add(name, role, operation, self.names[code], value, phase=phase)

    def _activation(self, node: Node, name: str, phase: int) -> str:
        source = node.operands[0]
        if is_factor(source):
            stem = code_in(source).name
            value = self._decoded(source, phase)
            names = f"{stem}_q", f"{shape_of(node.kind).label}_{stem}"
            return self._activated(node, value, names, stem, phase)
        stem = name.removesuffix("_raw")
        value = self._value(source, f"{stem}_sum", phase)
        return self._activated(node, value, (f"{stem}_q", f"{stem}_raw"), stem, phase)

    def _decoded(self, node: Node, phase: int) -> str:
        if not node.is_code:
            raise self.fault(node, "a complement stands in products alone.")
        quantizer = self.quantizer(node)
        params = MlbDecoderParams(
            levels=quantizer.levels,
            offset_width=signed_width(int(np.abs(quantizer.offset).max()))
            if quantizer.has_offset
            else 0,
            scale_width=unsigned_width(int(quantizer.scales.max())),
            value_width=signed_width(quantizer.peak),
        )
        operation = Decode(params, quantizer)
        name = f"_{node.name}_value"
        return self.add(name, f"decode_{node.name}", operation, self.names[node], phase=phase)

    def _products(self, pairs: Sequence[Node], name: str, phase: int) -> str:
        """Add the multiplier of one product of codes, or of two."""
        factors = [factor for pair in pairs for factor in pair.operands]
        own = [self._factor(factor) for factor in factors]
        fraction = max(
            left.fraction + right.fraction for left, right in zip(own[::2], own[1::2], strict=True)
        )
        gammas = [
            pair_products(left, right, fraction)
            for left, right in zip(own[::2], own[1::2], strict=True)
        ]
        if len(gammas) == 1:
            gammas.append(np.zeros_like(gammas[0]))
            own = own * 2
        params = pointwise_params(own, gammas)
        inverted = tuple(not factor.is_code for factor in factors)
        operation = Products(params, (gammas[0], gammas[1]), inverted, fraction)
        names = [self.names[code_in(factor)] for factor in factors]
        return self.add(name, self.role("pointwise", name), operation, *names, phase=phase)

    def _factor(self, node: Node) -> Quantizer:
        """Return the quantizer of a factor; level bits of a complement are those inverted."""
        quantizer = self.quantizer(code_in(node))
        if node.is_code:
            return quantizer
        one = 1 << quantizer.fraction
        return replace(quantizer, offset=one - quantizer.offset)


def gate_width(layer: Numbers) -> int:
    """Return the bits of what the LUTs of the gates make; without gates, of sigmoid."""
    kinds = {gate.operands[0].kind for gate in layer.cell.gates} or {"sigmoid"}
    return max(layer.formats.activation(kind).out_width for kind in kinds)


def added(values: Sequence[Wide]) -> Add:
    """Return the sum of numbers of such formats."""
    fraction = max(value.fraction for value in values)
    shifts = tuple(fraction - value.fraction for value in values)
    bound = sum(value.bound << shift for value, shift in zip(values, shifts, strict=True))
    return Add(shifts, bound, fraction)


def encoder(quantizer: Quantizer, made: Wide) -> Encode | Search:
    """Return what encodes a number of the format `made`: a search where it has thresholds."""
    if quantizer.encoder is None:
        params = encoder_params((quantizer,), made.fraction, made.width)
        return Encode(params, quantizer, made.fraction)
    if not quantizer.offset.ndim:
        return Search(encoder_search((quantizer,), made.fraction, made.width))
    offset = quantizer.offset << made.fraction - quantizer.fraction
    width = signed_width(made.bound + int(np.abs(offset).max()))
    return Search(encoder_search((quantizer,), made.fraction, width, 0), offset=offset)


def encoder_params(quantizers: Sequence[Quantizer], fraction: int, width: int) -> MlbEncoderParams:
    """Return the parameters of one encoder for all `quantizers`, which have one level count.

    The signed value has `width` bits, `fraction` of them behind the point.
    """
    shifts = [fraction - q.fraction for q in quantizers]
    pairs = list(zip(quantizers, shifts, strict=True))
    offset = max(int(np.abs(q.offset).max()) << shift for q, shift in pairs)
    scale = max(int(q.scales.max()) << shift for q, shift in pairs)
    return MlbEncoderParams(
        levels=quantizers[0].levels,
        value_width=width,
        offset_width=signed_width(offset) if offset else 0,
        scale_width=unsigned_width(scale),
    )


def pointwise_params(factors: Sequence[Quantizer], gammas: Sequence[Ints]) -> PointwiseParams:
    """Return the parameters of ``a b + c d`` with the g_km `gammas` of both products."""
    a, b, c, d = factors
    sizes = [np.abs(gamma) for gamma in gammas]
    return PointwiseParams(
        a_levels=a.levels,
        b_levels=b.levels,
        c_levels=c.levels,
        d_levels=d.levels,
        a_offset=a.has_offset,
        b_offset=b.has_offset,
        c_offset=c.has_offset,
        d_offset=d.has_offset,
        gamma_width=signed_width(max(int(gamma.max()) for gamma in sizes)),
        sum_width=signed_width(sum(int(gamma.sum()) for gamma in sizes)),
    )


def with_offset(quantizer: Quantizer) -> Ints:
    """Return the scales, preceded by the one offset of the tensor where it is not zero."""
    if not quantizer.has_offset:
        return quantizer.scales
    return np.concatenate([quantizer.offset.reshape(1), quantizer.scales])


def pair_products(left: Quantizer, right: Quantizer, fraction: int) -> Ints:
    """Return g_km of an elementwise product (Eq. 5) in `fraction` bits, int64 [levels, levels].

    An offset's row or column stands first where there is one.
    """
    shift = fraction - left.fraction - right.fraction
    return np.outer(with_offset(left), with_offset(right)) << shift
