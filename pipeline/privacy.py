"""Private datasets: what could name a patient stays out of everything but the restored objects.

Declared per dataset, never guessed from the pixels: by the time an object is known to be DICOM, its name
stands in the plan. So names that look medical in a dataset that declares nothing stop the run before
anything is written, and medical content under a harmless name is quarantined as ``NOT_PRIVATE``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.errors import ImageError, JobError, StorageError
from pipeline.formats import FORMATS, format_of
from pipeline.jobs import Dataset, Job
from pipeline.ledger import COLUMNS, Row
from pipeline.privacy_key import PrivacyKey, load_key, revealed
from pipeline.storage import Folder, absolute_url
from pipeline.stores.base import Entry

if TYPE_CHECKING:
    from pipeline.books import Books
    from pipeline.ledger import Ledger
    from pipeline.plan import Source

MEDICAL = ("dicom", "nifti")
"""Formats that are about patients."""

_MEDICAL_ENDINGS = (*(end for name in MEDICAL for end in FORMATS[name].extensions), ".dicom", ".ima")
_OTHER_ENDINGS = tuple(
    end for name, each in FORMATS.items() if name not in MEDICAL for end in each.extensions
)
_ENDINGS = (*_MEDICAL_ENDINGS, *_OTHER_ENDINGS)
_NAMELESS_PROBED = 8
"""Objects without a known extension that are looked into before a dataset counts as not medical."""
_PROBE_BYTES = 4096

SHOWN = frozenset(
    {
        *("dataset", "key", "source_id", "source_bytes", "source_sha256", "height", "width", "channels"),
        *("dtype", "data_low", "data_high", "data_range_rule", "nodata_share", "degradation", "condition"),
        *("degradation_params", "seed", "restorer", "restorer_sha256", "recipe_id", "unit_id", "attempt"),
        *("status", "reason", "stage", "clipped_pixels", "output_uri", "output_sha256", "output_bytes"),
        *("degraded_uri", "degraded_sha256", "degraded_bytes", "device", "seconds", "code_version"),
        "finished_at",
    }
)
"""Fixed columns that a private row may fill; all others stay empty, also those that somebody adds."""

PLAIN_MESSAGES = frozenset({"SERIES_INCONSISTENT", "SERIES_INCOMPLETE"})
"""Reasons whose messages are counts and attribute names, and may stand in a private row."""


def sealed(job: Job) -> Job:
    """The job as it may be written down: addresses and patterns of private datasets sealed.

    Raises ``JobError`` where there is a private dataset and no key.
    """
    if not any(each.private for each in job.datasets):
        return job
    key = load_key(_first_private(job))
    return job.model_copy(
        update={"datasets": tuple(_sealed(each, key) if each.private else each for each in job.datasets)}
    )


def _sealed(dataset: Dataset, key: PrivacyKey) -> Dataset:
    uri = key.seal(absolute_url(dataset.uri))
    pattern = dataset.pattern if dataset.pattern == "*" else key.seal(dataset.pattern)
    return dataset.model_copy(update={"uri": uri, "pattern": pattern})


def fingerprints(job: Job) -> dict[str, str]:
    """Private dataset -> fingerprint of the key: another key means other ids, so it is of the recipe."""
    names = [each.name for each in job.datasets if each.private]
    return dict.fromkeys(names, load_key(_first_private(job)).fingerprint) if names else {}


def _first_private(job: Job) -> str:
    index = next(i for i, each in enumerate(job.datasets) if each.private)
    return f"datasets[{index}]: private datasets"


def folder_of(dataset: Dataset) -> Folder:
    """Where a dataset's objects lie; the address opened where it is sealed."""
    return Folder(revealed([dataset.uri])[0], dataset.profile)


def described(dataset: Dataset) -> str:
    """A dataset in a message: its name, and its address where that may be told."""
    if dataset.private:
        return f'the private dataset "{dataset.name}"'
    return f"{dataset.uri} (pattern {dataset.pattern!r})"


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
            if name.endswith(_MEDICAL_ENDINGS) or (self._left and self._is_medical_inside(entry, name)):
                raise JobError(
                    f"{self._where}: holds medical images and does not say whether they are private; write "
                    "private = true (--private), which hides names and addresses everywhere, or "
                    "private = false (--not-private) where names, folders and headers identify nobody"
                )

    def _is_medical_inside(self, entry: Entry, name: str) -> bool:
        if name.endswith((*_OTHER_ENDINGS, "/")) or entry.size < 1:
            return False
        self._left -= 1
        try:
            head = self._folder.head(entry.key, _PROBE_BYTES)
        except Exception:  # the worker will say what is wrong with it
            return False
        return any(FORMATS[each].recognises(head) for each in MEDICAL)


def unveiled(books: Books) -> Iterator[tuple[Source, str]]:
    """The private sources of a run's last plan with their addresses. ``JobError`` without their key."""
    from pipeline.plan import sources  # which imports this module

    hidden = {each.name: folder_of(each) for each in books.job.datasets if each.private}
    key = load_key("whois")
    for source in sources(books.folder):
        if source.dataset in hidden:
            yield source, hidden[source.dataset].uri(key.reveal(source.sealed))


def ending_of(key: str) -> str:
    """The known extension of a key, which an opaque id may keep; empty for any other."""
    name = key.lower()
    return next((end for end in _ENDINGS if name.endswith(end)), "")


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
