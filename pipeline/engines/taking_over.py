"""A plan that is begun here and finished elsewhere: this process has the front of it, Ray the rest."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from pipeline.engines.base import UnitReport
from pipeline.errors import JobError
from pipeline.planning.plan_files import PlannedUnits
from pipeline.units import Unit

if TYPE_CHECKING:  # Ray is no part of the start-up: it comes up on a thread
    from pipeline.engines.ray_data import RayEngine
    from pipeline.ledger.run_folder import RunFolder

LOG = logging.getLogger(__name__)


class Feed:
    """The units of a plan in order, up to a place that may come nearer."""

    def __init__(self, planned: PlannedUnits) -> None:
        self._planned = planned
        self._next, self._end = 0, len(planned)
        self._changed = threading.Lock()
        self._started: float | None = None

    @property
    def seconds(self) -> float:
        """Since the first unit was taken: what comes before is start-up, and says nothing of the pace."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    def __iter__(self) -> Iterator[Unit]:
        while True:
            with self._changed:
                place = self._next
                if place >= self._end:
                    return
                self._next += 1
                self._started = self._started or time.monotonic()
            yield self._planned[place]

    def cut(self, keep: int) -> int:
        """Ends it ``keep`` units on; the first place that is left to others."""
        with self._changed:
            self._end = min(self._end, self._next + keep)
            return self._end


class Beside:
    """Ray, coming up on a thread while this process works, and then its reports."""

    def __init__(self, run: RunFolder, engine: Callable[[], RayEngine]) -> None:
        self._run, self._engine = run, engine
        self._is_up = self._has_begun = self._is_over = False
        self._first: SimpleQueue[int] = SimpleQueue()
        self._told: SimpleQueue[UnitReport | Exception | None] = SimpleQueue()
        threading.Thread(target=self._work, name="beside", daemon=True).start()

    @property
    def waits(self) -> bool:
        """Whether Ray is there and has not been told where to begin. Never, where it cannot be had."""
        return self._is_up and not self._has_begun

    def begin(self, first: int) -> None:
        """Works through the plan from this place on."""
        self._has_begun = True
        self._first.put(first)

    def so_far(self) -> Iterator[UnitReport]:
        """What was reported since, without waiting."""
        while not self._is_over:
            try:
                told = self._told.get_nowait()
            except Empty:
                return
            yield from self._reports(told)

    def rest(self) -> Iterator[UnitReport]:
        """All that is still reported; nothing where it was never told to begin."""
        while self._has_begun and not self._is_over:
            yield from self._reports(self._told.get())

    def _reports(self, told: UnitReport | Exception | None) -> Iterator[UnitReport]:
        if isinstance(told, Exception):
            raise told
        if told is None:
            self._is_over = True
        else:
            yield told

    def _work(self) -> None:
        try:
            engine = self._engine()
            engine.start()
            engine.wait()
        except JobError as error:
            LOG.warning("%s; all work is done in this process", error)
            return
        self._is_up = True
        first = self._first.get()
        try:
            for report in engine.reports(self._run, first):
                self._told.put(report)
            self._told.put(None)
        except Exception as error:
            self._told.put(error)
