"""A kill costs the units in flight and nothing else: drivers, actors, nodes, and images that kill.

Every test ends with the same proof: ``verify`` finds the run whole, the table holds every source once with
the scores of a run that was never disturbed, and a further run finds nothing to do.
"""

import os
import signal
import time
from contextlib import contextmanager
from hashlib import sha256

import psutil
import pytest

from pipeline import run
from pipeline.ledger.attempts import ATTEMPTS
from pipeline.ledger.run_folder import open_run
from pipeline.ledger.run_record import RunRecord
from pipeline.storage.folder import Folder
from pipeline.worker.admission import MOST_UNITS
from tests.bad_images import BAD
from tests.helpers import benchmark, complete, fill, lasting, metric_rows, photographs_in
from tests.killing import ROOT, Watched, end, is_actor, lives
from tests.moto_s3 import new_bucket

HEAD = {"num_cpus": 2, "num_gpus": 1, "include_dashboard": False}
NEVER = {"threshold": 1.0, "stop_share": 1.0}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """180 photographs and 20 files that are none."""
    folder = photographs_in(tmp_path_factory.mktemp("archive"), 180, 24, 32)
    chosen = list(BAD.items())[:20]
    fill(folder.url, {f"{9 * i:04d}-{name}": data for i, (name, (data, _)) in enumerate(chosen)})
    return folder


def job_on(archive: Folder, output: str, **resources: float):
    return benchmark(
        archive.url,
        output,
        save="restored",
        quarantine=NEVER,
        resources={"unit_images": 5} | resources,
        restorers=["median"],
    )


@pytest.fixture(scope="module")
def undisturbed(archive, tmp_path_factory):
    """The table of a run without a kill."""
    rows = complete(job_on(archive, tmp_path_factory.mktemp("undisturbed")))
    assert len(rows) == 200
    assert sum(row["status"] == "ok" for row in rows) == 180
    return rows


@pytest.fixture
def output(request, tmp_path):
    """A folder on disk, or in an S3 bucket."""
    if getattr(request, "param", "disk") == "disk":
        return str(tmp_path / "out")
    request.getfixturevalue("s3")
    return f"{new_bucket()}/out"


@contextmanager
def watching(*arguments, **options):
    watched = Watched(*arguments, **options)
    try:
        yield watched
    finally:
        watched.close()


def prove(job, undisturbed, watched, kills: int, in_flight: int) -> None:
    verification = run.verify(open_run(job))
    assert verification.is_whole, verification.problems
    assert (verification.sources, verification.ok, verification.quarantined) == (200, 180, 20)
    rows = metric_rows(job)
    assert lasting(rows, also=("output_uri",)) == lasting(undisturbed, also=("output_uri",))
    committed = {row["unit_id"] for row in rows}
    repeated = watched.begun.total() - len(committed)
    assert set(watched.begun) == committed
    assert repeated <= kills * in_flight, f"{repeated} units were done again after {kills} kills"
    again = run.plan(open_run(job), run.Options(engine="local"))
    assert (again.left, again.units, again.done) == (0, 0, 200)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["disk", pytest.param("s3", marks=pytest.mark.long)], indirect=True)
def test_the_local_driver_is_killed(archive, undisturbed, output):
    job = job_on(archive, output)
    with watching(job, "local") as watched:
        for units in (4, 13):
            watched.start()
            watched.wait_for_units(units)
            watched.kill_driver()
        watched.run()
        assert len(watched.begun) == 40
        prove(job, undisturbed, watched, kills=2, in_flight=MOST_UNITS)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["s3"], indirect=True)  # on disk: the node that is killed
def test_an_actor_then_rays_server_and_then_the_driver_are_killed(archive, undisturbed, output):
    """The run goes on in this process, and from there over to Ray as soon as that is up."""
    job = job_on(archive, output)
    with watching(job, "ray", workers=2, RESTORA_GOES_OVER="1") as watched:
        watched.start()
        watched.wait_for_units(5)
        watched.kill_actor()
        watched.wait_for_units(4)
        family = watched.descendants()
        next(each for each in family if each.name() == "gcs_server").kill()
        sentence = "Ray's server (gcs_server) on this machine ended"
        wait_for(lambda: sentence in watched.output, "no word of it")
        wait_for(lambda: not any(map(lives, family)), "its agents outlive the run")
        watched.kill_driver()  # Python's own end waits for threads of Ray
        watched.engine("auto")
        watched.run()
        record = RunRecord.read(open_run(job).folder)
        assert record.engine == "ray"
        prove(job, undisturbed, watched, kills=3, in_flight=2 * MOST_UNITS)


