"""How a run was made: what its report says beside what the table itself knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RunProvenance:
    """Everything is optional; what is missing is left out of the page."""

    commands: Sequence[str] = ()
    """Shell lines that make this run again."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Name of a program or package -> version."""
    hardware: str = ""
    """Processor, accelerator, memory, in words."""
    engine: str = ""
    """Engine and number of workers, such as ``ray, 2 workers``."""
    started_at: str = ""
    """ISO 8601."""
    finished_at: str = ""
    """ISO 8601."""
    seconds: float | None = None
    """Wall-clock time of the run that did the rows below."""
    rows_done: int | None = None
    """Rows that this run itself made in ``seconds``, where it continued an earlier one."""
