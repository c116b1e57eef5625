"""A collection larger than memory: known by its facts, read shard by shard while steps go on.

Shapes: H and W height and width, C channels.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ImageError, JobError, StorageError
from pipeline.formats.base import Limits
from pipeline.jobs.job import Dataset
from pipeline.training.data.pictures import READERS, Picture, Takes, usable_pair
from pipeline.training.data.places import Place, Places
from pipeline.training.data.sampler import Sampler
from pipeline.training.data.shards import HELD, Shard, ShardPlan
from pipeline.training.recipe.sections import Data


@dataclass(frozen=True)
class PictureFacts:
    """A picture that is not held."""

    name: str
    """Dataset and key."""
    dataset: int
    """Its place in the recipe."""
    place: Place
    shape_HWC: tuple[int, int, int]
    nbytes: int
    """Decoded."""
    sha256: str
    """Of shape, dtype and pixels."""


class StreamedCollection:
    """The pictures of a training by their facts; ``at(step)`` reads those that a step needs.

    At most ``most_bytes`` of pixels are held by one worker alone, and by each of several its part of them.
    Beside these, up to ``READERS`` images are being decoded.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        facts: Sequence[PictureFacts],
        skipped: dict[str, str],
        takes: Takes,
        *,
        most_bytes: float,
        most_pixels: int,
    ) -> None:
        self._places = Places(datasets, pairs=takes.pairs)
        self.facts, self.skipped = tuple(facts), skipped
        self._takes, self._limits = takes, Limits(most_pixels)
        self._shard_bytes = shard_bytes(most_bytes)
        self._plan: ShardPlan | None = None
        self._range = (0.0, 1.0)
        self._held: dict[int, Future[dict[int, Picture]]] = {}
        self._lock = threading.Lock()
        self._shards = ThreadPoolExecutor(1, thread_name_prefix="shards")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="decode")

    @property
    def names(self) -> list[str]:
        """Of its pictures, in order of dataset and key."""
        return [each.name for each in self.facts]

    @property
    def digest(self) -> str:
        """SHA-256 over names and the digests of the pixels."""
        lines = (f"{each.name} {each.shape_HWC} {each.sha256}\n" for each in self.facts)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def identity(self, data: Data) -> dict[str, Any]:
        """What decides, beside recipe and pictures, which samples a step takes."""
        return {"shard_bytes": self._shard_bytes, "crops_per_image": data.crops_per_image}

    def sampler(self, data: Data, seed: int, batch: int, rank: int = 0, size: int = 1) -> Sampler:
        """Draws of a run; this worker will need those of its share of the batch alone."""
        self._range = (rank / size, (rank + 1) / size)
        shapes = [each.shape_HWC for each in self.facts]
        self._plan = ShardPlan(
            [height * width for height, width, _ in shapes],
            [each.nbytes for each in self.facts],
            seed=seed,
            batch=batch,
            shard_bytes=self._shard_bytes,
            crops_per_image=data.crops_per_image,
        )
        return Sampler(shapes, data, seed, self._plan.choose)

    def at(self, step: int) -> Mapping[int, Picture]:
        """The pictures of this worker's samples of a step, by number; the next shard is being read then."""
        assert self._plan is not None, "sampler() comes first"
        live = self._plan.live(step)
        with self._lock:
            wanted = [*live, self._plan.shard(live[-1].number + 1)]
            for shard in wanted:
                if shard.number not in self._held:
                    self._held[shard.number] = self._shards.submit(self._read_shard, shard)
            for number in [each for each in self._held if each < live[0].number]:
                del self._held[number]  # samples that are still made of it have their own reference
            futures = [self._held[shard.number] for shard in live]
        pictures: dict[int, Picture] = {}
        for future in futures:
            pictures |= future.result()
        return pictures

    def picture(self, number: int) -> Picture:
        """One picture, read now and not held; ``JobError`` where it is not the one that was planned with."""
        facts = self.facts[number]
        pair = self._places.read(facts.dataset, facts.place, self._limits)
        try:
            picture = usable_pair(facts.name, pair, self._takes)
        except ImageError as error:
            why = self._places.why(facts.dataset, error)
            cause = None if self._places.is_private(facts.dataset) else error
            if error.reason == "READ_FAILED":
                raise StorageError(
                    f"{facts.name}: {why}; once it can be read, run the same command again"
                ) from cause
            raise JobError(f"{_changed(facts)}: {why}; {_CURE}") from cause
        if picture.digest != facts.sha256:
            raise JobError(f"{_changed(facts)}; {_CURE}")
        return picture

    def close(self) -> None:
        """Ends the threads."""
        self._shards.shutdown(wait=False, cancel_futures=True)
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _read_shard(self, shard: Shard) -> dict[int, Picture]:
        numbers = shard.between(*self._range)
        return dict(zip(numbers, self._readers.map(self.picture, numbers), strict=True))


_CURE = "put the image back to go on, or give another OUT"


def _changed(facts: PictureFacts) -> str:
    return f"data.datasets: {facts.name} changed while the training reads it"


def shard_bytes(most_bytes: float) -> int:
    """How large a shard may be for all that is held to fit."""
    return int(most_bytes / HELD)
