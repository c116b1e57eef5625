"""Which unit begins when: several under way, so that the device never waits; suspects alone.

A unit that was under way when a process died is a suspect, as are all that were under way with it. Each is
tried again with nothing else under way: the innocent ones come through, and the one that kills is alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from pipeline.units import Unit
from pipeline.worker.unit_under_way import UnitUnderWay

MOST_UNITS = 8
"""Under way in one replica: what the death of its process may repeat."""
FIRST_AHEAD = 2
"""Units that are being read ahead of the device, until it is seen to wait for more."""


class Admission:
    """Hands out the units of ``feed``, which gives ``None`` where it has none at this moment."""

    def __init__(self, feed: Iterator[Unit | None]) -> None:
        self._feed = feed
        self._ahead = FIRST_AHEAD
        self._under_way: list[UnitUnderWay] = []
        self._suspects: deque[UnitUnderWay] = deque()
        self._alone: UnitUnderWay | None = None
        self.is_exhausted = False
        self.is_starved = False
        """Whether the feed had none when it was last asked."""

    @property
    def is_over(self) -> bool:
        """Whether every unit is done."""
        return self.is_exhausted and not self.begun

    @property
    def begun(self) -> list[UnitUnderWay]:
        """All that are not done yet."""
        alone = [self._alone] if self._alone else []
        return [*self._under_way, *self._suspects, *alone]

    def read_further_ahead(self) -> None:
        """The device had nothing to do."""
        self._ahead = min(2 * self._ahead, MOST_UNITS)

    def next(self) -> Unit | None:
        """The next unit to begin, if one may."""
        self.is_starved = False
        waits = self._suspects or self._alone or self.is_exhausted or len(self._under_way) >= MOST_UNITS
        if waits or sum(each.images_ahead > 0 for each in self._under_way) >= self._ahead:
            return None
        try:
            unit = next(self._feed)
        except StopIteration:
            self.is_exhausted = True
            return None
        self.is_starved = unit is None
        return unit

    def add(self, unit: UnitUnderWay) -> None:
        """It has begun."""
        self._under_way.append(unit)

    def put_back(self, unit: UnitUnderWay) -> None:
        """It is to be alone in this process."""
        self._under_way.remove(unit)
        self._suspects.append(unit)

    def next_alone(self) -> UnitUnderWay | None:
        """The next of those that are to be alone, if nothing else is under way; it has begun."""
        if self._alone or self._under_way or not self._suspects:
            return None
        self._alone = self._suspects.popleft()
        return self._alone

    def done(self, unit: UnitUnderWay) -> None:
        """It is committed."""
        if unit is self._alone:
            self._alone = None
        else:
            self._under_way.remove(unit)
