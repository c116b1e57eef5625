"""Which object is the reference of which image: by the keys of both, before any of them is read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.attached import Attached
from pipeline.hashing import seed_of
from pipeline.jobs.datasets import References
from pipeline.jobs.job import Dataset, Job
from pipeline.planning.no_images import is_no_image
from pipeline.planning.partners import Candidates, KeyRule, Kind, NoPartner, Partners
from pipeline.privacy.datasets import references_of
from pipeline.privacy.key import unseal
from pipeline.storage.base import Entry
from pipeline.storage.entries import Entries

_REFERENCES = Kind(
    "references", "references.match", "NO_REFERENCE", "TWO_REFERENCES", lambda key: not is_no_image(key)
)
_TAKEN = "another image of the folder has the same reference"


class Pairing:
    """``attach(page)`` gives every entry of a listing its reference, or the reason why it has none."""

    def __init__(self, dataset: Dataset, *, one_to_one: bool) -> None:
        """``one_to_one``: an image whose reference another one has already gets none."""
        folder = references_of(dataset)
        assert dataset.references is not None
        assert folder is not None
        self._one_to_one, self._taken = one_to_one, set[int]()
        self._rule = _rule_of(dataset.references)
        self._partners = Partners(folder, dataset, _REFERENCES)

    def close(self) -> None:
        """Forgets the listing."""
        self._partners.close()

    def attach(self, page: Sequence[Entry]) -> list[Entry]:
        """The entries, each with what was found."""
        wanted = {entry.key: self._rule.names(entry.key) for entry in page}
        found = self._partners.find(name for names in wanted.values() for name in names)
        return [self._with_reference(each, self._attached(wanted[each.key], found)) for each in page]

    @staticmethod
    def _with_reference(entry: Entry, found: Attached) -> Entry:
        """Beside what a manifest says of it."""
        if not entry.attached:
            return replace(entry, attached=found.text)
        listed = Attached.of(entry.attached)
        kept = {
            name: getattr(listed, name)
            for name in ("mask", "noise_level", "labels", "frames", "frame_versions", "place")
        }
        return replace(entry, attached=replace(found, **kept).text)

    def unused(self) -> int:
        """How many references no image has, where each is given once and the rule names no masks."""
        if not self._one_to_one or any(self._rule.templates[1:]):
            return 0
        return len(self._partners) - len(self._taken)

    def _attached(self, names: tuple[str, ...], found: dict[str, Candidates]) -> Attached:
        reference, clear = names
        entry = self._partners.choose(reference, found)
        if isinstance(entry, NoPartner):
            return Attached(fault=entry.reason, why=entry.why)
        if self._is_taken(entry.key):
            return Attached(fault="TWO_REFERENCES", why=_TAKEN)
        url = self._partners.url
        attached = Attached(f"{url}/{entry.key}", entry.size, entry.version)
        if not clear:
            return attached
        mask = self._partners.choose(clear, found)
        if isinstance(mask, NoPartner):
            return Attached(fault=mask.reason, why=mask.why)
        return replace(attached, clear=f"{url}/{mask.key}", clear_version=mask.version)

    def _is_taken(self, key: str) -> bool:
        """Whether an image before has it; from now on one has."""
        if not self._one_to_one:
            return False
        name = seed_of(key)
        taken = name in self._taken
        self._taken.add(name)
        return taken


def paired(job: Job, dataset: Dataset, pages: Iterator[Entries], skipped: Counter[str]) -> Iterator[Entries]:
    """The pages of a dataset's images, with their references where it has any.

    References left over are counted in ``skipped``: an image that a tool did not give has no row.
    """
    if dataset.references is None:
        taken: set[int] = set()
        for page in pages:
            told = dataset.is_manifest and (job.is_paired or "attached" in page.others)
            yield Entries.of([_listed_pair(entry, job, taken) for entry in page]) if told else page
        return
    pairing = Pairing(dataset, one_to_one=job.scores_only)
    try:
        for page in pages:
            yield Entries.of(pairing.attach(page))
        if unused := pairing.unused():
            skipped[f"references that no image of {dataset.name} has"] += unused
    finally:
        pairing.close()


def _listed_pair(entry: Entry, job: Job, taken: set[int]) -> Entry:
    """A row of a manifest, with as much of what it says as the job asks for."""
    if not entry.attached and not job.is_paired:
        return entry
    attached = Attached.of(entry.attached)
    if not job.is_paired:
        kept = replace(attached, reference="", reference_size=-1, reference_version="", clear="")
        if job.degradations:
            kept = replace(kept, mask="", noise_level=None)
        return entry if kept == attached else replace(entry, attached=kept.text)
    if not attached.reference:
        fault = replace(attached, fault="NO_REFERENCE", why="its row of the manifest names none")
        return replace(entry, attached=fault.text)
    if not job.scores_only:
        return entry
    if (name := seed_of(attached.reference)) in taken:
        fault = replace(attached, reference="", fault="TWO_REFERENCES", why=_TAKEN)
        return replace(entry, attached=fault.text)
    taken.add(name)
    return entry


def _rule_of(references: References) -> KeyRule:
    texts = [references.match or "", references.reference or "", references.clear or ""]
    match, *templates = unseal(texts)
    return KeyRule(re.compile(match) if match else None, tuple(templates))
