"""Results with their items: objects as in a folder, an item beside each, and a catalogue over all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from pipeline.doors.outlet import FolderOutlet, Locate, Row, result_key, write_beside
from pipeline.doors.stac.catalogue import write_catalogue
from pipeline.doors.stac.derived import derived_item, item_key
from pipeline.doors.stac.item import StacImage
from pipeline.storage.noting import NotingFolder, Written
from pipeline.units import Source


class StacOutlet(FolderOutlet):
    """Items are written with their unit, the catalogue when all is done: it names what is in the ledger."""

    def companion(self, key: str) -> str | None:
        """Its item."""
        return item_key(key)

    def remove(self, source: Source, key: str) -> None:
        """With its item."""
        self.folder.delete(item_key(key))
        super().remove(source, key)

    def finish(self, sources: Sequence[Source], rows: Sequence[Row], locate: Locate) -> dict[str, Exception]:
        """One PUT an item."""

        def write(source: Source, row: Row) -> None:
            image, key = StacImage.of(locate(source)[1]), result_key(row)
            item = derived_item(image, row, key, self.folder)
            self.folder.put(item_key(key), json.dumps(item, indent=1, default=str).encode())

        return write_beside(sources, rows, write)

    def conclude(self, rows: Iterable[Row], written: Written) -> None:
        """The catalogue, out of what the ledger holds."""
        items = (item_key(result_key(row)) for row in rows if result_key(row))
        write_catalogue(NotingFolder(self.folder, written), items)
