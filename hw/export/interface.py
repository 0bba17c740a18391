"""What a user of an accelerator's ports has to know, as JSON types: one source for all files."""

from collections.abc import Mapping

from amaranth.lib import data

from mubinn.hw.axi.axi_top import AxiTop
from mubinn.hw.axi.register_map import BYTES, Register
from mubinn.hw.export.render import Json
from mubinn.hw.link.link_top import LinkTop
from mubinn.hw.stream.packet import LAST, Slot, beats, slots
from mubinn.hw.wishbone.wishbone_top import WishboneTop


def interface(top: AxiTop | WishboneTop) -> Json:
    """Return streams and registers of an accelerator: where every element and bit is.

    ``samples`` of the input are those of a channel that make a time step. ``min_steps`` are the
    steps of the shortest window, ``max_steps`` those of the longest, None where nothing limits
    them. ``state_bytes``, of a state that goes out and in, are those of all of it.
    """
    return {
        "tdata_bits": top.reader.width,
        "input": packet(top.reader.layout, top.reader.width, top.reader.per_step)
        | {"samples": top.samples},
        "result": packet(top.writer.layout, top.writer.width),
        "min_steps": top.min_steps,
        "max_steps": top.max_steps,
        **({} if top.state_bytes is None else {"state_bytes": top.state_bytes}),
        "registers": registers(top.registers),
    }


def link_interface(top: LinkTop) -> Json:
    """Return what `interface` does of a model behind a link, whose packets hold bytes."""
    core = top.core
    return {
        "tdata_bits": 8,
        "input": packet(top.reader.layout, 8, core.per_step) | {"samples": core.samples},
        "result": packet(core.o.payload.shape(), 8),
        "min_steps": top.min_steps,
        "max_steps": top.max_steps,
        "registers": {},
    }


def packet(layout: data.StructLayout, width: int, per_step: int = 1) -> Json:
    """Return how a frame travels: bytes, beats, and its fields, and how many make a time step.

    A field of an array has ``count`` elements, ``step`` bytes apart; ``bits`` are those in use,
    the rest of an element is its sign or zero.
    """
    fields: dict[str, Json] = {}
    for slot in slots(layout):
        name = slot.name.partition("[")[0]
        if name in fields:
            fields[name]["count"] += 1
        else:
            fields[name] = _field(slot)
    count = beats(layout, width)
    return {
        "bytes": count * width // 8,
        "beats": count,
        "per_step": per_step,
        "has_last": LAST in layout.members,
        "fields": fields,
    }


def _field(slot: Slot) -> Json:
    return {
        "byte": slot.start // 8,
        "step": slot.size // 8,
        "count": 1,
        "bits": slot.width,
        "signed": slot.signed,
    }


def registers(known: Mapping[str, Register]) -> Json:
    """Return offset, access, meaning and fields of each register."""
    return {
        name: {
            "offset": register.offset,
            "bytes": BYTES,
            "access": str(register.access),
            "meaning": register.meaning,
            "fields": {
                field: {"lowest_bit": b.lowest, "width": b.width, "meaning": b.meaning}
                for field, b in register.fields.items()
            },
        }
        for name, register in known.items()
    }
