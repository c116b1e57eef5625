"""Identities of many sources at once are those of each alone."""

from itertools import product

import pyarrow as pa

from pipeline.hashing import short_hash
from pipeline.planning.plan_files import sources_of, table_of
from pipeline.privacy.many_names import short_hashes
from pipeline.privacy.naming import SourceLocator
from pipeline.storage.base import Entry
from pipeline.storage.entries import Entries
from tests.helpers import restore


def test_messages_put_together_by_column_are_those_of_each_row():
    rows = list(product(["", "a", "ü/é.png", "x" * 300], ["", "v1"], ["", "{}"]))
    key, version, attached = (pa.array(each, pa.string()) for each in zip(*rows, strict=True))
    found = short_hashes(("photos", "s3://ü"), (key, version), attached)
    assert found.to_pylist() == [
        short_hash("photos", "s3://ü", *row[:2], *filter(None, row[2:])) for row in rows
    ]
    part = short_hashes((), (key.slice(3, 2),)).to_pylist()
    assert part == [short_hash(row[0]) for row in rows[3:5]]


def test_a_page_is_named_as_its_entries_are(tmp_path):
    job = restore(tmp_path, tmp_path / "out")
    others = product(["", "{}"], ["", "elsewhere"], ["", "g"], ["", "b"])
    page = [Entry(f"ü/{place}.png", place - 1, "", *each) for place, each in enumerate(others)]
    locator, dataset = SourceLocator(job), job.datasets[0]
    found = sources_of(table_of(locator.identify_all(dataset, Entries.of(page))))
    assert found == [locator.identify(dataset, each) for each in page]
