"""Payloads are packed as Amaranth lays them out."""

import json

import numpy as np
import pytest
from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from mubinn.golden.ground.errors import MubinnError
from mubinn.sim.testbench.payload import (
    bits_to_int,
    bits_to_ints,
    fields_from_json,
    fields_of,
    fields_to_json,
    int_to_bits,
    ints_to_bits,
    pack_bits,
    unpack_bits,
)

LAYOUT = data.StructLayout(
    {
        "a": signed(5),
        "empty": unsigned(0),
        "pairs": data.ArrayLayout(data.StructLayout({"x": unsigned(3), "y": signed(4)}), 2),
        "grid": data.ArrayLayout(data.ArrayLayout(signed(3), 4), 2),
        "wide": unsigned(130),
    }
)
WIDTH = 5 + 14 + 24 + 130


def values(count: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    return {
        "a": random.integers(-16, 16, count),
        "pairs.x": random.integers(0, 8, (count, 2)),
        "pairs.y": random.integers(-8, 8, (count, 2)),
        "grid": random.integers(-4, 4, (count, 2, 4)),
        "wide": random.integers(0, 2, (count, 130), dtype=np.uint8),
    }


def test_packing_equals_amaranth_and_unpacks() -> None:
    given = values(20)
    fields = fields_of(LAYOUT)
    assert [field.name for field in fields] == list(given)
    bits = pack_bits(fields, WIDTH, given)
    for k, packed in enumerate(bits_to_ints(bits)):
        constant = LAYOUT.const(
            {
                "a": int(given["a"][k]),
                "pairs": [
                    {"x": int(given["pairs.x"][k, j]), "y": int(given["pairs.y"][k, j])}
                    for j in range(2)
                ],
                "grid": given["grid"][k].tolist(),
                "wide": sum(int(bit) << n for n, bit in enumerate(given["wide"][k])),
            }
        )
        assert packed == constant.as_bits()
    for name, array in unpack_bits(fields, bits).items():
        np.testing.assert_array_equal(array, given[name])


def test_the_description_survives_json() -> None:
    fields = fields_of(LAYOUT)
    assert fields_from_json(json.loads(json.dumps(fields_to_json(fields)))) == fields


def test_plain_payloads_and_forms_of_values() -> None:
    [field] = fields_of(signed(70))
    assert field.name == "payload"
    numbers = [-1, (1 << 69) - 1, -(1 << 69), 5]
    bits = pack_bits([field], 70, {"payload": np.array(numbers, dtype=object)})
    assert bits_to_ints(bits) == [n % (1 << 70) for n in numbers]
    again = pack_bits([field], 70, {"payload": bits})
    np.testing.assert_array_equal(again, bits)
    [field] = fields_of(unsigned(63))
    top = np.array([(1 << 63) - 1, 0], np.uint64)
    bits = pack_bits([field], 63, {"payload": top})
    np.testing.assert_array_equal(unpack_bits([field], bits)["payload"], top.astype(np.int64))


def test_bits_and_integers() -> None:
    bits = np.array([[1, 0, 0, 1, 1], [0, 1, 1, 0, 1]], np.uint8)
    assert bits_to_ints(bits) == [0b11001, 0b10110]
    assert bits_to_int(bits) == 0b10110_11001
    np.testing.assert_array_equal(int_to_bits(0b10110_11001, 10).reshape(2, 5), bits)
    np.testing.assert_array_equal(ints_to_bits([0b11001, 0b10110], 5), bits)


FAULTS = {
    "missing": ({"a": [1]}, "The payload has the fields a, v; given were a"),
    "unknown": ({"a": [1], "v": [[0, 0]], "z": [1]}, "given were a, v, z"),
    "large": ({"a": [8], "v": [[0, 0]]}, "Field a has the value 8, which does not fit in 4 signed"),
    "small": ({"a": [1], "v": [[0, -1]]}, "Field v has the value -1, which does not fit in 3 uns"),
    "shape": ({"a": [1], "v": [0]}, r"Field v has shape \(1,\)"),
    "bits": ({"a": [[0, 1, 2, 0]], "v": [[0, 0]]}, "Field a is given as bits, which must be 0 or"),
    "float": ({"a": [1.0], "v": [[0, 0]]}, "Field a has dtype float64; give integers"),
    "count": ({"a": [1, 2], "v": [[0, 0]]}, "same number of transfers; given were 2 of a, 1 of v"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_are_named(kind: str) -> None:
    layout = data.StructLayout({"a": signed(4), "v": data.ArrayLayout(unsigned(3), 2)})
    given, message = FAULTS[kind]
    with pytest.raises(MubinnError, match=message):
        pack_bits(fields_of(layout), 10, given)


def test_unions_cannot_be_packed_by_name() -> None:
    with pytest.raises(TypeError, match="is a union"):
        fields_of(data.UnionLayout({"a": signed(4), "b": unsigned(2)}))
