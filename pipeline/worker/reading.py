"""Fetches and decodes ahead of the device, in the order of the units, a bounded number of bytes at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from pipeline.processing.cases import Loaded, Outcome
from pipeline.units import Source
from pipeline.worker.budgets import DECODED_BYTES, FETCHED_BYTES, Budget
from pipeline.worker.encoding import OutputEncoder
from pipeline.worker.loading import Fetched, Loader
from pipeline.worker.tasks import Tasks, Turn

Refused = list[Outcome]
Read = Loaded | Exception | Refused


class Reader:
    """``add`` sources; ``arrived(source, read)`` gets each: image, fault, or why nothing can be stored."""

    def __init__(
        self, tasks: Tasks, load: Loader, outputs: OutputEncoder, arrived: Callable[[Source, Read], None]
    ) -> None:
        self._tasks, self._load, self._outputs, self._arrived = tasks, load, outputs, arrived
        self._to_fetch: deque[Source] = deque()
        self._to_decode: deque[tuple[Source, Fetched]] = deque()
        self._fetched, self._decoded = Budget(FETCHED_BYTES), Budget(DECODED_BYTES)

    def add(self, sources: Iterable[Source]) -> None:
        """To be fetched once there is room."""
        self._to_fetch.extend(sources)
        self._go_on()

    def taken(self, images: Iterable[Loaded]) -> None:
        """The device has begun these: they wait no more."""
        self._decoded.give_back(sum(map(_bytes_of, images)))
        self._go_on()

    def _go_on(self) -> None:
        while self._to_fetch and self._fetched.has_room_for(self._load.listed(self._to_fetch[0])):
            source = self._to_fetch.popleft()
            self._fetched.take(self._load.listed(source))
            self._tasks.on_network(partial(self._load.fetch, source), partial(self._on_fetched, source))
        while self._to_decode and self._decoded.has_room_for(self._to_decode[0][1].decoded):
            source, fetched = self._to_decode.popleft()
            self._decoded.take(fetched.decoded)
            self._tasks.on_cores(
                Turn.DECODE,
                partial(self._decode, source, fetched),
                partial(self._on_decoded, source, fetched.decoded),
            )

    def _on_fetched(self, source: Source, fetched: Fetched | Exception) -> None:
        if isinstance(fetched, Fetched):
            self._to_decode.append((source, fetched))
        else:
            self._fetched.give_back(self._load.listed(source))
            self._arrived(source, fetched)
        self._go_on()

    def _decode(self, source: Source, fetched: Fetched) -> Read:
        loaded = self._load.decode(source, fetched)
        return loaded if isinstance(loaded, Exception) else self._outputs.refuse(loaded) or loaded

    def _on_decoded(self, source: Source, estimated: int, read: Read) -> None:
        self._fetched.give_back(self._load.listed(source))
        self._decoded.give_back(estimated)
        if isinstance(read, Loaded):
            self._decoded.take(_bytes_of(read))
        self._arrived(source, read)
        self._go_on()


def _bytes_of(loaded: Loaded) -> int:
    return loaded.nbytes
