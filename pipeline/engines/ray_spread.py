"""Spreads portions of work over a Ray cluster: tasks, a bounded number under way, results as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import ray

from pipeline.engines.ray_session import SESSION

T = TypeVar("T")
R = TypeVar("R")
A_CORE = 2
"""Portions under way for each core of the cluster: one is worked on, one waits."""
_TRIES = 3
"""Of a portion whose worker or node dies."""


class RaySpread:
    """``RaySpread(address)(function, portions)``: results in whatever order they come, of a running cluster.

    ``JobError`` where the cluster cannot be had; whatever the function raises.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def __call__(self, function: Callable[[T], R], portions: Iterator[T]) -> Iterator[R]:
        """Takes the portions one by one, as the cluster can work on them."""
        SESSION.start(self._address)
        try:
            SESSION.wait()
            yield from _results(function, portions)
        finally:
            SESSION.stop()


def _results(function: Callable[[T], R], portions: Iterator[T]) -> Iterator[R]:
    task, shared = ray.remote(max_retries=_TRIES)(_apply), ray.put(function)
    most = A_CORE * max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
    waiting: list[Any] = []
    for portion in portions:
        waiting.append(task.remote(shared, portion))
        if len(waiting) >= most:
            done, waiting = ray.wait(waiting)
            yield from ray.get(done)
    while waiting:
        done, waiting = ray.wait(waiting)
        yield from ray.get(done)


def _apply(function: Callable[[Any], Any], portion: Any) -> Any:
    return function(portion)
