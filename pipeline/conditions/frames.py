"""The other frames of an image's scene, decoded and held against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.errors import ImageError
from pipeline.imaging.image import Image


def frames_of(image: Image, files: Sequence[bytes], image_of: Callable[[bytes], Image]) -> tuple[Image, ...]:
    """``ImageError`` with ``FRAME_UNFIT`` where one is damaged, or of another size or pixel type.

    A group stands or falls together: without one of its frames the scene would be restored otherwise, and
    nothing would say so.
    """
    frames = []
    for place, data in enumerate(files, 2):
        try:
            frame = image_of(data)
        except ImageError as error:
            raise ImageError("FRAME_UNFIT", f"frame {place}: {error.reason}: {error}") from None
        if frame.size != image.size:
            sizes = " and ".join(" x ".join(map(str, each.size)) for each in (frame, image))
            raise ImageError("FRAME_UNFIT", f"frame {place} and the first have other sizes: {sizes}")
        if frame.domain != image.domain:
            raise ImageError(
                "FRAME_UNFIT",
                f"frame {place} has other values than the first: {frame.domain.dtype} from "
                f"{frame.domain.low:g} to {frame.domain.high:g}",
            )
        frames.append(frame)
    return tuple(frames)
