"""Liberty files: loaded, checked for what synthesis needs, and measured in FO4."""

import gzip
import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.boolean import truth_table
from mubinn.synth.liberty.nldm import fo4_ps, pin_capacitance
from mubinn.synth.liberty.tech65 import DEFAULT_FO4_PS, tech65_liberty
from mubinn.synth.liberty.tree import Group, parse

# Cells that are not for logic: clock gates, delay cells, level shifters and power switches of
# low-power flows, probes, diodes and keepers. A pattern that meets no cell does nothing.
DEFAULT_DONT_USE = (
    "*lpflow_*",
    "*probe*",
    "*clkgate*",
    "*dlygate*",
    "*dlymetal*",
    "*clkdlybuf*",
    "*_lgcp_*",
    "*_slgcp_*",
    "*sighold*",
    "*antenna*",
)

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_LIBRARY = re.compile(r"(?<!\w)library\s*\(")
_STATE = ("ff", "latch", "ff_bank", "latch_bank", "statetable")


@dataclass(frozen=True)
class LibraryGate:
    """One gate: name, area in um^2 (None: not given), output functions, Liberty group `cell`."""

    name: str
    area_um2: float | None
    functions: tuple[str, ...]
    is_flipflop: bool
    has_state: bool
    group: Group = field(repr=False)


