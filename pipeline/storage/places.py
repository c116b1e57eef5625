"""Whether two addresses mean one place, whatever they look like: aliases, slashes, links, mounts, case."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from pipeline.errors import StorageError
from pipeline.storage.folder import Folder

Place = tuple[object, ...]
"""Equal for equal places."""


def contains(outer: Folder, inner: Folder) -> bool:
    """Whether the inner folder is the outer one, or below it."""
    wanted = next(_places(outer))
    return any(place == wanted for place in _places(inner))


def _places(folder: Folder) -> Iterator[Place]:
    """The folder's place, then those of all folders above it."""
    try:
        protocol, path = folder.store_path()
    except StorageError:  # an address that nothing understands: whoever lists it will say so
        yield (folder.url,)
        return
    if protocol == "file":
        yield from _places_on_disk(Path(path))
        return
    endpoint = _endpoint(folder.profile) if protocol == "s3" else ""
    parts = [part for part in path.split("/") if part]
    for length in range(len(parts), -1, -1):
        yield (protocol, endpoint, *parts[:length])


def _places_on_disk(path: Path) -> Iterator[Place]:
    """By device and number of the folder: one through links, mounts and in any case; with the names of
    what is not there yet behind it."""
    path = Path(os.path.realpath(path))
    for each in (path, *path.parents):
        missing: list[str] = []
        nearest = each
        while True:
            try:
                found = nearest.stat()
            except OSError:
                missing.insert(0, nearest.name)
                nearest = nearest.parent
                continue
            yield (found.st_dev, found.st_ino, *missing)
            break


def _endpoint(profile: str | None) -> str:
    """Where S3 is for a profile: two buckets of one name at two endpoints are two places."""
    named = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if named:
        return named.rstrip("/")
    return _endpoint_of_profile(profile, os.environ.get("AWS_CONFIG_FILE"))


@lru_cache(64)
def _endpoint_of_profile(profile: str | None, _configuration: str | None) -> str:
    """Out of the configuration file, which takes milliseconds: a table leads to many folders."""
    try:
        from botocore.session import Session

        return str(Session(profile=profile).get_scoped_config().get("endpoint_url", "")).rstrip("/")
    except Exception:  # no botocore, or no such profile: reading will say so
        return ""
