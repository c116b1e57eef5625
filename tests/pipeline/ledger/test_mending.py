"""A damaged ledger: what is lost is said, what is beside it stays, nothing is silently gone."""

import json

import pyarrow.parquet as pq
import pytest

from pipeline.errors import StorageError
from pipeline.ledger import sealing
from pipeline.ledger.mending import mend
from tests.ledgers import commit, rows_of, sealed


def mended(ledger):
    return mend(ledger, lambda: None)


def manifest_of(ledger):
    return next(key for key in ledger.sealed().listed if key.endswith(".json"))


def test_a_whole_ledger_is_left_as_it_is(ledger):
    commit(ledger, *range(4))
    sealed(ledger)
    commit(ledger, 5)
    before = rows_of(ledger), ledger.sealed().listed
    assert mended(ledger) == []
    assert (rows_of(ledger), ledger.sealed().listed) == before


def test_of_a_damaged_segment_the_row_groups_that_can_be_read_stay(ledger, monkeypatch):
    monkeypatch.setattr(sealing, "ROW_GROUP", 6)
    commit(ledger, *range(6))
    (segment,) = sealed(ledger).segments
    commit(ledger, 7)
    whole = ledger.folder.read(segment.key)
    with ledger.folder.open(segment.key) as file:
        meta = pq.ParquetFile(file)
        chunk = meta.metadata.row_group(1).column(meta.schema_arrow.get_field_index("source_id"))
    torn = chunk.data_page_offset + 40
    ledger.folder.put(segment.key, whole[:torn] + bytes([whole[torn] ^ 1]) + whole[torn + 1 :])
    with pytest.raises(StorageError, match="restora repair"):
        ledger.committed()
    (line,) = mended(ledger)
    assert line.startswith(f"{segment.key}: was damaged")
    assert {unit[-1] for unit, *_ in rows_of(ledger)} == {"0", "1", "4", "5", "7"}
    assert mended(ledger) == []


def test_a_segment_without_its_end_is_lost_and_said(ledger):
    commit(ledger, 1, 2)
    (segment,) = sealed(ledger).segments
    commit(ledger, 3)
    ledger.folder.put(segment.key, ledger.folder.read(segment.key)[:-20])
    assert mended(ledger) == [f"{segment.key}: was damaged; what could be read of its 2 units is kept"]
    assert {unit[-1] for unit, *_ in rows_of(ledger)} == {"3"}


def test_a_missing_segment_and_a_damaged_unit_are_both_said(ledger):
    commit(ledger, 1, 2)
    (segment,) = sealed(ledger).segments
    ledger.folder.delete(segment.key)
    commit(ledger, 3, 4)
    ledger.folder.put(ledger.unit_keys()[0], b"PAR1 torn")
    unit, lost = mended(ledger)
    assert "was damaged" in unit
    assert lost == f"{segment.key}: is gone, with the rows of 2 units"
    assert {unit[-1] for unit, *_ in rows_of(ledger)} == {"4"}
    assert ledger.lost() == []


def test_a_damaged_manifest_is_made_again_from_its_segments(ledger):
    commit(ledger, *range(8))
    sealed(ledger)
    commit(ledger, 8, 9)
    sealed(ledger)
    before, key = rows_of(ledger), manifest_of(ledger)
    ledger.folder.put(key, b"{")
    (line,) = mended(ledger)
    assert key in line
    assert rows_of(ledger) == before


def test_a_manifest_that_is_gone_takes_no_segment_with_it(ledger):
    commit(ledger, *range(8))
    sealed(ledger)
    before = rows_of(ledger)
    ledger.folder.delete(manifest_of(ledger))
    commit(ledger, 9)
    sealed(ledger)
    assert set(before) < set(rows_of(ledger))


def test_a_newer_ledger_is_left_alone(ledger):
    commit(ledger, 1)
    sealed(ledger)
    key = manifest_of(ledger)
    newer = json.dumps(json.loads(ledger.folder.read(key)) | {"version": 2}).encode()
    ledger.folder.put(key, newer)
    with pytest.raises(StorageError, match="update restora"):
        mended(ledger)
    assert ledger.folder.read(key) == newer
