"""Results as BIDS derivatives: ``desc-restored`` in their names, a sidecar each, and a description of all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.doors.bids.archive import BidsArchive
from pipeline.doors.bids.names import RESTORED, BidsName, in_dataset
from pipeline.doors.bids.pixels import COUNTED, on_grid, size_of
from pipeline.doors.bids.sidecars import Sidecars
from pipeline.doors.outlet import FolderOutlet, Locate, Row, result_key, write_beside
from pipeline.errors import StorageError
from pipeline.jobs.job import Job
from pipeline.storage.folder import Folder
from pipeline.storage.keys import RUN_FOLDER
from pipeline.storage.noting import NotingFolder, Written
from pipeline.units import Source
from pipeline.version import code_version

DESCRIPTION, IGNORED = "dataset_description.json", ".bidsignore"
BIDS_VERSION = "1.10.0"
OURS = "Restora"
_LINK = "source"
"""Names the source dataset in addresses such as ``bids:source:sub-01/...``."""
_UNSAID = {"SkullStripped": False}
"""What a derived image has to say: true of raw ones, and derived sources say it themselves."""
_COMPANIONS = {"dwi": (".bval", ".bvec")}
"""Suffix -> endings of files without which such an image says little, and which stay true. They are inherited
by every image whose name holds theirs; the validator takes them without ``desc`` alone."""


class BidsOutlet(FolderOutlet):
    """Images are put as they come; sidecars with their unit; the description before the first image."""

    def __init__(self, folder: Folder, job: Job) -> None:
        super().__init__(folder)
        self._addresses = {each.name: each.uri for each in job.datasets}
        self._word = RESTORED if job.kind == "restore" else "degraded"
        self._described: set[str] = set()
        self._lock = threading.Lock()
        self._sidecars: dict[str, Sidecars] = {}

    def key(self, source: Source, key: str) -> str:
        """With what was done to it in the name."""
        root, below = in_dataset(key)
        name = BidsName.of(below)
        made = below if name is None else name.described(self._word).key
        return f"{root}/{made}" if root else made

    def put(self, source: Source, key: str, data: bytes | Path) -> str:
        """In a dataset that is described."""
        root = in_dataset(key)[0]
        with self._lock:
            if root not in self._described:
                self._describe(root, self._addresses[source.dataset])
                self._described.add(root)
        return super().put(source, key, data)

    def companion(self, key: str) -> str | None:
        """Its sidecar."""
        return _sidecar(key)

    def remove(self, source: Source, key: str) -> None:
        """With its sidecar; what else goes along may be of other images too."""
        self.folder.delete(_sidecar(key))
        super().remove(source, key)

    def finish(self, sources: Sequence[Source], rows: Sequence[Row], locate: Locate) -> dict[str, Exception]:
        """One PUT a sidecar."""

        def write(source: Source, row: Row) -> None:
            archive, at = locate(source)
            assert isinstance(archive, BidsArchive)
            self._write_beside(archive, at, result_key(row), row)

        return write_beside(sources, rows, write)

    def _write_beside(self, archive: BidsArchive, at: str, key: str, row: Row) -> None:
        with self._lock:
            sidecars = self._sidecars.setdefault(archive.url, Sidecars(archive.folder))
        name, root = BidsName.of(at), in_dataset(key)[0]
        for ending in _COMPANIONS.get(name.suffix, ()) if name is not None else ():
            assert name is not None
            found = sidecars.companion(at, ending)
            if found is not None:
                own = name.undescribed().with_extension(ending).key
                self.folder.put(f"{root}/{own}" if root else own, found)
        fields = _UNSAID | self._of_its_pixels(sidecars.of(at), key, row) | _derived(at, row)
        self.folder.put(_sidecar(key), json.dumps(fields, indent=1).encode())

    def _of_its_pixels(self, fields: dict[str, Any], key: str, row: Row) -> dict[str, Any]:
        if not any(name in fields for name in COUNTED):
            return fields
        with self.folder.open(key) as file:
            return on_grid(fields, (row["height"], row["width"]), size_of(file))

    def conclude(self, rows: Iterable[Row], written: Written) -> None:
        """The description of every dataset of results."""
        folder = NotingFolder(self.folder, written)
        for root, name in {in_dataset(result_key(row))[0]: row["dataset"] for row in rows}.items():
            self._write_description(folder, root, self._addresses[name])

    def _describe(self, root: str, address: str) -> None:
        """``StorageError`` where a dataset of another program is there: its description is not ours."""
        key = f"{root}/{DESCRIPTION}" if root else DESCRIPTION
        if self.folder.exists(key) and not _is_ours(self.folder.read(key)):
            raise StorageError(f"{self.folder.uri(key)}: is of another program; choose another place")
        self._write_description(self.folder, root, address)

    def _write_description(self, folder: Folder, root: str, address: str) -> None:
        url = address if "://" in address else f"file://{address}"
        description = {
            "Name": f"Images {self._word} by {OURS}",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": OURS, "Version": code_version()}],
            "SourceDatasets": [{"URL": url}],
            "DatasetLinks": {_LINK: url},
        }
        if not root:  # only there it is ours
            folder.put(IGNORED, f"{RUN_FOLDER}\n".encode())
        folder.put(
            f"{root}/{DESCRIPTION}" if root else DESCRIPTION, json.dumps(description, indent=1).encode()
        )


def _is_ours(data: bytes) -> bool:
    try:
        made = json.loads(data).get("GeneratedBy") or [{}]
        return bool(made[0].get("Name") == OURS)
    except (ValueError, AttributeError, LookupError, TypeError):
        return False


def _sidecar(key: str) -> str:
    above, slash, name = key.rpartition("/")
    return f"{above}{slash}{name.partition('.')[0]}.json"


def _derived(at: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """What is true of the result and not of its source."""
    from pipeline.metrics import METRICS  # start-up: with them comes torch

    restorer = row.get("restorer")
    names = (*METRICS, "psnr_estimate", "psnr_floor")
    scores = {name: row[name] for name in names if isinstance(row.get(name), float)}
    ours = {name: row.get(name) for name in ("restorer", "restorer_sha256", "recipe_id", "source_sha256")}
    return {
        "Description": f"restored with {restorer}" if restorer else "degraded",
        "Sources": [f"bids:{_LINK}:{at}"],
        OURS: {name: value for name, value in (ours | scores).items() if value not in (None, "")},
    }
