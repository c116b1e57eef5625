"""Several units under way in one replica: overlapping, bounded, with the results of one after the other."""

import threading
from queue import SimpleQueue

import pytest

from models.solvers.median import Median
from pipeline.ledger.attempts import ATTEMPTS, Attempts
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.run_folder import open_run
from pipeline.planning import plan, plan_files
from pipeline.processing.processor import Processor
from pipeline.storage.disk import Disk
from pipeline.worker import device_queue, loading, reading, tasks, worker
from pipeline.worker.admission import MOST_UNITS
from pipeline.worker.worker import Worker
from tests.helpers import benchmark, complete, lasting, photographs_in

PATIENCE = 20
"""Seconds after which a test gives up on what should come at once."""


def planned(tmp_path, images=6, unit_images=1, **fields):
    photographs_in(tmp_path / "in", images)
    fields = {"restorers": ["median"], "resources": {"unit_images": unit_images}} | fields
    opened = open_run(benchmark(tmp_path / "in", tmp_path / "out", **fields))
    plan.make_plan(opened, workers=1)
    return opened, list(plan_files.read_units(opened.folder))


def test_the_next_unit_is_decoded_while_one_is_on_the_device_and_the_last_is_stored(tmp_path, monkeypatch):
    opened, units = planned(tmp_path, images=3, save="restored")
    decoded, restore, put = threading.Event(), Median.__call__, Disk.put
    second = threading.Event()
    seen, calls = [], iter(range(100))

    def decode(data, *rest):
        if data == (tmp_path / "in" / units[1].sources[0].key).read_bytes():
            decoded.set()
        return real_decode(data, *rest)

    def on_device(self, *arguments):
        call = next(calls)
        seen.append(decoded.wait(PATIENCE) if call == 0 else True)
        if call == 1:
            second.set()
        return restore(self, *arguments)

    def stored(self, key, data):
        if key.endswith(units[0].sources[0].key):
            seen.append(second.wait(PATIENCE))
        return put(self, key, data)

    real_decode = loading.decode
    monkeypatch.setattr(loading, "decode", decode)
    monkeypatch.setattr(Median, "__call__", on_device)
    monkeypatch.setattr(Disk, "put", stored)
    assert len(list(Worker(opened, cores=1).stream(units))) == 3
    assert all(seen), "the first unit waits on the device for the second to be decoded, and in the store too"


def test_no_more_units_are_begun_than_a_kill_may_repeat(tmp_path, monkeypatch):
    opened, units = planned(tmp_path, images=20)
    begun, committed, open_ones = [], [], []
    begin, commit = Attempts.begin, Ledger.commit

    def noted(self, unit_id):
        begun.append(unit_id)
        open_ones.append(len(begun) - len(committed))
        return begin(self, unit_id)

    def counted(self, unit_id, rows):
        commit(self, unit_id, rows)
        committed.append(unit_id)

    monkeypatch.setattr(Attempts, "begin", noted)
    monkeypatch.setattr(Ledger, "commit", counted)
    assert len(list(Worker(opened).stream(units))) == 20
    assert sorted(begun) == sorted(each.unit_id for each in units)
    assert 2 <= max(open_ones) <= MOST_UNITS


@pytest.mark.parametrize(("cores", "places"), [(1, 1), (3, 1), (3, 3)])
def test_rows_and_objects_do_not_depend_on_units_or_threads(tmp_path, cores, places):
    photographs_in(tmp_path / "in", 9)
    found = []
    for size in (1, 4, 9):
        out = tmp_path / f"out{size}"
        job = benchmark(tmp_path / "in", out, save="all", resources={"unit_images": size})
        opened = open_run(job)
        plan.make_plan(opened, workers=1)
        for _ in Worker(opened, cores=cores, places=places).stream(plan_files.read_units(opened.folder)):
            pass
        objects = {str(path.relative_to(out)): path.read_bytes() for path in (out / "objects").rglob("*.png")}
        assert len(objects) == 27
        found.append((objects, lasting(complete(job), also=("output_uri", "degraded_uri"))))
    assert found[0] == found[1] == found[2]


