"""The C header of an accelerator's ports."""

from collections.abc import Iterator

from mubinn.hw.export.render import Json

GUARD = "MUBINN_H"


def c_header(about: Json) -> str:
    """Return offsets, masks and packet places as macros, from `hw.export.interface.interface`."""
    lines = [
        "/* Registers and packets of the accelerator; offsets and sizes in bytes. */",
        f"#ifndef {GUARD}",
        f"#define {GUARD}",
        "",
        f"#define MUBINN_TDATA_BITS {about['tdata_bits']}",
        *_packet("INPUT", "one time step on s_axis", about["input"]),
        *_packet("RESULT", "one result on m_axis", about["result"]),
    ]
    for name, register in about["registers"].items():
        lines += _register(name.upper(), register)
    return "\n".join([*lines, "", f"#endif /* {GUARD} */"]) + "\n"


def _packet(name: str, meaning: str, packet: Json) -> Iterator[str]:
    yield f"\n/* {meaning} */"
    yield f"#define MUBINN_{name}_BYTES {packet['bytes']}"
    for field, place in packet["fields"].items():
        stem = f"MUBINN_{name}_{field.upper()}"
        kind = "signed" if place["signed"] else "unsigned"
        yield f"#define {stem} {place['byte']} /* {kind}, {place['bits']} bits in use */"
        yield f"#define {stem}_SIZE {place['step']}"
        yield f"#define {stem}_COUNT {place['count']}"


def _register(name: str, register: Json) -> Iterator[str]:
    yield f"\n/* {register['access']}: {register['meaning']} */"
    yield f"#define MUBINN_{name} {register['offset']:#04x}"
    for field, bits in register["fields"].items():
        mask = ((1 << bits["width"]) - 1) << bits["lowest_bit"]
        yield f"#define MUBINN_{name}_{field.upper()} {mask:#x}u /* {bits['meaning']} */"
