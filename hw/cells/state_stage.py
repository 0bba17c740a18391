"""The second half of a cell, from the sums z of its rows to its new state, on either datapath."""

from collections.abc import Iterable

from amaranth.hdl import Cat, Const, Module, Mux, Shape, ShapeLike, Signal, Value, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Member, Out

from mubinn.golden.cells.graph import Node
from mubinn.golden.cells.layer import QuantizedLayer
from mubinn.golden.cells.lowering import gates_by_row, row_of
from mubinn.golden.cells.operations import Encode, Search, Unit, Wide
from mubinn.golden.folding.cell_design import CellDesign
from mubinn.hw.cells.cell_layout import CellLayouts, part_of, scale_array
from mubinn.hw.cells.operations import encode, operate, scales_of, shape_of
from mubinn.hw.cells.stages import Stages
from mubinn.hw.stream.component import Component, FieldValue, View, view_const, view_signal
from mubinn.hw.stream.fields import drive
from mubinn.hw.stream.pipe import Pipe, apply
from mubinn.hw.units.threshold_search import ThresholdSearch

Values = dict[str, Value]
"""Signals by the names of values."""


def field(name: str) -> str:
    """Return the name of a value as that of a field."""
    return name.removeprefix("_").replace(".", "__")


class StateStage(Component):
    """What all state stages share: the streams, the trace, a latency.

    The sums of a cell's rows in a phase arrive in order, one a transfer; what the cell makes of
    them leaves `latency` cycles after the last was taken, where nothing stalls. One transfer a
    cycle. The scales, tables or thresholds are constants of the hardware.

    Parameters
    ----------
    design : CellDesign
    trace : bool
        Add a port that shows every intermediate of the cell at the output.

    Members
    -------
    i : In(stream.Signature(CellLayouts.state_input))
        ``z`` with the bias in it, ``gate``, the row's place in its cell, and, read with the last
        row of a phase, the codes ``c`` that the cell has kept and the threshold offset
        ``h_offset``.
    o : Out(stream.Signature(CellLayouts.output))
        New codes; before the last phase ``h`` is what the rows of the next one read.
    probe : Out(trace_layout(design)), with `trace`
        Belongs to ``o.payload``; the fields have the names of the golden intermediates. What is
        made in another phase is undefined.
    """

    i: stream.Interface
    o: stream.Interface
    probe: View

    def __init__(self, design: CellDesign, *, trace: bool = False) -> None:
        self.design = design
        self.layer = design.layer
        self.lowered = design.layer.lowered
        self.layouts = CellLayouts(design.layer)
        self._trace = trace
        members: dict[str, Member] = {
            "i": In(stream.Signature(self.layouts.state_input)),
            "o": Out(stream.Signature(self.layouts.output)),
        }
        if trace:
            members["probe"] = Out(self.trace_layout(design))
        super().__init__(members)

    @classmethod
    def suits(cls, design: CellDesign) -> bool:
        """Return whether this form of the stage can be built for a cell, and is worth it."""
        return True

    @classmethod
    def latency(cls, design: CellDesign) -> int:
        """Return the cycles from the transfer of the last row to that of the new state."""
        raise NotImplementedError

    @classmethod
    def trace_layout(cls, design: CellDesign) -> data.StructLayout:
        """Return the layout of `probe`: ``gates``, an array of structures, and values by name."""
        return data.StructLayout(
            {
                **gates_layout(design),
                **{unit.name: shape_of(unit.operation) for unit in shown(design)},
            }
        )


def own_offset(layer: QuantizedLayer, unit: Unit, offset: Value) -> Value:
    """Return the offset of a cell in the fraction of what the encoder `unit` of h reads.

    It comes in that of the exact value; a table of a term has rounded it down.
    """
    made = layer.lowered.formats[unit.operands[0]]
    assert isinstance(made, Wide)
    return offset >> layer.fraction_of(unit.name) - made.fraction


def gates_layout(design: CellDesign) -> dict[str, ShapeLike]:
    """Return the layout of what all gates compute, if the cell has any."""
    lowered = design.layer.lowered
    names = design.layer.cell.gate_names
    if not names:
        return {}
    fields: dict[str, ShapeLike] = {}
    for part in ("z_q", "y", ""):
        own = [f"{name}.{part}" if part else name for name in names]
        shapes = [shape_of(lowered[name].operation) for name in own if name in lowered]
        if shapes:
            fields[part or "gate"] = max(shapes, key=lambda shape: Shape.cast(shape).width)
    return {"gates": data.ArrayLayout(data.StructLayout(fields), len(names))}


