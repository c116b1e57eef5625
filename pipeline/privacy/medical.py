"""What looks medical in a dataset that declares nothing stops the run before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.errors import ImageError, JobError, StorageError
from pipeline.formats import FORMATS, format_of
from pipeline.jobs.job import Dataset, Job
from pipeline.ledger.redaction import PLAIN_MESSAGES, SHOWN
from pipeline.ledger.schema import COLUMNS, Row
from pipeline.privacy.datasets import _first_private, described, folder_of
from pipeline.privacy.key import PrivacyKey, load_key, revealed
from pipeline.storage.base import Entry
from pipeline.storage.folder import Folder

if TYPE_CHECKING:
    from pipeline.ledger.ledger import Ledger
    from pipeline.units import Source

MEDICAL = ("dicom", "nifti")
"""Formats that are about patients."""

MEDICAL_ENDINGS = (*(end for name in MEDICAL for end in FORMATS[name].extensions), ".dicom", ".ima")

OTHER_ENDINGS = tuple(end for name, each in FORMATS.items() if name not in MEDICAL for end in each.extensions)

_NAMELESS_PROBED = 8
"""Objects without a known extension that are looked into before a dataset counts as not medical."""

_PROBE_BYTES = 4096


def pages(dataset: Dataset, where: str) -> Iterator[tuple[Folder, list[Entry]]]:
    """The listing of a dataset, in pages. ``StorageError`` where it cannot be listed, and ``JobError``
    where it declares nothing and what it holds looks medical."""
    folder = folder_of(dataset)
    try:
        pattern = revealed([dataset.pattern])[0]
        guard = _Guard(folder, where) if dataset.private is None else None
        for page in folder.pages(pattern):
            if guard is not None:
                guard.check(page)
            yield folder, page
    except StorageError as error:
        if not dataset.private:
            raise
        kind = type(error.__cause__ or error).__name__
        raise StorageError(f"cannot list {described(dataset)}: {kind}") from None


class _Guard:
    """Refuses medical names, and looks into the first few objects whose names tell nothing."""

    def __init__(self, folder: Folder, where: str) -> None:
        self._folder, self._where, self._left = folder, where, _NAMELESS_PROBED

    def check(self, page: Sequence[Entry]) -> None:
        """``JobError`` that tells no name."""
        for entry in page:
            name = entry.key.lower()
            if name.endswith(MEDICAL_ENDINGS) or (self._left and self._is_medical_inside(entry, name)):
                raise JobError(
                    f"{self._where}: holds medical images and does not say whether they are private; write "
                    "private = true (--private), which hides names and addresses everywhere, or "
                    "private = false (--not-private) where names, folders and headers identify nobody"
                )

    def _is_medical_inside(self, entry: Entry, name: str) -> bool:
        if name.endswith((*OTHER_ENDINGS, "/")) or entry.size < 1:
            return False
        self._left -= 1
        try:
            head = self._folder.head(entry.key, _PROBE_BYTES)
        except Exception:  # the worker will say what is wrong with it
            return False
        return any(FORMATS[each].recognises(head) for each in MEDICAL)


class Privacy:
    """What a worker must know of a job's datasets."""

    def __init__(self, job: Job) -> None:
        self._declared = {each.name: each.private for each in job.datasets}
        self._key = load_key(_first_private(job)) if any(self._declared.values()) else None

    def real_key(self, source: Source) -> str:
        """The key of the source's object in its store."""
        if not source.sealed:
            return source.key
        assert self._key is not None
        return self._key.reveal(source.sealed)

    def key_of(self, source: Source) -> PrivacyKey | None:
        """The key that hides a source; ``None`` where nothing does."""
        return self._key if source.sealed else None

    def check(self, source: Source, data: bytes) -> None:
        """``ImageError("NOT_PRIVATE")`` for a medical image in a dataset that declares nothing."""
        if self._declared[source.dataset] is None and format_of(data).name in MEDICAL:
            raise ImageError(
                "NOT_PRIVATE", "write private = true (or false, where names identify nobody) in its dataset"
            )

    def shown(self, rows: Iterable[Row], ledger: Ledger) -> list[Row]:
        """The rows as they may be committed: of private ones only the columns of the allow-list."""
        return [self.shown_of(row["dataset"], row, ledger) for row in rows]

    def shown_of(self, dataset: str, row: Row, ledger: Ledger) -> Row:
        """A row of a dataset as it may be committed to a ledger, that of strips too.

        What a ledger adds to the fixed columns (metrics, features, sums) are numbers and stay.
        """
        if not self._declared[dataset]:
            return row
        allowed = SHOWN | (set(ledger.schema.names) - set(COLUMNS.names))
        names = allowed | {"message"} if row.get("reason") in PLAIN_MESSAGES else allowed
        return {name: value for name, value in row.items() if name in names}
