"""The key of private datasets: opaque ids, and names that only its holder can read.

Ids are HMAC-SHA256 (RFC 2104). Names are sealed by AES-SIV (RFC 5297): the same name gives the same text,
so that plans and jobs stay equal from run to run, and a changed or foreign text is noticed.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from pipeline.errors import JobError
from pipeline.jobs.datasets import SEALED

VARIABLE = "RESTORA_PRIVACY_KEY_FILE"
"""Environment variable: where the key is on every machine that plans or works."""

_SECRET_BYTES = 32
_BLOCK = 64
"""Names are filled up to a multiple of this, so that a sealed one does not tell its length."""


class PrivacyKey:
    """``key.id_of(...)`` hides for good, ``key.seal(text)`` until ``key.reveal(sealed)``."""

    def __init__(self, secret: bytes) -> None:
        assert len(secret) == _SECRET_BYTES, len(secret)
        self._ids = self._derived(secret, b"restora ids")
        self._siv = AESSIV(
            self._derived(secret, b"restora names 1") + self._derived(secret, b"restora names 2")
        )
        self.fingerprint = self.id_of("fingerprint")
        """Tells keys apart and nothing else, 32 hex digits."""

    @staticmethod
    def _derived(secret: bytes, purpose: bytes) -> bytes:
        return hmac.digest(secret, purpose, "sha256")

    def id_of(self, *parts: str) -> str:
        """128 bits of the HMAC of the parts, 32 hex digits; parts cannot run into each other."""
        encoded = [part.encode("utf-8", "surrogateescape") for part in parts]
        message = b"".join(len(each).to_bytes(8, "little") + each for each in encoded)
        return hmac.new(self._ids, message, sha256).hexdigest()[:32]

    def seal(self, text: str) -> str:
        """The text as ``sealed:`` and hex digits; what is sealed already stays."""
        if text.startswith(SEALED):
            return text
        plain = text.encode("utf-8", "surrogateescape")
        return SEALED + self._siv.encrypt(plain + bytes(-len(plain) % _BLOCK or _BLOCK), None).hex()

    def reveal(self, sealed: str) -> str:
        """The text that was sealed. ``JobError`` where another key sealed it, or it was changed."""
        try:
            plain = self._siv.decrypt(bytes.fromhex(sealed.removeprefix(SEALED)), None)
        except (InvalidTag, ValueError):
            raise JobError(
                f"a sealed name does not open with the privacy key; point {VARIABLE} at the key of that run"
            ) from None
        return plain.rstrip(b"\0").decode("utf-8", "surrogateescape")


def key_file() -> Path:
    """Where the key is looked for: as the environment says, else in the user's own configuration."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "restora" / "privacy.key"


def load_key(where: str = "private datasets") -> PrivacyKey:
    """The key of this machine. ``JobError`` with the cure where there is none, or it is no key."""
    path = key_file()
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        raise JobError(
            f"{where}: need a privacy key, and there is none at {path}; make one with `restora key`, keep a "
            f"copy, and set {VARIABLE} where it is elsewhere"
        ) from None
    except (OSError, ValueError) as error:
        raise JobError(f"{path}: the privacy key cannot be read ({type(error).__name__})") from None
    if len(secret) != _SECRET_BYTES:
        raise JobError(f"{path}: holds no privacy key of {2 * _SECRET_BYTES} hex digits; see `restora key`")
    return PrivacyKey(secret)


def make_key(path: Path) -> None:
    """Writes a new key that only its owner can read. ``JobError`` where a file is there already."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise JobError(
            f"{path}: is there already, and a lost key cannot be made again; choose another file"
        ) from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(_SECRET_BYTES) + "\n")


def unseal(texts: Sequence[str]) -> list[str]:
    """The texts, those that are sealed opened; the key is needed only for those."""
    if not any(each.startswith(SEALED) for each in texts):
        return list(texts)
    key = load_key("sealed addresses")
    return [key.reveal(each) if each.startswith(SEALED) else each for each in texts]
