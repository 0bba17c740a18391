"""Driver and C header: packets and registers as the interface describes them."""

import shutil
import subprocess

import pytest
from amaranth.hdl import signed
from amaranth.lib import data

from mubinn.hw.axi.register_map import CARRYING, CONTROL, LOADING
from mubinn.hw.export.c_header import c_header
from mubinn.hw.export.driver import ID, AcceleratorError, Driver
from mubinn.hw.export.interface import packet, registers

LEVELS, FEATURES = 3, 10
FRAME = data.StructLayout({"x": data.ArrayLayout(FEATURES, LEVELS), "last": 1})
SAMPLES = data.StructLayout({"x": data.ArrayLayout(signed(20), 2), "last": 1})
RESULT = data.StructLayout({"label": 2, "logits": data.ArrayLayout(signed(21), 3)})


def about(frame=FRAME, width=32):
    return {
        "tdata_bits": width,
        "input": packet(frame, width),
        "result": packet(RESULT, width),
        "max_steps": 3,
        "registers": registers(CONTROL | LOADING),
    }


class Port:
    """A port that answers from dictionaries."""

    def __init__(self, **registers):
        values = {"id": ID, "status": 0, **registers}
        known = CONTROL | LOADING
        self.values = {known[name].offset: value for name, value in values.items()}
        self.written, self.sent, self.answer = [], [], b""

    def read(self, address):
        return self.values[address]

    def write(self, address, value):
        self.written.append((address, value))

    def send(self, data):
        self.sent.append(data)

    def receive(self):
        return self.answer


def test_a_state_is_carried_where_there_is_a_register():
    port = Port()
    with pytest.raises(AcceleratorError, match="generate one with --state register"):
        Driver(port, about()).carry(on=True)
    driver = Driver(port, {**about(), "registers": registers(CONTROL | CARRYING)})
    driver.carry(on=True)
    driver.carry(on=False)
    assert port.written == [(0x20, 1), (0x20, 0)]


def test_commands_and_status_are_those_of_the_map():
    port = Port(status=0b10010, cycles=77)
    driver = Driver(port, about())
    driver.start()
    driver.abort()
    driver.reset()
    assert port.written == [(4, 1), (4, 2), (4, 4)]
    status = driver.status()
    assert [name for name, on in status.items() if on] == ["busy", "fault"]
    assert driver.cycles() == 77


def test_another_design_is_told():
    with pytest.raises(AcceleratorError, match=r"id reads 0x1, not 0x4d754269"):
        Driver(Port(id=1), about())


def test_contents_are_all_there_and_its_own():
    port = Port(loading=0b01)
    Driver(port, about()).load(bytes(range(1, 7)))
    assert port.written == [(0x1C, 1), (0x18, 0x04030201), (0x18, 0x0605)]
    with pytest.raises(AcceleratorError, match="5 bytes are not all contents"):
        Driver(Port(loading=0), about()).load(bytes(5))
    with pytest.raises(AcceleratorError, match=r"another model, .* generate one"):
        Driver(Port(loading=0b10), about()).load(bytes(5))


def test_windows_that_the_logits_do_not_hold_are_told():
    driver, port = Driver(Port(), about()), Port()
    assert driver.pack([[0] * FEATURES] * 3)
    with pytest.raises(ValueError, match="4 steps is longer than the 3 that the logits hold"):
        driver.pack([[0] * FEATURES] * 4)
    with pytest.raises(ValueError, match="generate the accelerator for 4 steps or more"):
        Driver(port, about()).run([[0] * FEATURES] * 4)
    assert not port.sent
    unlimited = Driver(Port(), {**about(), "max_steps": None})
    assert unlimited.pack([[0] * FEATURES] * 4)


def test_codes_travel_as_level_planes():
    driver = Driver(Port(), about())
    codes = [1, 2, 4, 7, 0, 0, 0, 0, 0, 5]
    # Level 0 of features 0, 3 and 9; level 1 of 1 and 3; level 2 of 2, 3 and 9.
    planes = [0b10_0000_1001, 0b1010, 0b10_0000_1100]
    expected = b"".join(plane.to_bytes(2, "little") for plane in planes) + b"\0\0"
    assert driver.pack([codes, codes]) == 2 * expected
    with pytest.raises(ValueError, match="3 level bits"):
        driver.pack([[8] * FEATURES])
    with pytest.raises(ValueError, match="does not fit into 10 bits"):
        driver.pack([[1] * (FEATURES + 1)])


def test_samples_travel_as_native_integers():
    driver = Driver(Port(), about(SAMPLES, 8))
    assert driver.pack([[-1, 3]]) == b"\xff\xff\xff\xff\3\0\0\0"
    with pytest.raises(ValueError, match="524288 does not fit into 20 bits"):
        driver.pack([[524288, 0]])
    with pytest.raises(ValueError, match="1 numbers in a step, not 2"):
        driver.pack([[5]])


def test_results_are_read_by_field():
    port = Port()
    driver = Driver(port, about(width=64))
    logits = [-1048576, 5, 1048575]
    packed = b"\2\0\0\0" + b"".join(n.to_bytes(4, "little", signed=True) for n in logits)
    port.answer = packed.ljust(16, b"\0")
    assert driver.run([[0] * FEATURES]) == {"label": 2, "logits": logits}
    assert port.sent == [b"\0" * 8]
    port.answer = b"\0"
    with pytest.raises(AcceleratorError, match="1 bytes, not 16"):
        driver.run([[0] * FEATURES])


def test_streams_alone_need_no_registers():
    bare = {**about(), "registers": {}}
    assert Driver(Port(id=0), bare).registers == {}
    assert "MUBINN_CONTROL" not in c_header(bare, "mubinn")


MACROS = {
    "MUBINN_TDATA_BITS": 64,
    "MUBINN_INPUT_BYTES": 8,
    "MUBINN_INPUT_X": 0,
    "MUBINN_INPUT_X_SIZE": 2,
    "MUBINN_INPUT_X_COUNT": LEVELS,
    "MUBINN_RESULT_BYTES": 16,
    "MUBINN_RESULT_LOGITS": 4,
    "MUBINN_RESULT_LOGITS_SIZE": 4,
    "MUBINN_RESULT_LOGITS_COUNT": 3,
    "MUBINN_CONTROL": CONTROL["control"].offset,
    "MUBINN_CONTROL_RESET": 4,
    "MUBINN_STATUS_FAULT": 16,
    "MUBINN_CYCLES": CONTROL["cycles"].offset,
}


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C compiler")
def test_a_compiler_reads_the_header(tmp_path):
    (tmp_path / "mubinn.h").write_text(c_header(about(width=64), "mubinn"))
    prints = "".join(f'printf("%ld\\n", (long)({name}));' for name in MACROS)
    program = (
        f'#include <stdio.h>\n#include "mubinn.h"\n#include "mubinn.h"\nint main() {{{prints}}}'
    )
    (tmp_path / "main.c").write_text(program)
    command = ["g++", "-xc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-o", "main", "main.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    run = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    assert [int(line) for line in run.stdout.split()] == list(MACROS.values())


def test_a_result_at_every_step_is_a_list():
    each = data.StructLayout({"values": data.ArrayLayout(signed(21), 1), "end": 1})
    port = Port()
    driver = Driver(port, {**about(), "result": packet(each, 32)})
    results = [{"values": value, "end": int(value == 7)} for value in (-5, 0, 7)]
    answers = map(driver.pack_result, results)
    port.receive = lambda: next(answers)
    assert driver.run([[0] * FEATURES] * 3) == results