@dataclass(frozen=True)
class Library:
    """A checked cell library.

    Attributes
    ----------
    name : str
        Name for reports.
    texts : tuple of str
        Liberty text of each file.
    dont_use : tuple of str
        Patterns, as in a shell, of gates that synthesis avoids.
    gates : tuple of LibraryGate
        All gates, those to avoid included.
    """

    name: str
    texts: tuple[str, ...] = field(repr=False)
    dont_use: tuple[str, ...]
    gates: tuple[LibraryGate, ...] = field(repr=False)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The library group of each file."""
        return tuple(group for text in self.texts for group in parse(text).of("library"))

    @cached_property
    def sha256(self) -> str:
        """Hash over the texts."""
        digest = hashlib.sha256()
        for text in self.texts:
            digest.update(hashlib.sha256(text.encode()).digest())
        return digest.hexdigest()

    @cached_property
    def _by_name(self) -> dict[str, LibraryGate]:
        return {gate.name: gate for gate in self.gates}

    @cached_property
    def _areas(self) -> dict[str, float | None]:
        return {gate.name: gate.area_um2 for gate in self.gates}

    def gate(self, name: str) -> LibraryGate:
        """Return the gate of that name.

        Raises
        ------
        MubinnError
            If the library has none.
        """
        if name not in self._by_name:
            raise MubinnError(f"The library has no cell {name}: map the design to it first.")
        return self._by_name[name]

    def usable(self) -> tuple[LibraryGate, ...]:
        """Return the gates that no pattern of `dont_use` excludes."""
        return tuple(
            c for c in self.gates if not any(fnmatchcase(c.name, p) for p in self.dont_use)
        )

    @cached_property
    def inverters(self) -> tuple[tuple[LibraryGate, float], ...]:
        """Usable inverters with their input capacitance in fF, smallest first."""
        found = [c for c in self.usable() if _is_gate(c, {(1, 0b01)})]
        sized = [(c, pin_capacitance(c.group)) for c in found]
        return tuple(sorted(sized, key=lambda pair: (pair[1], pair[0].name)))

    @cached_property
    def fo4_ps(self) -> float:
        """Fan-out-of-four delay in ps: the mean of rise and fall in an endless inverter chain.

        From the tables of the smallest inverter, each stage loaded by four of its own inputs.
        """
        return fo4_ps(self.inverters[0][0].group)

    def area_um2(self, kinds: Iterable[str]) -> float:
        """Return the area of gates, named as often as there are of them.

        Raises
        ------
        MubinnError
            If one of them has no area.
        """
        counts = Counter(kinds)
        if bare := sorted(kind for kind in counts if self._areas.get(kind) is None):
            raise MubinnError(
                f"The library {self.name} gives no area for {', '.join(bare)}: complete it."
            )
        return sum(count * (self._areas[kind] or 0.0) for kind, count in counts.items())

    def constraints(self) -> str:
        """Return ABC's constraints: what drives each input and loads each output.

        Inputs are driven by the inverter nearest to four times the smallest, and outputs drive
        four of the smallest: the surroundings of a block within a larger design.
        """
        load = 4 * self.inverters[0][1]
        driver = min(self.inverters, key=lambda pair: abs(pair[1] - load))[0]
        return f"set_driving_cell {driver.name}\nset_load {load:.6g} [fF]\n"


def _is_gate(gate: LibraryGate, tables: set[tuple[int, int]]) -> bool:
    return (
        not gate.has_state
        and len(gate.functions) == 1
        and not any(pin.get("three_state") for pin in gate.group.of("pin"))
        and truth_table(gate.functions[0]) in tables
    )


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise MubinnError(
            f"The Liberty file {path} cannot be read ({error}): give a readable .lib or .lib.gz."
        ) from error
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
        if "\x00" in text:
            raise MubinnError(f"{path} is not Liberty text: give a .lib or .lib.gz file.") from None
        return text


def _read_gates(text: str, where: str) -> list[LibraryGate]:
    try:
        libraries = list(parse(text).of("library"))
    except ValueError:
        libraries = []
        if _LIBRARY.search(text):
            raise MubinnError(
                f"{where} is truncated or damaged: its braces do not balance; fetch it again."
            ) from None
    if not libraries:
        raise MubinnError(f"{where} is not a Liberty file: it has no library group.")
    return [
        LibraryGate(
            name=group.arguments[0],
            area_um2=float(group.get("area")) if group.get("area") else None,
            functions=tuple(f for pin in group.of("pin") if (f := pin.get("function"))),
            is_flipflop=next(group.of("ff"), None) is not None,
            has_state=next(group.of(*_STATE), None) is not None,
            group=group,
        )
        for library in libraries
        for group in library.of("cell")
    ]


def parse_library(
    texts: Sequence[str], name: str, dont_use: Sequence[str] = DEFAULT_DONT_USE
) -> Library:
    """Check Liberty texts and return the library they make together.

    Parameters
    ----------
    texts : sequence of str
        Liberty texts; some libraries come in several files.
    name : str
        Name for reports and error messages.
    dont_use : sequence of str
        Patterns of gates to avoid.

    Raises
    ------
    MubinnError
        If a text is no complete Liberty, or an inverter with delay tables, a buffer, or both NAND2
        and NOR2 are missing. A missing flip-flop is told where a design needs one.
    """
    plain = tuple(_COMMENT.sub("", t) for t in texts)
    gates = [gate for text in plain for gate in _read_gates(text, name)]
    library = Library(name, plain, tuple(dont_use), tuple(gates))
    if not library.inverters:
        raise MubinnError(f"{name} has no usable inverter: add one, or relax --dont-use.")
    if not any(_is_gate(c, {(1, 0b10)}) for c in library.usable()):
        raise MubinnError(
            f"{name} has no usable buffer, which ABC needs: add one, or relax --dont-use."
        )
    if not any(_is_gate(c, {(2, 0b0111), (2, 0b0001)}) for c in library.usable()):
        raise MubinnError(f"{name} has no usable NAND2 or NOR2: add one, or relax --dont-use.")
    _ = library.fo4_ps  # raises where the inverter lacks tables
    return library


def load_library(
    path: str | Path | Sequence[str | Path], dont_use: Sequence[str] = DEFAULT_DONT_USE
) -> Library:
    """Load one Liberty file, or several that make one library, plain or gzipped.

    Raises
    ------
    MubinnError
        If a file is unreadable, truncated or no Liberty, or a needed gate is missing.
    """
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(p) for p in path]
    name = paths[0].name.removesuffix(".gz").removesuffix(".lib")
    return parse_library([_read(p) for p in paths], name, dont_use)


def builtin_library(fo4: float = DEFAULT_FO4_PS) -> Library:
    """Return the built-in 65-nm-class library with an FO4 of `fo4` ps."""
    return parse_library([tech65_liberty(fo4)], f"tech65 (FO4 {fo4:g} ps)")
