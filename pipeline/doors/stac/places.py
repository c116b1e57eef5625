"""Objects of a catalogue by their addresses: most lie below its own folder, which is open already."""

from __future__ import annotations

from pipeline.doors.manifest.place import place_of
from pipeline.storage.folder import Folder


class Places:
    """``at(address)``: the folder of an object, and its key there."""

    def __init__(self, root: Folder) -> None:
        self._root, self._below = root, f"{root.url}/"

    def at(self, address: str) -> tuple[Folder, str]:
        """``StorageError`` for credentials in the address."""
        if address.startswith(self._below):
            return self._root, address[len(self._below) :]
        return place_of(address, self._root.profile)

    def relative(self, address: str) -> str:
        """An address as it is below the catalogue, or without its scheme."""
        return address.removeprefix(self._below).partition("://")[2] or address.removeprefix(
            self._below
        ).lstrip("/")
