"""Checkpoints written beside the steps: copied to the host at once, encoded and stored on a thread."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

from pipeline.training.checkpoints import Checkpoints


class CheckpointWriter:
    """``writer.save(state, step)`` returns as soon as the state is copied; ``wait`` until it is stored.

    One is written at a time. What writing raised is raised by the next ``save`` or ``wait``.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[Any] | None = None

    def save(self, state: dict[str, Any], step: int) -> None:
        """Stores what the state is now, whatever becomes of its tensors."""
        self.wait()
        self._pending = self._pool.submit(self._checkpoints.save, on_host(state), step)

    def wait(self) -> None:
        """Until the last one is stored and pointed to."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Ends the thread, once it has written."""
        self._pool.shutdown(wait=True)


def on_host(state: Any) -> Any:
    """A copy whose tensors are in the host's memory and nobody else's."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {name: on_host(value) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(on_host(value) for value in state)
    return state
