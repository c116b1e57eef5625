"""Messages between the workers of a run and its driver. Without torch: it has a process of its own."""

from __future__ import annotations

from typing import Any


class Mailbox:
    """Events from the workers to the driver, the wish to stop the other way. A Ray actor."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._stop = False
        self.outcome: dict[str, Any] = {}

    def post(self, event: dict[str, Any]) -> bool:
        """Adds an event; whether the driver wants to stop."""
        self._events.append(event)
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
        """The events since the last reading, and the outcome so far."""
        events, self._events = self._events, []
        return events, self.outcome
