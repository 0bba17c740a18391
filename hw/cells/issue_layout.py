"""Payload layouts of the first half of a cell: what one cycle takes in, and what a row's sum is."""

from amaranth.hdl import ShapeLike, signed, unsigned
from amaranth.lib import data

from mubinn.golden.folding.layer_plan import LayerPlan
from mubinn.hw.cells.cell_layout import CellLayouts, scale_array


def tags(plan: LayerPlan) -> tuple[str, ...]:
    """Return the names of what travels from a row's issues to its sum."""
    return tuple(tag_fields(plan))


def words_layout(plan: LayerPlan, name: str) -> data.StructLayout:
    """Return a part of an issue: words of elements, weights and g_ij by multiplier."""
    side, lanes = plan.side, plan.parts[name]
    fields: dict[str, ShapeLike] = {
        "a": data.ArrayLayout(unsigned(lanes), side),
        "w": data.ArrayLayout(unsigned(lanes), side),
        "gamma": data.ArrayLayout(unsigned(plan.gamma_width), plan.scales),
    }
    return data.StructLayout(fields | ({"odd": unsigned(1)} if name in plan.odd_parts else {}))


def issue_layout(plan: LayerPlan) -> data.StructLayout:
    """Return what one cycle takes in.

    For each part of the row the words that meet, the weights' and their g_ij. Unused lanes of a
    shorter word cancel, but for one where their count is odd: ``odd`` is the parity of the
    elements in use. ``first, last`` mark a row's first and last issue; bias and scales are read on
    the first one. Where rows share cycles, ``late`` marks the multipliers whose pairs are of the
    row that begins in a last issue, and ``joined`` a first issue that goes on with such a row.
    ``gate`` and ``dense`` tell whose row it is, ``c, h_offset`` are the cell's.
    """
    add = plan.bias_add
    shared = {"late": unsigned(plan.side), "joined": unsigned(1)} if plan.rolling else {}
    return data.StructLayout(
        {
            **shared,
            **{name: words_layout(plan, name) for name in plan.parts},
            "first": unsigned(1),
            "last": unsigned(1),
            "bias": unsigned(add.levels),
            "bias_scales": scale_array(add.scale_width, add.levels),
            **tag_fields(plan),
        }
    )


def tag_fields(plan: LayerPlan) -> dict[str, ShapeLike]:
    """Return the shapes of `tags`."""
    layouts = CellLayouts(plan.layer)
    return {"gate": unsigned(layouts.row_bits), "dense": unsigned(1), **layouts.tags}


def sum_layout(plan: LayerPlan) -> data.StructLayout:
    """Return the sum z of a row and its tags."""
    return data.StructLayout({"z": signed(plan.z_width), **tag_fields(plan)})


def product_trace(plan: LayerPlan) -> data.StructLayout:
    """Return what one issue computes: dot products and products, by part and multiplier."""
    width = plan.dot_width + plan.gamma_width
    return data.StructLayout(
        {
            f"{kind}_{name}": data.ArrayLayout(signed(bits), plan.side)
            for name in plan.parts
            for kind, bits in (("dot", plan.dot_width), ("prod", width))
        }
    )


def sum_trace(plan: LayerPlan) -> data.StructLayout:
    """Return what the sum of a gate is made of; merged rows have no products of their own.

    ``issues`` are the last cycles up to the row's end, as many as a row may meet.
    """
    if plan.merged:
        return data.StructLayout({"z": signed(plan.z_width)})
    issues = data.ArrayLayout(product_trace(plan), plan.issues)
    return data.StructLayout({"issues": issues, "z": signed(plan.z_width)})
