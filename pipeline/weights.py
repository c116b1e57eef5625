"""Weights from anywhere: fetched once per machine, kept by digest, never unpickled."""

from __future__ import annotations

import os
from pathlib import Path

from models.restorer import Restorer
from models.weights import build_restorer, load_weights
from pipeline.errors import JobError
from pipeline.hashing import short_hash
from pipeline.storage import Folder, describe


def fetch_restorer(url: str) -> Restorer:
    """The restorer in a safetensors file with a card. ``JobError`` where there is none or it is broken."""
    if not url.lower().endswith(".safetensors"):
        raise JobError(f"{url}: weights must be a .safetensors file; pickled checkpoints can run code")
    folder, _, key = url.rpartition("/")
    try:
        data = _cached(Folder(folder or "."), key)
        card, state = load_weights(data)
        return build_restorer(card, state)
    except (OSError, ValueError) as error:
        raise JobError(f"{url}: {describe(error)}") from error


def _cached(folder: Folder, key: str) -> bytes:
    """Bytes of the object; remote ones are kept on disk under their URL and version."""
    if folder.is_local:
        return folder.read(key)
    versions = [entry.version for page in folder.pages(key) for entry in page if entry.key == key]
    if not versions:
        raise FileNotFoundError(f"no object {key} in {folder.url}")
    cache = Folder(os.environ.get("RESTORA_CACHE") or str(Path.home() / ".cache" / "restora"))
    name = f"weights/{short_hash(folder.uri(key), versions[0])}.safetensors"
    if cache.exists(name):
        return cache.read(name)
    data = folder.read(key)
    cache.put(name, data)
    return data
