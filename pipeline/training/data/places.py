"""Where the images of a training are, each with its reference where it has one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.attached import Attached
from pipeline.doors.manifest.place import place_of
from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.imaging.image import Image
from pipeline.jobs.job import Dataset
from pipeline.ledger.redaction import PLAIN_MESSAGES
from pipeline.planning.pairing import Pairing
from pipeline.privacy.datasets import archive_of, references_of
from pipeline.privacy.key import load_key
from pipeline.privacy.medical import list_pages
from pipeline.privacy.naming import ending_of
from pipeline.quarantine import reason_and_message
from pipeline.storage.base import Entry
from pipeline.training.data.pictures import decoded


@dataclass(frozen=True)
class Place:
    """An image of a dataset."""

    key: str
    at: str
    """What its archive reads it by."""
    reference: str = ""
    """The address of its reference; empty where it has none."""
    fault: str = ""
    """Why it has none where it should."""


Decoded = tuple[Image | Exception, Image | Exception | None]
"""An image and its reference, or why there is none of either."""


class Places:
    """``listed(dataset)``, page by page, and ``read(place)``; each dataset is opened once.

    What may be told of an image is ``key_of`` and ``why``: of a private one an opaque id, that of a run on
    the same dataset, and a reason without words.
    """

    def __init__(self, datasets: Sequence[Dataset], *, pairs: bool, where: str = "data") -> None:
        """``pairs``: whether references are read, where there are any. ``where``: section of the recipe.

        ``JobError`` where a dataset is private and there is no key.
        """
        self._pairs, self._where = pairs, f"{where}.datasets"
        self._datasets = tuple(datasets)
        private = any(each.private for each in datasets)
        self._key = load_key(f"{self._where}: private datasets") if private else None
        self._archives = [archive_of(each) for each in datasets]
        self._references = [references_of(each) for each in datasets]

    def listed(self, number: int) -> Iterator[list[Place]]:
        """The images of one dataset."""
        dataset = self._datasets[number]
        left_out: Counter[str] = Counter()
        where = f"{self._where}[{number}]"
        pages = list_pages(dataset, where, left_out, self._archives[number])
        if dataset.references is None or not self._pairs:
            named = self._pairs and dataset.is_manifest
            for page in pages:
                yield [_of_manifest(each) if named else _alone(each) for each in page]
            return
        pairing = Pairing(dataset, one_to_one=False)
        try:
            for page in pages:
                yield [_with_reference(each) for each in pairing.attach(page)]
        finally:
            pairing.close()

    def key_of(self, number: int, place: Place) -> str:
        """The key of an image as it may be told."""
        dataset = self._datasets[number]
        if not dataset.private:
            return place.key
        assert self._key is not None
        return self._key.id_of(dataset.name, place.key) + ending_of(place.key)

    def name_of(self, number: int, place: Place) -> str:
        """Dataset and key of an image as they may be told."""
        return f"{self._datasets[number].name}/{self.key_of(number, place)}"

    def why(self, number: int, error: Exception) -> str:
        """What is wrong with an image as it may be told: messages of a private one might quote it."""
        reason, message = reason_and_message(error)
        hidden = self._datasets[number].private and reason not in PLAIN_MESSAGES
        return reason if hidden else f"{reason}: {message}"

    def is_private(self, number: int) -> bool:
        """Whether nothing of a dataset's images may be told."""
        return bool(self._datasets[number].private)

    def read(self, number: int, place: Place, limits: Limits) -> Decoded:
        """Both images, decoded."""
        if place.fault:
            return ImageError(*place.fault.split(": ", 1)), None
        image = decoded(self._archives[number], place.at, limits, self._datasets[number])
        return image, self._reference(number, place, limits) if place.reference else None

    def _reference(self, number: int, place: Place, limits: Limits) -> Image | Exception:
        folder = self._references[number]
        if folder is not None and place.reference.startswith(f"{folder.url}/"):
            key = place.reference.removeprefix(f"{folder.url}/")
            return decoded(folder, key, limits, self._datasets[number])
        try:
            folder, key = place_of(place.reference, self._datasets[number].profile)
        except Exception as error:
            return error
        return decoded(folder, key, limits, self._datasets[number])


def _alone(entry: Entry) -> Place:
    return Place(entry.key, entry.at or entry.key)


def _of_manifest(entry: Entry) -> Place:
    return Place(entry.key, entry.at, Attached.of(entry.attached).reference)


def _with_reference(entry: Entry) -> Place:
    found = Attached.of(entry.attached)
    fault = f"{found.fault}: {found.why}" if found.fault else ""
    return Place(entry.key, entry.at or entry.key, found.reference, fault)
