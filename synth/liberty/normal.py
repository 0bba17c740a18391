"""Libraries written anew from their trees, spelled as Yosys and ABC both read them.

What any spelling of a library comes to is one text, and that text is what this program, Yosys and
ABC read: attributes before groups, strings quoted, a group a pin and a related pin, and units that
ABC knows, numbers being scaled where a file has others.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from mubinn.synth.liberty.nldm import library_of, read_table, template_of
from mubinn.synth.liberty.tree import Attribute, Group, is_number

DELAYS = ("cell_rise", "cell_fall")
TRANSITIONS = ("rise_transition", "fall_transition")
CONSTRAINTS = ("rise_constraint", "fall_constraint")
POWERS = ("rise_power", "fall_power", "power")
TEMPLATES = ("lu_table_template", "power_lut_template")

# What numbers are of: times (-1), capacitances (-2), neither.
_TIMES = {"max_transition", "min_transition", "default_max_transition"}
_CAPACITANCES = {
    *("capacitance", "rise_capacitance", "fall_capacitance"),
    *("max_capacitance", "min_capacitance", "default_max_capacitance"),
    *("default_input_pin_cap", "default_output_pin_cap", "default_inout_pin_cap"),
    *("rise_capacitance_range", "fall_capacitance_range"),
}
_PLAIN = {"area", "cell_leakage_power", "nom_voltage"}
_NUMBERS = _TIMES | _CAPACITANCES | _PLAIN
_ORDER = {"timing": 0, "internal_power": 1}
_OWN = {"time_unit", "capacitive_load_unit", "comment", "date", "revision"}  # written apart, or not
_LISTS = {"values", "index_1", "index_2", "index_3"}
_FORMULAS = {"function", "three_state", "next_state", "clocked_on", "enable", "data_in"}
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NAME = re.compile(r"[\w.$<>:/\[\]-]+", re.ASCII)
_YES, _NO = ("true", "t", "1", "yes"), ("false", "f", "0", "no", "")

_TIME_UNITS = {Decimal(1): "1ps", Decimal(10): "10ps", Decimal(100): "100ps", Decimal(1000): "1ns"}
_CAP_UNITS = {Decimal(1): "1, ff", Decimal(1000): "1, pf"}


@dataclass(frozen=True)
class Units:
    """A library's units of time and capacitance, in ps and fF."""

    time_ps: Decimal
    cap_ff: Decimal

    @classmethod
    def of(cls, library: Group) -> "Units":
        """Return those that a library group states.

        Raises
        ------
        MubinnError
            If one cannot be read, or there is none for capacitances, which has no default.
        """
        if not library.words("capacitive_load_unit"):
            raise library.fault("the library has no capacitive_load_unit: add it, such as (1, pf).")
        return cls(
            library.unit("time_unit", -12, 1e3), library.unit("capacitive_load_unit", -15, 1e3)
        )

    def known(self) -> "Units":
        """Return those that ABC knows: the same where it does, else ps and fF."""
        return Units(
            self.time_ps if self.time_ps in _TIME_UNITS else Decimal(1),
            self.cap_ff if self.cap_ff in _CAP_UNITS else Decimal(1),
        )


def normalised(library: Group, units: Units) -> str:
    """Return the text of a library group in `units`, which are known to ABC.

    Raises
    ------
    MubinnError
        If a number, a table, a name or `dont_use` cannot be read.
    """
    stated = Units.of(library)
    writer = _Writer(stated.time_ps / units.time_ps, stated.cap_ff / units.cap_ff)
    head = [
        f'  time_unit : "{_TIME_UNITS[units.time_ps]}";',
        f"  capacitive_load_unit ({_CAP_UNITS[units.cap_ff]});",
    ]
    begin, *rest = writer.group(library, library.arguments, "")
    return "\n".join([begin, *head, *rest]) + "\n"


