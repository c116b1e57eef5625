"""Segments: the same rows from fewer files, whatever happens between the writes."""

import json
import os
import subprocess
import sys

import pyarrow as pa
import pytest

from pipeline.errors import StorageError
from pipeline.ledger import fetching, sealing
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.schema import OK, QUARANTINED
from pipeline.ledger.sealing import seal
from tests.killing import ROOT
from tests.ledgers import commit, rows_of, sealed


def test_a_sealed_ledger_reads_as_it_did(ledger):
    commit(ledger, *range(10))
    commit(ledger, 10, status=QUARANTINED)
    before, done = rows_of(ledger), ledger.committed()
    manifest = sealed(ledger)
    assert [each.units for each in manifest.segments] == [11]
    assert ledger.unit_keys() == []
    assert ledger.keys() == [manifest.segments[0].key]
    assert rows_of(ledger) == before
    after = ledger.committed()
    assert (after.done == done.done).all()
    assert (after.failed == done.failed).all()
    assert len(after.failed) == 3
    assert [row["psnr"] for row in ledger.rows(f"{7:032x}")] == [1.5] * 3
    assert ledger.rows("f" * 32) is None


def test_units_and_segments_of_an_older_version_are_merged_with_what_they_lack_as_nulls(ledger):
    older = pa.schema([each for each in ledger.schema if each.name != "host"])
    before = Ledger(ledger.folder, ledger.prefix, older)
    commit(before, 1, 2)
    sealed(before)
    commit(before, 3)
    commit(ledger, 4)
    expected = rows_of(ledger)
    (segment,) = sealed(ledger).segments
    assert segment.units == 4
    assert rows_of(ledger) == expected
    assert {row["host"] for row in ledger.rows(f"{1:032x}")} == {None}
    commit(before, 5, 6)
    with pytest.raises(StorageError, match="update restora"):
        sealed(before)


def test_few_units_stay_as_they_are(ledger):
    commit(ledger, 1, 2)
    assert sealed(ledger, at_least=3) is None
    assert len(ledger.unit_keys()) == 2


def test_new_units_join_and_segments_stay_few(ledger):
    expected = 0
    for night in range(12):
        commit(ledger, *range(4 * night, 4 * night + 4))
        manifest = sealed(ledger)
        expected += 12
        assert len(rows_of(ledger)) == expected
        there = {key for key in ledger.sealed().listed if key.endswith(".parquet")}
        assert there == {*(each.key for each in manifest.segments), *manifest.retired}
    assert sum(each.units for each in manifest.segments) == 48
    assert len(manifest.segments) <= 4
    manifests = [key for key in ledger.sealed().listed if key.endswith(".json")]
    assert len(manifests) == 1, "older ones are gone"


def test_segments_end_where_they_are_full(ledger, monkeypatch):
    monkeypatch.setattr(sealing, "MOST_UNITS", 4)
    monkeypatch.setattr(sealing, "ROW_GROUP", 6)
    commit(ledger, *range(10))
    before = rows_of(ledger)
    manifest = sealed(ledger)
    assert [(each.units, each.rows) for each in manifest.segments] == [(4, 12), (4, 12), (2, 6)]
    assert [len(table) for table in ledger.tables()] == [6, 6, 6, 6, 6]
    assert rows_of(ledger) == before
    assert all(len(ledger.rows(f"{unit:032x}")) == 3 for unit in range(10))


def test_an_orphan_that_commits_a_sealed_unit_again_changes_nothing(ledger):
    commit(ledger, 1, 2)
    sealed(ledger)
    before = rows_of(ledger)
    commit(ledger, 2)
    assert rows_of(ledger) == before
    assert sealed(ledger, at_least=64) is None
    assert ledger.unit_keys() == []
    assert rows_of(ledger) == before


def counted(ledger):
    committed = ledger.committed()
    return sorted(
        (row["unit_id"][-1], row["attempt"])
        for table in ledger.tables()
        for row in table.filter(committed.newest(table)).to_pylist()
    )


