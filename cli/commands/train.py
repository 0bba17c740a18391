"""``mubinn train``: float and binarized models from data, one run or many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mubinn.cli.shared.common import (
    DATAPATH,
    READOUT,
    READOUT_FORMS,
    SCALE_FORM,
    AliasedOption,
    encoder_option,
    json_option,
    refuse_given,
)
from mubinn.cli.shared.data_options import input_options, labelled_options, reading_of
from mubinn.cli.shared.group import command_line
from mubinn.cli.shared.paths import Command, InputPath, OutputFile, OutputFolder
from mubinn.golden.ground.errors import MubinnError

if TYPE_CHECKING:
    from mubinn.golden.model.float_model import FloatModel, Preprocessing
    from mubinn.train.recipes.recipe import Recipe

METHOD_OPTIONS = (
    "scale_form",
    "granularity",
    "weight_scales",
    "gate_offset",
    "x_offset",
    "h_offset",
    "damp_h",
    "damp_c",
    "thresholds",
)
"""Options that are fields of `Method`."""

OF_ALL = ("batch_norm",)
"""Options that are fields of `Method` and of float training as well."""

OF_BINARIZED = (*METHOD_OPTIONS, "encoders", "h_levels", "c_levels", "gate_levels", "scale_rate")
"""Options that float training has no use for."""

RECIPE_OPTIONS = (
    "epochs",
    "hidden",
    "readout",
    "c_clip",
    "learning_rate",
    "scale_rate",
    "batch",
    "validation",
    "patience",
    "normalise",
    "decimate",
    "high_pass",
    "gain",
    "clamp",
    "subject_calibration",
    "group",
    "gain_spread",
    "dropout",
    "balance",
    "cell",
    "datapath",
    "head",
    "embedding",
    "word_dropout",
    "rare_words",
    "given",
    "distil",
    "freeze_embedding",
)
"""Options that are fields of `Recipe`."""

OFFSETS = click.Choice(["none", "alternate", "learned"])


@click.command(cls=Command)
@click.argument("data", type=InputPath(), nargs=-1)
@labelled_options
@click.option(
    "--split",
    type=click.Choice(["subjects", "windows"]),
    default="subjects",
    show_default=True,
    help="windows: folds of one person's windows, each class cut in five pieces; they tell nothing "
    "of other people.",
)
@click.option(
    "--method",
    type=click.Choice(["float", "mubinn2", "mubinn1", "b_lstm", "weights", "xnor"]),
    default="float",
    show_default=True,
    help="mubinn2: everything, scales learned; mubinn1: input products alone, powers of two; "
    "b_lstm: signs alone; weights: those of the layers alone, the rest in full precision; xnor: "
    "signs of weights, inputs and h, each times a scale, gates and c in full precision.",
)
@click.option(
    "--levels",
    multiple=True,
    metavar="A,W",
    help="Levels of the input, of all else; several for many.",
)
@click.option("--h-levels", type=int, metavar="N", help="Levels of h alone.")
@click.option("--c-levels", type=int, metavar="N", help="Levels of c alone.")
@click.option("--gate-levels", type=int, metavar="N", help="Levels of f, i, g, o alone.")
@click.option(
    "--scale-form",
    type=SCALE_FORM,
    help="Of x, h and weights: each half the one before, or powers of two as well.  "
    "[default: free]",
)
@click.option(
    "--granularity", type=click.Choice(["matrix", "gate", "row"]), help="What shares scales."
)
@click.option(
    "--weight-scales",
    type=click.Choice(["learned", "fitted", "none"]),
    help="Of the layers' weights: learned; fitted to them in every step, of one level the mean "
    "magnitude; none, with values from -1 to 1.",
)
@click.option(
    "--batch-norm",
    is_flag=True,
    default=None,
    help="Normalise what each row sums of x and of h; models have it folded into their numbers.",
)
@encoder_option
@click.option(
    "--thresholds",
    type=click.Choice(["rule", "learned"]),
    help="Of --encoder: rule has them follow from the weights of every step and from the model "
    "that training starts from; learned goes on from there.  [default: rule]",
)
@click.option("--gate-offset", type=float, help="Offset of f, i, o.  [default: 0.5]")
@click.option("--x-offset", type=OFFSETS, help="Threshold of each channel.")
@click.option("--h-offset", type=OFFSETS, help="Threshold of each cell.")
@click.option(
    "--datapath",
    type=DATAPATH,
    help="Whose sigmoid and tanh to train with: the tables of the paper's units, or exact ones.  "
    "[default: figure3]",
)
@click.option("--damp-h", type=float, help="Factor of the gradient through h, each step back.")
@click.option("--damp-c", type=float, help="Factor of the gradient through c, each step back.")
@click.option("--fold", type=int, default=0, show_default=True, help="Fold to hold out.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--epochs", type=int, help="[default: 6 for float, 4 up for others]")
@click.option("--hidden", type=int, help="Cells.  [default: 100]")
@click.option(
    "--cell",
    metavar="NAME",
    help="lstm, gru, gru_before, rnn, rnn_relu, cifg, mgu, peephole.  [default: lstm]",
)
@click.option(
    "--layers",
    metavar="LIST",
    help="Layers of any kinds, first to last, in place of --cell and --hidden: 'conv 16x5/2, gru "
    "32, dense 16 relu'. Names are those of cells, dense, and conv: filters x steps / stride, "
    "within the window, or from its first step on with `causal` behind. 'both gru 32' are two "
    "directions, 'backward gru 32' is one; 'lstm_projected 32 to 16' has 16 outputs; 'lstm 16 "
    "over 32x32 by 3x3' takes pixels of frames for steps, and reads those around. Behind may "
    "stand an activation in place of tanh: sigmoid, hard_tanh, hard_sigmoid, relu (up to 1), "
    "identity (up to 8).",
)
@click.option(
    "--embedding",
    type=int,
    metavar="N",
    help="The data are words, one number a step, X [windows, steps]: N numbers for each are "
    "learned, and looked up before the first layer.",
)
@click.option(
    "--word-dropout", type=float, help="Share of the words that are 0 in training.  [default: 0]"
)
@click.option(
    "--rare-words",
    type=float,
    metavar="A",
    help="A word that stands n times in the windows of training is 0 there with the probability "
    "A / (A + n) besides.  [default: 0]",
)
@click.option(
    "--given",
    type=int,
    metavar="N",
    help="Of movies that the model is to continue: later frames than the first N are in training "
    "those that it has made.  [default: true frames]",
)
@click.option(
    "--head",
    type=click.Choice(["classes", "sigmoid", "regression"]),
    help="sigmoid: one logit between two classes; regression: y are numbers, one or several a "
    "window, trained by squared errors.  [default: classes]",
)
@click.option(
    "--readout",
    type=READOUT,
    help=f"Of h. {READOUT_FORMS}. Results of several steps are all trained towards the window's "
    "label, and the last one is measured. Labels of steps, y [windows, steps] with -1 for none, "
    "need results of every step.  [default: mean]",
)
@click.option(
    "--c-clip",
    type=float,
    help="Clip of the cell state, 0 for none.  [default: that of --float-model, else 1]",
)
@click.option("--learning-rate", type=float, help="Peak step of weights.")
@click.option(
    "--scale-rate",
    type=float,
    help="Peak step of scales, in proportion smaller in long runs.  [default: 0.002]",
)
@click.option("--batch", type=int, help="Windows a step.  [default: 64]")
@click.option(
    "--validation",
    type=float,
    help="Share of training subjects set aside; the epoch that is best on them is kept.",
)
@click.option("--patience", type=int, help="Stop after so many epochs without a better validation.")
@input_options
@click.option(
    "--subject-calibration",
    "--centre",
    "subject_calibration",
    cls=AliasedOption,
    type=click.Choice(["none", "subject", "trained"]),
    help="subject: decide by scores less their median over the subject's recording, without "
    "labels; trained: have training see such scores as well.  [default: none]",
)
@click.option("--group", type=int, help="Windows that trained calibrates together.  [default: 15]")
@click.option(
    "--gain-spread",
    type=float,
    help="Spread of random gains of channels in training.  [default: 0.2 with trained, else 0]",
)
@click.option(
    "--dropout", type=float, help="Share of cells hidden from the classifier.  [default: 0]"
)
@click.option(
    "--balance",
    type=click.Choice(["none", "weigh", "sample"]),
    help="Classes of different rates: weigh the loss (class weights), or sample as many windows of "
    "each (oversampling).  [default: none]",
)
@click.option(
    "--float-model",
    type=InputPath(),
    metavar="FILE",
    help="Float model to start from, of mubinn train or mubinn import; without it one is trained "
    "first.",
)
@click.option(
    "--distil",
    type=float,
    metavar="A",
    help="Share of the loss that is against what the float model to start from says of the same "
    "windows, in place of the labels.  [default: 0]",
)
@click.option(
    "--freeze-embedding",
    is_flag=True,
    default=None,
    help="Vectors of words stay those of the float model to start from.",
)
@click.option(
    "--float-epochs", type=int, help="Of the float model that is trained first.  [default: 6]"
)
@click.option(
    "--float-learning-rate",
    type=float,
    help="Peak step of the float model that is trained first.  [default: 0.002]",
)
@click.option("--from-scratch", is_flag=True, help="Start from drawn weights instead.")
@click.option(
    "--checkpoint-dir",
    type=OutputFolder(replaced=False, parents=True),
    metavar="DIR",
    help="Keep the state after every epoch there; the same command then goes on from it.",
)
@click.option("--log", type=OutputFile(parents=True), metavar="FILE", help="Write a JSONL log.")
@click.option("--curve", type=OutputFile(parents=True), metavar="FILE", help="Draw the curves.")
@click.option("--folds", metavar="LIST", help="Many runs: 'all', or numbers such as 0,2.")
@click.option("--seeds", metavar="LIST", help="Many runs: numbers such as 0,1.")
@click.option(
    "--runs",
    type=OutputFolder(replaced=False),
    metavar="DIR",
    help="Many runs: a folder each there; finished ones are not repeated.",
)
@click.option(
    "--integers",
    type=OutputFile(),
    metavar="FILE",
    help="Of xnor: write the model of integers as well, gates, c, h and classifier in 8 levels.",
)
@click.option("-o", "--output", type=OutputFile(), metavar="FILE")
@json_option
@click.pass_context
def train(ctx: click.Context, /, data: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Train recurrent, dense and convolution layers on DATA, float or binarized.

    DATA holds X [windows, steps, channels] and y [windows], classes or numbers, or the class of
    each step, y [windows, steps], and may hold subject and fold (npz, npy). Or it is recordings,
    files and folders of EDF, BDF and what MNE reads, from which windows are cut. Without it the
    shared data set is taken where it is there, else synthetic EEG. Training needs JAX: pip install
    'mubinn[train]'. The accuracy of mubinn2 is that of the exported integers.

    \b
    The bundled models were made by:
      mubinn train eeg_eegmmidb_eyes.npz -o train/models/eeg_float.safetensors
      mubinn train eeg_eegmmidb_eyes.npz --method mubinn2 --levels 3,3 \\
          --float-model train/models/eeg_float.safetensors -o train/models/eeg_3_3.mubinn
    For the smallest and fastest hardware:
      mubinn train my.npz --method mubinn2 --levels 3,3 --scale-form shift \\
          --datapath threshold -o small.mubinn
    Ternary weights of Eq. (21) and a quaternary h, their thresholds learned:
      mubinn train my.npz --method mubinn2 --levels 2,2 --encoder w=tc --encoder h=qc:0.674 \\
          --thresholds learned -o ternary.mubinn
    Your own recording, resumed where it was stopped:
      mubinn train x.npy --labels y.npy --checkpoint-dir run -o my.safetensors
    Recordings of S001R01.edf and so on, people S..., a class a file; or of annotated texts:
      mubinn train edf/ --window 4 --subjects 'S{}R*' --labels open=*R01 --labels shut=*R02 \\
          -o my.safetensors
      mubinn train edf/ --window 4 --events rest=T0 --events left=T1 -o my.safetensors
    For subjects of whom an unlabelled recording with about as much of each class can be had:
      mubinn train my.npz --subject-calibration trained -o my.safetensors
    Filters over time below a GRU, and a dense layer above it:
      mubinn train my.npz --layers 'conv 16x5/2, gru 32, dense 16' -o my.safetensors
    Two directions of an LSTM, read where each ends:
      mubinn train my.npz --layers 'both lstm 32' --readout last -o my.safetensors
    A language model, of the windows that mubinn convert text makes:
      mubinn train lm.npz --embedding 200 --hidden 200 --readout every -o lm.safetensors
    Signs of weights, x and h, and hardware of it, in which all other numbers have 8 levels:
      mubinn train my.npz --method xnor -o my.safetensors --integers my.mubinn
    Numbers in place of classes, y float [windows] or [windows, n]:
      mubinn train my.npz --head regression -o my.safetensors
    All folds, two seeds, three level pairs; what they are worth together, then pictures:
      mubinn train my.npz --method mubinn2 --levels 1,1 --levels 2,2 --levels 3,3 \\
          --folds all --seeds 0,1 --runs runs
      mubinn report --accuracy --logs runs -o accuracy
    """
    from mubinn.cli.commands import train_runs
    from mubinn.cli.shared.recordings import notes_of, open_labelled
    from mubinn.golden.model.float_model import CAUSAL, CONSTANTS
    from mubinn.train.recipes.stack import check_integers

    reading = reading_of(options)
    if options["normalise"] != CAUSAL:
        why = "is of the causal front end: give --normalise causal, or leave it out."
        refuse_given(why, *CONSTANTS)
    many = options["runs"] is not None
    if many == (options["output"] is not None):
        raise MubinnError("Give -o FILE for one run, or --runs DIR for many.")
    recipes = [_recipe(options, levels) for levels in _levels(options)]
    if options["integers"] is not None:
        check_integers(recipes[0].method, recipes[0].stack)
    base = _float_recipe(options, recipes[0])
    by_windows = options["split"] == "windows"
    whole = (
        str(options["normalise"]).endswith("subject") or options["subject_calibration"] == "subject"
    )
    if by_windows and (reading.subjects is not None or whole):
        raise MubinnError("--split windows knows no subjects: leave out what is of subjects.")
    start = options["float_model"] = _start(options["float_model"], recipes[0])
    recorded, name = open_labelled(
        data,
        reading,
        model=start,
        by_windows=by_windows,
        own_folds=True,
        numbers=recipes[0].head == "regression",
        of_steps=True,
    )
    notes = {"data": name, **notes_of(recorded, reading), "command": command_line(ctx)}
    if many:
        train_runs.many(recorded, recipes, base, options, notes, as_json)
    else:
        train_runs.single(recorded, recipes[0], base, options, notes, as_json)


