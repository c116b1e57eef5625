"""Which store is behind an address: a disk, one that fsspec reaches, or one that a package brings.

A package names the scheme of its addresses: ``tape = "module:Tape"`` below
``[project.entry-points."restora.stores"]`` is built as ``Tape(url, profile)`` for ``tape://...``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from fsspec.registry import known_implementations

from models.plugins import Parts
from pipeline.errors import StorageError
from pipeline.storage.disk import Disk
from pipeline.storage.memory import Memory
from pipeline.storage.remote import Remote
from pipeline.storage.store import Store

BuildStore = Callable[[str, str | None], Store]


def _accepted(_: str, value: Any) -> BuildStore:
    if not callable(value):
        raise TypeError(f"it is {value!r}, not a class of stores")
    build: BuildStore = value
    return build


def _s3(url: str, profile: str | None) -> Store:
    try:
        from pipeline.storage.s3 import S3  # here, for the start-up where there is none, and it is an extra
    except ImportError:
        return Remote(url, profile)  # says which extra is missing
    return S3(url, profile)


_OF_FSSPEC: dict[str, BuildStore] = dict.fromkeys(known_implementations, Remote)

STORES: Parts[BuildStore] = Parts(
    "stores", _OF_FSSPEC | {"s3": _s3, "s3a": _s3, "memory": Memory}, _accepted, by_address=False
)
"""By the scheme of their addresses; what fsspec knows is nobody else's."""


def scheme_of(url: str) -> str:
    """``s3`` of ``s3://bucket``; ``file`` of a path."""
    return "file" if url.startswith("/") else urlsplit(url).scheme or "file"


def connect(url: str, profile: str | None) -> Store:
    """The store of a folder. ``StorageError`` where nothing installed understands the address."""
    scheme = scheme_of(url)
    if scheme == "file" and profile is None:
        return Disk(url)
    try:
        if scheme not in STORES:
            return Remote(url, profile)
        return STORES.named(scheme)(url, profile)
    except ValueError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{url}: {error}") from error
