"""What belongs to a source beside its own object: its reference, masks, what is known of its noise.

Found while planning, written into the plan as one text, and part of the source's identity: another reference,
or another version of it, makes another source.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

from pipeline.hashing import canonical_json


@dataclass(frozen=True)
class Attached:
    """Addresses are full URLs or paths; empty ones mean that there is none."""

    reference: str = ""
    """The true image."""
    reference_size: int = -1
    """Bytes; -1 where unknown."""
    reference_version: str = ""
    """As ``Entry.version``."""
    clear: str = ""
    """A mask of the reference: its pixels count where this is not 0."""
    clear_version: str = ""
    mask: str = ""
    """A mask of the image, for restorers that take one."""
    mask_version: str = ""
    kernel: str = ""
    """What blurred the image."""
    kernel_version: str = ""
    guide: str = ""
    """A sharper image of the same scene."""
    guide_version: str = ""
    frames: tuple[str, ...] = ()
    """The other frames of its scene, in order."""
    frame_versions: tuple[str, ...] = ()
    place: int = 0
    """How many of them come before the image."""
    noise_level: float | None = None
    """Known noise in 1/255 of the value range."""
    labels: tuple[str | None, ...] = ()
    """Values of the columns that the dataset carries along."""
    fault: str = ""
    """Reason code where the source has no single reference."""
    why: str = ""
    """Says so in words; names nothing of a private dataset."""

    @property
    def text(self) -> str:
        """As canonical JSON, without what is not known; empty where nothing is."""
        known: dict[str, Any] = {
            each.name: value for each in fields(self) if (value := getattr(self, each.name)) != each.default
        }
        return canonical_json(known) if known else ""

    @classmethod
    def of(cls, text: str) -> Attached:
        """Out of ``text``."""
        if not text:
            return _NOTHING
        fields = json.loads(text)
        lists = {name: tuple(fields.get(name, ())) for name in ("labels", "frames", "frame_versions")}
        return cls(**fields | lists)


_NOTHING = Attached()
