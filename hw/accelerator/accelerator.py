"""A whole model in hardware: stacked layers, the head on the last, class and scores out."""

from itertools import repeat
from typing import Any

from amaranth.hdl import Cat, Module, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from mubinn.golden.cells.place import stages
from mubinn.golden.cells.sweep import Sweep
from mubinn.golden.folding.layer_plan import MAX_STEPS, LayerPlan
from mubinn.golden.model.layer_state import StateKind, check_kind
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.model.stamp import Stamp
from mubinn.hw.accelerator.plans import check_sleeps, entry, plans
from mubinn.hw.accelerator.state_parts import state_parts
from mubinn.hw.accelerator.state_ring import StateRing, check_port
from mubinn.hw.accelerator.window_states import WindowStates
from mubinn.hw.frontend.front_end import StreamFrontEnd
from mubinn.hw.frontend.pixel_frames import PixelFrames
from mubinn.hw.frontend.sample_encoder import SampleEncoder, sample_layout
from mubinn.hw.frontend.step_frames import StepFrames
from mubinn.hw.layer.classifier import END, result_layout
from mubinn.hw.layer.every_nth import EveryNth
from mubinn.hw.layer.layer_states import check_words
from mubinn.hw.layer.loadable_memory import LoadableMemories, load_layout
from mubinn.hw.layer.lstm_layer import LstmLayer, cycles_per_step, cycles_per_window
from mubinn.hw.layer.score_sum import ScoreSum
from mubinn.hw.stream.clock_request import ClockRequest
from mubinn.hw.stream.component import Component, View
from mubinn.hw.stream.fields import frame_layout
from mubinn.hw.stream.side_by_side import SideBySide, Source, fork, link
from mubinn.hw.stream.turned import Turned
from mubinn.hw.stream.unit import Register


def _gathers(plan: LayerPlan) -> Sweep | None:
    """Return the sweep of a layer whose x is of several pixels."""
    frames = plan.layer.frames
    return frames if isinstance(frames, Sweep) and frames.taps > 1 else None


