"""The ledger: rows in, the same rows and identities out, read by others too."""

import io
import pickle
import random
import uuid

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import StorageError
from pipeline.ledger import identities
from pipeline.ledger.attempts import ATTEMPTS, Attempts
from pipeline.ledger.committed import CommittedBuilder
from pipeline.ledger.identities import IdIndex, contains, ids_of, no_ids, order_of, sorted_ids
from pipeline.ledger.ledger import Ledger, prefix_of
from pipeline.ledger.schema import COLUMNS, OK, QUARANTINED, is_ok, schema
from pipeline.storage.folder import Folder


@pytest.fixture
def ledger():
    return Ledger(Folder(f"memory://{uuid.uuid4().hex}"), prefix_of("ab" * 32), schema(["psnr"]))


def row(source: str, status: str = OK, attempt: int = 0, **fields) -> dict:
    return {"source_id": source * 32, "status": status, "attempt": attempt, "key": source, **fields}


def test_rows_come_back_and_absent_values_are_null(ledger):
    ledger.commit(
        "u1", [row("a", psnr=31.5, seed=2**63 - 1, height=7), row("b", QUARANTINED, reason="EMPTY")]
    )
    first, second = ledger.rows("u1")
    assert (first["psnr"], first["seed"], first["height"], first["reason"]) == (31.5, 2**63 - 1, 7, None)
    assert (second["psnr"], second["psnr_degraded"], second["reason"]) == (None, None, "EMPTY")
    assert ledger.rows("u2") is None


def test_the_schema_is_the_same_whatever_the_rows_hold(ledger):
    ledger.commit("u1", [row("a", psnr=float("inf"))])
    ledger.commit("u2", [row("b", QUARANTINED)])
    tables = list(ledger.tables())
    assert tables[0].schema.equals(tables[1].schema)
    assert tables[0].schema.names == [*COLUMNS.names, "psnr", "psnr_degraded"]


def test_a_units_file_has_no_columns_without_values_and_is_read_with_all(ledger):
    ledger.commit("u1", [row("a", psnr=31.5), row("b", QUARANTINED)])
    key = ledger.key("u1")
    stored = pq.read_table(io.BytesIO(ledger.folder.read(key)))
    assert stored.column_names == ["key", "source_id", "unit_id", "attempt", "status", "psnr"]
    whole, asked = ledger.read(key), ["psnr_degraded", "finished_at", "psnr"]
    assert whole.schema.equals(ledger.schema)
    assert ledger.read(key, asked).equals(whole.select(asked))
    assert whole["psnr"].to_pylist() == [31.5, None]
    assert whole["finished_at"].null_count == 2


def test_pandas_reads_a_unit_without_us(ledger):
    ledger.commit("u1", [row("a", psnr=float("inf")), row("b", psnr=1.25)])
    frame = pandas.read_parquet(io.BytesIO(ledger.folder.read(ledger.key("u1"))))
    assert frame["psnr"].tolist() == [float("inf"), 1.25]


def test_committed_tells_done_failed_and_tried_again(ledger):
    ledger.commit(
        "u1", [row("a"), row("a", QUARANTINED), row("b"), row("c", QUARANTINED), row("d", QUARANTINED)]
    )
    ledger.commit("u2", [row("c", attempt=1)])
    ledger.commit("u3", [row("d", QUARANTINED, attempt=1)])
    ledger.commit("u4", [row("d", QUARANTINED, attempt=2)])
    committed = ledger.committed()
    assert [each.hex()[0] for each in committed.done] == list("abcd")
    assert [each.hex()[0] for each in committed.failed] == ["a", "d"]
    assert [committed.attempt(each * 32) for each in "abcd"] == [0, 0, 1, 2]


def test_a_row_without_a_status_is_not_ok():
    table = pa.table({"status": pa.chunked_array([[OK, None], [QUARANTINED, OK]])})
    assert is_ok(table).tolist() == [True, False, False, True]
    assert is_ok(table.slice(1, 2)).tolist() == [False, False]


def test_an_empty_ledger_has_nothing_done(ledger):
    committed = ledger.committed()
    assert (len(committed.done), len(committed.failed), len(committed.attempts)) == (0, 0, 0)
    assert not contains(committed.done, ["a" * 32]).any()


def test_committing_again_replaces(ledger):
    ledger.commit("u1", [row("a"), row("b")])
    ledger.commit("u1", [row("a"), row("b")])
    assert sum(len(table) for table in ledger.tables()) == 2


def test_another_recipe_sees_nothing_of_it(ledger):
    ledger.commit("u1", [row("a")])
    assert len(Ledger(ledger.folder, prefix_of("cd" * 32), ledger.schema).committed().done) == 0


