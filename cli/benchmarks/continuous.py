"""``mubinn bench continuous``: models that go on from sample to sample, on people not seen.

Windows that begin anew stand beside state and front end that are carried through each recording,
decided by the leaky sum of the scores at the windows' ends; how long a change of class takes; and
what disturbances of the recordings cost. All of it bit-true. What is done once for a model is kept
by content, so that an interrupted run goes on.
"""

import hashlib
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mubinn.cli.benchmarks.figures import figure, versions
from mubinn.cli.shared.fitting import noted
from mubinn.cli.shared.recordings import SYNTHETIC, open_labelled, trained_fold
from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.model.model_file import load_any
from mubinn.golden.model.quantized_model import QuantizedModel
from mubinn.reports.continuous import (
    WAYS,
    Pooled,
    as_json,
    continuous_csv,
    measured,
    pooled,
    tables,
)
from mubinn.synth.flow.cache import cached, content_key
from mubinn.synth.flow.source import source_hash
from mubinn.train.data.streams import AMPLITUDES
from mubinn.train.runs.continuous import judged_on
from mubinn.train.runs.sweep import QUANTIZED_FILE

ACCURACY = {
    "(3,3)": {"reset": 82.5, "k7": 84.5},
    "(2,2)": {"reset": 82.0, "k7": 84.0},
    "(1,1)": {"reset": 79.5},
}
"""Least percentage of windows decided right, by levels and way."""

REACTION = {"(3,3)": {"k7": 7.0, "k6": 5.0}}
"""Most seconds until 80 % are right after a change."""

ROBUST = {
    "amplitude": (tuple(AMPLITUDES), 1.0),
    "walk": (("walk of 2 uV a root sample",), 2.0),
    "noisy": (("one noisy channel",), 6.0),
}
"""Disturbances, the worst of which may cost so many points of the first levels of `REACTION`."""

Say = Callable[[str], None]


def bench_continuous(
    models: Sequence[Path] = (),
    data: Sequence[Path] = (),
    progress: Say = lambda _: None,
) -> dict[str, Any]:
    """Measure models that go on.

    Parameters
    ----------
    models : sequence of Path
        Files of quantized models, and folders of ``mubinn train --runs``; without any, what was
        measured of those of the documentation.
    data : sequence of Path
        What they were trained on; without it the shared data set.
    progress : callable, optional
        Told what begins.

    Raises
    ------
    MubinnError
        A folder has no quantized model, a file a float one, a model no held-out fold; and as
        `judged_on` does.
    """
    if data and not models:
        raise MubinnError("--data belongs to models: name these, or leave it out.")
    rows = [_row(path, data, progress) for path in _files(models)] if models else measured()
    found = pooled(rows)
    about: dict[str, Any] = {"runs": len(rows)} | ({"data": rows[0]["data"]} if rows else {})
    if models:
        words = ["mubinn", "bench", "continuous", *(path.name for path in models)]
        about["command"] = shlex.join([*words, *(f"--data={path.name}" for path in data)])
    own = versions("numpy")
    return {
        "figures": [made for one in found for made in _figures(one)],
        "tables": {
            title: {"columns": columns, "rows": lines}
            for title, (columns, lines) in tables(found).items()
        },
        "versions": own,
        "parameters": about,
        "files": _written(rows, found, about | own),
    }


def _files(models: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in models:
        own = sorted(path.glob(f"*/{QUANTIZED_FILE}")) if path.is_dir() else [path]
        if not own:
            raise MubinnError(
                f"{path} has no quantized model: give a folder that mubinn train --runs made."
            )
        found += own
    return found


def _row(path: Path, data: Sequence[Path], say: Say) -> dict[str, Any]:
    """Return what is measured of a model, and what it is."""
    name = path.parent.name if path.name == QUANTIZED_FILE else path.stem
    say(name)
    model = load_any(path)
    if not isinstance(model, QuantizedModel):
        raise MubinnError(f"{path} is a float model: give quantized ones.")
    recorded, source = open_labelled(tuple(data), model=model)
    fold = trained_fold(model)
    if source == SYNTHETIC or fold is None:
        raise MubinnError(
            f"{path} is measured on people whom its training held out: give --data with the set "
            "that it was trained on, and a model that notes its fold."
        )
    digest = hashlib.sha256(recorded.x.tobytes())
    for column in (recorded.y, recorded.subject, recorded.fold):
        digest.update(column.tobytes())
    key = content_key(
        {
            "what": "continuous",
            "sources": source_hash("golden", "train"),
            "model": hashlib.sha256(path.read_bytes()).hexdigest(),
            "data": digest.hexdigest(),
        }
    )
    made = cached(key, lambda: judged_on(model, recorded, fold))
    seed = noted(model, "recipe", dict).get("seed")
    about = {"run": name, "data": source, "levels": _levels(model), "fold": fold, "seed": seed}
    return about | made


def _levels(model: QuantizedModel) -> str:
    """Return the levels, and the front end's constants where they are not the usual ones."""
    own = model.preprocessing.to_json()
    words = [f"{name}={own[name]}" for name in model.preprocessing.constants if name in own]
    return " ".join([str(model.levels), *words])


def _figures(one: Pooled) -> list[dict[str, Any]]:
    """Return the figures of models of equal levels, beside what they are to reach."""
    tail = "_".join("".join(c if c.isalnum() else " " for c in one.levels).split())
    goals = ACCURACY.get(one.levels, {})
    found = [
        figure(f"{way}_{tail}", one.share(way), "%", f">= {goals[way]:g}" if way in goals else "")
        for way in WAYS
    ]
    for way, most in REACTION.get(one.levels, {}).items():
        reached = one.reacted(way)
        seconds = float("inf") if reached is None else reached
        found.append(figure(f"reaction_{way}_{tail}", seconds, "s", f"<= {most:g}"))
    if one.levels in REACTION:
        for name, (disturbances, most) in ROBUST.items():
            worst = max(one.loss("k7", each) for each in disturbances)
            found.append(figure(f"{name}_{tail}", worst, "points", f"<= {most:g}"))
    return found


def _written(
    rows: Sequence[dict[str, Any]], found: Sequence[Pooled], about: dict[str, Any]
) -> dict[str, bytes]:
    from mubinn.reports.continuous_figures import continuous_pictures

    texts = {"continuous.json": as_json(rows, about), "continuous.csv": continuous_csv(found)}
    return {name: text.encode() for name, text in texts.items()} | continuous_pictures(found)
