"""What a listing holds, and what it leaves out."""

from __future__ import annotations

from dataclasses import dataclass

CONNECTIONS = 64
"""Requests of one process to a store at a time: at 25 ms each, a thousand images a second are read and stored
with fifty."""


@dataclass(frozen=True)
class Entry:
    """One object in a listing."""

    key: str
    """Path below the folder, with forward slashes. Ends in ``/`` for a folder that cannot be listed."""
    size: int
    """Bytes; -1 where unknown."""
    version: str
    """ETag, or size and modification time: changes whenever the content does."""
    attached: str = ""
    """What else the listing knows of it, as the text of a ``pipeline.attached.Attached``; mostly nothing."""
    at: str = ""
    """What its archive reads it by, where that is not the key: see ``pipeline.doors``."""
    group: str = ""
    """What it stands or falls with, where the listing says so."""
    bundle: str = ""
    """The object that holds it with others, at its version, where results are bundled likewise."""

    @classmethod
    def unreadable(cls, key: str) -> Entry:
        """A sub-folder that cannot be listed."""
        return cls(f"{key.rstrip('/')}/", -1, "unreadable")

    @property
    def is_unreadable(self) -> bool:
        """Whether it is a sub-folder that cannot be listed; an object's key may end in a slash too."""
        return self.key.endswith("/") and self.version == "unreadable"


NO_FILE = "pipes, sockets and devices, which are not opened"
"""What a listing leaves out and counts: reading a pipe waits for ever, some devices never end."""
LOOP = "links that lead back to a folder they are in"
UNFINISHED = "unfinished files (.restora-*.part) of an interrupted write"
MARKER = "empty objects that only mark a folder"
