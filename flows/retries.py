"""How Prefect tries a step again: where that can help, and never with a cached result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect.cache_policies import NO_CACHE

from pipeline.errors import FolderNotFound, JobError, RunStopped

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun


def may_pass(task: Any, task_run: TaskRun, state: State[Any]) -> bool:
    """Whether trying again can help: not for a wrong job or folder, nor for a run that stopped on purpose."""
    return not isinstance(state.data, JobError | FolderNotFound | RunStopped)


RETRIED: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [10, 60, 300],
    "retry_condition_fn": may_pass,
    "cache_policy": NO_CACHE,
}
"""Keywords of a task that is tried again after 10 s, 1 min and 5 min."""
