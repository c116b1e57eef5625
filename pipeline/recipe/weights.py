"""Weights from anywhere: fetched once per machine, kept by digest, never unpickled."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import fsspec
from torch import Tensor

from models.card import Card
from models.edge.onnx_model import build_from_onnx
from models.image_generator import ImageGenerator
from models.names import WEIGHTS
from models.restorer import Restorer
from models.weights import SHIPPED, build_part, build_restorer, load_weights, shipped_path
from pipeline.addresses import HIDDEN, redacted
from pipeline.errors import JobError, describe
from pipeline.hashing import sha256_hex, short_hash
from pipeline.recipe.hub import SCHEME, fetch_from_hub
from pipeline.recipe.spandrel_weights import has_card, load_spandrel
from pipeline.storage.folder import Folder

T = TypeVar("T")

_DIGITS = 64


def fetch_restorer(url: str, network: str | None = None) -> Restorer:
    """The restorer in a file of weights: safetensors or ONNX with a card, or weights of others (spandrel).

    ``url`` is a path or any fsspec URL; ``network`` the ``module:attribute`` that its card may name.
    ``JobError`` names the file, what is wrong with it and the cure.
    """
    return _fetched(url, partial(build_restorer, network=network))


def fetch_part(url: str) -> Restorer | ImageGenerator:
    """As ``fetch_restorer``, or the generator of images in that file: what a solver is built around."""
    return _fetched(url, build_part)


def _fetched(url: str, build: Callable[[Card, dict[str, Tensor]], T]) -> T | Restorer:
    name, shown = file_name(url), redacted(url)
    if Path(name).suffix.lower() not in WEIGHTS:
        raise JobError(f"{shown}: weights end in {', '.join(WEIGHTS)}; safetensors with a card are best")
    try:
        content = fetch(url)
        if not content:
            raise ValueError("the file is empty; export or copy it again")
        if name.lower().endswith(".onnx"):
            return build_from_onnx(content)
        if name.lower().endswith(".safetensors") and has_card(content):
            return build(*load_weights(content))
        return load_spandrel(content, name)
    except ValueError as error:
        raise JobError(f"{shown}: {redacted(str(error))}") from error
    except FileNotFoundError as error:
        raise JobError(f"{shown}: no such file; check the address") from error
    except OSError as error:
        raise JobError(f"{shown}: {describe(error)}") from error
    except Exception as error:  # botocore and aiohttp do not derive from OSError
        raise JobError(
            f"{shown}: cannot be fetched: {describe(error)}; check the address, and the credentials in the "
            "environment"
        ) from error


def file_name(url: str) -> str:
    """The last part of a path or URL, without the signature that may follow it."""
    path = urlsplit(url).path if "://" in url else url
    return path.rstrip("/").rpartition("/")[2]


def fetch(url: str) -> bytes:
    """The whole file. A remote one is fetched once per machine and version, whoever else wants it too.

    A store that tells neither a checksum nor a date has no versions: there the file is read each time.
    """
    if HIDDEN in url:
        return _Cache().content_of(url)
    if url.startswith(SCHEME):
        return fetch_from_hub(url)
    path, mark, signature = url.partition("?") if url.startswith("http") else (url, "", "")
    place, _, key = path.rpartition("/")
    key += mark + signature
    folder = Folder(place or ("/" if url.startswith("/") else "."))
    if folder.is_local:
        return folder.read(key)
    version = _version(url)
    return folder.read(key) if version is None else _Cache().content(folder, key, version)


def weights_file(name: str) -> bytes:
    """The file of a shipped restorer, or the one at an address."""
    return shipped_path(name).read_bytes() if name in SHIPPED else fetch(name)


def _version(url: str) -> str | None:
    store, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    details = store.info(path)
    if details.get("type") == "directory":
        raise IsADirectoryError("a folder; give the address of the file of weights in it")
    for field in ("ETag", "etag", "md5Hash", "content_md5", "Content-MD5", "Digest"):
        if details.get(field):
            return str(details[field]).strip('"')
    for field in ("LastModified", "last_modified", "Last-Modified", "mtime", "created"):
        if details.get(field):
            return f"{details.get('size')}-{details[field]}"
    return None


class _Cache:
    """Files by their SHA-256, and which version of which URL has which digest.

    ``$RESTORA_CACHE`` or ``~/.cache/restora``. A file that no longer has its digest is fetched again.
    """

    def __init__(self) -> None:
        root = os.environ.get("RESTORA_CACHE") or str(Path.home() / ".cache" / "restora")
        self._store = Folder(root).child("weights")

    def content(self, folder: Folder, key: str, version: str) -> bytes:
        """Bytes of the object in this version."""
        address = folder.uri(key)
        entry = short_hash(redacted(address), version)
        with self._locked(entry):
            content = self._kept(entry)
            if content is None:
                content = folder.read(key)
                digest = sha256_hex(content)
                self._store.put(f"sha256/{digest}", content)
                self._store.put(f"versions/{entry}", digest.encode())
        if redacted(address) != address:
            self._store.put(f"signed/{short_hash(redacted(address))}", entry.encode())
        return content

    def content_of(self, shown: str) -> bytes:
        """Bytes of the file at a signed address that was written down without its signature.

        ``ValueError`` where this machine has never fetched it.
        """
        key = f"signed/{short_hash(shown)}"
        kept = self._kept(self._store.read(key).decode()) if self._store.exists(key) else None
        if kept is None:
            raise ValueError(
                "the signature of this address was not written down, and this machine has not kept the file; "
                "give the address anew, or a copy of the file"
            )
        return kept

    def _kept(self, entry: str) -> bytes | None:
        if not self._store.exists(f"versions/{entry}"):
            return None
        digest = self._store.read(f"versions/{entry}").decode(errors="replace")
        if len(digest) != _DIGITS or not self._store.exists(f"sha256/{digest}"):
            return None
        content = self._store.read(f"sha256/{digest}")
        return content if sha256_hex(content) == digest else None

    @contextmanager
    def _locked(self, entry: str) -> Iterator[None]:
        """The replicas of a machine start together: one fetches, the others wait and then read.

        The lock belongs to the open file, so that a process that dies gives it back.
        """
        path = Path(self._store.url) / "locks" / entry
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
