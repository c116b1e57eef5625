"""Opaque ids of private sources, resolved to their addresses for whoever holds the key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.privacy.datasets import folder_of
from pipeline.privacy.key import load_key

if TYPE_CHECKING:
    from pipeline.ledger.run_folder import Books
    from pipeline.units import Source


def unveiled(books: Books) -> Iterator[tuple[Source, str]]:
    """The private sources of a run's last plan with their addresses. ``JobError`` without their key."""
    from pipeline.planning.plan_files import sources  # which imports this module

    hidden = {each.name: folder_of(each) for each in books.job.datasets if each.private}
    key = load_key("whois")
    for source in sources(books.folder):
        if source.dataset in hidden:
            yield source, hidden[source.dataset].uri(key.reveal(source.sealed))