def shown(design: CellDesign) -> list[Unit]:
    """Return the units whose values a trace shows, but for those of gates."""
    lowered = design.layer.lowered
    return [unit for unit in lowered.shown if not lowered.is_gate(unit)]


class PipelinedState(StateStage):
    """A state stage with registers where `mubinn.hw.cells.stages.Stages` has them.

    Parameters and members are those of `StateStage`.
    """

    @classmethod
    def latency(cls, design: CellDesign) -> int:
        """Return the count of stages."""
        return Stages(design.layer).count

    def elaborate(self, platform: object) -> Module:
        """Return the pipeline."""
        m = Module()
        self.stages = Stages(self.layer)
        pipe = Pipe(m, self.i)
        values = self._front(m, pipe)
        for stage in range(max(1, self.stages.front), self.stages.count + 1):
            for unit, at in self.stages.later.items():
                if at == stage:
                    values[unit.name] = self._operate(m, unit, values)
            values = self._cut(m, pipe, stage, values)
        assert pipe.stages == self.latency(self.design)
        self._finish(m, pipe, values)
        return m

    # Values.

    def _leaves(self, payload: View) -> Values:
        """Return the codes that come with a row, by the names of values."""
        cell, kept = self.layer.cell, self.layouts.kept
        word = Value.cast(payload.c)
        states = {node.name for node in cell.states}
        found = {
            f"old.{name}" if name in states else f"kept.{name}": self.layouts.kept_part(word, name)
            for name in kept
        }
        for name in self.layouts.stored:
            word = Value.cast(payload.stored)
            found[f"stored.{name}"] = part_of(self.layouts.stored, word, name)
        return {**found, "h_offset": Value.cast(payload.h_offset)}

    def _operand(self, unit: Unit, name: str) -> str:
        """Return where a unit finds a value: what an earlier phase made is among the kept."""
        made = name in self.lowered and self.lowered[name].phase < unit.phase
        return f"kept.{name}" if made else name

    def _operate(self, m: Module, unit: Unit, values: Values) -> Value:
        """Add a unit of its own."""
        operands = [values[self._operand(unit, name)] for name in unit.operands]
        return operate(m, unit.role, unit.operation, operands, self._offset(m, unit, values))

    def _offset(self, m: Module, unit: Unit, values: Values) -> Value | None:
        """Return the offset of a cell for the encoder of h, in the fraction of its operand."""
        if not self._takes_offset(unit):
            return None
        return own_offset(self.layer, unit, values["h_offset"])

    def _cut(self, m: Module, pipe: Pipe, stage: int, values: Values) -> Values:
        """Place a register that takes what is needed later."""
        wanted = [name for name in values if name in self._needed(stage)]
        place = "output" if stage == self.stages.count else f"stage_{stage}"
        s = pipe.cut(place, **{field(name): values[name] for name in wanted})
        return {name: getattr(s, field(name)) for name in wanted}

    def _needed(self, stage: int) -> set[str]:
        """Return the names of what is read after a stage."""
        found: set[str] = set(self._results())
        for unit, at in self.stages.later.items():
            if at > stage:
                found |= {self._operand(unit, name) for name in unit.operands}
                if self._takes_offset(unit):
                    found.add("h_offset")
        if self._trace:
            found |= {unit.name for unit in shown(self.design)}
            found |= {name for gate in self.layer.cell.gate_names for name in gate_values(gate)}
        return found

    def _takes_offset(self, unit: Unit) -> bool:
        if unit.name != self.layer.cell.states[0].name:
            return False
        operation = unit.operation
        if isinstance(operation, Search):
            return operation.offset is not None
        return isinstance(operation, Encode) and operation.params.offset_width > 0

    def _results(self) -> Iterable[str]:
        """Yield the names of what leaves: states, vectors for later phases, what is kept."""
        cell = self.layer.cell
        if len(cell.phases) > 1:
            yield "phase"
        yield cell.states[0].name
        yield from (node.name for node in cell.recurrent[1:])
        for name in self.layouts.kept:
            yield name
            if len(cell.phases) > 1:
                yield f"old.{name}" if name in {s.name for s in cell.states} else f"kept.{name}"

    # The front: rows one by one.

    def _front(self, m: Module, pipe: Pipe) -> Values:
        """Add what rows share, and what waits for the last row; return the values from then on."""
        s, front = self.i.payload, self.stages.front
        row, now = Value.cast(s.gate), {"z": Value.cast(s.z)}
        leaves = self._leaves(s)
        direct = [node for node in self.layer.cell.gates if node.name in self.lowered.direct]
        if direct and self.stages.threshold:
            now["code"] = self._search(m, "search_gate", row, now["z"], direct)
        elif direct:
            now |= self._look_up(m, row, now["z"], direct)
            passed = {"row": row, **leaves, "y": now["y"]}
            if self._wide_rows():
                passed["z"] = now["z"]
            if self._trace:
                passed["z_q"] = now["z_q"]
            register = pipe.cut("after_lut", **{field(n): v for n, v in passed.items()})
            passed = {name: getattr(register, field(name)) for name in passed}
            row, now = passed["row"], {n: passed[n] for n in ("z", "z_q", "y") if n in passed}
            leaves = {name: passed[name] for name in leaves}
            if isinstance(self.lowered[direct[0].name].operation, Search):
                now["code"] = self._search(m, "encode_gate", row, now["y"], direct)
            else:
                now["code"] = self._encode(m, row, now["y"], direct)
        values = self._collected(m, pipe, row, now, leaves)
        if len(self.layer.phases) > 1:
            values["phase"] = self._phase(row)
        if front:
            last = [row == rows[-1] for rows in self.layer.phases]
            pipe.keep(last[0] if len(last) == 1 else Cat(*last).any())
        return values

    def _wide_rows(self) -> list[Node]:
        """Return the rows whose sums units other than those of direct gates read."""
        names = {
            name
            for unit in self.lowered.units
            for name in unit.operands
            if not self.stages.is_front(unit)
        }
        return [node for node in self.layer.cell.rows if f"{node.name}.z" in names]

    def _phase(self, row: Value) -> Value:
        """Return the phase of a row."""
        firsts = [rows[0] for rows in self.layer.phases[1:]]
        bits = (len(firsts)).bit_length()
        total = Signal(bits, name="phase")
        return sum(((row >= first) for first in firsts), start=Const(0, bits))[: len(total)]

    def _search(self, m: Module, role: str, row: Value, value: Value, direct: list[Node]) -> Value:
        """Add the search that gates share."""
        operation = self.lowered[direct[0].name].operation
        assert isinstance(operation, Search)
        params = operation.params
        tree = {"tree": row[: params.select_width]} if params.select_width else {}
        made: Value = apply(m, role, ThresholdSearch(params), value=value, **tree).code
        return made

    def _look_up(self, m: Module, row: Value, z: Value, direct: list[Node]) -> Values:
        """Add the rounding and the LUTs that gates share."""
        lowered = self.lowered
        rounding = lowered[f"{direct[0].name}.z_q"]
        z_q = operate(m, rounding.role, rounding.operation, [z])
        luts: dict[str, tuple[Unit, list[int]]] = {}
        for node in direct:
            unit = lowered[f"{node.name}.y"]
            luts.setdefault(unit.role, (unit, []))[1].append(row_of(self.layer.cell, node))
        made = [
            (operate(m, role, unit.operation, [z_q]), rows) for role, (unit, rows) in luts.items()
        ]
        y = made[0][0]
        for other, rows in made[1:]:
            chosen = [row == place for place in rows]
            y = Mux(chosen[0] if len(chosen) == 1 else Cat(*chosen).any(), other, y)
        return {"z_q": z_q, "y": y}

    def _encode(self, m: Module, row: Value, y: Value, direct: list[Node]) -> Value:
        """Add the encoder that gates share, with the constants of each row."""
        names = [node.name for node in gates_by_row(self.layer.cell)]
        first = self.lowered[names[0]].operation
        assert isinstance(first, Encode)
        params, fraction = first.params, first.fraction
        quantizers = [self.layer.quantizers[name] for name in names]
        scales = view_const(
            data.ArrayLayout(scale_array(params.scale_width, params.levels), len(names)),
            [scales_of(quantizer, fraction) for quantizer in quantizers],
        )
        offsets = view_const(
            data.ArrayLayout(signed(max(1, params.offset_width)), len(names)),
            [int(q.offset) << fraction - q.fraction for q in quantizers],
        )
        index = row[: (len(names) - 1).bit_length()] if len(names) > 1 else Const(0, 1)
        return encode(m, "encode_gate", first, y, scales[index], offsets[index])

    def _collected(self, m: Module, pipe: Pipe, row: Value, now: Values, leaves: Values) -> Values:
        """Return the values once the last row of a phase is there."""
        cell, values = self.layer.cell, dict(leaves)
        gates = {
            cell.rows.index(node.operands[0].operands[0]): node.name
            for node in cell.gates
            if node.name in self.lowered.direct
        }
        if self._trace and gates:
            self._recent(m, pipe, now, values, gates)
        if len(gates) == len(cell.rows) and not self._wide_rows():
            self._shifted(m, pipe, now["code"], values, gates)
        else:
            self._held(m, pipe, row, now, values, gates)
        return values

    def _shifted(
        self, m: Module, pipe: Pipe, code: Value, values: Values, gates: dict[int, str]
    ) -> None:
        """Keep codes in order: shifted in from the top, all are there when the last one comes."""
        size, bits = max(map(len, self.layer.phases)) - 1, len(code)
        held = Signal(max(1, size * bits), name="held")
        if size:
            with m.If(pipe.transfer):
                m.d.sync += held.eq(Cat(held, code)[bits:])
        for rows in self.layer.phases:
            for index, place in enumerate(rows[:-1]):
                at = size - (len(rows) - 1) + index
                values[gates[place]] = held.word_select(at, bits)
            values[gates[rows[-1]]] = code

    def _held(
        self,
        m: Module,
        pipe: Pipe,
        row: Value,
        now: Values,
        values: Values,
        gates: dict[int, str],
    ) -> None:
        """Keep each code, product and sum that waits for a later row in a register of its own."""
        wide = {f"{node.name}.z" for node in self._wide_rows()}
        for rows in self.layer.phases:
            for place in rows:
                made: Values = {}
                if place in gates:
                    made[gates[place]] = now["code"]
                name = f"{self.layer.cell.rows[place].name}.z"
                if name in wide:
                    made[name] = now["z"]
                for unit in self.stages.early:
                    ready = all(n in values or n in made for n in unit.operands)
                    if ready and unit.name not in values:
                        made[unit.name] = self._operate(m, unit, values | made)
                if place != rows[-1]:
                    made = {n: self._hold(m, pipe, row == place, n, v) for n, v in made.items()}
                values |= made

    def _hold(self, m: Module, pipe: Pipe, own: Value, name: str, value: Value) -> Value:
        held = Signal(value.shape(), name=f"held_{field(name)}")
        with m.If(pipe.transfer & own):
            m.d.sync += held.eq(value)
        return held

    def _recent(
        self, m: Module, pipe: Pipe, now: Values, values: Values, gates: dict[int, str]
    ) -> None:
        """Keep what gates compute on the way, for the trace."""
        size = max(map(len, self.layer.phases))
        parts = {name: now[name] for name in ("z_q", "y") if name in now}
        if not parts:
            return
        layout = data.StructLayout({name: value.shape() for name, value in parts.items()})
        record = view_signal(layout, "record")
        drive(m, record, **parts)
        seen = pipe.recent(record, data.ArrayLayout(layout, size))
        for rows in self.layer.phases:
            for index, place in enumerate(rows):
                if place in gates:
                    own = seen[size - len(rows) + index]
                    for name in parts:
                        values[f"{gates[place]}.{name}"] = Value.cast(getattr(own, name))

    # The end.

    def _finish(self, m: Module, pipe: Pipe, values: Values) -> None:
        """Hand the new codes over, and with a trace what else the probe shows."""
        cell = self.layer.cell
        states = {node.name for node in cell.states}
        pipe.end(self.o)
        reads = [node.name for node in cell.recurrent[1:]] + [cell.states[0].name]
        made = [values[name] for name in reads]
        kept: list[Value] = []
        for name in self.layouts.kept:
            phase = self.lowered[name].phase
            old = f"old.{name}" if name in states else f"kept.{name}"
            own = values[name]
            if len(cell.phases) > 1:
                own = Mux(values["phase"] == phase, own, values[old])
            kept.append(own)
        h = made[-1]
        for phase, value in enumerate(made[:-1]):
            h = Mux(values["phase"] == phase, value, h)
        drive(m, self.o.payload, c=Cat(*kept) if kept else Const(0, 1), h=h)
        if self._trace:
            self._show(m, values)

    def _show(self, m: Module, values: Values) -> None:
        fields: dict[str, FieldValue] = {
            unit.name: values[unit.name] for unit in shown(self.design)
        }
        if self.layer.cell.gates:
            fields["gates"] = [
                {
                    name.partition(".")[2] or "gate": values[name]
                    for name in gate_values(gate)
                    if name in values
                }
                for gate in self.layer.cell.gate_names
            ]
        drive(m, self.probe, **fields)


def gate_values(gate: str) -> tuple[str, str, str]:
    """Return the names of what a gate computes."""
    return f"{gate}.z_q", f"{gate}.y", gate