class Accelerator(Component):
    """`golden.model.bit_true.run` in hardware: windows in, a class and its scores each out.

    Every layer has hardware of its own, and works on a step while the next layer works on the one
    before: the slowest one sets the pace.

    A backward layer begins a window once its last step is there: memories as long as the longest
    window turn its input round, and where something reads them in the order of time its outputs as
    well; meanwhile those of the layers beside it wait, up to two windows of them.

    A layer that sweeps frames takes pixels for steps; before it stands a memory of the pixels that
    the next ones read, which may fill up while others are worked on.

    Parameters
    ----------
    model : QuantizedModel
    lanes, units, folded_bias, network
        Of every layer, see `mubinn.golden.folding.layer_plan.LayerPlan`.
    sample_width : int or None
        Bits of raw input samples, which are encoded on chip, see
        `mubinn.golden.model.sample_format.SampleFormat`; without it the input is level bits.
    adc_width : int or None
        Bits of samples as an ADC has them, in place of `sample_width`: the model's front end makes
        those of the layer of them on chip, see `mubinn.golden.model.front_end.FrontEnd`.
    loadable : bool
        Weights are loaded at run time, see `mubinn.hw.layer.loadable_memory`.
    max_steps : int
        Steps of the longest window. The logits of longer ones wrap, and of what is turned round the
        first steps are lost.
    state : "cleared", "carried" or "register"
        What a window leaves: nothing, each beginning as after a reset; its state, which the next
        one begins with, S of a leaky mean among it; or what `carried` says. Sums over the steps of
        a window begin anew in each.
    sleeps : bool
        Add `awake`, so that the clock may be stopped between samples.
    stamp : Stamp or None
        What results say of the steps since the state was cleared, in fields of their own.
    state_port : bool
        The state goes out and in between windows, see `mubinn.hw.accelerator.state_ring`.

    Members
    -------
    load : In(load_layout(plans)), with `loadable`
        A write to the weights' memories, between windows.
    i : In(stream)
        Frames {x: A planes of I bits, last: 1}, or samples {value, last}, `per_step` a step.
        `last` marks the last step of a window; the next frame begins another window.
    o : Out(stream of `mubinn.hw.layer.classifier.result_layout`)
        One result a window; or, with readouts of several steps, one of each, ``end`` with that of a
        window's last step. One that is offered stays until it is taken, whatever is aborted.
    abort : In(1)
        Forget the windows that are under way, with what is taken in this very cycle. From the next
        cycle on another window may begin. The reset does the same, and forgets results too.
    busy : Out(1)
        A window has begun and its results are not all taken yet.
    carried : In(1), with the state "register"
        What a step that is a window's last leaves is what the next window begins with; else that
        one begins as after a reset, as it does after `abort`. Seen when that step is taken at `i`.
    awake : Out(1), with `sleeps`
        The clock is needed; stop it at its low level while this is 0. What is offered at `i`, a
        write at `load` and `abort` ask for it at once, and so does a result until it is taken. See
        `mubinn.hw.stream.clock_request.ClockRequest`.
    save, restore : In(1), state_i : In(stream of 8 bits), state_o : Out(stream of 8 bits)
        With `state_port`: of a ring of `ring.bytes` bytes. No window begins before it is round.

    Raises
    ------
    MubinnError
        With `sleeps`, of layers that sweep frames or run backward, which wait for themselves; with
        `state_port`, of what `check_port` and `check_words` name; or on an option that is not for
        the model.
    """

    i: stream.Interface
    o: stream.Interface
    load: View
    abort: Signal
    busy: Signal
    carried: Signal
    awake: Signal
    save: Signal
    restore: Signal
    state_i: stream.Interface
    state_o: stream.Interface

    def __init__(
        self,
        model: QuantizedModel,
        lanes: int | None = None,
        units: int = 1,
        *,
        sample_width: int | None = None,
        adc_width: int | None = None,
        folded_bias: bool = True,
        network: str = "asic",
        loadable: bool = False,
        max_steps: int = MAX_STEPS,
        state: StateKind = "cleared",
        sleeps: bool = False,
        stamp: Stamp | None = None,
        state_port: bool = False,
    ) -> None:
        check_kind(model.layers, state)
        if sleeps:
            check_sleeps(model)
        if state_port:
            check_port(state, sleeps=sleeps)
        self.model, self.state = model, state
        self.stamp = stamp = stamp if stamp and stamp.fields else None
        front_end, samples = entry(model, sample_width, adc_width)
        self.plans = plans(
            model, lanes, units, max_steps=max_steps, folded_bias=folded_bias, network=network
        )
        if state_port:
            self.plans = [check_words(plan) for plan in self.plans]
        self.memories = [LoadableMemories(plan) for plan in self.plans] if loadable else []
        stored = self.memories or repeat(None, len(self.plans))
        # Of layers on top the first counts steps, where they are not counted in the order of time.
        first = next(k for k, plan in enumerate(self.plans) if plan.dense)
        counts = None if model.split and model.reading.in_order else stamp
        self.layers = [
            LstmLayer(
                plan,
                memories=own,
                carries=state != "cleared",
                sleeps=sleeps,
                state_port=state_port,
                stamp=counts if k == first else None,
            )
            for k, (plan, own) in enumerate(zip(self.plans, stored, strict=True))
        ]
        self.stages = stages(model.layers)
        self._sleeps = sleeps
        self._max_steps = max_steps
        self.score_sum: ScoreSum | None = None
        if model.split:
            own = self.plans[-len(model.top) :]
            about = model.head, model.readout, model.steps(max_steps)
            self.score_sum = ScoreSum(
                own, *about, carries=state != "cleared", stamp=stamp, state_port=state_port
            )
        below = self.plans[0].layer
        shape = frame_layout(below.inputs, below.x.levels)
        self.front_end: StreamFrontEnd | None = None
        self.encoder: SampleEncoder | None = None
        if samples is not None:
            self.encoder, shape = SampleEncoder(samples), sample_layout(samples.width)
        if front_end is not None:
            self.front_end = StreamFrontEnd(front_end, state_port=state_port)
            shape = sample_layout(front_end.width)
        self.parts = state_parts(self.front_end, self.layers, self.score_sum) if state_port else []
        self.ring = StateRing([part.shape for part in self.parts]) if state_port else None
        load = {"load": In(load_layout(self.plans))} if loadable else {}
        super().__init__(
            {
                **load,
                "i": In(stream.Signature(shape)),
                "o": self.score_sum.signature.members["o"]
                if self.score_sum
                else Out(stream.Signature(result_layout(self.plans[-1], stamp))),
                "abort": In(1),
                "busy": Out(1),
                **({"carried": In(1)} if state == "register" else {}),
                **({"awake": Out(1)} if sleeps else {}),
                **(self.ring.ports if self.ring else {}),
            }
        )

    @property
    def max_steps(self) -> int | None:
        """Steps of the longest window; None where nothing depends on it."""
        turned = any(layer.place.backward for layer in self.model.layers)
        limits = any(plan.step_limit is not None for plan in self.plans)
        return self._max_steps if turned or limits or self.score_sum else None

    @property
    def samples(self) -> int:
        """Samples of a channel that make a step."""
        return 1 if self.front_end is None else self.front_end.front_end.decimation

    @property
    def per_step(self) -> int:
        """Transfers of `i` that make a step."""
        return 1 if self.encoder is None else self.model.features * self.samples

    @property
    def interval(self) -> int:
        """Cycles from one step that is made of samples to the next; 1 of level bits."""
        if self.front_end is not None:
            return StreamFrontEnd.interval(self.front_end.front_end)
        return self.per_step

    @property
    def cycles_per_step(self) -> int:
        """Clock cycles from one step of the slowest layer to its next, when neither side pauses."""
        samples = [self.interval]
        gathers = [PixelFrames.interval(sweep) for sweep in map(_gathers, self.plans) if sweep]
        return max([cycles_per_step(plan) for plan in self.plans] + samples + gathers)

    def cycles_per_window(self, steps: int) -> int:
        """Return the cycles from one window's result to the next one's, with no side pausing."""
        found = [steps * self.interval]
        waiting = iter(self.plans)
        for stage in self.stages:
            steps = stage[0].frames.count(steps)
            own = [next(waiting) for _ in stage]
            found += [cycles_per_window(plan, steps) for plan in own]
            found += [steps * PixelFrames.interval(sweep) for sweep in map(_gathers, own) if sweep]
        return max(found)

    def elaborate(self, platform: object) -> Module:
        """Return the chain."""
        m = Module()
        # Who hears whether a window's state is kept, and in which cycle: its last step is taken.
        self._keeping: list[tuple[Signal, Value]] = []
        source: Source = wiring.flipped(self.i)
        if self.ring is not None:
            self._add(m, "ring", self.ring)
            source = self.ring.between(m, source, [part.port for part in self.parts], self)
        if self.front_end is not None:
            self._add(m, "front_end", self.front_end)
            wiring.connect(m, source, self.front_end.i)
            source = self.front_end.o
            self._keeping.append((self.front_end.carried, self.front_end.leaves))
        if self.encoder is not None:
            self._add(m, "encoder", self.encoder)
            if self.front_end is None:
                wiring.connect(m, source, self.encoder.i)
            else:
                # The encoder's samples may have more bits.
                m.d.comb += [
                    self.encoder.i.valid.eq(source.valid),
                    self.encoder.i.payload.value.eq(source.payload.value),
                    self.encoder.i.payload.last.eq(source.payload.last),
                    source.ready.eq(self.encoder.i.ready),
                ]
            source = self.encoder.o
        for k, layer in enumerate(self.layers):
            m.submodules[f"layer_{k}"] = ResetInserter(self.abort)(layer)
            self._keeps(layer)
        steps, first = self._max_steps, 0
        for stage in self.stages:
            own = dict(enumerate(self.layers[first : first + len(stage)], first))
            first += len(stage)
            self._feed(m, source, own, steps)
            steps = stage[0].frames.count(steps)
            if stage is not self.stages[-1]:
                source = self._outputs(m, own, steps)
        # The h of what is on top is read by the classifier alone.
        m.d.comb += [layer.o.ready.eq(1) for layer in own.values()]
        m.submodules.result = result = Register(self.o.payload.shape())
        made = self._results(m, own, steps)
        every = self.model.reading.every or 1
        if every > 1:
            self._add(m, "every_nth", chosen := EveryNth(made.payload.shape(), every))
            link(m, made, chosen.i)
            made = chosen.o
        m.d.comb += [
            result.i.valid.eq(made.valid & ~self.abort),
            result.i.payload.eq(made.payload),
            made.ready.eq(result.i.ready),
        ]
        wiring.connect(m, result.o, wiring.flipped(self.o))
        self._watch(m)
        self._carry(m)
        if self._sleeps:
            self._request(m)
        for k, memories in enumerate(self.memories):
            m.d.comb += [
                memories.write_weight.eq(self.load.layers[k]),
                memories.weight_address.eq(self.load.address),
                memories.weight.eq(self.load.word),
            ]
        return m

    def _add(self, m: Module, name: str, part: Any) -> None:
        """Add a part that forgets what it holds when windows are aborted."""
        m.submodules[name] = ResetInserter(self.abort)(part)

    def _feed(self, m: Module, source: Source, own: dict[int, LstmLayer], steps: int) -> None:
        """Give each of the layers beside each other, by number, the steps in its own order."""
        onward = {k: layer for k, layer in own.items() if not layer.plan.layer.place.backward}
        sinks = [layer.i for layer in onward.values()]
        number, first = next(iter(own.items()))
        layer = first.plan.layer
        gather = _gathers(first.plan)
        if gather or not (layer.frames.plain or isinstance(layer.frames, Sweep)):
            frames: PixelFrames | StepFrames
            if gather:
                frames = PixelFrames(layer)
            else:
                frames = StepFrames(layer, carries=self.state != "cleared")
                self._keeps(frames)
            self._add(m, f"{'pixel' if gather else 'step'}_frames_{number}", frames)
            link(m, source, frames.i)
            source = frames.o
        if len(onward) < len(own):
            self._add(m, f"turned_{number}", turned := Turned(first.frame, steps))
            sinks.append(turned.i)
            fork(m, turned.o, [layer.i for k, layer in own.items() if k not in onward])
        fork(m, source, sinks)

    def _outputs(self, m: Module, own: dict[int, LstmLayer], steps: int) -> Source:
        """Return the steps that layers beside each other make, in the order of time."""
        made = self._in_time(m, own, "o", steps, "last")
        if len(made) == 1:
            return made[0]
        layers = [layer.plan.layer for layer in own.values()]
        sizes = [layer.outputs for layer in layers]
        joined = SideBySide(sizes, layers[0].h.levels)
        m.submodules[f"side_by_side_{min(own)}"] = joined
        for k, part in enumerate(made):
            link(m, part, getattr(joined, f"i_{k}"))
        return joined.o

    def _results(self, m: Module, own: dict[int, LstmLayer], steps: int) -> Source:
        """Return the results of the layers on top."""
        if self.score_sum is None:
            return self.layers[-1].result
        self._add(m, "score_sum", self.score_sum)
        if self.score_sum.carries:
            self._keeping.append((self.score_sum.carried, self.score_sum.taken))
        each = self.plans[-1].reading.each
        made = self._in_time(m, own, "result", steps, END) if each else self._ends(m, own)
        for k, part in enumerate(made):
            link(m, part, getattr(self.score_sum, f"i_{k}"))
        return self.score_sum.o

    def _ends(self, m: Module, own: dict[int, LstmLayer]) -> list[Source]:
        """Return results of windows, each in a register: a layer goes on while others end later."""
        found: list[Source] = []
        for k, layer in own.items():
            self._add(m, f"result_{k}", register := Register(layer.result.payload.shape()))
            wiring.connect(m, layer.result, register.i)
            found.append(register.o)
        return found

    def _in_time(
        self, m: Module, own: dict[int, LstmLayer], port: str, steps: int, end: str
    ) -> list[Source]:
        """Return what layers make at `port` in the order of time; the onward ones wait for others.

        The field `end` marks the last one of a window.
        """
        waits = any(layer.plan.layer.place.backward for layer in own.values())
        found: list[Source] = []
        for k, layer in own.items():
            made: Source = getattr(layer, port)
            if layer.plan.layer.place.backward:
                turned = Turned(made.payload.shape(), steps, end)
                self._add(m, f"turned_{port}_{k}", turned)
                link(m, made, turned.i)
                made = turned.o
            elif waits:
                # A window may wait for the backward one, while the next window is made.
                made = self._queue(m, f"waiting_{port}_{k}", made, 2 * steps + 2)
            found.append(made)
        return found

    def _queue(self, m: Module, name: str, source: Source, depth: int) -> Source:
        """Return `source` behind a queue in a memory."""
        layout = source.payload.shape()
        self._add(m, name, queue := SyncFIFOBuffered(width=layout.as_shape().width, depth=depth))
        out = stream.Signature(layout).create(path=(name,))
        m.d.comb += [
            queue.w_data.eq(source.payload.as_value()),
            queue.w_en.eq(source.valid),
            source.ready.eq(queue.w_rdy),
            out.payload.as_value().eq(queue.r_data),
            out.valid.eq(queue.r_rdy),
            queue.r_en.eq(out.ready),
        ]
        return out

    def _request(self, m: Module) -> None:
        """Ask for the clock while a part has something to do."""
        # Between two parts a step is for a cycle or two in neither.
        quiet = 4 + max(LstmLayer.quiet(plan) for plan in self.plans)
        m.submodules.request = request = ClockRequest(quiet)
        asking = [self.i.valid, self.abort, self.o.valid, *(layer.busy for layer in self.layers)]
        asking += [part.o.valid for part in (self.front_end, self.encoder) if part is not None]
        if self.memories:
            asking.append(self.load.layers.any())
        m.d.comb += [request.busy.eq(Cat(asking).any()), self.awake.eq(request.awake)]

    @property
    def _most_windows(self) -> int:
        """More windows than can be under way."""
        # Two in each layer, in work and at its output, two in its frames, and those of the encoder
        # and the result.
        framed = sum(not plan.layer.frames.plain for plan in self.plans)
        # Of small frames a memory of pixels has several windows.
        sweeps = [sweep for sweep in map(_gathers, self.plans) if sweep]
        framed += sum(PixelFrames.depth(sweep) // sweep.pixels for sweep in sweeps)
        # What is turned round holds up to three windows, before and after a layer.
        framed += 3 * sum(plan.layer.place.backward for plan in self.plans)
        # The front end holds a step, and the last sample of the one before.
        framed += self.front_end is not None
        return 2 * (len(self.layers) + framed) + 4

    @property
    def _last(self) -> Value:
        """Whether what is taken at `i` is a window's last."""
        last: Value = self.i.payload.last
        first = self.front_end or self.encoder
        return last if first is None else last & first.full

    def _keeps(self, part: LstmLayer | StepFrames) -> None:
        """Note a part with a state."""
        if self.state != "cleared":
            taken = part.i.valid & part.i.ready & part.i.payload.last
            self._keeping.append((part.carried, taken))

    def _carry(self, m: Module) -> None:
        """Tell what has a state whether the next window begins with what this one leaves."""
        if self.state == "carried":
            m.d.comb += [carried.eq(1) for carried, _ in self._keeping]
        if self.state == "register":
            kept = WindowStates(len(self._keeping), self._most_windows)
            self._add(m, "window_states", kept)
            m.d.comb += kept.last.eq(self.i.valid & self.i.ready & self._last)
            m.d.comb += kept.carried.eq(self.carried)
            for k, (carried, taken) in enumerate(self._keeping):
                m.d.comb += [kept.taken[k].eq(taken), carried.eq(kept.kept[k])]

    def _watch(self, m: Module) -> None:
        """Count the windows that have begun and whose results are not taken."""
        windows = Signal(range(self._most_windows))
        inside = Signal()
        given = self.i.valid & self.i.ready
        m.d.comb += self.busy.eq(windows != 0)
        with m.If(given):
            m.d.sync += inside.eq(~self._last)
        taken, waits = self.o.valid & self.o.ready, self.o.valid & ~self.o.ready
        if END in self.o.payload.shape().members:
            # Of an aborted window one result may wait, which is then the last of it.
            left = Signal()
            with m.If(taken):
                m.d.sync += left.eq(0)
            with m.If(self.abort):
                m.d.sync += left.eq(waits)
            taken &= self.o.payload.end | left
        m.d.sync += windows.eq(windows + (given & ~inside) - taken)
        with m.If(self.abort):
            m.d.sync += [inside.eq(0), windows.eq(waits)]
