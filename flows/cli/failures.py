"""What is said of a command that failed or was stopped, and its exit code."""

from __future__ import annotations

import os
import shlex
import sys

from flows.cli.console import complain
from flows.cli.signals import Interrupted
from flows.cli.starvation import cure
from pipeline.addresses import redacted
from pipeline.errors import FolderNotFound, JobError, RestoraError
from pipeline.starvation import is_starved

WRITE_A_FILE = ("explain", "calibrate", "adapt", "compress", "export")
"""Commands that commit nothing on their way: stopped, they begin anew."""


def tell_of_stop(stop: Interrupted, command: str | None) -> int:
    """Says how to go on."""
    if stop.message:
        complain(stop.message)
    elif command in WRITE_A_FILE:
        complain(f"stopped. To start again: {_this_command()}")
    else:
        complain(f"stopped; what is committed stays. To continue: {_this_command()}")
    return stop.exit_code


def tell_of_fault(error: Exception) -> int:
    """Says what is wrong; an error that nobody foresaw is named with the way to more."""
    if isinstance(error, RestoraError):
        complain(str(error), style="red")
        if is_starved(error):
            complain(cure())
        return 2 if isinstance(error, JobError | FolderNotFound) else 1
    if isinstance(error, BrokenPipeError) and _reader_has_gone():
        return 1
    if is_starved(error):
        complain(cure())
        return 1
    complain(f"unexpected {type(error).__name__}: {redacted(str(error))}", style="bold red")
    complain(f"to see where it came from: {_this_command('--debug')}")
    return 1


def _reader_has_gone() -> bool:
    """Whether nobody reads the output any more, such as ``head`` that has enough; then nothing is written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _this_command(*options: str) -> str:
    """As it may be shown: an interrupt can come before credentials in an address are refused."""
    return shlex.join(["restora", *options, *map(redacted, sys.argv[1:])])
