"""Which segments a ledger has: numbered files, of which the highest counts.

A manifest is never changed. The next one is written by a create-only PUT (``If-None-Match`` on S3, ``link``
on a disk) under the next number, so that of two that replace the same one a single succeeds. A store without
such PUTs lets both believe it for a moment: what was written is read back, and whoever does not find its own
gives way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from pipeline.errors import StorageError
from pipeline.storage.folder import Folder

VERSION = 1


class DamagedManifestError(StorageError):
    """A manifest that cannot be read; ``restora repair`` makes it again from the segments that are there."""

    def __init__(self, folder: Folder, key: str) -> None:
        super().__init__(
            f"{folder.uri(key)}: not a whole manifest of the ledger; bring it back from a copy, or run "
            "restora repair, which makes it again from the segments that are there"
        )
        self.key = key


@dataclass(frozen=True)
class Segment:
    """Many units' rows in one Parquet file, sorted by unit."""

    key: str
    """In the run folder."""
    units: int
    rows: int
    size: int
    """Bytes."""


@dataclass(frozen=True)
class Manifest:
    """The segments that count; number 0 where nothing was ever sealed."""

    number: int = 0
    segments: tuple[Segment, ...] = ()
    retired: tuple[str, ...] = ()
    """Keys of segments that this manifest replaced: kept until the next one, for who is reading them."""


def manifest_key(place: str, number: int) -> str:
    """Where a manifest is stored."""
    return f"{place}/manifest-{number:08d}.json"


def newest_number(keys: Iterable[str]) -> int:
    """The manifest that counts, out of a listing; 0 where there is none."""
    stems = (key.rsplit("/", 1)[-1] for key in keys if key.endswith(".json"))
    numbers = (stem.removeprefix("manifest-").removesuffix(".json") for stem in stems)
    return max((int(number) for number in numbers if number.isdigit()), default=0)


def read_manifest(folder: Folder, place: str, number: int) -> Manifest:
    """One manifest. ``DamagedManifestError``; ``StorageError`` where it is newer than this code."""
    key = manifest_key(place, number)
    try:
        fields = json.loads(folder.read(key))
        version = int(fields["version"])
        if version <= VERSION:
            segments = tuple(Segment(**each) for each in fields["segments"])
            return Manifest(number, segments, tuple(fields["retired"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedManifestError(folder, key) from error
    raise StorageError(
        f"{folder.uri(key)}: written by a newer restora (version {version} of the ledger, this one reads "
        f"up to {VERSION}); update restora"
    )


def write_manifest(folder: Folder, place: str, manifest: Manifest) -> bool:
    """Makes a manifest the one that counts, unless another has its number; whether it did."""
    fields = {
        "version": VERSION,
        "segments": [asdict(each) for each in manifest.segments],
        "retired": manifest.retired,
    }
    key, data = manifest_key(place, manifest.number), json.dumps(fields, indent=1).encode()
    return folder.create(key, data) and folder.read(key) == data