def test_batches_are_on_a_device_at_a_time_where_it_has_places(tmp_path, monkeypatch):
    together, restore = threading.Barrier(3), Median.__call__

    def on_device(self, *arguments):
        together.wait(PATIENCE)
        return restore(self, *arguments)

    monkeypatch.setattr(Median, "__call__", on_device)
    monkeypatch.setattr(worker, "CPU_BATCH_PIXELS", 1)
    opened, units = planned(tmp_path, images=6, unit_images=3)
    rows = [row for _, found in Worker(opened, cores=2, places=3).stream(units) for row in found]
    assert [row["status"] for row in rows] == ["ok"] * 6


def test_what_fails_on_a_place_of_the_device_ends_the_stream(tmp_path, monkeypatch):
    def broken(self, *arguments):
        raise SystemError("the device is gone")

    monkeypatch.setattr(Processor, "restored", broken)
    opened, units = planned(tmp_path)
    with pytest.raises(SystemError, match="the device is gone"):
        list(Worker(opened, cores=2, places=3).stream(units))


def test_memory_for_one_image_is_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "FETCHED_BYTES", 1)
    monkeypatch.setattr(reading, "DECODED_BYTES", 1)
    monkeypatch.setattr(device_queue, "LOOKAHEAD_PIXELS", 1)
    opened, units = planned(tmp_path, images=8, unit_images=4)
    under_way, most, decode, degraded = [0], [0], loading.decode, Processor.degraded
    lock = threading.Lock()

    def counted(data, *rest):
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        return decode(data, *rest)

    def taken(self, *arguments):
        with lock:
            under_way[0] -= 1
        return degraded(self, *arguments)

    monkeypatch.setattr(loading, "decode", counted)
    monkeypatch.setattr(Processor, "degraded", taken)
    assert sum(len(rows) for _, rows in Worker(opened, cores=4).stream(units)) == 8
    assert most[0] <= 3, "one that is to be degraded, one waiting, one being decoded"


def test_what_is_under_way_when_the_iteration_ends_is_no_death(tmp_path):
    opened, units = planned(tmp_path)
    stream = Worker(opened).stream(units)
    first, _ = next(stream)
    stream.close()
    left = {key.rsplit("/", 1)[-1] for key in opened.folder.keys(ATTEMPTS)}
    assert first.unit_id in left
    committed = {each.unit_id for each in units if opened.ledger.rows(each.unit_id) is not None}
    assert left <= committed


def test_a_suspect_is_tried_alone_and_the_others_go_on(tmp_path, monkeypatch):
    opened, units = planned(tmp_path)
    for unit in units[:3]:
        assert Attempts(opened.folder).begin(unit.unit_id) == 0
    order, again = [], Attempts.begin_again

    def noted(self, unit_id, before):
        order.append(unit_id)
        return again(self, unit_id, before)

    monkeypatch.setattr(Attempts, "begin_again", noted)
    worker, done = Worker(opened), []
    for unit, rows in worker.stream(units):
        assert [row["status"] for row in rows] == ["ok"]
        done.append(unit.unit_id)
        assert set(order) <= set(done) | set(order[-1:]), "one suspect at a time"
    assert sorted(order) == sorted(each.unit_id for each in units[:3])
    assert sorted(done) == sorted(each.unit_id for each in units)


def test_a_thread_that_died_ends_the_wait_for_it(monkeypatch):
    class Full(SimpleQueue):
        def put(self, *_):
            raise MemoryError

    monkeypatch.setattr(tasks, "_LOOK_SECONDS", 0.01)
    pool = tasks.Threads(1)
    starved = tasks.Tasks(pool)
    starved._events = Full()
    starved.on_cores(tasks.Turn.DECODE, lambda: 1, print)
    with pytest.raises(MemoryError, match="hand over"):
        starved.step()
    for threads in (pool.on_device, pool.on_cores, pool.on_network):
        before = set(threads._threads)
        threads._threads.add(threading.Thread())
        with pytest.raises(MemoryError, match="ended"):
            tasks.Tasks(pool).step()
        threads._threads = before
