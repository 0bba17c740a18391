"""The entries of Table I: measured units put together by the delay model.

Delay of an entry: the delay model of `mubinn.synth.table1.delay_model` with the delays of its own
units. Depth: the sum of the depths of its units in series, each once (of units side by side the
deeper). A mixed entry has the faster of its two forms, level by level or decoded. Area: the sum of
the areas of its units, each as often as the cell has it, without registers, memories and control.
No entry and no unit is interpolated or carried over from another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mubinn.golden.binarize.levels import level_name
from mubinn.golden.ground.errors import MubinnError
from mubinn.synth.flow.result import SynthResult
from mubinn.synth.liberty.library import Library
from mubinn.synth.table1.cell_units import CellUnit, Config
from mubinn.synth.table1.delay_model import DelayModel, Workload, delay_model
from mubinn.synth.table1.paper import DELAY_S, law_error, law_s

PS = 1e-12
FULL: Config = (None, None)
HEADLINE: Config = (3, 3)


@dataclass(frozen=True)
class UnitRow:
    """One distinct unit, measured once.

    Attributes
    ----------
    roles : tuple of str
        What cells call it.
    kind, parameters : str
    entries : tuple of str
        The entries that use it, as ``3,3``.
    depth, gates : int
        Two-input gates on the longest path, and in all.
    delay_ps, delay_fo4, area_um2 : float
    """

    roles: tuple[str, ...]
    kind: str
    parameters: str
    entries: tuple[str, ...]
    depth: int
    gates: int
    delay_ps: float
    delay_fo4: float
    area_um2: float


@dataclass(frozen=True)
class Entry:
    """One entry of Table I.

    Attributes
    ----------
    x_levels, w_levels : str
        ``1`` to ``5``, or ``FP``.
    delay_s, paper_delay_s, law_s : float
        Ours, the paper's, and what the law gives for the paper's, seconds.
    ratio, paper_ratio : float
        The delay of (FP, FP) over this one.
    depth : int
    area_um2 : float
    shares_s : dict of str to float
        The delay by what it is spent on.
    terms : str
        The sum that gives the delay of a cell.
    units : dict of str to int
        Row in `Table1.units` by role.
    """

    x_levels: str
    w_levels: str
    delay_s: float
    paper_delay_s: float
    law_s: float
    ratio: float
    paper_ratio: float
    depth: int
    area_um2: float
    shares_s: dict[str, float]
    terms: str
    units: dict[str, int]

    @property
    def name(self) -> str:
        """Return ``(3, 3)``."""
        return f"({self.x_levels}, {self.w_levels})"


@dataclass(frozen=True)
class VariantEntry:
    """One binarized entry with a datapath of our own; see `mubinn.synth.table1.variants`.

    Attributes
    ----------
    x_levels, w_levels : str
    delay_s : float
        As in Table I: of the cells of all steps, seconds.
    cell_ns : float
        Of one cell in one step.
    ratio, over_figure3 : float
        The delay of (FP, FP), and of this entry in Table I, over it.
    area_um2 : float
        Of the units, each once.
    terms : str
        The sum that gives the delay of a cell.
    delays_ps : dict of str to float
        By unit.
    """

    x_levels: str
    w_levels: str
    delay_s: float
    cell_ns: float
    ratio: float
    over_figure3: float
    area_um2: float
    terms: str
    delays_ps: dict[str, float]


@dataclass(frozen=True)
class Variant:
    """A datapath, ``thresholds`` or ``merged``, and those entries that were measured, by rows."""

    name: str
    entries: tuple[VariantEntry, ...]

    def find(self, x_levels: str, w_levels: str) -> VariantEntry | None:
        """Return one entry, such as ``("3", "1")``, None where it was not measured."""
        chosen = (e for e in self.entries if (e.x_levels, e.w_levels) == (x_levels, w_levels))
        return next(chosen, None)

    def entry(self, x_levels: str, w_levels: str) -> VariantEntry:
        """Return one entry; raise `MubinnError` where it was not measured."""
        found = self.find(x_levels, w_levels)
        if found is None:
            raise MubinnError(
                f"({x_levels}, {w_levels}) was not measured with {self.name}: ask for all entries."
            )
        return found

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Variant":
        """Return the variant of which `data` are the fields."""
        return cls(data["name"], tuple(VariantEntry(**entry) for entry in data["entries"]))


@dataclass(frozen=True)
class Table1:
    """All 36 entries, row by row, and the units behind them.

    Attributes
    ----------
    fp_over_3_3, paper_fp_over_3_3 : float
        The delay of (FP, FP) over that of (3, 3).
    law_error : float
        The law's worst relative error over the paper's values.
    library, library_hash, fo4_ps
        The cell library.
    variants : tuple of Variant
        The binarized entries with datapaths of our own, where they were measured.
    """

    entries: tuple[Entry, ...]
    units: tuple[UnitRow, ...]
    fp_over_3_3: float
    paper_fp_over_3_3: float
    law_error: float
    features: int
    hidden: int
    steps: int
    library: str
    library_hash: str
    fo4_ps: float
    tools: dict[str, str]
    variants: tuple[Variant, ...] = ()

    def entry(self, x_levels: str, w_levels: str) -> Entry:
        """Return one entry, such as ``("3", "FP")``."""
        return next(e for e in self.entries if (e.x_levels, e.w_levels) == (x_levels, w_levels))

    find = entry

    def to_json(self) -> dict[str, Any]:
        """Return the table as JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Table1":
        """Return the table that `to_json` gave."""
        units = tuple(
            UnitRow(**{**u, "roles": tuple(u["roles"]), "entries": tuple(u["entries"])})
            for u in data["units"]
        )
        entries = tuple(Entry(**e) for e in data["entries"])
        variants = tuple(Variant.from_json(v) for v in data["variants"])
        return cls(**{**data, "units": units, "entries": entries, "variants": variants})


