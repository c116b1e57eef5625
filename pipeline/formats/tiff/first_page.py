"""Whether the first page of a TIFF file is its image: not a preview, and not the first of a stack.

TIFF 6.0, section 8 (NewSubfileType) and TIFF Technical Note 1 (SubIFDs); ImageJ's and tifffile's notes in
ImageDescription; MetaMorph Stack (UIC2tag).
"""

from __future__ import annotations

import json
import math
import re

from pipeline.errors import ImageError

NEW_SUBFILE_TYPE, SUBFILE_TYPE, DESCRIPTION, SUB_DIRECTORIES, STACK_PLANES = 254, 255, 270, 330, 33629
_REDUCED, _OLD_REDUCED = 1, 2
_IMAGEJ = re.compile(r"\AImageJ=.*?^images=(\d+)\s*$", re.MULTILINE | re.DOTALL)


def is_reduced(new_type: int, old_type: int = 0) -> bool:
    """Whether a page says that it is a smaller version of another."""
    return bool(new_type & _REDUCED) or old_type == _OLD_REDUCED


def preview() -> ImageError:
    """For a file whose first page stands for a larger image elsewhere in it, as in camera raws."""
    return ImageError(
        "UNREADABLE",
        "the first page of the TIFF file is a preview, and its image is in another directory, as in a camera "
        "raw; develop or convert it to a TIFF of one page",
    )


def check_stack(description: str, planes: int, samples: int) -> None:
    """``ImageError("ANIMATED")`` where one directory stands for several images.

    ``planes``: as many as the UIC2tag counts, 0 without one; ``samples``: those that the directory lists.
    """
    if planes > 1 or _imagej_images(description) > 1 or _shaped_samples(description) > samples:
        raise ImageError(
            "ANIMATED", "a TIFF of several images in one directory (a stack); split it into one file an image"
        )


def _imagej_images(description: str) -> int:
    found = _IMAGEJ.search(description)
    return int(found[1]) if found else 1


def _shaped_samples(description: str) -> int:
    """Of tifffile's note, in either of its two forms."""
    if description.startswith("shape=("):
        numbers = re.findall(r"\d+", description.splitlines()[0])
        return math.prod(map(int, numbers))
    if not description.startswith('{"shape":'):
        return 0
    try:
        shape = json.loads(description)["shape"]
        return math.prod(int(side) for side in shape)
    except (ValueError, TypeError, RecursionError):
        return 0
