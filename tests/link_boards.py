"""Models behind links, pin to pin, and what a host hears of them."""

from dataclasses import replace

from amaranth.hdl import Cat, EnableInserter
from amaranth.sim import Simulator

from mubinn.golden.model.bit_true import run
from mubinn.golden.model.float_model import Preprocessing
from mubinn.hw.accelerator.link_accelerator import link_top
from mubinn.hw.export.driver import Driver
from mubinn.hw.export.golden_vectors import drawn_windows
from mubinn.hw.export.interface import packet
from mubinn.hw.link.host import Host, Result
from mubinn.hw.link.link_top import CORE
from mubinn.hw.link.packets import FLAG
from mubinn.hw.link.spi import CYCLES

STEPS = 3


class Board:
    """A model behind a link, and what is to come of windows."""

    def __init__(self, model, options, divisor, steps_a_packet):
        model = replace(model, preprocessing=Preprocessing("causal", 2))
        self.top = link_top(
            model, divisor=divisor, steps=steps_a_packet, max_steps=STEPS, **options
        )
        core = self.top.core
        frame = packet(core.i.payload.shape(), 8, core.per_step) | {"samples": core.samples}
        size = self.top.rules.step
        assert size == frame["bytes"] * core.per_step
        self.host = Host(
            size,
            room=size * steps_a_packet,
            max_steps=STEPS,
            carries=self.top.carries,
            state_bytes=self.top.state_bytes,
        )
        about = {"input": frame, "result": packet(core.o.payload.shape(), 8)}
        self.driver = Driver(None, {**about, "registers": {}, "max_steps": STEPS})
        results = STEPS if "end" in about["result"]["fields"] else 1
        sending = results * (self.top.writer.beats + 8) * 10 * (divisor or CYCLES)
        self.model, self.idle = model, core.cycles_per_window(STEPS) + sending

    def windows(self, random, count):
        """Windows as bytes, and of each the results as a list."""
        x, codes = drawn_windows(self.top.core, count, STEPS, int(random.integers(1 << 30)))
        _, scores, classes = run(self.model, codes)
        each = scores.ndim == 3
        scores = scores.reshape(count, -1, scores.shape[-1]).tolist()
        classes = classes.reshape(count, -1).tolist()
        results = []
        for label, score in zip(classes, scores, strict=True):
            found = [{"label": a, "logits": b} for a, b in zip(label, score, strict=True)]
            if each:
                found = [{**f, "end": int(k == STEPS - 1)} for k, f in enumerate(found)]
            if self.top.core.stamp:
                found = [
                    {**f, "step": k + 1, "unsettled": int(k == 0)} for k, f in enumerate(found)
                ]
            results.append(found)
        return [self.driver.pack(window) for window in x.tolist()], results


class Uart:
    """The host's side of a UART, a byte at a time."""

    def __init__(self, top):
        self.top, self.divisor = top, top.divisor
        self.heard = bytearray()
        self.over = False

    async def send(self, ctx, data):
        for byte in data:
            for bit in (0, *(byte >> k & 1 for k in range(8)), 1):
                ctx.set(self.top.rx, bit)
                await ctx.tick().repeat(self.divisor)

    async def listen(self, ctx):
        while not self.over:
            await ctx.tick()
            if ctx.get(self.top.tx):
                continue
            await ctx.tick().repeat(self.divisor // 2)
            byte = 0
            for k in range(8):
                await ctx.tick().repeat(self.divisor)
                byte |= ctx.get(self.top.tx) << k
            self.heard.append(byte)
            await ctx.tick().repeat(self.divisor)

    async def wait(self, ctx, cycles):
        await ctx.tick().repeat(cycles)


class Spi:
    """The master of a SPI, a transfer for each packet; idle it sends 0x7E."""

    def __init__(self, top):
        self.top = top
        self.heard = bytearray()
        self.over = False

    async def send(self, ctx, data):
        ctx.set(self.top.cs_n, 0)
        await ctx.tick().repeat(CYCLES // 2)
        for byte in data:
            found = 0
            for k in range(7, -1, -1):
                ctx.set(self.top.mosi, byte >> k & 1)
                await ctx.tick().repeat(CYCLES // 2)
                found |= ctx.get(self.top.miso) << k
                ctx.set(self.top.sck, 1)
                await ctx.tick().repeat(CYCLES // 2)
                ctx.set(self.top.sck, 0)
            self.heard.append(found)
        await ctx.tick().repeat(CYCLES // 2)
        ctx.set(self.top.cs_n, 1)
        await ctx.tick().repeat(CYCLES // 2)

    async def listen(self, ctx):
        """Nothing comes but what is clocked."""

    async def wait(self, ctx, cycles):
        await ctx.tick().repeat(cycles)
        while ctx.get(self.top.waiting):
            await self.send(ctx, [FLAG] * 4)


def watch_sleep(simulator, top):
    """Have a core that sleeps held to be awake whenever it is to see something."""
    core, slept = top.core, []
    asks = [core.awake, core.i.valid, core.o.valid, top.control.clear]
    if top.loader is not None:
        asks.append(core.load.layers.any())

    async def watch(ctx):
        async for _, _, awake, asked in ctx.tick().sample(top.core_awake, Cat(asks)):
            assert awake or not asked
            if not awake:
                slept.append(True)

    simulator.add_testbench(watch, background=True)
    return slept


def session(board, sent):
    """Send bytes packet by packet, each once the board is ready; return what is heard.

    With None nothing is sent until the board has had time to answer; `board.heard` grows with it.
    """
    top = board.top
    port = Spi(top) if top.divisor is None else Uart(top)
    ended = []
    board.heard = port.heard

    async def speak(ctx):
        ctx.set(top.cs_n if top.divisor is None else top.rx, 1)
        for frame in sent:
            if frame is None:
                await port.wait(ctx, 1500)
                continue
            await port.send(ctx, frame)
            await ctx.tick().repeat(4)
            for _ in range(2 * board.idle):
                if ctx.get(top.ready):
                    break
                # A board that has something to say by SPI has to be asked for it.
                await port.wait(ctx, 1)
        await port.wait(ctx, board.idle)
        for _ in range(2):
            await port.send(ctx, board.host.ask())
            await port.wait(ctx, 1500)
        ended.append(True)
        port.over = True

    async def listen(ctx):
        await port.listen(ctx)

    simulator = Simulator(EnableInserter({CORE: top.core_awake})(top) if top.gated else top)
    simulator.add_clock(1e-6)
    if top.gated:
        simulator.add_clock(1e-6, domain=CORE)
    slept = watch_sleep(simulator, top) if top.sleeps else []
    simulator.add_testbench(speak)
    simulator.add_testbench(listen)
    simulator.run()
    assert ended
    assert top.sleeps == (len(slept) > 1000)
    return bytes(port.heard)


def told(board, host, heard, expected):
    """Check each result that `host` reports; return the events."""
    events = host.feed(heard)
    for event in events:
        if isinstance(event, Result):
            wanted = expected[event.window]
            assert board.driver.unpack(event.data) == wanted[event.index]
            assert event.last == (event.index == len(wanted) - 1)
    return events


def packets_of(board, data):
    """Where the packets of a window begin."""
    return range(0, len(data), board.top.rules.room)


def numbers(events, kind):
    return [event.window for event in events if isinstance(event, kind)]
