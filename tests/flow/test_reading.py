"""Whether ABC reads a library as this program does."""

from dataclasses import replace

import pytest

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth import SynthJob, builtin_library, synthesize
from mubinn.synth.flow.reading import check_reading

LIBRARY = builtin_library()
TEXT = LIBRARY.texts[0]


def test_the_built_in_library_is_read_whole():
    check_reading(LIBRARY)


def test_a_folder_for_temporary_files_with_a_blank_is_told(tmp_path, monkeypatch):
    place = tmp_path / "a b"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    check_reading.cache_clear()
    check_reading(LIBRARY)
    job = SynthJob("module m(input a, b, c, output y); assign y = a ^ b & c; endmodule", "m")
    with pytest.raises(MubinnError, match=r"a b, has a space in its name, which Yosys .* TMPDIR"):
        synthesize(job, library=LIBRARY, cache_path=tmp_path)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TEXT.replace("lu_table_template", "another_template"), "Template"),
        (TEXT[: len(TEXT) // 2], "cannot use the library"),
        ("library (none) {\n}\n", "cannot use the library"),
    ],
    ids=["templates", "cut", "empty"],
)
def test_what_abc_says_of_a_library_is_a_fault(text, told):
    assert text != TEXT
    with pytest.raises(MubinnError, match=told):
        check_reading(replace(LIBRARY, texts=(text,)))


def test_a_cell_that_abc_does_not_see_is_a_fault(tmp_path):
    fewer = replace(LIBRARY, gates=LIBRARY.gates[1:])
    with pytest.raises(MubinnError, match=rf"reads {len(LIBRARY.gates)} cells .* which has"):
        check_reading(fewer)
    job = SynthJob("module m(input a, output y); assign y = !a; endmodule", "m")
    with pytest.raises(MubinnError, match="ABC reads"):
        synthesize(job, library=fewer, cache_path=tmp_path)
