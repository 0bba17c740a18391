"""A process that ends with its caller; as a program, one that holds another on a leash.

``python leash.py PROGRAM ARGUMENT...`` runs a program that knows nothing of its caller. Only what
Python brings is imported, so that it starts in some hundredths of a second.
"""

import os
import signal
import stat
import sys
import threading

NOT_STARTED = 127
SIGNALLED = 128
"""What a shell adds to the number of the signal that ended a program."""


def end_with_caller() -> None:
    """Have this worker, and whatever it starts, killed as soon as its caller is gone.

    The caller holds the other end of the standard input and writes nothing: it ends with the
    caller, however that ends.
    """

    def wait() -> None:
        os.read(0, 1)
        os.killpg(os.getpid(), signal.SIGKILL)

    if stat.S_ISFIFO(os.fstat(0).st_mode) and os.getpgrp() == os.getpid():
        threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    """Run the program that the command line names; leave with its status."""
    end_with_caller()
    status = os.spawnvp(os.P_WAIT, sys.argv[1], sys.argv[1:])
    if status == NOT_STARTED:
        print(f"{sys.argv[1]}: not found", file=sys.stderr)
    sys.exit(status if status >= 0 else SIGNALLED - status)


if __name__ == "__main__":
    main()
