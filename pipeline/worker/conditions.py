"""Masks, kernels and guides of images: fetched with them, decoded after them."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.conditions.frames import FrameFile
from pipeline.conditions.given import NO_FILES, ConditionFiles, Told, given_of
from pipeline.errors import ImageError, describe
from pipeline.imaging.image import Image
from pipeline.jobs.job import Job
from pipeline.privacy.naming import SourceLocator
from pipeline.units import Source


class ConditionLoader:
    """``fetch`` and ``decode`` what a dataset tells of a source. Both raise ``ImageError``."""

    def __init__(self, job: Job, locator: SourceLocator, image_of: Callable[[bytes], Image]) -> None:
        """``image_of``: as the images themselves are decoded."""
        self._given, self._locator, self._image_of = given_of(job), locator, image_of

    def fetch(self, source: Source) -> ConditionFiles:
        """The files that belong to this source alone."""
        attached = self._locator.attached(source)
        level = attached.noise_level
        if not (attached.mask or attached.kernel or attached.guide or attached.frames):
            return NO_FILES if level is None else ConditionFiles(noise_level=level)
        frames = tuple(self._frame(source, each) for each in attached.frames)
        mask = self._read(source, attached.mask, "mask", "NO_MASK") if attached.mask else None
        kernel = self._read(source, attached.kernel, "kernel", "NO_KERNEL") if attached.kernel else None
        guide = self._read(source, attached.guide, "guide", "NO_GUIDE") if attached.guide else None
        return ConditionFiles(mask, kernel, attached.kernel, level, frames, attached.place, guide)

    def decode(self, source: Source, image: Image, files: ConditionFiles) -> tuple[Image, Told]:
        """The image as it is to be restored, and what is known of it."""
        return self._given[source.dataset].told(image, files, self._image_of)

    def _frame(self, source: Source, address: str) -> FrameFile:
        """Its file, or why it has none: whether that costs the scene, its rule says."""
        try:
            archive, at = self._locator.frame(source, address)
            return archive.read(at)
        except ImageError as error:
            return error
        except FileNotFoundError:
            return ImageError("FRAMES_MISSING", "its frame was listed, but is no longer there")
        except Exception as error:
            return ImageError("READ_FAILED", f"its frame: {describe(error)}")

    def _read(self, source: Source, address: str, what: str, none: str) -> bytes:
        try:
            folder, key = self._locator.beside(source, address)
            return folder.read(key)
        except FileNotFoundError:
            raise ImageError(none, f"its {what} was listed, but is no longer there") from None
        except Exception as error:
            raise ImageError("READ_FAILED", f"its {what}: {describe(error)}") from error
