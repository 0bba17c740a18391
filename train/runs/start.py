"""Whether a model can be what training starts from. NumPy only."""

from __future__ import annotations

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.embedding import named_rows
from mubinn.golden.model.float_model import FloatModel
from mubinn.golden.model.stacked import kinds_of
from mubinn.train.data.recordings import LabelledSet
from mubinn.train.recipes.recipe import OF_START, Recipe
from mubinn.train.recipes.stack import LayerForm, layer_words


def check_drawn(recipe: Recipe) -> None:
    """Raise `MubinnError` where a recipe takes something from weights that are drawn."""
    for name in OF_START:
        if getattr(recipe, name):
            option = f"--{name.replace('_', '-')}"
            raise MubinnError(
                f"{option} takes it from what training starts from, and drawn weights know "
                "nothing: give --float-model or another --method than float, or leave "
                f"{option} out."
            )


def _check_words(model: FloatModel, data: LabelledSet, recipe: Recipe) -> None:
    """Raise `MubinnError` where a model reads other words than the data and the recipe have."""
    own = 0 if model.embedding is None else model.features
    if own != recipe.embedding:
        raise MubinnError(
            f"The float model has {own or 'no'} numbers a word, the recipe "
            f"{recipe.embedding or 'none'}: give --embedding {own}."
        )
    if model.embedding is not None:
        named_rows(len(model.embedding), data.x)


def check_start(model: FloatModel, data: LabelledSet, recipe: Recipe) -> None:
    """Raise `MubinnError` where the first weights do not fit the data or the recipe."""
    if model.head != recipe.head:
        raise MubinnError(
            f"The float model has a {model.head} head, and training is of a {recipe.head} head: "
            "give the same as --head."
        )
    count, wanted = model.classes or model.outputs, len(data.classes) or data.y.shape[1]
    _check_words(model, data, recipe)
    if (model.channels, count) != (data.features, wanted):
        what = "classes" if data.classes else "numbers"
        raise MubinnError(
            f"The float model has {model.channels} channels and {count} {what}, the data "
            f"have {data.features} and {wanted}: give a model trained on such data."
        )
    own = layer_words([LayerForm.of(layer) for layer in model.layers])
    asked = layer_words(recipe.layers)
    if asked and own != asked:
        raise MubinnError(
            f"The float model's layers are {', '.join(own)}, the recipe's {', '.join(asked)}: let "
            "both be the same."
        )
    cell = recipe.stack[0].cell
    for layer in () if asked else model.layers:
        if layer.cell is not cell or not (layer.frames.plain and layer.place.plain):
            raise MubinnError(
                f"The float model is of {kinds_of(model.layers).upper()} cells, the recipe of "
                f"{cell.name.upper()} cells one above the other: let both be the same, here as "
                f"--layers '{', '.join(own)}'."
            )
    if model.readout != recipe.readout:
        raise MubinnError(
            f"The float model reads the {model.readout} of h, the recipe the {recipe.readout}: "
            "let both be the same."
        )
