"""Options that say what is read of data; every command that takes data has the same."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import click

from mubinn.cli.shared.common import NORMALISE
from mubinn.cli.shared.paths import InputPath, InputWords

channels_option = click.option(
    "--channels",
    metavar="NAMES",
    help="Channels to take, in this order, separated by commas; 'EEG*' is many, all every "
    "one.  [default: MODEL's own, else all, if all are voltages]",
)
lsb_option = click.option(
    "--lsb",
    type=float,
    metavar="UV",
    help="Of recordings: the least step of the ADC, in microvolts; samples become whole numbers of "
    "it.  [default: as MODEL was trained, else they stay as they are]",
)

_CUT = (
    click.option(
        "--window",
        type=float,
        metavar="SECONDS",
        help="Of recordings: length of a window.  [default: as MODEL was trained]",
    ),
    click.option(
        "--hop",
        type=float,
        metavar="SECONDS",
        help="Of recordings: from the begin of a window to that of the next.  [default: --window]",
    ),
    click.option(
        "--rate", type=float, metavar="HZ", help="Of recordings: resample all channels to it."
    ),
    click.option(
        "--band",
        metavar="LOW,HIGH",
        help="Of recordings: pass this band, in hertz, and nothing else; without delay.",
    ),
    channels_option,
    lsb_option,
)

_LABELS = (
    click.option(
        "--labels",
        type=InputWords(),
        multiple=True,
        metavar="WHICH",
        help="Of arrays: an .npy file. Of recordings: CLASS=FILES for each class, such as "
        "open=*R01.edf, or one pattern with {} for the class, such as '*_{}.edf' or '{}/*'.",
    ),
    click.option(
        "--events",
        multiple=True,
        metavar="CLASS=TEXT",
        help="Of recordings: windows lie in what is annotated TEXT, and begin at annotations "
        "without a duration; all makes a class of each text.",
    ),
    click.option(
        "--subjects",
        type=InputWords(),
        metavar="WHICH",
        help="Of arrays: an .npy file. Of recordings: a pattern with {} for whose a file is, such "
        "as 'S{}R*'.  [default: each file is another person's]",
    ),
)

_INPUT = (
    click.option(
        *NORMALISE,
        type=click.Choice(
            ["window", "subject", "referenced-window", "referenced-subject", "causal", "none"]
        ),
        help="subject: each channel over the subject's whole recording, without labels; "
        "referenced: less the mean of the channels before; causal: sample by sample in the "
        "integers of an ADC, by what was before.  [default: window]",
    ),
    click.option("--decimate", type=int, help="Steps averaged into one.  [default: 2]"),
    click.option(
        "--high-pass",
        type=int,
        metavar="K",
        help="Of causal: a channel's slow part, which is taken off, follows by 2^-K a step, 1 to "
        "12.  [default: 2]",
    ),
    click.option(
        "--gain",
        type=int,
        metavar="G",
        help="Of causal: the mean magnitude, which divides, follows by 2^-G a step, 1 to 12.  "
        "[default: 9]",
    ),
    click.option(
        "--clamp",
        type=int,
        metavar="B",
        help="Of causal: samples are clamped at 2^B times the power of two that divides them, 0 "
        "to 3.  [default: 2]",
    ),
)


@dataclass(frozen=True)
class Reading:
    """What these options say, each None or empty if not given."""

    window: float | None = None
    hop: float | None = None
    rate: float | None = None
    band: str | None = None
    channels: str | None = None
    labels: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    subjects: str | None = None
    lsb: float | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What is given, by name."""
        return {name: value for name, value in vars(self).items() if value not in (None, ())}

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of channels; None where none are given."""
        if self.channels is None:
            return None
        return tuple(word.strip() for word in self.channels.split(","))


PLAIN = Reading()
"""What commands without such options read."""

DATA_OPTIONS = tuple(field.name for field in fields(Reading))
"""Names of all options but ``--data``."""


data_option = click.option(
    "--data",
    type=InputPath(),
    multiple=True,
    metavar="PATH",
    help="Windows (npz, npy), or recordings (EDF, BDF and what MNE reads): a file or a folder, "
    "several by repeating it.",
)
"""``--data``: what a command runs on in place of the shared data set."""


def cut_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how recordings become windows."""
    return _added(command, _CUT)


def labelled_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add those of `cut_options`, and those that say whose windows are, and of which class."""
    return _added(command, (*_LABELS, *_CUT))


def input_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how training prepares the input."""
    return _added(command, _INPUT)


def reading_of(options: dict[str, Any]) -> Reading:
    """Take what these options say out of a command's keyword arguments."""
    return Reading(**{name: options.pop(name) for name in DATA_OPTIONS if name in options})


def options_of(reading: Reading) -> list[str]:
    """Return the words of a command line that say what `reading` does."""
    words = []
    for name, value in reading.given.items():
        for one in value if isinstance(value, tuple) else (value,):
            words += [f"--{name}", f"{one:g}" if isinstance(one, float) else one]
    return words


def _added(command: Callable[..., Any], options: tuple[Any, ...]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command