@dataclass(frozen=True)
class Form:
    """One way to build a cell: its units by role, and whether it decodes level bits."""

    units: Mapping[str, CellUnit]
    decoded: bool = False


def assemble(
    forms: Mapping[Config, Sequence[Form]],
    results: Mapping[str, SynthResult],
    load: Workload,
    library: Library,
) -> Table1:
    """Put Table I together from measured units.

    Parameters
    ----------
    forms : the forms of each configuration's cell, of which the fastest is the entry
    results : measurements by the units' `key`
    """

    def seconds(config: Config, form: Form) -> float:
        delays = {role: results[unit.key].delay_ps for role, unit in form.units.items()}
        own = delay_model(config, load, decoded=form.decoded)
        return own.cell_delay(delays) * load.cells * PS

    chosen = {
        config: min(several, key=lambda form: seconds(config, form))
        for config, several in forms.items()
    }
    cells = {config: form.units for config, form in chosen.items()}
    delay_models = {c: delay_model(c, load, decoded=form.decoded) for c, form in chosen.items()}
    rows = _unit_rows(cells, results)
    index = {key: number for number, key in enumerate(rows)}
    delays = {config: seconds(config, form) for config, form in chosen.items()}
    entries = tuple(
        _entry(
            config,
            delay_models[config],
            {role: results[unit.key] for role, unit in units.items()},
            {role: index[unit.key] for role, unit in units.items()},
            load,
            delays,
        )
        for config, units in cells.items()
    )
    return Table1(
        entries=entries,
        units=tuple(rows.values()),
        fp_over_3_3=delays[FULL] / delays[HEADLINE],
        paper_fp_over_3_3=DELAY_S[FULL] / DELAY_S[HEADLINE],
        law_error=law_error(),
        features=load.features,
        hidden=load.hidden,
        steps=load.steps,
        library=library.name,
        library_hash=library.sha256,
        fo4_ps=library.fo4_ps,
        tools=dict(next(iter(results.values())).tools),
    )


def _entry(
    config: Config,
    delay_model: DelayModel,
    units: Mapping[str, SynthResult],
    rows: dict[str, int],
    load: Workload,
    delays: Mapping[Config, float],
) -> Entry:
    scale, delay_s = load.cells * PS, delays[config]
    shares = delay_model.group_delays({role: unit.delay_ps for role, unit in units.items()})
    return Entry(
        x_levels=level_name(config[0]),
        w_levels=level_name(config[1]),
        delay_s=delay_s,
        paper_delay_s=DELAY_S[config],
        law_s=law_s(config),
        ratio=delays[FULL] / delay_s,
        paper_ratio=DELAY_S[FULL] / DELAY_S[config],
        depth=delay_model.depth({role: unit.depth for role, unit in units.items()}),
        area_um2=sum(unit.area_um2 for unit in units.values()),
        shares_s={group: ps * scale for group, ps in shares.items()},
        terms=delay_model.terms(),
        units=rows,
    )


def _unit_rows(
    cells: Mapping[Config, Mapping[str, CellUnit]], results: Mapping[str, SynthResult]
) -> dict[str, UnitRow]:
    roles: dict[str, dict[str, None]] = {}
    entries: dict[str, dict[str, None]] = {}
    units: dict[str, CellUnit] = {}
    for (a, w), cell in cells.items():
        for role, unit in cell.items():
            units[unit.key] = unit
            roles.setdefault(unit.key, {})[role] = None
            entries.setdefault(unit.key, {})[f"{level_name(a)},{level_name(w)}"] = None
    ordered = sorted(units, key=lambda key: units[key].kind)
    return {
        key: UnitRow(
            roles=tuple(roles[key]),
            kind=units[key].kind,
            parameters=units[key].text,
            entries=tuple(entries[key]),
            depth=results[key].depth,
            gates=results[key].gates,
            delay_ps=results[key].delay_ps,
            delay_fo4=results[key].delay_fo4,
            area_um2=results[key].area_um2,
        )
        for key in ordered
    }
