"""A server that nobody gets an answer from is known as one: what is still to be asked there ends at once.

A list may name thousands of objects of a server that is gone, or that takes connections and never answers;
with a budget each, they would keep a run waiting for days. One request in a while looks whether it is back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import TypeVar

from pipeline.storage.retrying import Unanswered, retried

T = TypeVar("T")

BETWEEN_LOOKS = 30.0
"""Seconds from a look that was in vain to the next."""


@dataclass
class Server:
    """``tried(call, seconds)`` is ``retried``, until one had its whole time and none beside it an answer."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _answered: float = -inf
    """When it last gave an answer, be it a refusal."""
    _look_at: float | None = None
    """When to ask it again; ``None``: it is not known to be silent."""
    _deed: str = ""
    """What it did instead of answering."""

    def tried(self, call: Callable[[], T], seconds: float) -> T:
        """Raises as ``retried`` does; ``Unanswered`` at once where the server was lately asked in vain."""
        if self._look_at is not None:
            with self._lock:  # those who come while one looks wait for what it sees
                if self._look_at is not None:
                    return self._look(call, self._look_at - monotonic(), seconds)
        return self._asked(call, None, seconds)

    def _look(self, call: Callable[[], T], wait: float, seconds: float) -> T:
        if wait > 0:
            raise Unanswered(f"{self._deed}; it is asked again in {wait:.0f} s")
        return self._asked(call, 1, seconds)

    def _asked(self, call: Callable[[], T], attempts: int | None, seconds: float) -> T:
        begun = monotonic()
        try:
            result = retried(call, attempts, seconds)
        except Exception as error:
            if not isinstance(error, Unanswered):
                self._answers()
            elif self._answered < begun:
                self._look_at = monotonic() + (0.0 if self._look_at is None else BETWEEN_LOOKS)
                self._deed = str(error)
            raise
        self._answers()
        return result

    def _answers(self) -> None:
        self._answered, self._look_at = monotonic(), None
