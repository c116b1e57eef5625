"""Results with their items: objects as in a folder, an item beside each, and a catalogue over all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from pipeline.doors.outlet import FolderOutlet, Locate, Row
from pipeline.doors.stac.catalogue import write_catalogue
from pipeline.doors.stac.derived import derived_item, item_key
from pipeline.doors.stac.item import StacImage
from pipeline.units import Source


class StacOutlet(FolderOutlet):
    """Items are written with their unit, the catalogue when all is done: it names what is in the ledger."""

    def remove(self, source: Source, key: str) -> None:
        """With its item."""
        self.folder.delete(item_key(key))
        super().remove(source, key)

    def finish(self, sources: Sequence[Source], rows: Sequence[Row], locate: Locate) -> dict[str, Exception]:
        """One PUT an item."""
        made = {row["source_id"]: row for row in rows if row["status"] == "ok" and _key(row)}
        faults: dict[str, Exception] = {}
        for source in sources:
            if source.source_id not in made:
                continue
            row = made[source.source_id]
            try:
                image = StacImage.of(locate(source)[1])
                item = derived_item(image, row, _key(row), self.folder)
                self.folder.put(item_key(_key(row)), json.dumps(item, indent=1, default=str).encode())
            except Exception as error:
                faults[source.source_id] = error
        return faults

    def conclude(self, rows: Iterable[Row]) -> None:
        """The catalogue, out of what the ledger holds."""
        write_catalogue(self.folder, (item_key(_key(row)) for row in rows if _key(row)))


def _key(row: Row) -> str:
    return row.get("output_uri") or row.get("degraded_uri") or ""
