"""The one exception that users see."""


class MubinnError(Exception):
    """A fault in what the user gave: one sentence that says what is wrong and what to do.

    The command line prints it to stderr and exits with code 2. Programming errors stay ordinary
    Python exceptions.
    """