def _float_recipe(options: dict[str, Any], recipe: Recipe) -> Recipe:
    """Return the recipe of the float model that a binarized one starts from; its own for float."""
    from mubinn.train.recipes.recipe import OF_START

    own = {name: options[f"float_{name}"] for name in ("epochs", "learning_rate")}
    given = [name for name, value in own.items() if value is not None]
    if recipe.method.name == "float" or options["float_model"] or options["from_scratch"]:
        if given:
            option = given[0].replace("_", "-")
            raise MubinnError(
                f"--float-{option} is of a float model that is trained before another one, which "
                "this command does not do: leave it out"
                + (f", or give --{option}." if recipe.method.name == "float" else ".")
            )
        if recipe.method.name == "float":
            return recipe
    none = {**dict.fromkeys(("datapath", "batch_norm", *OF_START)), "method": "float"}
    return _recipe({**options, **own, **none}, None)


def _start(path: Path | None, recipe: Recipe) -> FloatModel | None:
    """Return the float model to start from, whose channels and classes the data are to have.

    Raises
    ------
    MubinnError
        Its input was prepared in another way than the recipe's.
    """
    from mubinn.golden.model.model_file import load_float

    if path is None:
        return None
    model = load_float(path)
    if model.preprocessing != recipe.preprocessing:
        own, other = (_options_of(one.preprocessing) for one in (model, recipe))
        raise MubinnError(
            f"The input of {path} was made with {own}, here it is {other}: give {own}."
        )
    return model


