"""Work for other threads, by what it waits for; what comes of it is handled by one thread, so without locks.

Fetching and storing wait for the network: tens of threads. Decoding, degrading and encoding take cores: as
many threads as the replica was given, and the work that is nearest to the device goes first.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from enum import IntEnum
from functools import partial
from itertools import count
from queue import Empty, SimpleQueue
from typing import NoReturn, TypeVar

from pipeline.storage.base import CONNECTIONS

T = TypeVar("T")
_LOOK_SECONDS = 5.0
"""How long nothing comes until somebody looks whether it still can."""


class Turn(IntEnum):
    """Whose turn on a core comes first."""

    DEGRADE = 0
    ENCODE = 1
    DECODE = 2


class Threads:
    """The threads of a replica, kept from unit to unit."""

    def __init__(self, cores: int, places: int = 1) -> None:
        """``places``: how many batches may be on the device at a time."""
        self.cores, self.places = cores, places
        self.on_device = ThreadPoolExecutor(places, thread_name_prefix="device")
        self.on_cores = ThreadPoolExecutor(cores, thread_name_prefix="core")
        self.on_network = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="network")

    def check(self) -> None:
        """``MemoryError`` where one of them has ended: what it was at never comes."""
        pools = (self.on_device, self.on_cores, self.on_network)
        if not all(each.is_alive() for pool in pools for each in pool._threads):
            raise MemoryError("a thread ended for want of memory")


class Tasks:
    """``on_network(work, then)``, ``on_cores(turn, work, then)``: ``then(result)`` runs in ``step``.

    ``work`` runs on another thread; what it raises is raised by ``step``.
    """

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self.cores, self.places = threads.cores, threads.places
        """Threads for work that takes a core, and for batches on the device."""
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._waiting: list[tuple[Turn, int, Callable[[], None]]] = []
        self._numbers = count()
        self._on_cores = 0
        self._over = self._is_starved = False
        self._writing: set[Future[None]] = set()

    def on_network(self, work: Callable[[], T], then: Callable[[T], None], *, outlasts: bool = False) -> None:
        """Work that waits for a store. One that ``outlasts`` is not waited for when all is given up."""
        future = self._threads.on_network.submit(self._run, work, then)
        if not outlasts:
            self._writing.add(future)
            future.add_done_callback(self._writing.discard)

    def on_device(self, work: Callable[[], None]) -> None:
        """Work that waits for the device. What it raises is raised by ``step``."""
        future = self._threads.on_device.submit(self._run, work, _nothing)
        self._writing.add(future)
        future.add_done_callback(self._writing.discard)

    def on_cores(self, turn: Turn, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Work that takes a core. To be called in ``step`` alone, or before the first."""
        run: Callable[[], None] = partial(self._run, work, then, True)
        heapq.heappush(self._waiting, (turn, next(self._numbers), run))
        self._fill_cores()

    def post(self, event: Callable[[], None]) -> None:
        """Has ``step`` call this; from any thread."""
        self._events.put(event)

    def step(self, seconds: float | None = None) -> None:
        """Handles one event, waiting for it; raises what it raises. Nothing where none comes in time."""
        if (event := self._next(seconds)) is not None:
            event()

    def _next(self, seconds: float | None) -> Callable[[], None] | None:
        while True:
            try:
                return self._events.get(timeout=_LOOK_SECONDS if seconds is None else seconds)
            except Empty:
                self._threads.check()
                if self._is_starved:
                    raise MemoryError("no memory to hand over a result") from None
                if seconds is not None:
                    return None

    def give_up(self) -> None:
        """What has not begun never will."""
        self._over = True

    def wait(self) -> None:
        """Until no request is under way: after a run has ended, nothing of it is written any more."""
        wait(list(self._writing))

    def _run(self, work: Callable[[], T], then: Callable[[T], None], on_a_core: bool = False) -> None:
        if self._over:
            return
        try:
            event: Callable[[], None] = partial(then, work())
        except BaseException as error:
            event = partial(raise_it, error)
        try:
            self._events.put(partial(self._core_is_free, event) if on_a_core else event)
        except MemoryError:
            self._is_starved = True  # which takes none, and is seen by who waits for the event in vain

    def _core_is_free(self, event: Callable[[], None]) -> None:
        self._on_cores -= 1
        self._fill_cores()
        event()

    def _fill_cores(self) -> None:
        # One more than there are cores, so that none waits for this thread to wake up.
        while self._waiting and self._on_cores <= self._threads.cores:
            self._on_cores += 1
            self._threads.on_cores.submit(heapq.heappop(self._waiting)[2])


def raise_it(error: BaseException) -> NoReturn:
    """In the thread that is to have the fault of another one."""
    raise error


def _nothing(result: None) -> None:
    """Comes of work that posts what comes of it."""
