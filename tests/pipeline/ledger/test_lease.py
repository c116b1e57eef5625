"""One run at a time in one output: refused while another lives, taken over from the dead."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest

from pipeline.errors import RunStopped
from pipeline.ledger import lease
from pipeline.ledger.lease import LEASE, Holder, held, take
from pipeline.storage.folder import Folder
from tests.killing import ROOT
from tests.moto_s3 import new_bucket

TAKEN_ONCE = """
import sys
from pipeline.errors import RunStopped
from pipeline.ledger.lease import take
from pipeline.storage.folder import Folder

sys.stdin.readline()
try:
    take(Folder(sys.argv[1]))
except RunStopped:
    print("refused", flush=True)
else:
    print("taken", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(params=["disk", "s3"])
def folder(request, tmp_path):
    if request.param == "disk":
        return Folder(str(tmp_path / "run"))
    request.getfixturevalue("s3")
    return Folder(f"{new_bucket()}/run")


def leases(folder):
    return folder.keys(LEASE, ".json")


def test_a_second_run_is_refused_and_told_by_whom(folder):
    with held(folder):
        with pytest.raises(RunStopped, match=f"process {os.getpid()} on .*wait for its end, or stop it"):
            take(folder)
        assert len(leases(folder)) == 1
    assert leases(folder) == []
    with held(folder):
        pass


def test_an_exception_ends_the_lease_too(folder):
    with pytest.raises(ZeroDivisionError), held(folder):
        _ = 1 / 0
    assert leases(folder) == []


def test_a_killed_holder_is_followed_at_once(tmp_path):
    folder = Folder(str(tmp_path))
    other = subprocess.Popen(
        [sys.executable, "-c", TAKEN_ONCE, folder.url],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    other.stdin.write("\n")
    other.stdin.flush()
    assert other.stdout.readline() == "taken\n"
    with pytest.raises(RunStopped, match=f"process {other.pid} on"):
        take(folder)
    other.send_signal(signal.SIGKILL)
    other.wait()
    begun = time.monotonic()
    with held(folder):
        assert time.monotonic() - begun < 2
        assert len(leases(folder)) == 1


def test_of_many_that_start_together_one_goes_on(tmp_path):
    """Again and again, released at a barrier."""
    for turn in range(10):
        folder = Folder(str(tmp_path / str(turn)))
        folder.put("x", b"")
        with multiprocessing.get_context("fork").Pool(4) as pool:
            taken = pool.map(_try, [(folder.url, time.monotonic() + 0.2)] * 4, chunksize=1)
        assert sorted(taken) == [False, False, False, True], turn


def _try(given) -> bool:
    url, start = given
    time.sleep(max(0.0, start - time.monotonic()))
    try:
        take(Folder(url))
    except RunStopped:
        return False
    time.sleep(0.3)  # the others look while it lives
    return True


def elsewhere(folder, number=1, **changed) -> Holder:
    holder = replace(Holder.here(), host="node-7", machine="another boot", token="other", **changed)
    folder.put(f"{LEASE}/{number:06d}.json", json.dumps(asdict(holder)).encode())
    return holder


def test_a_holder_elsewhere_that_is_silent_is_taken_over(folder):
    elsewhere(folder)
    taken = take(folder, patience=1.5)
    assert leases(folder) == [f"{LEASE}/000002.json"]
    taken.release()


def test_a_holder_elsewhere_that_beats_is_left_alone(folder, monkeypatch):
    holder = elsewhere(folder)
    monkeypatch.setattr(time, "sleep", lambda _: elsewhere(folder, beat=holder.beat + 1))
    with pytest.raises(RunStopped, match=r"process .* on node-7"):
        take(folder, patience=30)


def test_a_run_that_was_taken_over_notices(folder, monkeypatch):
    monkeypatch.setattr(lease, "SECONDS_BETWEEN_BEATS", 0.05)
    mine = take(folder)
    mine.check()
    elsewhere(folder, number=2)
    deadline = time.monotonic() + 10
    with pytest.raises(RunStopped, match="another run took this output over"):
        _check_until(mine, deadline)
    mine.release()
    assert leases(folder)[-1] == f"{LEASE}/000002.json", "the lease of the other stays"


def _check_until(mine, deadline) -> None:
    while time.monotonic() < deadline:
        mine.check()
        time.sleep(0.02)


def test_a_lease_counted_anew_is_seen(folder, monkeypatch):
    """One run reads the old number, which is released then; another finds none and counts from 1."""
    listed = iter([[4], [1, 5]])
    monkeypatch.setattr(lease, "_numbers", lambda _: next(listed))
    elsewhere(folder, number=1)
    with pytest.raises(RunStopped, match="node-7"):
        take(folder)
    assert leases(folder) == [f"{LEASE}/000001.json"]


def test_a_lease_of_a_newer_version_keeps_others_out(folder):
    with held(folder):
        (key,) = leases(folder)
        folder.put(key, json.dumps(json.loads(folder.read(key)) | {"more": "that nobody knew of"}).encode())
        with pytest.raises(RunStopped, match="wait for its end, or stop it"):
            take(folder)
    assert leases(folder) == []


def test_a_damaged_lease_keeps_nobody_out(folder):
    folder.put(f"{LEASE}/000003.json", b"{ torn")
    with held(folder):
        assert leases(folder) == [f"{LEASE}/000004.json"]


def test_create_writes_what_is_not_there(folder):
    assert folder.create("a", b"first")
    assert not folder.create("a", b"second")
    assert folder.read("a") == b"first"
