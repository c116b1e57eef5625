"""The images of a training: listed, fetched and decoded once, kept in memory as they are stored.

Shapes: H and W height and width, C channels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError, JobError
from pipeline.formats import decode
from pipeline.formats.base import Limits
from pipeline.imaging.image import Image
from pipeline.jobs.job import Dataset
from pipeline.quarantine import read_failure, reason_and_message
from pipeline.storage.folder import Folder

READERS = 4
"""Images fetched and decoded at a time."""
LUMA = (0.299, 0.587, 0.114)
"""BT.601: how much of red, green and blue grey is."""


@dataclass(frozen=True)
class Picture:
    """One decoded image."""

    name: str
    """Dataset and key."""
    pixels_HWC: NDArray[Any]
    """uint8 or uint16 as stored, else float32 in [0, 1]."""

    @property
    def span(self) -> float:
        """The stored value that means 1."""
        is_integer = self.pixels_HWC.dtype.kind == "u"
        return float(np.iinfo(self.pixels_HWC.dtype).max) if is_integer else 1.0


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
            total.update(f"{each.name} {each.pixels_HWC.shape} {each.pixels_HWC.dtype} ".encode())
            total.update(np.ascontiguousarray(each.pixels_HWC).data)
        return total.hexdigest()

    @classmethod
    def read(
        cls, datasets: Sequence[Dataset], *, channels: int, smallest: int, most_bytes: float, most_pixels: int
    ) -> Collection:
        """Whatever can be trained on; the rest is counted in ``skipped``.

        ``smallest`` is the side of a crop, ``channels`` what the network takes (a colour image becomes
        grey by BT.601, a grey one is repeated). ``JobError`` where no image is left.
        """
        pictures: list[Picture] = []
        skipped: dict[str, str] = {}
        held = 0
        for name, loaded in _decoded(datasets, Limits(most_pixels)):
            try:
                picture = _usable(name, loaded, channels, smallest)
                if held + picture.pixels_HWC.nbytes > most_bytes:
                    raise ImageError("TOO_LARGE", "no room left in data.memory_gigabytes")
            except ImageError as error:
                skipped[name] = f"{error.reason}: {error}"
                continue
            held += picture.pixels_HWC.nbytes
            pictures.append(picture)
        if not pictures:
            places = ", ".join(f"{each.uri} ({each.pattern})" for each in datasets)
            first = "; ".join(f"{name}: {why}" for name, why in list(skipped.items())[:3])
            raise JobError(f"data.datasets: nothing to train on in {places}. {first or 'No object matches.'}")
        return cls(tuple(pictures), skipped)


def _decoded(datasets: Sequence[Dataset], limits: Limits) -> Iterator[tuple[str, Image | Exception]]:
    with ThreadPoolExecutor(READERS, thread_name_prefix="decode") as pool:
        for dataset in datasets:
            folder = Folder(dataset.uri, dataset.profile)
            for page in folder.pages(dataset.pattern):
                keys = [entry.key for entry in page]
                results = pool.map(lambda key, folder=folder: _read(folder, key, limits), keys)
                for key, result in zip(keys, results, strict=True):
                    yield f"{dataset.name}/{key}", result


def _read(folder: Folder, key: str, limits: Limits) -> Image | Exception:
    try:
        try:
            data = folder.read(key)
        except Exception as error:
            raise read_failure(error) from error
        return decode(data, limits)
    except Exception as error:
        return error


def _usable(name: str, loaded: Image | Exception, channels: int, smallest: int) -> Picture:
    if isinstance(loaded, Exception):
        raise ImageError(*reason_and_message(loaded))
    height, width, _ = loaded.size
    if min(height, width) < smallest:
        raise ImageError("TOO_SMALL", f"{height} x {width} pixels are less than data.crop = {smallest}")
    if loaded.valid_HW is not None and not loaded.valid_HW.all():
        raise ImageError("UNSUPPORTED_DTYPE", "holds pixels without data; cut them off first")
    return Picture(name, with_channels(_stored(loaded), channels))


def _stored(image: Image) -> NDArray[Any]:
    full = image.domain.dtype in ("uint8", "uint16") and image.domain == type(image.domain).of_integers(
        image.domain.dtype
    )
    return image.pixels_HWC if full else image.to_unit()


def with_channels(pixels_HWC: NDArray[Any], channels: int) -> NDArray[Any]:
    """Colour made grey by BT.601 and rounded, grey repeated; ``ImageError`` for other counts."""
    found = pixels_HWC.shape[2]
    if found != channels and (found, channels) not in ((3, 1), (1, 3)):
        raise ImageError("BAND_MISMATCH", f"{found} channels, the network takes {channels}")
    if found == channels:
        return np.ascontiguousarray(pixels_HWC)
    if channels == 3:
        return np.repeat(pixels_HWC, 3, axis=2)
    grey_HW1 = pixels_HWC.astype(np.float64) @ np.array(LUMA)[:, None]
    if pixels_HWC.dtype.kind == "u":
        grey_HW1 = grey_HW1.round()
    grey: NDArray[Any] = grey_HW1.astype(pixels_HWC.dtype)
    return grey
