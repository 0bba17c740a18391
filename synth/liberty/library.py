"""Liberty files: loaded, checked for what synthesis needs, and measured in FO4."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path

from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.liberty.boolean import truth_table
from mubinn.synth.liberty.nldm import fo4_ps, pin_capacitance
from mubinn.synth.liberty.normal import Units, normalised
from mubinn.synth.liberty.source import Reader, library_group
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

_STATE = ("ff", "latch", "ff_bank", "latch_bank", "statetable")


@dataclass(frozen=True)
class LibraryGate:
    """One gate: name, area in um^2 (None: not given), output functions, Liberty group `cell`."""

    name: str
    area_um2: float | None
    functions: tuple[str, ...]
    is_flipflop: bool
    has_state: bool
    group: Group = field(repr=False, compare=False)


@dataclass(frozen=True)
class Library:
    """A checked cell library.

    Attributes
    ----------
    name : str
        Name for reports.
    texts : tuple of str
        Liberty text of each file, written anew by `mubinn.synth.liberty.normal`: what this
        program reads, and Yosys and ABC.
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
        """Return the gates that neither a pattern of `dont_use` nor their file excludes."""
        return tuple(
            c
            for c in self.gates
            if not c.group.get("dont_use")
            and not any(fnmatchcase(c.name, p) for p in self.dont_use)
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


def _read_gates(text: str) -> list[LibraryGate]:
    return [
        LibraryGate(
            name=group.arguments[0],
            area_um2=group.number("area") if group.get("area") else None,
            functions=tuple(f for pin in group.of("pin") if (f := pin.get("function"))),
            is_flipflop=next(group.of("ff"), None) is not None,
            has_state=next(group.of(*_STATE), None) is not None,
            group=group,
        )
        for library in parse(text).of("library")
        for group in library.of("cell")
    ]


def read_normalised(texts: Sequence[str], name: str, dont_use: Sequence[str] = ()) -> Library:
    """Return the library of texts that `parse_library` or `load_library` has written."""
    gates = [gate for text in texts for gate in _read_gates(text)]
    return Library(name, tuple(texts), tuple(dont_use), tuple(gates))


def _checked(groups: Sequence[Group], name: str, dont_use: Sequence[str]) -> Library:
    """Return the library that library groups make together."""
    units = Units.of(groups[0]).known()
    texts = [normalised(group, units) for group in groups]
    seen: set[tuple[str, ...]] = set()
    for gate in (gate for group in groups for gate in group.of("cell")):
        if gate.arguments in seen:
            raise gate.fault(f"the cell {' '.join(gate.arguments)} is there twice: take one out.")
        seen.add(gate.arguments)
    library = read_normalised(texts, name, dont_use)
    relax = "add one, or relax --dont-use and the file's dont_use."
    if not library.inverters:
        raise MubinnError(f"{name} has no usable inverter: {relax}")
    if not any(_is_gate(c, {(1, 0b10)}) for c in library.usable()):
        raise MubinnError(f"{name} has no usable buffer, which ABC needs: {relax}")
    if not any(_is_gate(c, {(2, 0b0111), (2, 0b0001)}) for c in library.usable()):
        raise MubinnError(f"{name} has no usable NAND2 or NOR2: {relax}")
    _ = library.fo4_ps  # raises where the inverter lacks tables
    for own in library.usable():
        for pin in own.group.of("pin") if own.functions or own.has_state else ():
            if pin.get("direction") == "input" and not pin.get("capacitance"):
                raise MubinnError(
                    f"{name}: the input {pin.arguments[0]} of the cell {own.name} has no "
                    "capacitance, which every delay into it depends on: complete the library."
                )
    return library


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
    names = [name] if len(texts) == 1 else [f"{name}, text {k}" for k in range(1, len(texts) + 1)]
    groups = [library_group(text, where) for text, where in zip(texts, names, strict=True)]
    return _checked(groups, name, dont_use)


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
    reader = Reader()
    return _checked([reader.library(p) for p in paths], name, dont_use)


@lru_cache(4)
def builtin_library(fo4: float = DEFAULT_FO4_PS, *, clock_gates: bool = False) -> Library:
    """Return the built-in 65-nm-class library with an FO4 of `fo4` ps, and maybe a clock gate."""
    return parse_library([tech65_liberty(fo4, clock_gates=clock_gates)], f"tech65 (FO4 {fo4:g} ps)")
