"""What the workers of a run and its driver tell each other. Without torch: it has a process of its own."""

from __future__ import annotations

from typing import Any


class Board:
    """What workers and driver tell each other: news one way, the wish to stop the other. A Ray actor."""

    def __init__(self) -> None:
        self._news: list[dict[str, Any]] = []
        self._stop = False
        self.outcome: dict[str, Any] = {}

    def tell(self, told: dict[str, Any]) -> bool:
        """Adds news; whether the driver wants to stop."""
        self._news.append(told)
        return self._stop

    def stopping(self) -> bool:
        """Whether the driver wants to stop."""
        return self._stop

    def stop(self) -> None:
        """The driver wants to stop."""
        self._stop = True

    def conclude(self, outcome: dict[str, Any]) -> None:
        """How a worker ended: what it delivered, or which error it raised."""
        if "error" not in self.outcome:
            self.outcome = outcome

    def read(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The news since the last reading, and the outcome so far."""
        news, self._news = self._news, []
        return news, self.outcome
