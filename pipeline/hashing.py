"""Identities: digests of content, of canonical JSON, and seeds from them."""

from __future__ import annotations

import hashlib
import json
from typing import IO, Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces and no NaN: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def sha256_hex(data: bytes) -> str:
    """SHA-256, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of(file: IO[bytes]) -> tuple[str, int]:
    """SHA-256 of a file from where it stands to its end, and how many bytes that were."""
    digest, count = hashlib.sha256(), 0
    while piece := file.read(1 << 22):
        digest.update(piece)
        count += len(piece)
    return digest.hexdigest(), count


def short_hash(*parts: str) -> str:
    """128-bit BLAKE2b of the parts, 32 hex digits; parts cannot run into each other."""
    return short_digest(framed(*parts)).hex()


def framed(*parts: str) -> bytes:
    """The message that ``short_hash`` hashes: each part behind its length, 8 bytes, the lowest first."""
    encoded = [part.encode("utf-8", "surrogateescape") for part in parts]
    return b"".join([len(each).to_bytes(8, "little") + each for each in encoded])


def short_digest(message: bytes) -> bytes:
    """What ``short_hash`` makes of its message: 16 bytes."""
    return hashlib.blake2b(message, digest_size=16).digest()


def seed_of(*parts: str) -> int:
    """A seed in [0, 2**63) out of the parts: fits an int64 column and every generator."""
    return int(short_hash(*parts)[:16], 16) >> 1