def test_many_units_come_in_order_and_once(ledger):
    names = [uuid.uuid4().hex for _ in range(300)]
    for name in names:
        ledger.commit(name, [row("a", unit_id=name)])
    read = [table["unit_id"][0].as_py() for table in ledger.tables(["unit_id"])]
    assert read == sorted(names)


def test_a_damaged_file_is_named_with_the_cure(ledger):
    ledger.commit("u1", [row("a")])
    ledger.folder.put(ledger.key("u1"), ledger.folder.read(ledger.key("u1"))[:-20])
    with pytest.raises(StorageError, match=r"u1\.parquet: not a whole Parquet file; run restora repair, or"):
        ledger.committed()


def test_a_bit_that_changed_anywhere_in_a_units_file_is_told_or_changes_nothing(ledger):
    ledger.commit("u1", [row("a"), row("b")])
    key = ledger.key("u1")
    data, rows = ledger.folder.read(key), ledger.read(key)

    def told(place: int) -> str:
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        try:
            found = ledger.conformed(ledger.checked(key, bytes(damaged)))
            return "" if found.equals(rows) else "other rows"
        except StorageError as error:
            return str(error)

    found = [each for each in map(told, range(0, len(data), 3)) if each]
    assert len(found) > 100
    assert all("u1.parquet: not a whole Parquet file; run restora repair" in each for each in found)


def test_a_ledger_goes_to_actors_whole(ledger):
    ledger.commit("u1", [row("a", psnr=2.0)])
    copy = pickle.loads(pickle.dumps(ledger))
    assert copy.rows("u1") == ledger.rows("u1")
    assert copy.schema.equals(ledger.schema)


def test_membership_agrees_with_a_set():
    rng = np.random.default_rng(0)
    pool = [f"{value:032x}" for value in rng.integers(0, 400, 300)]
    held = sorted(set(pool[:150]))
    found = contains(ids_of(held), pool)
    assert found.tolist() == [each in set(held) for each in pool]


def test_attempts_count_what_never_came_to_an_end():
    folder = Folder(f"memory://{uuid.uuid4().hex}")
    assert [Attempts(folder).begin(unit) for unit in ("u", "u", "v")] == [0, 1, 0]
    Attempts(folder).begin_again("u", 1)
    assert Attempts(folder).begin("u") == 2
    Attempts(folder).end("u")
    Attempts(folder).end("u")
    assert [Attempts(folder).begin(unit) for unit in ("u", "v")] == [0, 1]
    Attempts(folder).forget_all()
    assert folder.keys(ATTEMPTS) == []


@pytest.mark.parametrize("alike", [False, True])
def test_identities_are_found_by_their_heads_also_where_two_begin_alike(alike):
    rng = random.Random(alike)
    names = [f"{rng.getrandbits(128):032x}" for _ in range(300)]
    names += (
        [name[:16] + f"{rng.getrandbits(64):016x}" for name in names[:40]] if alike else ["0" * 32, "f" * 32]
    )
    ids = ids_of(names)
    assert (ids[order_of(ids)] == np.sort(ids)).all()
    held = np.sort(ids[::2])
    index = IdIndex(held)
    assert (index.contains(ids) == contains(held, ids)).all()
    assert (held[index.places(held)] == held).all()
    assert not IdIndex(no_ids()).contains(names).any()


def test_what_is_sorted_range_by_range_is_what_is_sorted_at_once(monkeypatch):
    rng = np.random.default_rng(1)
    names = [rng.bytes(16).hex() for _ in range(80)] + ["0" * 32, "f" * 32]
    count = 300
    rows = pa.table(
        {
            "source_id": [names[place] for place in rng.integers(0, len(names), count)],
            "unit_id": [f"u{place}" for place in rng.integers(0, 40, count)],
            "attempt": pa.array(rng.integers(0, 3, count), pa.int32()),
            "status": [OK if good else QUARANTINED for good in rng.random(count) < 0.7],
        }
    )

    def settled():
        builder = CommittedBuilder()
        for start in range(0, count, 70):
            builder.add(rows.slice(start, 70))
        return builder.build()

    ids = ids_of(names * 2)
    pieces = [ids[:50], ids[50:]]
    at_once, sorted_at_once = settled(), sorted_ids(pieces)
    monkeypatch.setattr(identities, "_FEW", 1)
    monkeypatch.setattr(identities, "_DEALT", 100)  # some are dealt as they come, some at the end
    in_ranges = settled()
    assert (sorted_ids(pieces) == sorted_at_once).all()
    assert (sorted_at_once == np.unique(ids)).all()
    assert len(sorted_ids([no_ids()])) == len(sorted_ids([])) == 0
    for name, column in vars(at_once).items():
        assert len(column), name
        assert (getattr(in_ranges, name) == column).all(), name
