"""The state of a board in a file: of which model and which accelerator it is, and its bytes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mubinn.golden.ground.errors import MubinnError
from mubinn.golden.ground.files import reason_of

if TYPE_CHECKING:
    from mubinn.cli.shared.board import Board

FORMAT = "mubinn state 1"
_MOST = 1 << 24
"""Bytes of a file, far more than any state has."""


def state_text(board: Board, state: bytes) -> str:
    """Return the file of a state.

    Parameters
    ----------
    board : Board
    state : bytes
        As `mubinn.hw.link.host.Saved` has them.
    """
    about = {**_about(board), "state": state.hex()}
    return json.dumps({**about, "sha256": _digest(_canonical(about))}, indent=2) + "\n"


def read_state(path: Path, board: Board) -> bytes:
    """Return the state that a file holds.

    Raises
    ------
    MubinnError
        It cannot be read, or is no such file, or not as it was written; its state is that of
        another model, or of an accelerator with another layout.
    """
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MOST))
        told = content.pop("sha256")
        intact = content["format"] == FORMAT and told == _digest(_canonical(content))
        state = bytes.fromhex(content["state"])
    except OSError as error:
        raise MubinnError(f"{path} cannot be read: {reason_of(error)}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        intact = False
    if not intact:
        raise MubinnError(
            f"{path} is no state of a board, or not as it was written: give what mubinn run "
            "--save-state has made."
        )
    own = _about(board)
    if content["model"] != own["model"]:
        raise MubinnError(
            f"{path} is the state of another model: give one that this very model has left, or "
            "leave out --load-state."
        )
    if content["parts"] != own["parts"] or len(state) != board.top.state_bytes:
        raise MubinnError(
            f"{path} has the {len(state)} bytes of a board that was built in another way, and this "
            f"one has {board.top.state_bytes}: give the state of a board with the same --adc, "
            "--units and --lanes."
        )
    return state


def _about(board: Board) -> dict[str, Any]:
    from mubinn.golden.model.container import to_bytes
    from mubinn.golden.model.model_file import quantized_content

    # Notes say nothing of what it computes.
    model = to_bytes(quantized_content(replace(board.model, meta={})))
    parts = [[part.name, *part.shape] for part in board.core.parts]
    return {"format": FORMAT, "model": _digest(model), "parts": parts}


def _canonical(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
