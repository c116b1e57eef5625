"""Inventories that stores write of themselves: S3 Inventory, and Storage Insights of Google Cloud Storage.

Both are a small JSON file that names the files of the table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from pipeline.errors import JobError
from pipeline.storage.folder import Folder

INVENTORY = "manifest.json"
"""Ends the name of either."""
OLD_VERSIONS = "older versions and delete markers of an inventory"


@dataclass(frozen=True)
class Inventory:
    """The files of an inventory, and how its rows name objects."""

    scheme: str
    files: tuple[tuple[Folder, str], ...]
    header: tuple[str, ...] | None
    """Names of the columns, where the files have none."""
    escaped: bool
    """Whether keys are percent-encoded, as in CSV of S3."""

    def key(self, text: str) -> str:
        """A key as it is."""
        return unquote_plus(text) if self.escaped else text


def read_inventory(folder: Folder, key: str, where: str) -> Inventory:
    """``JobError`` for a JSON file that is neither."""
    try:
        fields = json.loads(folder.read(key))
    except ValueError as error:
        raise JobError(f"{where}: no JSON: {error}") from None
    if isinstance(fields, dict) and "files" in fields and "fileFormat" in fields:
        return _of_s3(folder, key, fields)
    if isinstance(fields, dict) and "report_shards_file_names" in fields:
        above = folder.child(key.rpartition("/")[0]) if "/" in key else folder
        return Inventory(
            "gs", tuple((above, each) for each in fields["report_shards_file_names"]), None, False
        )
    raise JobError(f"{where}: no S3 Inventory and no Storage Insights report; give a table of rows instead")


def _of_s3(folder: Folder, key: str, fields: dict[str, Any]) -> Inventory:
    is_csv = fields["fileFormat"].upper() == "CSV"
    header = tuple(each.strip() for each in fields["fileSchema"].split(",")) if is_csv else None
    bucket = str(fields.get("destinationBucket", "")).rpartition(":")[2]
    files = tuple(_place(folder, str(each["key"]), bucket) for each in fields["files"])
    return Inventory("s3", files, header, escaped=is_csv)


def _place(folder: Folder, key: str, bucket: str) -> tuple[Folder, str]:
    """Keys are those of the destination's bucket; of a copy elsewhere, below the folder that has them."""
    if folder.url.startswith(("s3://", "s3a://")):
        return Folder(f"s3://{bucket}", folder.profile), key
    parts = key.split("/")
    for depth in range(len(parts)):
        below = "/".join(parts[depth:])
        for up in range(len(parts)):
            above = Folder(f"{folder.url}{'/..' * up}", folder.profile) if up else folder
            if above.exists(below):
                return above, below
    return folder, key


def column_of(names: Sequence[str], wanted: str) -> str | None:
    """The column that means ``wanted``, however it is written: ``ETag``, ``e_tag``."""
    return next((name for name in names if name.lower().replace("_", "") == wanted), None)