def _options_of(how: Preprocessing) -> str:
    """Return the options that prepare the input in a way."""
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in how.to_json().items())


def _levels(options: dict[str, Any]) -> list[Any]:
    """Return the level counts that are asked for: none for float, one each otherwise."""
    from mubinn.golden.binarize.levels import parse_levels
    from mubinn.train.recipes.method import METHODS

    given = options["levels"]
    if options["method"] == "float":
        if given:
            raise MubinnError("Method float takes no levels: name a method such as mubinn2.")
        refuse_given("is of binarized training: leave it out, or name mubinn2.", *OF_BINARIZED)
        return [None]
    if not given and METHODS[options["method"]].signs:
        given = ("1,1",)
    if not given:
        raise MubinnError(f"Method {options['method']} needs levels: give --levels 3,3.")
    if len(given) > 1 and options["runs"] is None:
        raise MubinnError("One run has one pair of levels: give --runs DIR for several.")
    own = {name: options[f"{name}_levels"] for name in ("h", "c", "gate")}
    own = {name: count for name, count in own.items() if count is not None}
    return [parse_levels(text, **own) for text in given]


def _recipe(options: dict[str, Any], levels: Any) -> Recipe:
    """Return the tuned recipe with what the command line sets otherwise."""
    from mubinn.golden.binarize.rules import parse_encoders
    from mubinn.train.recipes.tuned import tuned

    given = {name: options[name] for name in RECIPE_OPTIONS if options[name] is not None}
    given |= _layers(options)
    method = {name: options[name] for name in OF_ALL if options[name] is not None}
    if options["method"] != "float":
        own = {name: options[name] for name in METHOD_OPTIONS if options[name] is not None}
        method |= own | {"encoders": tuple(parse_encoders(options["encoders"]).items())}
    place = {"fold": options["fold"], "seed": options["seed"]}
    return tuned(options["method"], levels, method=method, **place, **given)


def _layers(options: dict[str, Any]) -> dict[str, Any]:
    """Return the layers that are asked for, by the name of their field."""
    from mubinn.train.recipes.stack import parse_layers

    if options["layers"] is None:
        return {}
    for name in ("cell", "hidden"):
        if options[name] is not None:
            raise MubinnError(
                f"--layers says of what and how many cells each layer is: leave --{name} out."
            )
    return {"layers": parse_layers(options["layers"])}
