"""The references of images: fetched with them, decoded after them, each fault under a code of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import ImageError, describe
from pipeline.hashing import sha256_hex
from pipeline.imaging.image import Image
from pipeline.privacy.naming import SourceLocator
from pipeline.processing.cases import Reference
from pipeline.processing.pairs import counted, facing, scale_of, where_clear
from pipeline.units import Source


@dataclass(frozen=True)
class Beside:
    """The bytes of a reference, and of its mask where there is one."""

    reference: bytes
    clear: bytes | None = None


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
        if not attached.reference:
            return None
        data = self._read(source, attached.reference, "reference")
        if 0 <= attached.reference_size != len(data):
            sizes = f"{attached.reference_size} bytes listed, {len(data)} read"
            raise ImageError("CHANGED", f"its reference: {sizes}; run the job again")
        clear = self._read(source, attached.clear, "mask") if attached.clear else None
        return Beside(data, clear)

    def decode(self, source: Source, image: Image, beside: Beside) -> Reference:
        """The reference as it is compared with the image."""
        reference = self._decoded(beside.reference, "reference")
        clear = None if beside.clear is None else self._decoded(beside.clear, "mask")
        reference = facing(image, where_clear(reference, clear))
        scale = scale_of(image, reference)
        return Reference(
            image=counted(image, reference, scale),
            sha256=sha256_hex(beside.reference),
            size=len(beside.reference),
            key=self.locator.reference_key(source),
            uri=self.locator.reference_uri(source),
            scale=scale,
        )

    def _read(self, source: Source, address: str, what: str) -> bytes:
        try:
            folder, key = self.locator.beside(source, address)
            return folder.read(key)
        except FileNotFoundError:
            raise ImageError("NO_REFERENCE", f"its {what} was listed, but is not there") from None
        except Exception as error:
            raise ImageError("READ_FAILED", f"its {what}: {describe(error)}") from error

    def _decoded(self, data: bytes, what: str) -> Image:
        try:
            return self.image_of(data)
        except ImageError as error:
            raise ImageError("REFERENCE_UNREADABLE", f"its {what}: {error.reason}: {error}") from error
