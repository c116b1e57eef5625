"""Opaque ids of private sources, resolved to their addresses for whoever holds the key."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.plan_files import read_sources
from pipeline.privacy.key import load_key
from pipeline.privacy.naming import SourceLocator
from pipeline.units import Source


def resolve_ids(run: RunFolder) -> Iterator[tuple[Source, str]]:
    """The private sources of a run's last plan with their addresses. ``JobError`` without their key."""
    load_key("whois")
    locator = SourceLocator(run.job)
    for source in read_sources(run.folder):
        if source.sealed:
            archive, at = locator.locate(source)
            yield source, archive.uri(at)
