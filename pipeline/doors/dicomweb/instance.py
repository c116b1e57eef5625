"""Where an image is on a server, and what it was when its series was listed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.doors.dicomweb.server import INSTANCE, Attributes, value_of
from pipeline.doors.line import line_of
from pipeline.hashing import sha256_hex
from pipeline.storage.base import Entry

ROWS = "00280010"
_EQUIPMENT, _MANUFACTURER = "0018A001", "00080070"
_PIXELS = ("7FE00008", "7FE00009", "7FE00010")
_RETRIEVE_URL = "00081190"


@dataclass(frozen=True)
class Instance:
    """One image of a series, or a series that could not be listed."""

    study: str
    series: str
    instance: str
    """Empty for the series itself."""
    version: str
    fault: str = ""
    """What is wrong with it, known from the listing."""

    @property
    def key(self) -> str:
        """By its UIDs, as in folders."""
        above = f"{self.study}/{self.series}"
        return f"{above}/{self.instance}.dcm" if self.instance else f"{above}.dcm"

    def entry(self, group: str) -> Entry:
        """As a listing has it; nobody says how large it is."""
        return Entry(self.key, -1, self.version, at=self.text(), group=group)

    def text(self) -> str:
        """As one line, for the plan."""
        return line_of(self)

    @classmethod
    def of(cls, text: str) -> Instance:
        """Out of that line."""
        return cls(*json.loads(text))


def instances_of(
    study: str, series: str, images: Iterable[Attributes], *, together: bool
) -> dict[str, Instance]:
    """By SOP Instance UID. The version is of all that the server says of an image but its pixels; of images
    that stand or fall ``together`` also of all others: a series with one more is another one.
    """
    digests = {value_of(each, INSTANCE): _digest(each) for each in images}
    whole = "".join(f"{uid}={digests[uid]}\n" for uid in sorted(digests))
    beside = f"-{sha256_hex(whole.encode())[:24]}" if together else ""
    return {uid: Instance(study, series, uid, digest + beside) for uid, digest in digests.items()}


def has_pixels(image: Attributes) -> bool:
    """Whether it is an image, and no report, annotation or directory."""
    return ROWS in image


def is_ours(image: Attributes) -> bool:
    """Whether this program derived it: see ``pipeline.formats.dicom.derivation``."""
    makers = image.get(_EQUIPMENT, {}).get("Value") or ()
    return any(value_of(each, _MANUFACTURER) == "Restora" for each in makers)


def _digest(image: Attributes) -> str:
    return sha256_hex(json.dumps(_plain(image), sort_keys=True).encode())[:24]


def _plain(value: Any) -> Any:
    """Without addresses, which name the server as it was asked."""
    if isinstance(value, Mapping):
        return {
            name: _plain(each)
            for name, each in value.items()
            if name not in ("BulkDataURI", _RETRIEVE_URL, *_PIXELS)
        }
    return [_plain(each) for each in value] if isinstance(value, list) else value
