"""The binarization methods of the paper, as data: what is binarized and where scales come from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, get_args

from mubinn.golden.binarize.levels import Levels
from mubinn.golden.binarize.rules import Rule, check_rules
from mubinn.golden.binarize.scale_form import ScaleForm
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.units.shapes import Kind, shape_of

Name = Literal["float", "mubinn2", "mubinn1", "b_lstm", "weights", "xnor"]
Granularity = Literal["matrix", "gate", "row"]
WeightScales = Literal["learned", "fitted", "none"]
Offsets = Literal["none", "alternate", "learned"]
Thresholds = Literal["rule", "learned"]

TENSORS = ("x", "wx", "wh", "b", "h", "c", "gate", "wd", "bd", "stored")
"""Every tensor that has scales."""

STORED = ("wx", "wh", "stored")
"""Tensors of the weights of recurrent layers, whose rules follow the present weights."""


class Known(NamedTuple):
    """A method that binarizes.

    Attributes
    ----------
    kept : tuple of str
        The tensors that have level bits.
    learns : bool
        Whether scales follow their gradient.
    ruled : bool
        Whether encoders may be chosen.
    signs : bool
        Whether it has one level and no more.
    matrix : bool
        Whether a scale is usually that of a whole matrix.
    late : bool
        Whether only the products with weights take codes of the output; all else reads it as it is.
    """

    kept: tuple[str, ...]
    learns: bool = False
    ruled: bool = False
    signs: bool = False
    matrix: bool = False
    late: bool = False


METHODS: dict[Name, Known] = {
    "mubinn2": Known(TENSORS, learns=True, ruled=True),
    "mubinn1": Known(("x", "wx")),
    "b_lstm": Known(("x", "wx", "wh"), signs=True),
    "weights": Known(STORED, learns=True, ruled=True, matrix=True),
    "xnor": Known(("x", "wx", "wh", "b", "h"), learns=True, signs=True, matrix=True, late=True),
}
"""The methods that binarize, by name."""

MERGED = ("x", "h", "wx", "wh", "wd")
"""Tensors whose level-pair products go through the XNOR multiplier."""


@dataclass(frozen=True)
class Method:
    """How a model is binarized in training.

    Attributes
    ----------
    name : str
        ``"mubinn2"``: everything in Eq. (1)-(5), scales learned; ``"mubinn1"``: x and W_x alone,
        scales powers of two found by search; ``"b_lstm"``: the signs of x, W_x and W_h, no scales;
        ``"weights"``: the weights of the layers alone, the others stay as they are; ``"xnor"``: the
        signs of x, h, W_x, W_h and maybe b, each times a scale, as "Binarized LSTM" has them in Eq.
        2 and 3; gates and c stay as they are, and so does the classifier, which reads h as it is;
        ``"float"``: nothing.
    levels : Levels or None
        Level counts, of the tensors that the method binarizes; None for ``"float"``.
    scale_form : "free", "power-of-two" or "shift"
        ``"power-of-two"`` ties the scales of x, h and the weights to one learned base each, times
        1, 1/2, 1/4, ...; with ``"shift"`` the base is a power of two as well, one for all groups of
        a tensor. Hardware then merges the level pairs, and with shifts multiplies nothing.
    granularity : "matrix", "gate" or "row"
        What shares one set of weight scales.
    weight_scales : "learned", "fitted" or "none"
        Of the weights of layers: learned with the rest; in every step those that leave the least
        squared error, which at one level is the mean magnitude, of one level or a rule alone; or
        such that the largest value is 1.
    bias : "gate" or "row"
        What shares one set of bias scales; ``"row"`` makes a bias a sign and a magnitude, which
        hardware stores as one number.
    gate_offset : float
        Offset of f, i and o, gates from 0 to 1; 0 is the paper's literal form.
    x_offset, h_offset : "none", "alternate" or "learned"
        Thresholds of each channel and each cell: 0; plus and minus the mean magnitude in turn; or
        those as a start, then learned. Offsets fold into the bias.
    damp_h, damp_c : float
        Factors of the gradient that is carried one step back through h and through c.
    encoders : tuple of (str, Rule)
        Ordered thresholds by tensor, `mubinn.golden.binarize.rules.parse_encoders`; the rest has
        Algorithm 1. Their one scale is learned. A rule's thresholds of weights are those of the
        weights as they are in every step, its thresholds of activations those of the model that
        training starts from.
    thresholds : "rule" or "learned"
        With ``"learned"`` all these thresholds follow their gradient from there on.
    batch_norm : bool
        Whether what a row of a layer sums is normalised, x and h apart, as
        `mubinn.train.graphs.norms` says. Models that are handed over have it folded in.
    """

    name: Name = "float"
    levels: Levels | None = None
    scale_form: ScaleForm = "free"
    granularity: Granularity = "gate"
    weight_scales: WeightScales = "learned"
    bias: Granularity = "row"
    gate_offset: float = 0.5
    x_offset: Offsets = "none"
    h_offset: Offsets = "none"
    damp_h: float = 0.5
    damp_c: float = 0.9
    encoders: tuple[tuple[str, Rule], ...] = ()
    thresholds: Thresholds = "rule"
    batch_norm: bool = False

    def __post_init__(self) -> None:
        """Validate; raise `MubinnError`."""
        choices = {
            "name": Name,
            "scale_form": ScaleForm,
            "granularity": Granularity,
            "weight_scales": WeightScales,
            "bias": Granularity,
            "x_offset": Offsets,
            "h_offset": Offsets,
            "thresholds": Thresholds,
        }
        for field, kind in choices.items():
            if getattr(self, field) not in get_args(kind):
                raise MubinnError(
                    f"{field} {getattr(self, field)!r} is unknown; use one of "
                    f"{', '.join(get_args(kind))}."
                )
        if (self.levels is None) != (self.name == "float"):
            raise MubinnError(
                f"Method {self.name} "
                + ("needs levels such as 3,3." if self.levels is None else "takes no levels.")
            )
        for field in ("damp_h", "damp_c"):
            if not 0 <= getattr(self, field) <= 1:
                raise MubinnError(f"{field} is {getattr(self, field)}; it must be in [0, 1].")
        if not -1 <= self.gate_offset <= 1:
            raise MubinnError(f"gate_offset is {self.gate_offset}; it must be in [-1, 1].")
        if self.scale_form != "free" and self.name != "mubinn2":
            raise MubinnError(
                f"Method {self.name} has scales of one form: leave --scale-form out, or train with "
                "mubinn2."
            )
        self._check_rules()
        self._check_norms()
        signs = (self.counts[name] for name in ("x", "wx", "wh", "h"))
        if self.known.signs and {*signs} - {None} != {1}:
            raise MubinnError(
                f"{self.name.upper()} keeps signs alone, one level: give the levels 1,1."
            )

    def _check_rules(self) -> None:
        """Raise `MubinnError` where encoders do not fit the method."""
        if self.encoders and not self.known.ruled:
            raise MubinnError(
                f"Method {self.name} has encoders of its own: leave --encoder out, or train with "
                "mubinn2."
            )
        own = self.counts
        counts = {name: own[name] for name in ("x", "h", "c", "gate")} | {"w": own["wx"]}
        full = [name for name, _ in self.encoders if counts.get(name, 0) is None]
        if full:
            raise MubinnError(
                f"Method {self.name} leaves {full[0]} in full precision: give the encoder of w "
                "alone, such as --encoder w=tc."
            )
        check_rules(dict(self.encoders), counts, self.scale_form)
        if self.weight_scales != "learned" and counts["w"] != 1 and self.rule("wx") is None:
            raise MubinnError(
                f"Scales of {counts['w']} levels by Algorithm 1 are learned: leave --weight-scales "
                "out, or give --encoder w=tc or w=qc."
            )
        if self.thresholds == "learned" and all(r.factor is None for _, r in self.encoders):
            raise MubinnError(
                "No tensor has thresholds to learn: give --encoder with tc or qc, or leave "
                "--thresholds out."
            )

    def _check_norms(self) -> None:
        """Raise `MubinnError` where rows cannot have what normalisation folds into."""
        if not self.batch_norm or self.name == "float":
            return
        if not self.known.learns:
            raise MubinnError(
                f"Method {self.name} has no scales that normalised rows could have: leave "
                "--batch-norm out, or train with mubinn2, weights or xnor."
            )
        if self.granularity != "row" or self.weight_scales == "none":
            raise MubinnError(
                "Normalised rows have scales of their own: give --granularity row, and no "
                "--weight-scales none, or leave --batch-norm out."
            )
        if self.scale_form == "shift":
            raise MubinnError(
                "Scales of normalised rows are no powers of two: give --scale-form power-of-two "
                "or free, or leave --batch-norm out."
            )
        if self.rule("wx") is not None:
            raise MubinnError(
                "Thresholds of weights are those of a whole matrix, and each row is normalised: "
                "leave --encoder w out, or --batch-norm."
            )

    def rule(self, tensor: str) -> Rule | None:
        """Return the rule of ordered thresholds of one of `TENSORS`; None for Algorithm 1."""
        name = "w" if tensor in STORED else tensor
        return dict(self.encoders).get(name)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as logs name them; later ones where they are used."""
        fields = asdict(self)
        fields["encoders"] = [f"{name}={rule}" for name, rule in self.encoders]
        unused = [] if self.encoders else ["encoders", "thresholds"]
        unused += ["weight_scales"] if self.weight_scales == "learned" else []
        unused += [] if self.batch_norm else ["batch_norm"]
        return {name: value for name, value in fields.items() if name not in unused}

    @property
    def counts(self) -> dict[str, int | None]:
        """Level count of each of `TENSORS`; None where it stays in full precision."""
        own = self.levels
        if own is None:
            return dict.fromkeys(TENSORS)
        counts = {"x": own.x, "wx": own.w, "wh": own.w, "wd": own.w, "b": own.b, "bd": own.b}
        counts |= {"h": own.h, "c": own.c, "gate": own.gate, "stored": own.w}
        if self.bias == "row":
            counts |= {"b": None, "bd": None}
        return {name: counts[name] if name in self.known.kept else None for name in TENSORS}

    @property
    def known(self) -> Known:
        """What the method is, by its name."""
        return METHODS.get(self.name, Known(()))

    def offset_of(self, kind: Kind) -> float:
        """Return the offset of gates of an activation: `gate_offset` of those from 0 to 1."""
        return 0.0 if shape_of(kind).low < 0 else self.gate_offset

    @property
    def learns_scales(self) -> bool:
        """Whether scales follow their gradient."""
        return self.known.learns

    @property
    def weights_alone(self) -> bool:
        """Whether nothing but weights is binarized, which a float model can hold."""
        kept = {*self.known.kept}
        return bool(kept) and kept <= {*STORED}

    @property
    def in_files(self) -> bool:
        """Whether the model that training leaves decides as the graph that it has measured."""
        return self.name == "float" or self.exports or self.weights_alone

    @property
    def exports(self) -> bool:
        """Whether nothing is left in full precision, so that the hardware can run the model."""
        return all(self.counts[name] for name in TENSORS if name not in ("b", "bd"))

    def groups(self, rows: int, hidden: int) -> int:
        """Return the sets of scales of the weights of `rows` rows of a cell, `hidden` of each."""
        return {"matrix": 1, "gate": rows, "row": rows * hidden}[self.granularity]

    def rows_of_logs(self, tensor: str) -> int:
        """Return how many rows of scales `tensor` has: one where the others follow from it."""
        count = self.counts[tensor]
        tied = (self.scale_form != "free" and tensor in MERGED) or self.rule(tensor) is not None
        return 0 if count is None else 1 if tied else count
