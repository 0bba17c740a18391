"""``mubinn convert``: public sets as windows to train on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.paths import Command, InputPath, OutputFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

source = click.argument("source", type=InputPath())
output = click.option("-o", "--output", type=OutputFile(), required=True, metavar="FILE")

COPIES_HELP = "Each channel so many times: at one level every copy has a threshold of its own."


@click.group()
def convert() -> None:
    """Make windows to train on of your own copy of a public set.

    All but the digits and the movies are read from the folder that is published, any of the sets
    from its compact form, one .npz; the reference of `mubinn.train.data` names its arrays. Windows
    come with their classes, subjects and folds, normalised: train on them with --normalise none.
    Words are numbers: train on them with --embedding.

    \b
      mubinn convert watch wisdm-dataset/ -o watch.npz
      mubinn convert ecg mit-bih-arrhythmia-database-1.0.0/ -o beats.npz
      mubinn convert digits fsdd_mfcc.npz -o digits.npz
      mubinn convert imdb aclImdb/ -o imdb.npz
      mubinn convert sst trees/ -o sst.npz
      mubinn convert text penn/ -o lm.npz
      mubinn convert moving mnist.npz -o movies.npz
    """


@convert.command(cls=Command)
@source
@click.option("--window", type=float, default=10.0, show_default=True, help="Seconds of a window.")
@click.option(
    "--hop", type=float, default=5.0, show_default=True, help="Seconds from one to the next."
)
@click.option("--copies", type=int, default=2, show_default=True, help=COPIES_HELP)
@output
def watch(source: Path, window: float, hop: float, copies: int, output: Path) -> None:
    """Convert WISDM's smart-watch movements: 18 activities, folds by person.

    SOURCE is the folder wisdm-dataset, of which raw/watch is read, or an .npz.

    Of accelerometer and gyroscope at 20 Hz: gravity, change, and the logarithm of the energy.

    \b
      mubinn convert watch wisdm-dataset/ --window 20 -o watch.npz
      mubinn train watch.npz --normalise none --decimate 4 --dropout 0.5 --epochs 8 \\
          -o watch.safetensors
    """
    from mubinn.train.data.watch import watch as converted

    arrays, told = converted(source, window_s=window, hop_s=hop)
    _write(output, arrays, copies, told)


@convert.command(cls=Command)
@source
@click.option("--copies", type=int, default=1, show_default=True, help=COPIES_HELP)
@output
def ecg(source: Path, copies: int, output: Path) -> None:
    """Convert MIT-BIH's heartbeats: classes N, S, V and F, folds by patient.

    SOURCE is the folder of its records, .hea, .dat and .atr, or an .npz.

    Records of paced hearts and beats of class Q are left out. Each beat has its signal at 120 Hz,
    how it differs from the patient's usual beat, and how the intervals before and after it compare
    with those around: this takes a recording of the patient, without labels. With both parts of
    the usual split fold 0 is DS2.

    \b
      mubinn convert ecg mit-bih-arrhythmia-database-1.0.0/ -o beats.npz
      mubinn train beats.npz --normalise none --hidden 50 --epochs 2 --batch 128 \\
          --learning-rate 0.003 --dropout 0.3 --gain-spread 0.3 -o beats.safetensors
    """
    from mubinn.train.data.beats import beats as converted

    _write(output, converted(source), copies)


@convert.command(cls=Command)
@source
@click.option(
    "--frames",
    type=int,
    default=80,
    show_default=True,
    help="Frames of a window; shorter recordings are padded with zeros, longer ones cut.",
)
@click.option("--copies", type=int, default=1, show_default=True, help=COPIES_HELP)
@output
def digits(source: Path, frames: int, copies: int, output: Path) -> None:
    """Convert FSDD's spoken digits, 13 MFCC every 10 ms; fold 0 is the official test set.

    \b
      mubinn convert digits fsdd_mfcc.npz -o digits.npz
      mubinn train digits.npz --normalise none --epochs 20 -o digits.safetensors
    """
    from mubinn.train.data.digits import digits as converted

    arrays, told = converted(source, frames=frames)
    _write(output, arrays, copies, told)


WORDS = click.option(
    "--words", type=int, default=20_000, show_default=True, help="Rarer ones are all one."
)


@convert.command(cls=Command)
@source
@WORDS
@click.option("--steps", type=int, default=80, show_default=True, help="The last words of each.")
@output
def imdb(source: Path, words: int, steps: int, output: Path) -> None:
    """Convert IMDB's film reviews: words by their numbers; fold 0 is the set's own test part.

    SOURCE is the folder aclImdb, of which train/ and test/ are read, or an .npz.

    \b
      mubinn convert imdb aclImdb/ -o imdb.npz
      mubinn train imdb.npz --embedding 128 --hidden 128 --head sigmoid --readout last \\
          --validation 0.1 --dropout 0.2 --epochs 3 --learning-rate 0.001 -o imdb.safetensors
    """
    from mubinn.train.texts.reviews import reviews

    arrays, told = reviews(source, words=words, steps=steps)
    _write(output, arrays, 1, told)


@convert.command(cls=Command)
@source
@WORDS
@click.option("--steps", type=int, default=52, show_default=True, help="The last words of each.")
@click.option("--phrases", is_flag=True, help="Train on every phrase, not on sentences alone.")
@output
def sst(source: Path, words: int, steps: int, phrases: bool, output: Path) -> None:
    """Convert the Stanford Sentiment Treebank: words by their numbers, five classes.

    SOURCE is the folder of train.txt, dev.txt and test.txt, or an .npz. Fold 0 is the test part, or
    where there is none dev.

    \b
      mubinn convert sst trees/ --phrases -o sst.npz
      mubinn train sst.npz --embedding 300 --hidden 168 --readout last -o sst.safetensors
    """
    from mubinn.train.texts.sentences import sentences

    arrays, told = sentences(source, words=words, steps=steps, phrases=phrases)
    _write(output, arrays, 1, told)


@convert.command(cls=Command)
@source
@click.option("--words", type=int, help="Of texts: rarer ones are all one.  [default: 10000]")
@click.option("--characters", is_flag=True, help="Of texts: take each character for a word.")
@click.option(
    "--context",
    type=int,
    default=20,
    show_default=True,
    help="First steps of a window, which have no label.",
)
@click.option(
    "--steps",
    type=int,
    default=20,
    show_default=True,
    help="Steps that follow, each with the next word as its label.",
)
@output
def text(
    source: Path, words: int | None, characters: bool, context: int, steps: int, output: Path
) -> None:
    """Convert a text to windows of a language model, which tells the next word at each step.

    SOURCE is a folder with train.txt and valid.txt, or an .npz of the numbers of words, train and
    valid. Fold 0 is valid. Words of texts stand between blanks, and the end of a line is one.

    \b
      mubinn convert text penn/ -o lm.npz
      mubinn train lm.npz --embedding 200 --hidden 200 --readout every --dropout 0.3 \\
          --validation 0.05 -o lm.safetensors
    """
    from mubinn.train.texts.next_words import next_words

    arrays, told = next_words(
        source, words=words, context=context, steps=steps, characters=characters
    )
    _write(output, arrays, 1, told)


@convert.command(cls=Command)
@source
@click.option("--movies", type=int, default=1000, show_default=True, help="How many.")
@click.option("--frames", type=int, default=15, show_default=True, help="Frames of each.")
@click.option(
    "--pool",
    type=int,
    default=2,
    show_default=True,
    help="Pixels along a side of 64 that are averaged to one.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Other movies.")
@click.option(
    "--grey",
    is_flag=True,
    help="Labels are 1 with the probability of their grey.",
)
@output
def moving(
    source: Path, movies: int, frames: int, pool: int, seed: int, grey: bool, output: Path
) -> None:
    """Make moving MNIST of handwritten digits: the label of a pixel is what it is next.

    SOURCE is an .npz with the images, x uint8 [images, S, S]. A step of a window is a pixel. Both
    digits of a movie of fold 0 are in no movie of another fold.

    \b
      mubinn convert moving mnist.npz -o movies.npz
      mubinn train movies.npz --normalise none --decimate 1 --readout every --head sigmoid \\
          --layers 'peephole 16 over 32x32 by 3x3' -o movies.safetensors
      mubinn movies movies.safetensors movies.npz --given 7
    """
    from mubinn.train.data.moving import moving as made

    arrays, told = made(source, movies=movies, frames=frames, pool=pool, seed=seed, grey=grey)
    _write(output, arrays, 1, told)


def _write(output: Path, arrays: dict[str, NDArray[Any]], copies: int, told: str = "") -> None:
    import numpy as np

    from mubinn.golden.ground.arrays import write_arrays
    from mubinn.train.data.compact import repeated

    arrays = repeated(arrays, copies)
    write_arrays(output, arrays)
    x, people = arrays["X"], len(np.unique(arrays["subject"]))
    click.echo(
        f"{output}: {len(x)} windows of {x.shape[1]} steps and {x.shape[2]} channels, "
        f"{len(arrays['classes'])} classes, {people} subjects{f' ({told})' if told else ''}."
    )
