"""Addresses of single objects, anywhere: their folders are opened once, not row by row."""

from __future__ import annotations

import re
from functools import lru_cache

from pipeline.storage.folder import Folder

_ABSOLUTE = re.compile(r"^(?:/|[A-Za-z][A-Za-z0-9+.-]*://)")
_FOLDERS = 4096
"""Folders that are kept open."""


def is_absolute(address: str) -> bool:
    """Whether it is a URL or a path from the root, and not below a base."""
    return _ABSOLUTE.match(address) is not None


def place_of(address: str, profile: str | None) -> tuple[Folder, str]:
    """The folder of an object, and its key there. ``StorageError`` for credentials in the address."""
    above, _, name = address.rpartition("/")
    return _folder(above or "/", profile if address.startswith(("s3://", "s3a://")) else None), name


def key_of(address: str) -> str:
    """What an image at an address is called: without scheme and query."""
    key = address.partition("://")[2] or address
    return (key.partition("?")[0] if address.startswith("http") else key).lstrip("/")


@lru_cache(_FOLDERS)
def _folder(url: str, profile: str | None) -> Folder:
    return Folder(url, profile)
