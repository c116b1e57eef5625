"""What looks medical in a dataset that declares nothing: by its name while listing, by its content later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache

from pipeline.doors.archive import Archive
from pipeline.errors import ImageError, JobError, StorageError
from pipeline.formats import FORMATS, format_of
from pipeline.jobs.job import Dataset
from pipeline.privacy.datasets import archive_of, describe_dataset
from pipeline.privacy.key import unseal
from pipeline.storage.base import Entry
from pipeline.storage.entries import Entries

MEDICAL = ("dicom", "nifti")
"""Formats that are about patients."""

MEDICAL_ENDINGS = (*(end for name in MEDICAL for end in FORMATS[name].extensions), ".dicom", ".ima")
"""Endings of names that stop a run on a dataset which declares nothing."""


@cache
def other_endings() -> tuple[str, ...]:
    """Endings of all other formats."""
    return tuple(end for name, each in FORMATS.items() if name not in MEDICAL for end in each.extensions)


def _last_dots(endings: tuple[str, ...]) -> set[str]:
    """As ``Entries.endings`` has them."""
    return {each[each.rfind(".") :] for each in endings}


@cache
def _known_endings() -> frozenset[str]:
    """Those without a second dot, which tell by themselves that a name is none to look into."""
    return frozenset(each for each in other_endings() if each.rfind(".") == 0)


_NAMELESS_PROBED = 8
"""Objects without a known extension that are looked into before a dataset counts as not medical."""
_PROBE_BYTES = 4096


def list_pages(
    dataset: Dataset, where: str, left_out: Counter[str], archive: Archive | None = None
) -> Iterator[Entries]:
    """The listing of a dataset, in pages; what is no object is counted by reason.

    ``archive`` is its own, where that is open already. ``StorageError`` where it cannot be listed,
    and ``JobError`` where it declares nothing and what it holds looks medical.
    """
    try:
        archive = archive or archive_of(dataset)
        pattern = unseal([dataset.pattern])[0]
        guard = _Guard(archive, where) if dataset.private is None else None
        for page in map(Entries.of, archive.pages(pattern, left_out)):
            if guard is not None:
                guard.check(page)
            yield page
    except StorageError as error:
        if not dataset.private:
            raise
        kind = type(error.__cause__ or error).__name__
        raise StorageError(f"cannot list {describe_dataset(dataset)}: {kind}") from None


def refuse_undeclared(private: bool | None, data: bytes) -> None:
    """``ImageError("NOT_PRIVATE")`` for a medical image in a dataset that declares nothing."""
    if private is None and format_of(data).name in MEDICAL:
        raise ImageError(
            "NOT_PRIVATE", "write private = true (or false, where names identify nobody) in its dataset"
        )


class _Guard:
    """Refuses medical names, and looks into the first few objects whose names tell nothing."""

    def __init__(self, archive: Archive, where: str) -> None:
        self._archive, self._where, self._left = archive, where, _NAMELESS_PROBED

    def check(self, page: Entries) -> None:
        """``JobError`` that tells no name."""
        if not page.endings & _last_dots(MEDICAL_ENDINGS) and not (
            self._left and page.endings - _known_endings()
        ):
            return
        for entry in page:
            name = entry.key.lower()
            if name.endswith(MEDICAL_ENDINGS) or (self._left and self._is_medical_inside(entry, name)):
                raise JobError(
                    f"{self._where}: holds medical images and does not say whether they are private; write "
                    "private = true (--private), which hides names and addresses everywhere, or "
                    "private = false (--not-private) where names, folders and headers identify nobody"
                )

    def _is_medical_inside(self, entry: Entry, name: str) -> bool:
        if name.endswith((*other_endings(), "/")) or entry.size < 1:
            return False
        self._left -= 1
        try:
            head = self._archive.head(entry.at or entry.key, _PROBE_BYTES)
        except Exception:  # the worker will say what is wrong with it
            return False
        return any(FORMATS[each].recognises(head) for each in MEDICAL)
