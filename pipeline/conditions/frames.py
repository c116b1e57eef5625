"""The other frames of an image's scene, decoded and held against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from pipeline.errors import ImageError
from pipeline.formats.turning import held_alike
from pipeline.imaging.image import Image

FrameFile = bytes | ImageError
"""The file of a frame, or why there is none."""


def frames_of(
    image: Image,
    files: Sequence[FrameFile],
    image_of: Callable[[bytes], Image],
    leaves_out: bool = False,
) -> tuple[Image | None, ...]:
    """``ImageError`` with ``FRAME_UNFIT`` where one is damaged, or of another size or pixel type.

    A group stands or falls together, unless it ``leaves_out`` what is damaged: that is ``None`` then, and has
    no digest in the row.
    """
    frames: list[Image | None] = []
    for place, data in enumerate(files, 2):
        try:
            if isinstance(data, ImageError):
                raise data
            frame = image_of(data)
        except ImageError as error:
            if leaves_out and error.reason != "READ_FAILED":  # which another attempt may read
                frames.append(None)
                continue
            if error.reason in ("FRAMES_MISSING", "READ_FAILED"):
                raise
            raise ImageError("FRAME_UNFIT", f"frame {place}: {error.reason}: {error}") from None
        frame = held_alike(frame, image, partial(_refuse_other_size, image, place))
        _refuse_other_size(image, place, frame)
        if frame.domain != image.domain:
            raise ImageError(
                "FRAME_UNFIT",
                f"frame {place} has other values than the first: {frame.domain.dtype} from "
                f"{frame.domain.low:g} to {frame.domain.high:g}",
            )
        frames.append(frame)
    if frames and not any(frames):
        raise ImageError("FRAMES_MISSING", "all other frames of the scene are damaged or gone")
    return tuple(frames)


def _refuse_other_size(image: Image, place: int, frame: Image) -> None:
    if frame.size != image.size:
        sizes = " and ".join(" x ".join(map(str, each.size)) for each in (frame, image))
        raise ImageError("FRAME_UNFIT", f"frame {place} and the first have other sizes: {sizes}")