@dataclass(frozen=True)
class _Writer:
    """Writes groups; times and capacitances are multiplied."""

    time: Decimal
    cap: Decimal

    @property
    def scales(self) -> bool:
        return self.time != 1 or self.cap != 1

    def group(self, group: Group, arguments: tuple[str, ...], indent: str) -> list[str]:
        """Return a group's lines, with other arguments."""
        lines = [f"{indent}{group.kind} ({', '.join(map(_argument, arguments))}) {{"]
        for name, attribute in group.attributes.items():
            if line := self._attribute(group, name, attribute):
                lines.append(f"{indent}  {line}")
        if load := self._load(group):
            lines.append(f"{indent}  capacitance : {load};")
        groups = group.groups
        if group.kind == "pin":  # as every way to name several related pins has them
            groups = sorted(groups, key=lambda inner: _ORDER.get(inner.kind, 2))
        for inner in groups:
            if self._written(inner):
                _check(inner)
                for words in _each(inner):
                    lines += self._copies(inner, words, indent + "  ")
        lines.append(indent + "}")
        return lines

    def _copies(self, group: Group, words: tuple[str, ...], indent: str) -> list[str]:
        """Return a group's lines, once for each of several related pins."""
        lines = self.group(group, words, indent)
        related = group.get("related_pin").replace(",", " ").split()
        if group.kind not in _ORDER or len(related) < 2:
            return lines
        mark = next(k for k, line in enumerate(lines) if line.lstrip().startswith("related_pin :"))
        before, after = lines[:mark], lines[mark + 1 :]
        copies = [[*before, f'{indent}  related_pin : "{pin}";', *after] for pin in related]
        return [line for copy in copies for line in copy]

    def _written(self, group: Group) -> bool:
        """Return whether a group is kept: of tables whose units are not known, none are scaled."""
        known = (*DELAYS, *TRANSITIONS, *CONSTRAINTS, *POWERS)
        return not self.scales or group.kind in known or "values" not in group.attributes

    def _attribute(self, group: Group, name: str, attribute: Attribute) -> str:
        if name in _OWN and group.kind == "library":
            return ""
        if name == "dont_use":
            return _dont_use(group)
        if name in _LISTS or name in _NUMBERS:
            return self._numbers(group, name, attribute)
        if attribute.complex:
            return f"{name} ({', '.join(map(_argument, attribute.values))});"
        (value,) = attribute.values
        if not value:
            return ""
        bare = is_number(value) and name not in _FORMULAS
        return f"{name} : {value};" if bare else f'{name} : "{value}";'

    def _load(self, group: Group) -> str:
        """Return the load of an input that states none itself: by its edges, else the default."""
        if group.kind != "pin" or group.get("direction") != "input" or group.get("capacitance"):
            return ""
        edges = group.words("rise_capacitance") + group.words("fall_capacitance")
        default = library_of(group).words("default_input_pin_cap")
        found = sorted(_scaled(edges or default, self.cap), key=Decimal)
        return found[-1] if found else ""

    def _numbers(self, group: Group, name: str, attribute: Attribute) -> str:
        group.check_numbers(name)
        factor = self._factor(group, name)
        if name not in _LISTS:
            words = _scaled(group.words(name), factor)
            if not words:
                return ""
            return f"{name} ({', '.join(words)});" if len(words) > 1 else f"{name} : {words[0]};"
        # Quoted rows stay rows; numbers without quotes are one.
        several = any(" " in value or "," in value for value in attribute.values)
        rows = attribute.values if several else (" ".join(attribute.values),)
        lists = (_scaled(row.replace(",", " ").split(), factor) for row in rows)
        words = [", ".join(row) for row in lists if row]
        return f"{name} ({', '.join(map(_quoted, words))});"

    def _factor(self, group: Group, name: str) -> Decimal:
        if not self.scales:
            return Decimal(1)
        if name in _TIMES:
            return self.time
        if name in _CAPACITANCES:
            return self.cap
        if name == "values":
            return self.cap if group.kind in POWERS else self.time
        if not name.startswith("index_"):
            return Decimal(1)
        template = group if group.kind in TEMPLATES else template_of(group)
        over = template.get(f"variable_{name[-1]}") if template else ""
        if not over and name != "index_3":
            slews = name == "index_1" or "constraint" in group.kind
            over = "transition" if slews else "capacitance"
        if "capacitance" in over:
            return self.cap
        if "transition" in over or "time" in over:
            return self.time
        raise group.fault(
            f"{name} is over {over!r}, whose unit is not known: give ps and fF.", name
        )


def _each(group: Group) -> Iterator[tuple[str, ...]]:
    """Yield the arguments of each group that one group stands for."""
    if group.kind == "pin":
        for name in " ".join(group.arguments).replace(",", " ").split():
            yield (name,)
    else:
        yield group.arguments


def _check(group: Group) -> None:
    """Raise where a group cannot be what it says."""
    if group.kind in ("cell", "pin"):
        names = [name for words in _each(group) for name in words]
        if not names or (group.kind == "cell" and len(names) > 1):
            raise group.fault(f"a {group.kind} has no name of its own: give it one.")
        if wrong := next((name for name in names if not _NAME.fullmatch(name)), ""):
            raise group.fault(f"{wrong!r} is no name of a {group.kind}: rename it.")
    elif group.kind in (*DELAYS, *TRANSITIONS, *CONSTRAINTS):
        read_table(group)


def _dont_use(group: Group) -> str:
    value = group.get("dont_use").lower()
    if value not in (*_YES, *_NO):
        raise group.fault(f"dont_use is {value!r}: write true or false.", "dont_use")
    return "dont_use : true;" if value in _YES else ""


def _argument(word: str) -> str:
    return word if _WORD.fullmatch(word) or is_number(word) else _quoted(" ".join(word.split()))


def _quoted(text: str) -> str:
    return f'"{text}"'


def _scaled(words: list[str], factor: Decimal) -> list[str]:
    if factor == 1:
        return words
    return [f"{(Decimal(word) * factor).normalize():f}" for word in words]
