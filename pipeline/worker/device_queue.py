"""What the device does next: batches across units, degraded on the host while it works on others."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch

from pipeline.degradation.degradation import Degradation
from pipeline.processing.batches import Batches
from pipeline.processing.cases import Case, Failure, Loaded
from pipeline.processing.processor import Processor
from pipeline.recipe.recipe import Recipe
from pipeline.worker.tasks import Tasks, Turn

PLACES = 3
"""Batches that are on a GPU at a time: one that it computes, one whose results are read, and one that is
being asked for. All in one stream: they share memory, and nothing is read before it is computed."""
LOOKAHEAD = 2
"""Batches that are degraded, or being degraded, while the device works on another; more where they hold fewer
images than there are cores to degrade them."""
LOOKAHEAD_PIXELS = 1 << 23
"""Pixels of the batches on the device and ahead of it, for each of its places; larger images go alone."""


def places_on(device: torch.device, recipe: Recipe) -> int:
    """Batches that this device gains from having at a time, each on a thread of its own."""
    alone = recipe.job.resources.compile or not all(each.restorer.is_reentrant for each in recipe.restorers)
    return PLACES if device.type == "cuda" and not alone else 1


@dataclass
class Batch:
    """Images of one shape under one degradation."""

    images: list[Loaded]
    degradation: Degradation | None
    first: bool
    """Whether this is the first degradation of these images."""
    degraded: dict[int, Case | Failure] = field(default_factory=dict)
    """By the place of the image."""

    @property
    def is_ready(self) -> bool:
        """Whether all images are degraded."""
        return len(self.degraded) == len(self.images)

    @property
    def pixels(self) -> int:
        """Of all its images."""
        return sum(height * width for each in self.images for height, width in each.sizes)

    def in_order(self) -> list[Case | Failure]:
        """The degraded images, in the order of the images."""
        return [self.degraded[place] for place in range(len(self.images))]


class DeviceQueue:
    """``add`` images; ``begin(batch)`` hands over the next one once the device is free; then call ``done``.

    ``places`` batches are there at a time. A batch goes when it is full, or when the device would otherwise
    have nothing to do. ``starved`` is called where it has nothing to do all the same.
    """

    def __init__(
        self,
        tasks: Tasks,
        processor: Processor,
        batch_pixels: int,
        begin: Callable[[Batch], None],
        starved: Callable[[], None],
        places: int = 1,
    ) -> None:
        self._places = places
        self._tasks, self._processor, self._begin, self._starved = tasks, processor, begin, starved
        self._degradations = processor.recipe.degradations or (None,)
        self._batches = Batches(batch_pixels=batch_pixels)
        self._under_more: deque[Batch] = deque()
        """The last images again, under further degradations."""
        self._ahead: deque[Batch] = deque()
        self._on_device: list[Batch] = []

    def add(self, loaded: Loaded) -> None:
        """An image that waits for the device from now on."""
        self._batches.add(loaded)
        self._go_on()

    def done(self, batch: Batch) -> None:
        """The device has a place free again."""
        self._on_device = [each for each in self._on_device if each is not batch]
        self._go_on()
        if not self._on_device and not self._ahead:
            self._starved()

    def _go_on(self) -> None:
        while (batch := self._next()) is not None:
            self._ahead.append(batch)
            for place, loaded in enumerate(batch.images):
                self._tasks.on_cores(
                    Turn.DEGRADE,
                    partial(self._processor.degraded, loaded, batch.degradation),
                    partial(self._on_degraded, batch, place),
                )
        if len(self._on_device) < self._places and self._ahead and self._ahead[0].is_ready:
            batch = self._ahead.popleft()
            self._on_device.append(batch)
            self._begin(batch)
            self._go_on()

    def _on_degraded(self, batch: Batch, place: int, degraded: Case | Failure) -> None:
        batch.degraded[place] = degraded
        if batch.is_ready:
            self._go_on()

    def _next(self) -> Batch | None:
        if not self._has_room():
            return None
        if not self._under_more and (images := self._batches.take(partly=self._cores_are_free)):
            first, *more = self._degradations
            self._under_more.extend(Batch(images, each, first=False) for each in more)
            return Batch(images, first, first=True)
        return self._under_more.popleft() if self._under_more else None

    def _has_room(self) -> bool:
        held = [*self._ahead, *self._on_device]
        return not held or (
            (len(self._ahead) < LOOKAHEAD or self._cores_are_free)
            and sum(each.pixels for each in held) < self._places * LOOKAHEAD_PIXELS
        )

    @property
    def _cores_are_free(self) -> bool:
        """Whether more images could be degraded at once: of many shapes, batches are as small as one."""
        return sum(len(each.images) for each in self._ahead) < self._tasks.cores
