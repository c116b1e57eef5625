"""The references of images: fetched with them, decoded after them, each fault under a code of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import ImageError, describe
from pipeline.hashing import sha256_hex
from pipeline.imaging.image import Image
from pipeline.privacy.naming import SourceLocator
from pipeline.processing.cases import Known, Reference
from pipeline.processing.pairs import counted, scale_of
from pipeline.units import Source


@dataclass(frozen=True)
class Beside:
    """The bytes of a reference, and of its mask where there is one."""

    reference: bytes | None = None
    clear: bytes | None = None
    mask: bytes | None = None
    """Of the image, not of its reference."""


@dataclass(frozen=True)
class ReferenceLoader:
    """``refuse``, ``fetch`` and ``decode`` what a source is scored against. All raise ``ImageError``."""

    locator: SourceLocator
    image_of: Callable[[bytes], Image]
    """As the images themselves are decoded."""

    def listed(self, source: Source) -> int:
        """Bytes of the reference, by its listing."""
        return max(self.locator.attached(source).reference_size, 0)

    def refuse(self, source: Source) -> None:
        """What planning found to be wrong: then nothing is fetched at all."""
        attached = self.locator.attached(source)
        if attached.fault:
            raise ImageError(attached.fault, attached.why)

    def fetch(self, source: Source) -> Beside | None:
        """The files, if the reference is the one that was listed; nothing where there is none."""
        attached = self.locator.attached(source)
        mask = self._read(source, attached.mask, "mask", "CONDITION_MISSING") if attached.mask else None
        if not attached.reference:
            return None if mask is None else Beside(mask=mask)
        data = self._read(source, attached.reference, "reference")
        if 0 <= attached.reference_size != len(data):
            sizes = f"{attached.reference_size} bytes listed, {len(data)} read"
            raise ImageError("CHANGED", f"its reference: {sizes}; run the job again")
        clear = self._read(source, attached.clear, "mask") if attached.clear else None
        return Beside(data, clear, mask)

    def known(self, source: Source, image: Image, beside: Beside | None) -> Known | None:
        """What else its row of a manifest says of an image. ``CONDITION_MISSING`` for a mask that is none."""
        level = self.locator.attached(source).noise_level
        if beside is None or beside.mask is None:
            return None if level is None else Known(level)
        mask = self._decoded(beside.mask, "mask", "CONDITION_MISSING")
        if mask.size[:2] != image.size[:2]:
            sizes = " and ".join(f"{each.size[0]} x {each.size[1]}" for each in (mask, image))
            raise ImageError("CONDITION_MISSING", f"its mask and the image have different sizes: {sizes}")
        return Known(level, (mask.pixels_HWC != 0).any(axis=2))

    def decode(self, source: Source, image: Image, beside: Beside | None) -> Reference | None:
        """The reference as it is compared with the image; nothing where there is none."""
        if beside is None or beside.reference is None:
            return None
        reference = self._decoded(beside.reference, "reference")
        clear = None if beside.clear is None else self._decoded(beside.clear, "mask")
        scale = scale_of(image, reference)
        return Reference(
            image=counted(image, reference, scale, clear),
            sha256=sha256_hex(beside.reference),
            size=len(beside.reference),
            key=self.locator.reference_key(source),
            uri=self.locator.reference_uri(source),
            scale=scale,
        )

    def _read(self, source: Source, address: str, what: str, absent: str = "NO_REFERENCE") -> bytes:
        try:
            folder, key = self.locator.beside(source, address)
            return folder.read(key)
        except FileNotFoundError:
            raise ImageError(absent, f"its {what} was listed, but is not there") from None
        except Exception as error:
            raise ImageError("READ_FAILED", f"its {what}: {describe(error)}") from error

    def _decoded(self, data: bytes, what: str, reason: str = "REFERENCE_UNREADABLE") -> Image:
        try:
            return self.image_of(data)
        except ImageError as error:
            raise ImageError(reason, f"its {what}: {error.reason}: {error}") from error
