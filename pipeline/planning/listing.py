"""Lists the stores of a job: every image that belongs to it today, with its identity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.formats.extras import require_extras
from pipeline.hashing import sha256_hex
from pipeline.jobs.job import Dataset
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.collisions import Collisions
from pipeline.planning.conditions import with_conditions
from pipeline.planning.frames import in_stacks
from pipeline.planning.known import NOTE, KnownSources, LastPlan, Note, Page, merged, new_token
from pipeline.planning.no_images import images_of
from pipeline.planning.originals import Originals
from pipeline.planning.pairing import paired
from pipeline.planning.plan_files import (
    SOURCES,
    SOURCES_SCHEMA,
    TOKEN_KEY,
    PlanFile,
    read_source_ids,
    table_of,
)
from pipeline.planning.series import SeriesIndex
from pipeline.privacy.datasets import folder_of
from pipeline.privacy.medical import list_pages
from pipeline.privacy.naming import SourceLocator
from pipeline.storage.entries import Entries
from pipeline.storage.folder import Folder
from pipeline.storage.keys import RUN_FOLDER


@dataclass
class Listing:
    """What was found."""

    folder: Folder
    """On this machine: the sources are here, under their key, as they are in the run folder."""
    note: Note | None = None
    """Of the last plan, where it found the same."""
    token: str = field(default_factory=new_token)
    sources: int = 0
    new: int = 0
    """Sources that the last plan did not know."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Files that are no images by their name, by ending."""
    skipped: Counter[str] = field(default_factory=Counter)
    """What else is no source, by reason."""

    def digest(self) -> str:
        """SHA-256 of the identities, sorted."""
        return sha256_hex(read_source_ids(self.folder).tobytes())


def write_sources(run: RunFolder, last: LastPlan, limit: int | None) -> Listing:
    """Writes ``plan/sources.parquet``, unless the last plan's is the same.

    ``StorageError`` for a store that cannot be listed; ``JobError`` where two sources meet in one object.
    """
    found = Listing(Folder(str(last.place / "new")))
    schema = SOURCES_SCHEMA.with_metadata({TOKEN_KEY: found.token.encode()})
    path = Path(found.folder.root, SOURCES)
    path.parent.mkdir(parents=True)
    collisions = Collisions(run.job, run.layout.folder)
    with PlanFile(path, schema) as table:
        for page in _list_sources(run, last, found, collisions):
            listed = page if limit is None else page.first(limit - found.sources)
            if len(listed.rows):
                table.write_rows(listed.rows.cast(schema))
            found.sources += len(listed.rows)
            found.new += listed.new
            if found.sources == limit:
                break
    if last.note and not found.new and found.sources == last.count:
        found.note, found.token = last.note, last.note.token  # of the file that stays
        return found
    if last.note:
        run.folder.delete(NOTE)
    run.folder.put_file(SOURCES, path)
    if found.new:
        collisions.refuse(found.folder)
    return found


def _list_sources(run: RunFolder, last: LastPlan, found: Listing, collisions: Collisions) -> Iterator[Page]:
    locator = SourceLocator(run.job)
    series, originals = SeriesIndex(last.folder, locator), Originals(run, locator)
    for index, dataset in enumerate(run.job.datasets):
        # Addresses of frames are below the folder, as those of masks are.
        url = (
            folder_of(dataset).url
            if dataset.group and not (dataset.is_manifest or dataset.is_of_pages)
            else ""
        )
        known = KnownSources(dataset, locator, last.rows_of(dataset.name))
        images = in_stacks(dataset, url, _images(dataset, index, found))
        for page in with_conditions(dataset, paired(run.job, dataset, images, found.skipped)):
            if page:
                collisions.note(page)
                rows, places = known.page(page)
                new = table_of(locator.identify_all(dataset, page.at(places.tolist())))
                originals.refuse(new)
                yield merged(rows, places, series.with_groups(dataset, new))


def _images(dataset: Dataset, index: int, found: Listing) -> Iterator[Entries]:
    for page in list_pages(dataset, f"datasets[{index}]", found.skipped):
        # The files of an earlier run are no images: one run's output is another's input.
        entries = page
        if f"{RUN_FOLDER}/" in "\n".join(page.keys):
            entries = page.chosen([not key.startswith(f"{RUN_FOLDER}/") for key in page.keys])
        images = images_of(entries, found.left_out)
        require_extras(images, f"datasets[{index}]")
        yield images
