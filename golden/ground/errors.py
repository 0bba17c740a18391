"""The one exception that users see."""

import re

LONGEST_WORD = 300
"""Characters in a row, such as of a path or of a word of a damaged file, that are quoted whole."""


class MubinnError(Exception):
    """A fault in what the user gave: one sentence that says what is wrong and what to do.

    The command line prints it to stderr and exits with code 2. Programming errors stay ordinary
    Python exceptions.

    Parameters
    ----------
    text : str
        The sentence; of words longer than `LONGEST_WORD` it keeps beginning and end.

    Examples
    --------
    >>> str(MubinnError("The file " + "a" * 1000 + "b is damaged."))[-22:]
    'aaaa...aab is damaged.'
    """

    def __init__(self, text: str) -> None:
        half = LONGEST_WORD // 2
        long = rf"(\S{{{half}}})\S{{{half},}}?(\S{{3}})(?!\S)"
        super().__init__(re.sub(long, r"\1...\2", text))
