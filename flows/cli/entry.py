"""The console script: the first thing that is imported, so that Ctrl-C is understood from the start."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from flows.cli.signals import Interrupted, interrupt, on_first_signal
from flows.cli.starvation import cure
from flows.cli.without_collections import without_collections
from pipeline.starvation import is_starved


def main() -> NoReturn:
    """Runs the command that the process was called with, and ends it."""
    received: list[int] = []
    try:
        # Once a command runs, it has handlers of its own.
        with on_first_signal(interrupt) as received:
            code = _run()
    except Interrupted:
        code = 1
    except Exception as error:
        if not is_starved(error):
            raise
        os.write(2, f"{cure()}\n".encode())  # there was not even the memory to say so in colours
        code = 1
    if code and received:
        print("stopped before it began", file=sys.stderr)
        code = Interrupted(received[0]).exit_code
    _end(code)


def _run() -> int:
    with without_collections():
        from flows.cli.app import app  # start-up: half a second, in which somebody may think better of it

    try:
        app()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _end(code: int) -> NoReturn:
    """Without tearing the interpreter down.

    Threads of native libraries that are still there then can abort a process whose work is done, and its exit
    code with it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
