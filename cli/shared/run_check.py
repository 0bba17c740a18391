"""Results of a board held to the bit-true model, window by window, whatever the line has lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mubinn.cli.shared.recordings import prepared
from mubinn.golden.cells.constants import INPUT_FRACTION
from mubinn.golden.model.bit_true import run, run_from
from mubinn.hw.accelerator.state_parts import whole_state
from mubinn.hw.export.golden_vectors import results
from mubinn.train.data.recordings import whole_numbers

if TYPE_CHECKING:
    from mubinn.cli.shared.board import Board

MOST_STATES = 64
"""States that a board may have after losses; beyond it is no longer checked."""

SETTLED = 1 << 13
"""Steps from which on their number says nothing to a front end: beyond `FrontEnd.gain`."""


@dataclass(frozen=True)
class Difference:
    """A result that is not the bit-true model's: where, and what both are."""

    window: int
    index: int
    found: dict[str, Any]
    wanted: dict[str, Any]


class Packer:
    """Samples as a board takes them.

    Parameters
    ----------
    board : Board
    """

    def __init__(self, board: Board) -> None:
        self._board = board

    def packed(self, samples: NDArray[Any]) -> bytes:
        """Return raw samples [T, C] of a window as the payload of its packets.

        Raises
        ------
        MubinnError
            They are not as the board's ADC has them.
        """
        core = self._board.core
        if core.front_end is not None:
            numbers = core.front_end.front_end.check(whole_numbers(samples))
        else:
            made = prepared(self._board.model, samples[None])
            numbers = (
                self._board.model.encode_input(made)[0]
                if core.encoder is None
                else core.encoder.params.quantize(made)[0]
            )
        return self._board.driver.pack(numbers.tolist())


class Checker:
    """Knows the results that a window may have, by the bit-true model.

    Where the state is carried, a result depends on the windows before. Of one whose last result is
    missing the host does not know whether the board has taken it, has not, or has cleared its state
    as it gave it up: all three are followed, until results tell which one it was. So a result is
    either what the model makes of a state that the board may have, exactly, or a difference.

    Parameters
    ----------
    board : Board
    state : bytes
        What the first window goes on from, as the board takes it; none where it begins.
    """

    def __init__(self, board: Board, state: bytes = b"") -> None:
        self._model, self._core = board.model, board.core
        self._carried = board.core.state != "cleared"
        # The states before the next window, by their bytes; None is that after a clear.
        self._states: dict[bytes, Any] = {}
        self.anew()
        if state:
            whole = whole_state(board.core, state)
            self._states = {state: (whole.front_end, whole.layers)}
        self.known = True
        self.compared = 0

    def anew(self) -> None:
        """Have the next window begin, whatever was before."""
        self._states = {b"": None}

    def ended(
        self, window: int, samples: NDArray[Any], found: dict[int, dict[str, Any]], whole: bool
    ) -> Difference | None:
        """Compare the results of a window, by their index; return the first difference.

        Parameters
        ----------
        window : int
            Its place, for the message.
        samples : [T, C]
            As `Packer.packed` has them.
        found : dict
        whole : bool
            Its last result is there, and so all of the window was taken.
        """
        if not self.known or (not self._carried and not found):
            return None
        ways = [(state, *self._run(samples, state)) for state in self._states.values()]
        fits = [way for way in ways if all(way[1][k] == own for k, own in found.items())]
        if not fits:
            wrong = next(k for k in found if ways[0][1][k] != found[k])
            return Difference(window, wrong, found[wrong], ways[0][1][wrong])
        self.compared += len(found)
        if not self._carried:
            return None
        after = [left for _, _, left in fits]
        if not whole:
            # Not taken at all, but where results are there; or given up in the middle.
            after += [*([] if found else self._states.values()), None]
        self._states = {_key(state): state for state in after}
        if len(self._states) > MOST_STATES:
            self.known = False
        return None

    def _run(self, samples: NDArray[Any], state: Any) -> tuple[list[dict[str, Any]], Any]:
        """Return results of a window from a state, as a driver has them, and what it leaves."""
        model, core = self._model, self._core
        front, layers = (None, None) if state is None else state
        if core.front_end is not None:
            made, front = core.front_end.front_end.run(whole_numbers(samples), front)
            codes = model.encode_input(made / (1 << INPUT_FRACTION))
        else:
            codes = model.encode_input(prepared(model, samples[None]))[0]
        if self._carried:
            _, scores, classes, layers = run_from(model, codes, layers)
        else:
            _, scores, classes = run(model, codes)
        return list(results(model, scores, classes)), (front, layers)


def _key(state: Any) -> bytes:
    """Return what two equal states share."""
    if state is None:
        return b""
    front, layers = state
    arrays: list[Any] = [] if front is None else [min(front.step, SETTLED), front.slow, front.size]
    arrays += [codes for layer in layers for codes in (*layer.codes, layer.ahead)]
    return b"".join(np.ascontiguousarray(array, np.int64).tobytes() for array in arrays)