@pytest.mark.parametrize("seals_after", [0, 1, 2, 3])
def test_of_several_units_the_newest_attempt_counts_then_the_first_by_name(ledger, seals_after):
    """Wherever the rows are: in segments or in files."""
    source = "0" * 31 + "a"
    one = [{"source_id": source, "status": QUARANTINED, "attempt": 0, "degradation": x} for x in "pq"]
    units = [("3" * 32, one), ("2" * 32, one), ("1" * 32, [one[0] | {"attempt": 1, "status": OK}] * 2)]
    for place, (unit, rows) in enumerate(units):
        if place == seals_after:
            sealed(ledger)
        ledger.commit(unit, rows)
    assert counted(ledger) == [("1", 1)] * 2
    assert len(ledger.committed().failed) == 0
    assert ledger.committed().attempt(source) == 1
    ledger.commit("0" * 32, units[2][1])
    assert counted(ledger) == [("0", 1)] * 2


def test_who_reads_while_it_is_sealed_misses_nothing(ledger, monkeypatch):
    monkeypatch.setattr(fetching, "AT_ONCE", 4)
    monkeypatch.setattr(fetching, "_FETCHED", 2)
    monkeypatch.setattr(fetching, "_READ", 1)
    commit(ledger, *range(12))
    tables = ledger.tables()
    first = next(tables)
    sealed(ledger)
    found = [row["source_id"] for table in (first, *tables) for row in table.to_pylist()]
    assert len(found) == len(set(found)) == 36


def test_of_two_that_seal_at_once_one_does(ledger):
    commit(ledger, *range(6))
    before = rows_of(ledger)
    other = Ledger(ledger.folder, ledger.prefix, ledger.schema)
    meanwhile = []

    def check():
        if not meanwhile:
            meanwhile.append(sealed(other))

    assert seal(ledger, check, at_least=1) is None
    assert meanwhile[0] is not None
    assert rows_of(ledger) == before
    commit(ledger, 7)
    sealed(ledger)
    assert len(rows_of(ledger)) == len(before) + 3
    assert len([key for key in ledger.sealed().listed if key.endswith(".parquet")]) == 2, "litter is gone"


def test_a_lease_that_is_lost_ends_it(ledger):
    commit(ledger, 1, 2)

    def check():
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError):
        seal(ledger, check, at_least=1)
    assert len(ledger.unit_keys()) == 2
    assert len(rows_of(ledger)) == 6


def test_a_damaged_segment_is_named_and_a_lost_one_is_done_again(ledger):
    commit(ledger, 1, 2)
    key = sealed(ledger).segments[0].key
    whole = ledger.folder.read(key)
    for harm in (whole[:-20], whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], b""):
        ledger.folder.put(key, harm)
        with pytest.raises(StorageError, match=r"not a whole segment .* restora repair"):
            rows_of(ledger)
    ledger.folder.delete(key)
    assert len(ledger.committed().done) == 0
    assert f"{key} is gone, with the rows of 2 units" in ledger.lost()[0]
    commit(ledger, 1)
    sealed(ledger, at_least=64)
    assert ledger.lost() == []
    assert len(rows_of(ledger)) == 3


def test_manifests_that_cannot_be_read_are_refused(ledger):
    commit(ledger, 1, 2)
    sealed(ledger)
    key = next(key for key in ledger.sealed().listed if key.endswith(".json"))
    fields = json.loads(ledger.folder.read(key))
    ledger.folder.put(key, json.dumps(fields | {"version": 2}).encode())
    with pytest.raises(StorageError, match=r"written by a newer restora \(version 2 .* update restora"):
        ledger.committed()
    ledger.folder.put(key, b"{")
    with pytest.raises(StorageError, match="not a whole manifest of the ledger; bring it back"):
        ledger.committed()


def test_sealing_may_die_at_any_point(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.seal_points", str(tmp_path), "9"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert int(ended.stdout) >= 2 * (1 + 2 + 3 + 5), "segment; manifest, linked; litter; files of units"
