"""Where the command line writes: results to the standard output, errors beside it."""

from __future__ import annotations

import logging
import os
import sys

from rich.console import Console
from rich.status import Status
from rich.text import Text

from pipeline.addresses import redacted, visible

LOG_WIDTH = 160
"""Columns of a table where nothing says how wide the output is: a log or a pipe."""

OUT = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else LOG_WIDTH)
ERR = Console(stderr=True, highlight=False)

# Else a run whose home cannot be written has three lines on where it keeps a list of fonts meanwhile.
logging.getLogger("matplotlib").setLevel(logging.ERROR)


def say(text: str, *, style: str | None = None) -> None:
    """A line of output as it is: no markup, no wrapping, so that logs and pipes can read it."""
    OUT.print(visible(text), style=style, markup=False, soft_wrap=True)


def complain(text: str, *, style: str | None = None) -> None:
    """A line on the standard error."""
    ERR.print(visible(text), style=style, markup=False, soft_wrap=True)


def working(text: str) -> Status:
    """A line for as long as the ``with`` lasts, where somebody looks: names as they are, no secrets."""
    return OUT.status(Text(visible(redacted(text))))
