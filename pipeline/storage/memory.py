"""fsspec's memory, by its own flat listing: its levels do not show keys with doubled slashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pipeline.storage.details import version_of
from pipeline.storage.entries import Entries
from pipeline.storage.remote import Remote


class Memory(Remote):
    """The folder at a ``memory://`` URL; lives as long as this process."""

    def walk(self, left_out: Counter[str]) -> Iterator[Entries]:
        """All keys below; ``FileNotFoundError`` where there are none."""
        prefix = f"{self.root}/"
        paths = sorted(path for path in tuple(self._fs.store) if path.startswith(prefix))
        if not paths and not self._fs.isdir(self.root):
            raise FileNotFoundError(self.root)
        found = [self._fs.info(path) for path in paths]
        sizes, versions = [int(each["size"]) for each in found], list(map(version_of, found))
        yield Entries([path.removeprefix(prefix) for path in paths], sizes, versions)
