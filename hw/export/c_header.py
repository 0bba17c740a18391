"""The C header of an accelerator's ports."""

from collections.abc import Iterator

from mubinn.hw.export.render import Json


def c_header(about: Json, name: str) -> str:
    """Return offsets, masks and packet places as macros, from `hw.export.interface.interface`.

    The macros begin with the name of the top module.
    """
    prefix = name.upper()
    guard = f"{prefix}_H"
    words = "send" in about["registers"]
    lines = [
        "/* Registers and packets of the accelerator; offsets and sizes in bytes. */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        f"#define {prefix}_TDATA_BITS {about['tdata_bits']}",
        *_packet(f"{prefix}_INPUT", "one time step" + " on s_axis" * (not words), about["input"]),
        *_packet(f"{prefix}_RESULT", "one result" + " on m_axis" * (not words), about["result"]),
    ]
    if "state_bytes" in about:
        lines += [
            "",
            "/* the whole state */",
            f"#define {prefix}_STATE_BYTES {about['state_bytes']}",
        ]
    for register_name, register in about["registers"].items():
        lines += _register(f"{prefix}_{register_name.upper()}", register)
    return "\n".join([*lines, "", f"#endif /* {guard} */"]) + "\n"


def _packet(name: str, meaning: str, packet: Json) -> Iterator[str]:
    yield f"\n/* {meaning} */"
    yield f"#define {name}_BYTES {packet['bytes']}"
    for field, place in packet["fields"].items():
        stem = f"{name}_{field.upper()}"
        kind = "signed" if place["signed"] else "unsigned"
        yield f"#define {stem} {place['byte']} /* {kind}, {place['bits']} bits in use */"
        yield f"#define {stem}_SIZE {place['step']}"
        yield f"#define {stem}_COUNT {place['count']}"


def _register(name: str, register: Json) -> Iterator[str]:
    yield f"\n/* {register['access']}: {register['meaning']} */"
    yield f"#define {name} {register['offset']:#04x}"
    for field, bits in register["fields"].items():
        mask = ((1 << bits["width"]) - 1) << bits["lowest_bit"]
        yield f"#define {name}_{field.upper()} {mask:#x}u /* {bits['meaning']} */"
