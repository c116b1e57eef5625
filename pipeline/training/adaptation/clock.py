"""When an adaptation looks at its held-out tiles, and when it ends."""

from __future__ import annotations

import time

LOOKS = 12
"""Times that held-out tiles are looked at, at most."""


class Clock:
    """When to look, and when to end: by steps, or by the minutes."""

    def __init__(self, minutes: float, steps: int | None) -> None:
        self._minutes, self._wanted, self.steps, self._looks = minutes, steps, 0, 0
        self._began = time.monotonic()

    @property
    def _share(self) -> float:
        if self._wanted is not None:
            return self.steps / self._wanted
        return (time.monotonic() - self._began) / (60 * self._minutes)

    def goes_on(self) -> bool:
        """Whether there is time left."""
        return self._share < 1

    def look_is_due(self) -> bool:
        """Whether another twelfth of the time is over, and at least one step taken."""
        if self.steps == 0 or self._share < (self._looks + 1) / LOOKS:
            return False
        self._looks = int(self._share * LOOKS)
        return True
