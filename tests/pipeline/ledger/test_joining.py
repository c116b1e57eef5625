"""Files of units read by several processes: the same segment, whatever becomes of these."""

import subprocess

import pytest

from pipeline import subprocesses
from pipeline.errors import StorageError
from pipeline.ledger import joining
from pipeline.ledger.fetching import fetched
from pipeline.ledger.joining import joined_units
from tests.ledgers import commit, rows_of, sealed

UNITS = 12
# This process reads and the others join, wherever the files are; and each start is seconds of a core.
ON_ONE_STORE = pytest.mark.parametrize("ledger", ["disk"], indirect=True)


@pytest.fixture
def processes(monkeypatch):
    """Two processes, of four files at a time; those that were started."""
    started = []

    class Popen(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(joining.subprocess, "Popen", Popen)
    monkeypatch.setattr(joining.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(joining, "FEW", 1)
    monkeypatch.setattr(joining, "TOGETHER", 4)
    return started


def filled(ledger):
    commit(ledger, *range(UNITS))
    return [ledger.key(f"{unit:032x}") for unit in range(UNITS)]


def segment_of(ledger):
    (segment,) = sealed(ledger).segments
    return ledger.folder.read(segment.key)


@ON_ONE_STORE
def test_a_segment_has_the_same_bytes_whoever_reads(ledger, processes, monkeypatch):
    keys = filled(ledger)
    files = {key: ledger.folder.read(key) for key in keys}
    before = rows_of(ledger)
    several = segment_of(ledger)
    assert len(processes) == 2
    assert rows_of(ledger) == before
    for process in processes:
        assert process.returncode is not None, "none is left behind"
    for key in ledger.folder.keys(ledger.sealed().place):
        ledger.folder.delete(key)
    for key, data in files.items():
        ledger.folder.put(key, data)
    monkeypatch.setattr(joining, "FEW", 1000)
    assert segment_of(ledger) == several
    assert len(processes) == 2


@pytest.mark.parametrize("executable", ["/bin/false", "/nowhere/python"])
def test_where_no_process_starts_this_one_reads(ledger, processes, monkeypatch, executable):
    filled(ledger)
    before = rows_of(ledger)
    monkeypatch.setattr(subprocesses.sys, "executable", executable)
    segment_of(ledger)
    assert rows_of(ledger) == before


@ON_ONE_STORE
def test_processes_that_are_killed_lose_nothing(ledger, processes):
    keys = filled(ledger)
    found = []
    for each in joined_units(ledger, fetched(ledger.folder, keys), len(keys)):
        for process in processes:
            process.kill()
        found.append(each)
    assert [unit for each in found for unit in each.units] == [f"{unit:032x}" for unit in range(UNITS)]
    rows = [row for each in found for row in each.table.to_pylist()]
    assert rows == [row for key in keys for row in ledger.read(key).to_pylist()]
    assert [sum(each.lengths) for each in found] == [len(each.table) for each in found]


@pytest.mark.parametrize(("ledger", "is_there"), [("disk", False), ("memory", True)], indirect=["ledger"])
def test_a_damaged_file_is_named(ledger, processes, is_there):
    keys = filled(ledger)
    ledger.folder.delete(keys[5])
    if is_there:
        ledger.folder.put(keys[5], b"PAR1")
    with pytest.raises(StorageError, match=f"{5:032x}.parquet"):
        list(joined_units(ledger, fetched(ledger.folder, keys), len(keys)))
    for process in processes:
        assert process.poll() is not None
