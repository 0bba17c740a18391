"""The trained float model: what training and importers produce, and quantization starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mubinn.golden.cells.place import check_places, width
from mubinn.golden.cells.sweep import check_sweeps
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.fixed import Floats, frozen
from mubinn.golden.model.embedding import check_table, looked_up
from mubinn.golden.model.float_layer import FloatLayer, check_array
from mubinn.golden.model.head import READINGS, HeadKind, Reading, Readout, head_of, reading_of
from mubinn.golden.model.stacked import Stacked

READOUTS = tuple(READINGS)

CAUSAL = "causal"
"""The normalisation that `mubinn.golden.model.front_end.FrontEnd` does sample by sample."""

CONSTANTS = {"high_pass": (1, 12), "gain": (1, 12), "clamp": (0, 3)}
"""Constants of the causal front end, each with its least and its largest value."""


@dataclass(frozen=True)
class Preprocessing:
    """How a recording becomes the input, by `mubinn.train.data.recordings.prepare`.

    Attributes
    ----------
    normalise : str
        ``"window"`` subtracts each channel's mean and divides by one standard deviation;
        ``mubinn train --help`` names the others.
    decimate : int
        Averages this many consecutive time steps into one.
    high_pass, gain, clamp : int
        Constants of `mubinn.golden.model.front_end.FrontEnd`; other ones than the usual are of
        ``"causal"`` alone.

    Raises
    ------
    MubinnError
        A constant is out of range, or of another normalisation.

    Examples
    --------
    >>> Preprocessing("causal", 2, high_pass=3).constants
    {'high_pass': 3, 'gain': 9, 'clamp': 2}
    """

    normalise: str = "window"
    decimate: int = 2
    high_pass: int = 2
    gain: int = 9
    clamp: int = 2

    def __post_init__(self) -> None:
        """Check the constants."""
        for name, value in self.constants.items():
            low, high = CONSTANTS[name]
            if not low <= value <= high:
                raise MubinnError(f"{name} is {value}; it must be {low} to {high}.")
            if self.normalise != CAUSAL and value != getattr(Preprocessing, name):
                raise MubinnError(
                    f"{name} {value} is of the causal front end: give --normalise causal, or leave "
                    "it out."
                )

    @property
    def constants(self) -> dict[str, int]:
        """The constants by name."""
        return {name: getattr(self, name) for name in CONSTANTS}

    def to_json(self) -> dict[str, str | int]:
        """Return the fields as files name them; constants where they are not the usual ones.

        >>> Preprocessing("causal", 2).to_json()
        {'normalise': 'causal', 'decimate': 2}
        """
        usual = self.constants == Preprocessing().constants
        own = {} if usual else self.constants
        return {"normalise": self.normalise, "decimate": int(self.decimate), **own}


@dataclass(frozen=True, eq=False)
class FloatModel(Stacked[FloatLayer]):
    """Stacked layers and a dense layer that reads the last of them.

    Attributes
    ----------
    layers : tuple of FloatLayer
        Layer k + 1 reads the h of layer k, where its place does not say otherwise.
    wd : float64 [C, H]
        H cells of the top layer, or of all that are beside each other on top.
    bd : float64 [C]
    readout : str
        The dense layer reads h of the last step, the mean of h over the steps, h of every step, or
        at every step the mean over the steps so far: "last", "mean", "every", "running", or another
        name of `mubinn.golden.model.head`. The last step of a backward layer is the last that it
        takes, the first of the window.
    preprocessing : Preprocessing
    meta : mapping of str to str
        Free notes: data set, held-out fold, accuracy, the command that made the model.
    head : "classes", "sigmoid" or "regression"
        What the dense layer's numbers are, `mubinn.golden.model.head.HEADS`.
    embedding : float64 [V, I], or None
        With it the data have one channel, of numbers that name its rows.
    """

    wd: Floats
    bd: Floats
    readout: Readout = "mean"
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    meta: Mapping[str, str] = field(default_factory=dict)
    head: HeadKind = "classes"
    embedding: Floats | None = None

    def __post_init__(self) -> None:
        """Validate shapes and values; raise `MubinnError`."""
        for name in ("wd", "bd"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.float64))
        object.__setattr__(self, "readout", reading_of(self.readout).name)
        check_places(self.layers)
        check_sweeps(self.layers, self.readout)
        if self.wd.ndim != 2:
            raise MubinnError(f"wd has shape {self.wd.shape}, expected (outputs, cells).")
        head_of(self.head).check(self.outputs)
        check_array("wd", self.wd, (self.outputs, width(self.top)))
        check_array("bd", self.bd, (self.outputs,))
        if self.embedding is not None:
            object.__setattr__(self, "embedding", frozen(self.embedding, np.float64))
            check_table(self.embedding, self.features)
            check_array("embedding", self.embedding, self.embedding.shape)

    @property
    def channels(self) -> int:
        """Channels of the data: the inputs, or the one of numbers that name rows."""
        return self.features if self.embedding is None else 1

    def embedded(self, x: npt.ArrayLike) -> Floats:
        """Return what the first layer reads, float64 [..., I], of data [..., channels]."""
        return np.asarray(x if self.embedding is None else looked_up(self.embedding, x), np.float64)

    @property
    def reading(self) -> Reading:
        """What scores are made of, and of which steps they are given."""
        return reading_of(self.readout)

    @property
    def outputs(self) -> int:
        """Numbers C of the dense layer."""
        return int(self.wd.shape[0])

    @property
    def classes(self) -> int:
        """Classes between which the model decides; 0 where it does not."""
        return head_of(self.head).classes(self.outputs)