@pytest.mark.long
def test_a_node_joins_and_is_killed(archive, undisturbed, output, tmp_path, monkeypatch):
    """Two workers share what Ray takes for a GPU; nobody says how many: the pool grows with the nodes."""
    from ray.cluster_utils import Cluster

    job = job_on(archive, output, gpus_per_worker=0.5, cores_per_worker=1)
    held = tmp_path / "held"  # nothing is decoded until the node is lost: work is left for it
    held.touch()
    with watching(job, "ray", RESTORA_HELD=str(held), RESTORA_NO_GPUS="1") as watched:
        for name, value in watched.environment.items():  # the nodes are this process's children
            monkeypatch.setenv(name, value)
        with one_node(Cluster) as cluster:
            watched.address(cluster.address)
            watched.start()
            watched.wait_for_units(4)  # two ahead of each of the first two workers
            node = cluster.add_node(num_cpus=2, num_gpus=1)
            raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
            wait_for(lambda: any(map(is_actor, raylet.children(recursive=True))), "no actor on the node")
            watched.wait_for_units(1)
            lost = [each for each in raylet.children(recursive=True) if is_actor(each)]
            raylet.kill()
            held.unlink()
            assert watched.finish() == 0, watched.output
            wait_for(lambda: not any(map(lives, lost)), "actors of a dead node live on")
        prove(job, undisturbed, watched, kills=len(lost), in_flight=MOST_UNITS)


@contextmanager
def one_node(cluster_type):
    ours = psutil.Process()
    before = set(ours.children(recursive=True))
    cluster = cluster_type(initialize_head=True, head_node_args=HEAD)
    try:
        yield cluster
    finally:
        started = set(ours.children(recursive=True)) - before
        cluster.shutdown()
        end(started)


def wait_for(holds, otherwise: str, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


def poisoned(tmp_path, **fields):
    folder = photographs_in(tmp_path / "in", 12)
    deadly = folder.read("0005.png")
    job = benchmark(  # each image of a unit that killed twice takes the start of a process
        tmp_path / "in", tmp_path / "out", resources={"unit_images": 2}, quarantine=NEVER, **fields
    )
    return job, {"RESTORA_POISON": sha256(deadly).hexdigest(), "RESTORA_DEATH": str(signal.SIGKILL.value)}


def check_quarantine(job) -> None:
    verification = run.verify(open_run(job))
    assert verification.is_whole, verification.problems
    bad = [row for row in metric_rows(job) if row["status"] != "ok"]
    assert {(row["key"], row["reason"], row["stage"]) for row in bad} == {("0005.png", "CRASHED", "process")}
    assert "SIGKILL" in bad[0]["message"]
    assert (verification.ok, verification.quarantined) == (11, 1)


@pytest.mark.slow
def test_an_image_that_kills_its_process_is_found_out_by_running_again(tmp_path):
    job, poison = poisoned(tmp_path)
    with watching(job, "local", **poison) as watched:
        for _ in range(2):
            watched.start()
            assert watched.finish() == -signal.SIGKILL
        opened = open_run(job)
        marks = {key: int(opened.folder.read(key)) for key in opened.folder.keys(ATTEMPTS)}
        done = {key for key in marks if opened.ledger.rows(key.rsplit("/", 1)[-1]) is not None}
        twice = [key for key in marks.keys() - done if marks[key] == 2]
        assert len(twice) == 1, "the one that killed was alone the second time"
        assert max(marks.values()) == 2
        watched.run()
    check_quarantine(job)
    assert open_run(job).folder.keys(ATTEMPTS) == []


@pytest.mark.long
def test_an_image_that_kills_its_actor_is_found_out_within_one_run(tmp_path):
    job, poison = poisoned(tmp_path)
    with watching(job, "ray", workers=1, **poison) as watched:
        watched.run()
    check_quarantine(job)


def enumerated(tmp_path, *options: str) -> dict[str, int]:
    """How many points each kind of run has, some of which were its last."""
    import subprocess
    import sys

    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.crash_points", str(tmp_path), *options],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return {line.split()[0]: int(line.split()[1]) for line in ended.stdout.splitlines()}


@pytest.mark.slow
def test_every_point_of_a_run_may_be_its_last(tmp_path):
    """SIGKILL before or after a replacement of a file on disk: one real death of every kind of run, each in
    another stretch of it; ``python -m tests.crash_points`` takes all.
    """
    points = enumerated(tmp_path, "--deaths", "1")
    kinds = {"benchmark", "restore", "retry", "scene", "private", "tables", "sections", "parts"}
    assert points.keys() == kinds
    assert points["benchmark"] >= 2 * (4 + 2 * 3 + 2), (
        "recipe, job, plan twice; attempt, object, commit a unit; tables twice"
    )


@pytest.mark.long
def test_every_request_that_changes_a_bucket_may_be_the_last(tmp_path):
    """One of every kind, each in another stretch of its run; ``python -m tests.crash_points`` takes all."""
    kinds = ("benchmark", "restore", "retry", "scene", "private", "tables")
    points = enumerated(tmp_path, "--store", "s3", "--deaths", "1", "--kinds", *kinds)
    assert tuple(points) == kinds
    assert points["restore"] > points["tables"] > 0
