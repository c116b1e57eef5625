"""A folder that notes what is written to it, so that somebody can look later whether it is still that."""

from __future__ import annotations

from pathlib import Path

from pipeline.hashing import sha256_hex, sha256_of
from pipeline.storage.folder import Folder

Written = dict[str, tuple[str, int]]
"""Key -> SHA-256 and size of what was put there last."""


class NotingFolder(Folder):
    """``folder``, or what is ``below`` it: every PUT is noted in ``written``, by its key below ``folder``."""

    def __init__(self, folder: Folder, written: Written, below: str = "") -> None:
        super().__init__(folder.uri(below) if below else folder.url, folder.profile)
        self._of, self._written, self._below = folder, written, below

    def child(self, key: str) -> NotingFolder:
        """Notes in the same place."""
        return NotingFolder(self._of, self._written, f"{self._below}/{key}".lstrip("/"))

    def put(self, key: str, data: bytes) -> None:
        """Noted once it is there."""
        super().put(key, data)
        self._note(key, sha256_hex(data), len(data))

    def put_file(self, key: str, path: Path) -> None:
        """The same for a file."""
        super().put_file(key, path)
        with path.open("rb") as file:
            self._note(key, *sha256_of(file))

    def _note(self, key: str, digest: str, size: int) -> None:
        self._written[f"{self._below}/{key}".lstrip("/")] = digest, size
