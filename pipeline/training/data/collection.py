"""The images of a training: listed, fetched and decoded once, kept in memory where they fit.

Shapes: H and W height and width, C channels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from pipeline.errors import ImageError, JobError
from pipeline.formats.base import Limits
from pipeline.jobs.job import Dataset
from pipeline.training.data.pictures import READERS, Picture, Takes, usable_pair
from pipeline.training.data.places import Decoded, Place, Places
from pipeline.training.data.sampler import Sampler
from pipeline.training.data.shards import HELD
from pipeline.training.data.streaming import PictureFacts, StreamedCollection, shard_bytes
from pipeline.training.recipe.sections import Data

AHEAD = 2 * READERS
"""Images decoded before the first of them is looked at."""


@dataclass(frozen=True)
class Collection:
    """All pictures of a training, in order of dataset and key."""

    pictures: tuple[Picture, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    """Name -> reason, of the images that are not trained on."""

    @property
    def digest(self) -> str:
        """SHA-256 over names, shapes and pixels."""
        total = hashlib.sha256()
        for each in self.pictures:
            for pixels_HWC in each.planes:
                total.update(f"{each.name} {pixels_HWC.shape} {pixels_HWC.dtype} ".encode())
                total.update(np.ascontiguousarray(pixels_HWC).data)
        return total.hexdigest()

    @property
    def names(self) -> list[str]:
        """Of its pictures."""
        return [each.name for each in self.pictures]

    def identity(self, data: Data) -> dict[str, Any]:
        """What decides, beside recipe and pictures, which samples a step takes: nothing."""
        return {}

    def sampler(self, data: Data, seed: int, batch: int, rank: int = 0, size: int = 1) -> Sampler:
        """Draws of a run, of all pictures."""
        return Sampler([each.pixels_HWC.shape for each in self.pictures], data, seed)

    def at(self, step: int) -> Mapping[int, Picture]:
        """All pictures, by number, at every step."""
        return self._numbered

    def picture(self, number: int) -> Picture:
        """One picture."""
        return self.pictures[number]

    def close(self) -> None:
        """Nothing is open."""

    @cached_property
    def _numbered(self) -> dict[int, Picture]:
        return dict(enumerate(self.pictures))


def read_collection(
    datasets: Sequence[Dataset],
    *,
    channels: int,
    smallest: int,
    most_bytes: float,
    most_pixels: int,
    pairs: bool = False,
    scale: int = 1,
) -> Collection | StreamedCollection:
    """Whatever can be trained on, in memory where it fits into ``most_bytes``; the rest is in ``skipped``.

    Every image is read and decoded once. ``smallest`` is the side of a crop, ``channels`` what the network
    takes (a colour image becomes grey by BT.601, a grey one is repeated). ``pairs``: each image needs a
    reference, ``scale`` times as large. ``JobError`` where no image is left.
    """
    facts: list[PictureFacts] = []
    takes = Takes(channels, smallest, pairs, scale)
    skipped: dict[str, str] = {}
    pictures: list[Picture] | None = []
    held, largest = 0, shard_bytes(most_bytes)
    for number, place, pair in _all_decoded(datasets, Limits(most_pixels), pairs):
        name = f"{datasets[number].name}/{place.key}"
        try:
            picture = usable_pair(name, pair, takes)
        except ImageError as error:
            skipped[name] = f"{error.reason}: {error}"
            continue
        pixels = picture.pixels_HWC
        shape = (pixels.shape[0], pixels.shape[1], pixels.shape[2])
        facts.append(PictureFacts(name, number, place, shape, picture.nbytes, picture.digest))
        held += picture.nbytes
        if held > most_bytes:
            pictures = None
        elif pictures is not None:
            pictures.append(picture)
    if not facts:
        places = ", ".join(f"{each.uri} ({each.pattern})" for each in datasets)
        first = "; ".join(f"{name}: {why}" for name, why in list(skipped.items())[:3])
        raise JobError(f"data.datasets: nothing to train on in {places}. {first or 'No object matches.'}")
    if pictures is not None:
        return Collection(tuple(pictures), skipped)
    if too_large := [each for each in facts if each.nbytes > largest]:
        skipped |= {
            each.name: f"TOO_LARGE: {each.nbytes / 1e9:.3g} GB decoded; a fifth of data.memory_gigabytes is "
            "the most where images do not all fit in"
            for each in too_large
        }
        facts = [each for each in facts if each.nbytes <= largest]
        if not facts:
            raise JobError(
                f"data.memory_gigabytes: too little for any of the images; give {HELD} times the largest one"
            )
    return StreamedCollection(
        datasets,
        facts,
        skipped,
        takes,
        most_bytes=most_bytes,
        most_pixels=most_pixels,
    )


def _all_decoded(
    datasets: Sequence[Dataset], limits: Limits, pairs: bool
) -> Iterator[tuple[int, Place, Decoded]]:
    places = Places(datasets, pairs=pairs)
    with ThreadPoolExecutor(READERS, thread_name_prefix="decode") as pool:
        for number in range(len(datasets)):
            for page in places.listed(number):
                # A whole page at once would be held decoded, whatever the memory that is allowed.
                for first in range(0, len(page), AHEAD):
                    some = page[first : first + AHEAD]
                    results = pool.map(partial(places.read, number, limits=limits), some)
                    yield from ((number, *each) for each in zip(some, results, strict=True))
