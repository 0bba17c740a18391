"""From the integers of an ADC to the samples of a layer, one after the other, for hours.

Each channel loses its slow part (a high-pass of the first order), all are divided by one power of
two near the mean magnitude of the last seconds, and what is far beyond it is clamped. Nothing is
known of what comes later, and nothing is multiplied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.ground.checks import demand
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Ints
from mubinn.golden.model.float_model import CAUSAL, CONSTANTS, Preprocessing
from mubinn.golden.model.quantized_model import QuantizedModel

DECIMATIONS = (1, 2, 4)

FRACTION = 4
"""Bits that a sample has below the power of two that it is divided by."""

SHIFT = INPUT_FRACTION - FRACTION - 1
"""From there to the fraction bits of a layer's samples: their mean magnitude is 1/2 to 1."""


class FrontEndState(NamedTuple):
    """What a stream has left behind: the next step's number, and what follows the signal.

    Attributes
    ----------
    step : int
    slow : int64 [..., C]
        M, by channel ``2**high_pass`` times its slow part.
    size : int64 [...]
        D, ``2**gain`` times the sum of the channels' magnitudes.
    """

    step: int
    slow: Ints
    size: Ints


MOST_WIDTH = 24
"""Most bits of a sample of an ADC."""


@dataclass(frozen=True)
class FrontEnd:
    """The front end's constants.

    Attributes
    ----------
    channels : int
        C.
    width : int
        Bits of a signed sample of the ADC, 8 to 24.
    decimation : int
        Samples of a channel that are summed up to a step: 1, 2 or 4.
    high_pass : int
        The slow part of a channel is followed by ``2**-high_pass`` of the difference a step.
    gain : int
        The mean magnitude likewise, by ``2**-gain``.
    clamp : int
        Samples are clamped at ``2**clamp`` times the power of two that they are divided by.

    Raises
    ------
    ValueError
        A field is out of range.
    MubinnError
        The decimation is another one.
    """

    channels: int
    width: int = 16
    decimation: int = 2
    high_pass: int = Preprocessing.high_pass
    gain: int = Preprocessing.gain
    clamp: int = Preprocessing.clamp

    def __post_init__(self) -> None:
        """Check the fields."""
        demand(self, 1, "channels")
        demand(self, 8, "width", most=MOST_WIDTH)
        for name, (low, high) in CONSTANTS.items():
            demand(self, low, name, most=high)
        if self.decimation not in DECIMATIONS:
            raise MubinnError(
                f"a step of {self.decimation} samples there is not: give a decimation of "
                f"{', '.join(map(str, DECIMATIONS))}."
            )

    @property
    def sum_width(self) -> int:
        """Bits of the sum of a step's samples of a channel, p."""
        return self.width + self.decimation.bit_length() - 1

    @property
    def slow_width(self) -> int:
        """Bits of M; one more than its range, for the first steps round towards 0."""
        return self.sum_width + self.high_pass + 1

    @property
    def total_width(self) -> int:
        """Bits of a sum of the magnitudes of all channels, unsigned."""
        return self.sum_width + self.channels.bit_length()

    @property
    def size_width(self) -> int:
        """Bits of D, unsigned; one more than its range, as of M."""
        return self.total_width + self.gain + 1

    @property
    def sample_width(self) -> int:
        """Bits of a layer's sample."""
        return self.clamp + FRACTION + SHIFT + 2

    @property
    def mean_shift(self) -> int:
        """The power of two nearest the count of channels, by its logarithm.

        >>> [FrontEnd(count).mean_shift for count in (1, 2, 3, 5, 6, 32)]
        [0, 1, 2, 2, 3, 5]
        """
        return ((2 * self.channels * self.channels).bit_length() - 1) // 2

    @classmethod
    def of(cls, model: QuantizedModel, width: int) -> "FrontEnd":
        """Return the front end of a model, for an ADC of `width` bits.

        Raises
        ------
        MubinnError
            The input of the model is made otherwise.
        """
        how = model.preprocessing
        if how.normalise != CAUSAL:
            raise MubinnError(
                f"the model's input is normalised by {how.normalise!r}, which no hardware does "
                "sample by sample: train with --normalise causal, or leave out the bits of an ADC."
            )
        return cls.made(how, model.features, width)

    @classmethod
    def made(cls, how: Preprocessing, channels: int, width: int) -> "FrontEnd":
        """Return the front end of a preprocessing, for an ADC of `width` bits."""
        return cls(channels, width, how.decimate, **how.constants)

    def first(self, *lead: int) -> FrontEndState:
        """Return the state before the first sample, of `lead` streams."""
        return FrontEndState(0, np.zeros((*lead, self.channels), np.int64), np.zeros(lead, int))

    def run(
        self, samples: npt.ArrayLike, state: FrontEndState | None = None
    ) -> tuple[Ints, FrontEndState]:
        """Return the steps of streams, and the state that they leave.

        Parameters
        ----------
        samples : int [..., T, C]
            T a multiple of the decimation.
        state : FrontEndState, optional
            What the samples before have left; the first one's without it.

        Returns
        -------
        x : int64 [..., T / decimation, C]
            Samples of a layer, of `INPUT_FRACTION` fraction bits.
        state : FrontEndState

        Raises
        ------
        MubinnError
            Samples are no integers of `width` bits, of other channels, or end within a step.

        Examples
        --------
        >>> x, state = FrontEnd(1, decimation=1).run([[100], [108], [96], [130]])
        >>> x.ravel().tolist()
        [0, 2048, -2048, 7168]
        >>> state.slow.tolist(), (state.size >> 9).tolist()
        ([436], 18)
        """
        given = self.check(samples)
        sums = given.reshape(*given.shape[:-2], -1, self.decimation, self.channels).sum(axis=-2)
        now = self.first(*given.shape[:-2]) if state is None else state
        steps = []
        for t in range(sums.shape[-2]):
            x, now = self._step(sums[..., t, :], now)
            steps.append(x)
        blank = np.zeros((*given.shape[:-2], 0, self.channels), np.int64)
        return np.stack(steps, axis=-2) if steps else blank, now

    def windows(self, samples: npt.ArrayLike, kept: Sequence[bool] | None = None) -> Ints:
        """Return the steps [windows, T / decimation, C] of windows that follow each other.

        Parameters
        ----------
        samples : int [windows, T, C]
            As for `run`.
        kept : sequence of bool, optional
            Of each window, whether the next one begins with the state that it leaves; without it
            all begin anew.

        Examples
        --------
        >>> FrontEnd(1, decimation=1).windows([[[100], [108]], [[96], [130]]], [True, True]).ravel()
        array([    0,  2048, -2048,  7168])
        """
        if kept is None:
            return self.run(samples)[0]
        found, state = [], None
        for window, keeps in zip(np.asarray(samples), kept, strict=True):
            made, left = self.run(window, state)
            found.append(made)
            state = left if keeps else None
        return np.stack(found)

    def check(self, samples: npt.ArrayLike) -> Ints:
        """Return samples as int64; raise `MubinnError` as `run` does."""
        given = np.asarray(samples)
        if given.dtype.kind not in "iu" or given.ndim < 2 or given.shape[-1] != self.channels:
            raise MubinnError(
                f"samples are {given.dtype} {list(given.shape)}: give integers [..., samples, "
                f"{self.channels}]."
            )
        if given.shape[-2] % self.decimation:
            raise MubinnError(
                f"{given.shape[-2]} samples end within a step of {self.decimation}: give a "
                "multiple, and the rest with those that follow."
            )
        most = 1 << self.width - 1
        if given.size and not -most <= int(given.min()) <= int(given.max()) < most:
            raise MubinnError(
                f"samples reach from {int(given.min())} to {int(given.max())}, beyond {self.width} "
                "bits: scale them as the ADC has them."
            )
        return given.astype(np.int64)

    def _step(self, p: Ints, state: FrontEndState) -> tuple[Ints, FrontEndState]:
        t, slow, size = state
        if t == 0:
            slow = p << self.high_pass
        y = p - (slow >> self.high_pass)
        slow = slow + (y << self.high_pass - min(self.high_pass, t.bit_length()))
        if t == 1:
            size = np.abs(y).sum(axis=-1) << self.gain
        e = self.exponent(size)[..., None]
        most = 1 << e + self.clamp
        y = np.clip(y, -most, most - 1)
        if t:
            rate = self.gain - min(self.gain, t.bit_length() - 1)
            size = size + (np.abs(y).sum(axis=-1) - (size >> self.gain) << rate)
        down = np.maximum(e - FRACTION, 0)
        v = (y << np.maximum(FRACTION - e, 0)) + (1 << down >> 1) >> down
        return v << SHIFT, FrontEndState(t + 1, slow, size)

    def exponent(self, size: Ints) -> Ints:
        """Return e, the power of two that samples are divided by: the mean magnitude's, from 0 on.

        >>> FrontEnd(32).exponent(np.array([0, 3200 << 9])).tolist()
        [0, 6]
        """
        mean = np.maximum(size >> self.gain, 1 << self.mean_shift)
        return np.asarray(np.frexp(mean)[1].astype(np.int64) - 1 - self.mean_shift)
