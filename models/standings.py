"""How the catalog's restorers stand beside the classics, and which one is the default of a task.

Measured by ``benchmarks/against_classics.py``, which writes ``standings.json``; its tables are in
docs/classics.md.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from models.names import unknown

FILE = Path(__file__).parent / "standings.json"


def standings() -> dict[str, dict[str, float]]:
    """Task -> restorer -> dB above the best of all others that were tried, best first."""
    return {task: each["margins"] for task, each in _measured().items()}


def defaults() -> dict[str, str]:
    """Task -> the restorer to take where nothing else is known: the best one that takes images in colour."""
    return {task: each["default"] for task, each in _measured().items()}


@functools.cache
def _measured() -> dict[str, Any]:
    measured: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return measured


def default_of(task: str) -> str:
    """The restorer to take for a task, its words joined by spaces, hyphens or underscores.

    Raises ``ValueError`` with the tasks that there are for another.
    """
    found = {as_word(each): name for each, name in defaults().items()}
    if as_word(task) not in found:
        raise ValueError(unknown("task", task, found))
    return found[as_word(task)]


def as_word(task: str) -> str:
    """The task as a command line takes it: ``enlarging-by-2``."""
    return task.replace(" ", "-").replace("_", "-")


def standing_of(name: str) -> dict[str, float]:
    """Task -> margin in dB of one restorer, where it was measured."""
    return {task: margins[name] for task, margins in standings().items() if name in margins}
