"""A whole model in hardware: stacked layers, the head on the last, class and scores out."""

from itertools import repeat
from typing import Any, TypeAlias

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from mubinn.golden.folding.layer_plan import MAX_STEPS, LayerPlan
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.golden.model.sample_format import SampleFormat
from mubinn.hw.frontend.sample_encoder import SampleEncoder, sample_layout
from mubinn.hw.frontend.step_frames import StepFrames
from mubinn.hw.layer.classifier import END, result_layout
from mubinn.hw.layer.loadable_memory import LoadableMemories, load_layout
from mubinn.hw.layer.lstm_layer import LstmLayer, cycles_per_step, cycles_per_window
from mubinn.hw.stream.component import Component, View
from mubinn.hw.stream.fields import frame_layout
from mubinn.hw.stream.unit import Register

Source: TypeAlias = "stream.Interface | wiring.FlippedInterface[Any, stream.Interface]"


def plans(
    model: QuantizedModel,
    lanes: int | None = None,
    units: int = 1,
    *,
    max_steps: int = MAX_STEPS,
    **options: Any,
) -> list[LayerPlan]:
    """Return the plans of a model's layers; the last one has the classifier.

    Raises
    ------
    MubinnError
        No window of `max_steps` steps has a step of every layer; a plan is refused.
    """
    model.steps(max_steps)
    layers = model.layers
    top = len(layers) - 1
    return [
        LayerPlan(
            layer,
            model.dense if k == top else None,
            lanes,
            units,
            readout=model.readout,
            max_steps=max_steps,
            **options,
        )
        for k, layer in enumerate(layers)
    ]


class Accelerator(Component):
    """`golden.model.bit_true.run` in hardware: windows in, a class and its scores each out.

    Every layer has hardware of its own, and works on a step while the next layer works on the one
    before: the slowest one sets the pace.

    Parameters
    ----------
    model : QuantizedModel
    lanes, units, folded_bias, network
        Of every layer, see `mubinn.golden.folding.layer_plan.LayerPlan`.
    sample_width : int or None
        Bits of raw input samples, which are encoded on chip, see
        `mubinn.golden.model.sample_format.SampleFormat`; without it the input is level bits.
    loadable : bool
        Weights are loaded at run time, see `mubinn.hw.layer.loadable_memory`.
    max_steps : int
        Steps of the longest window; the logits of longer ones wrap.

    Members
    -------
    load : In(load_layout(plans)), with `loadable`
        A write to the weights' memories, between windows.
    i : In(stream)
        Frames {x: A planes of I bits, last: 1}, or samples {value, last}, I of them a frame.
        `last` marks the last step of a window; the next frame begins another window.
    o : Out(stream of `mubinn.hw.layer.classifier.result_layout`)
        One result a window, or, with the readouts every and running, one a step, ``end`` with that
        of a window's last step. One that is offered stays until it is taken, whatever is aborted.
    abort : In(1)
        Forget the windows that are under way, with what is taken in this very cycle. From the next
        cycle on another window may begin. The reset does the same, and forgets results too.
    busy : Out(1)
        A window has begun and its results are not all taken yet.
    """

    i: stream.Interface
    o: stream.Interface
    load: View
    abort: Signal
    busy: Signal

    def __init__(
        self,
        model: QuantizedModel,
        lanes: int | None = None,
        units: int = 1,
        *,
        sample_width: int | None = None,
        folded_bias: bool = True,
        network: str = "asic",
        loadable: bool = False,
        max_steps: int = MAX_STEPS,
    ) -> None:
        self.model = model
        self.plans = plans(
            model, lanes, units, max_steps=max_steps, folded_bias=folded_bias, network=network
        )
        self.memories = [LoadableMemories(plan) for plan in self.plans] if loadable else []
        stored = self.memories or repeat(None, len(self.plans))
        self.layers = [
            LstmLayer(plan, memories=own) for plan, own in zip(self.plans, stored, strict=True)
        ]
        self.encoder: SampleEncoder | None = None
        first = self.plans[0].layer
        shape = frame_layout(first.inputs, first.x.levels)
        if sample_width is not None:
            self.encoder = SampleEncoder(SampleFormat.of(model, sample_width))
            shape = sample_layout(sample_width)
        load = {"load": In(load_layout(self.plans))} if loadable else {}
        super().__init__(
            {
                **load,
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(result_layout(self.plans[-1]))),
                "abort": In(1),
                "busy": Out(1),
            }
        )

    @property
    def cycles_per_step(self) -> int:
        """Clock cycles from one step of the slowest layer to its next, when neither side pauses."""
        samples = [self.model.features] if self.encoder else []
        return max([cycles_per_step(plan) for plan in self.plans] + samples)

    def cycles_per_window(self, steps: int) -> int:
        """Return the cycles from one window's result to the next one's, with no side pausing."""
        found = [steps * (self.model.features if self.encoder else 1)]
        for plan in self.plans:
            steps = plan.layer.frames.count(steps)
            found.append(cycles_per_window(plan, steps))
        return max(found)

    def elaborate(self, platform: object) -> Module:
        """Return the chain."""
        m = Module()
        source: Source = wiring.flipped(self.i)
        if self.encoder is not None:
            m.submodules.encoder = ResetInserter(self.abort)(self.encoder)
            wiring.connect(m, source, self.encoder.i)
            source = self.encoder.o
        for k, layer in enumerate(self.layers):
            m.submodules[f"layer_{k}"] = ResetInserter(self.abort)(layer)
            if not layer.plan.layer.frames.plain:
                step_frames = ResetInserter(self.abort)(own := StepFrames(layer.plan.layer))
                m.submodules[f"step_frames_{k}"] = step_frames
                self._link(m, source, own.i)
                source = own.o
            self._link(m, source, layer.i)
            source = layer.o
        # The last layer's h is read by the classifier alone.
        m.d.comb += source.ready.eq(1)
        m.submodules.result = result = Register(self.o.payload.shape())
        made = self.layers[-1].result
        m.d.comb += [
            result.i.valid.eq(made.valid & ~self.abort),
            result.i.payload.eq(made.payload),
            made.ready.eq(result.i.ready),
        ]
        wiring.connect(m, result.o, wiring.flipped(self.o))
        self._watch(m)
        for k, memories in enumerate(self.memories):
            m.d.comb += [
                memories.write_weight.eq(self.load.layers[k]),
                memories.weight_address.eq(self.load.address),
                memories.weight.eq(self.load.word),
            ]
        return m

    @staticmethod
    def _link(m: Module, source: Source, sink: stream.Interface) -> None:
        """Connect streams whose payloads differ in their fields' names alone."""
        m.d.comb += [
            sink.valid.eq(source.valid),
            sink.payload.as_value().eq(source.payload.as_value()),
            source.ready.eq(sink.ready),
        ]

    def _watch(self, m: Module) -> None:
        """Count the windows that have begun and whose results are not taken."""
        # Two in each layer, in work and at its output, two in its frames, and those of the encoder
        # and the result.
        framed = sum(not plan.layer.frames.plain for plan in self.plans)
        windows = Signal(range(2 * (len(self.layers) + framed) + 4))
        inside = Signal()
        given = self.i.valid & self.i.ready
        last = self.i.payload.last
        ends = last if self.encoder is None else last & self.encoder.full
        m.d.comb += self.busy.eq(windows != 0)
        with m.If(given):
            m.d.sync += inside.eq(~ends)
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
