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
from pipeline.privacy.datasets import describe_dataset
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
    takes = Takes(channels, smallest, pairs, scale)
    read = _Read(most_bytes)
    places = Places(datasets, pairs=pairs)
    for number, place, pair in _all_decoded(places, len(datasets), Limits(most_pixels)):
        try:
            picture = usable_pair(places.name_of(number, place), pair, takes)
        except ImageError as error:
            read.skipped[places.name_of(number, place)] = places.why(number, error)
        else:
            read.add(picture, number, place)
    if not read.facts:
        looked_in = ", ".join(describe_dataset(each) for each in datasets)
        first = "; ".join(f"{name}: {why}" for name, why in list(read.skipped.items())[:3])
        raise JobError(f"data.datasets: nothing to train on in {looked_in}. {first or 'No object matches.'}")
    if read.pictures is not None:
        return Collection(tuple(read.pictures), read.skipped)
    facts = read.streamable()
    return StreamedCollection(
        datasets, facts, read.skipped, takes, most_bytes=most_bytes, most_pixels=most_pixels
    )


class _Read:
    """What is known of the images read so far; their pixels too, for as long as all fit in."""

    def __init__(self, most_bytes: float) -> None:
        self.most_bytes = most_bytes
        self.facts: list[PictureFacts] = []
        self.skipped: dict[str, str] = {}
        self.pictures: list[Picture] | None = []
        self._held = 0

    def add(self, picture: Picture, number: int, place: Place) -> None:
        """An image of dataset ``number``."""
        height, width, channels = picture.pixels_HWC.shape
        shape = (height, width, channels)
        self.facts.append(PictureFacts(picture.name, number, place, shape, picture.nbytes, picture.digest))
        self._held += picture.nbytes
        if self._held > self.most_bytes:
            self.pictures = None
        elif self.pictures is not None:
            self.pictures.append(picture)

    def streamable(self) -> list[PictureFacts]:
        """Those that a shard can hold; the others are skipped. ``JobError`` where it holds none."""
        largest = shard_bytes(self.most_bytes)
        self.skipped |= {
            each.name: f"TOO_LARGE: {each.nbytes / 1e9:.3g} GB decoded; a fifth of data.memory_gigabytes is "
            "the most where images do not all fit in"
            for each in self.facts
            if each.nbytes > largest
        }
        facts = [each for each in self.facts if each.nbytes <= largest]
        if not facts:
            raise JobError(
                f"data.memory_gigabytes: too little for any of the images; give {HELD} times the largest one"
            )
        return facts


def _all_decoded(places: Places, datasets: int, limits: Limits) -> Iterator[tuple[int, Place, Decoded]]:
    with ThreadPoolExecutor(READERS, thread_name_prefix="decode") as pool:
        for number in range(datasets):
            for page in places.listed(number):
                # A whole page at once would be held decoded, whatever the memory that is allowed.
                for first in range(0, len(page), AHEAD):
                    some = page[first : first + AHEAD]
                    results = pool.map(partial(places.read, number, limits=limits), some)
                    yield from ((number, *each) for each in zip(some, results, strict=True))
