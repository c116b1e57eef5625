"""Tar shards: what is wrong with one, and whole runs over them."""

import io
import os
import subprocess
import tarfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline import run
from pipeline.doors.tar.archive import COMPRESSED, NO_SHARDS, TarArchive
from pipeline.doors.tar.index import LABELS, LINKS, REPLACED
from pipeline.doors.tar.outlet import TarOutlet
from pipeline.doors.tar.shard import found_in
from pipeline.errors import ImageError, JobError
from pipeline.formats.base import Limits
from pipeline.hashing import sha256_hex
from pipeline.ledger.run_folder import open_run
from pipeline.planning.plan import make_plan
from pipeline.planning.plan_files import read_units
from pipeline.privacy.key import make_key
from pipeline.privacy.naming import SourceLocator
from pipeline.scenes.reader import refuse_too_large
from pipeline.storage.folder import Folder
from tests.bad_images import tiff
from tests.door_contract import check_kill_safe, listed
from tests.helpers import complete, decoded, encoded, photograph, plan_and_execute, restore
from tests.tar_samples import members_of, shards_in, tar_of


def archive_of(folder, **files: bytes):
    for name, data in files.items():
        (folder / f"{name}.tar").write_bytes(data)
    return TarArchive(Folder(str(folder)))


def faults(archive) -> dict[str, str]:
    found = {}
    for entry in listed(archive):
        try:
            archive.read(entry.at)
        except ImageError as error:
            found[entry.key] = error.reason
    return found


@pytest.mark.parametrize("cut", [3000, 1536, 700, 600])
def test_a_shard_cut_in_the_middle_gives_what_is_whole_and_one_row(tmp_path, cut):
    whole = tar_of({"a.png": os.urandom(40), "b.png": os.urandom(2000)})
    archive = archive_of(tmp_path, x=whole[:cut])
    keys = [entry.key for entry in listed(archive)]
    assert len(faults(archive)) == 1
    assert set(faults(archive).values()) == {"TRUNCATED"}
    if cut == 3000:
        assert keys == ["x.tar/a.png", "x.tar/b.png"]
        assert faults(archive) == {"x.tar/b.png": "TRUNCATED"}


@pytest.mark.parametrize("data", [b"", b"no tar at all" * 100, b"\x1f\x8b" + bytes(600)])
def test_what_is_no_tar_is_one_row(tmp_path, data):
    archive = archive_of(tmp_path, x=data, y=tar_of({"a.png": b"12345"}))
    assert list(faults(archive)) == ["x.tar"]
    assert "y.tar/a.png" in [entry.key for entry in listed(archive)]


def test_damage_between_members_is_one_row_and_costs_none_before_it(tmp_path):
    data = bytearray(tar_of({"a.png": b"1" * 10, "b.png": b"2" * 10}))
    data[1024:1100] = os.urandom(76)
    archive = archive_of(tmp_path, x=bytes(data))
    assert [entry.key for entry in listed(archive)] == ["x.tar/a.png", "x.tar"]
    assert faults(archive) == {"x.tar": "TRUNCATED"}


def test_links_duplicates_labels_and_odd_names(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in [("./a.png", b"old"), ("../out.png", b"up"), ("a.png", b"new"), ("a.cls", b"3")]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, kind in [("l.png", tarfile.SYMTYPE), ("h.png", tarfile.LNKTYPE), ("d", tarfile.DIRTYPE)]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    archive, left_out = archive_of(tmp_path, x=buffer.getvalue()), Counter()
    (tmp_path / "y.tar.gz").write_bytes(b"")
    (tmp_path / "README").write_bytes(b"")
    entries = [entry for page in archive.pages("*", left_out) for entry in page]
    assert {entry.key: archive.read(entry.at) for entry in entries} == {
        "x.tar/../out.png": b"up",
        "x.tar/a.png": b"new",
    }
    assert left_out == {LINKS: 3, REPLACED: 1, LABELS: 1, COMPRESSED: 1, NO_SHARDS: 1}


def test_a_label_with_holes_is_not_taken_for_the_bytes_behind_it(tmp_path):
    """GNU tar leaves zeros out of it: what stands there is shorter than the file."""
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"{}")
    (tmp_path / "a.cls").write_bytes(b"7")
    names = ["a.json", "a.cls"]
    subprocess.run(["tar", "--sparse", "-cf", tmp_path / "s.tar", "-C", tmp_path, *names], check=True)
    with (tmp_path / "s.tar").open("rb") as file:
        assert [each.name for each in found_in(file)[1]] == ["a.cls"]


def test_a_name_that_is_no_utf8_is_escaped(tmp_path):
    data = tar_of({"M\udcfcnchen.png": b"1"}, format=tarfile.GNU_FORMAT, errors="surrogateescape")
    assert [entry.key for entry in listed(archive_of(tmp_path, x=data))] == ["x.tar/M%FCnchen.png"]


def test_a_shard_that_changed_since_it_was_listed_is_not_read(tmp_path):
    archive = archive_of(tmp_path, x=tar_of({"a.png": b"one"}))
    (entry,) = listed(archive)
    (tmp_path / "x.tar").write_bytes(tar_of({"a.png": b"two", "b.png": b"more"}))
    with pytest.raises(ImageError, match="another shard") as caught:
        archive.read(entry.at)
    assert caught.value.reason == "CHANGED"


def shards(folder, count: int = 3):
    images = iter(range(100))

    def sample(number: int) -> dict[str, bytes]:
        return {f"{number}.png": encoded(photograph(next(images))), f"{number}.cls": b"%d" % number}

    made = {f"train/{n}.tar": sample(0) | sample(1) | sample(2) for n in range(count)}
    return shards_in(folder, made)


def job_on(source, output, **fields):
    store = {"name": "s", "uri": str(source), "store": "tar"}
    return restore(source, output, datasets=[store], **fields)


def test_a_shard_is_a_unit_and_becomes_a_shard(tmp_path):
    job = job_on(shards(tmp_path / "in"), tmp_path / "out")
    rows = complete(job)
    assert [row["key"] for row in rows] == [f"train/{s}.tar/{i}.png" for s in range(3) for i in range(3)]
    assert {row["status"] for row in rows} == {"ok"}
    assert len({row["unit_id"] for row in rows}) == 3
    made = members_of((tmp_path / "out/train/1.tar").read_bytes())
    assert list(made) == [f"{n}.{end}" for n in range(3) for end in ("png", "cls")]
    assert made["2.cls"] == b"2"
    digests = {row["key"]: row["output_sha256"] for row in rows}
    assert sha256_hex(made["0.png"]) == digests["train/1.tar/0.png"]
    assert decoded(made["0.png"]).shape == (32, 40, 3)
    planned, _ = plan_and_execute(job)
    assert planned.left == 0


def test_a_changed_shard_is_done_again_without_what_it_had_before(tmp_path):
    source = shards(tmp_path / "in", 2)
    job = job_on(source, tmp_path / "out")
    complete(job)
    (source / "train/1.tar").write_bytes(tar_of({"9.png": encoded(photograph(9))}))
    assert plan_and_execute(job)[0].units == 1
    complete(job)
    assert list(members_of((tmp_path / "out/train/1.tar").read_bytes())) == ["9.png"]


def test_a_shard_gains_members_in_their_places(tmp_path):
    job = job_on(shards(tmp_path / "in", 1), tmp_path / "out")
    plan_and_execute(job, limit=1)
    path = tmp_path / "out/train/0.tar"
    assert list(members_of(path.read_bytes())) == ["0.png", "0.cls", "1.cls", "2.cls"]
    rows = complete(job)
    assert [row["status"] for row in rows] == ["ok"] * 3
    assert list(members_of(path.read_bytes())) == ["0.png", "0.cls", "1.png", "1.cls", "2.png", "2.cls"]


def test_a_lost_or_damaged_shard_is_seen_and_made_again(tmp_path):
    job = job_on(shards(tmp_path / "in", 2), tmp_path / "out")
    complete(job)
    whole = {n: (tmp_path / f"out/train/{n}.tar").read_bytes() for n in range(2)}
    (tmp_path / "out/train/0.tar").unlink()
    damaged = bytearray(whole[1])
    damaged[3000] ^= 1
    (tmp_path / "out/train/1.tar").write_bytes(damaged)
    found = run.verify(open_run(job))
    assert sum("0.tar" in each for each in found.problems) == 3
    assert sum("1.tar" in each for each in found.problems) >= 1
    plan_and_execute(job, repair=True)
    complete(job)
    assert {n: (tmp_path / f"out/train/{n}.tar").read_bytes() for n in range(2)} == whole


def test_bad_members_are_rows_and_cost_no_other(tmp_path):
    files = {"a.png": encoded(photograph(1)), "b.png": b"no image", "../c.png": encoded(photograph(2))}
    shards_in(tmp_path / "in", {"x.tar": files, "y.tar": {"d.png": b""}})
    rows = complete(job_on(tmp_path / "in", tmp_path / "out"))
    assert {row["key"]: row["reason"] for row in rows} == {
        "x.tar/a.png": None,
        "x.tar/b.png": "UNREADABLE",
        "x.tar/../c.png": None,
        "y.tar/d.png": "EMPTY",
    }
    assert list(members_of((tmp_path / "out/x.tar").read_bytes())) == ["a.png", "%2E%2E/c.png"]
    assert not (tmp_path / "out/y.tar").exists()


@pytest.mark.parametrize("folder", ["x.tar", "a/x.TAR/b"])
def test_shards_in_folders_that_look_like_shards_stay_apart(tmp_path, folder):
    samples = {f"{folder}/{n}.tar": {"d.tar/i.png": encoded(photograph(n))} for n in range(2)}
    rows = complete(job_on(shards_in(tmp_path / "in", samples), tmp_path / "out"))
    assert {row["status"] for row in rows} == {"ok"}
    written = sorted((tmp_path / "out").rglob("[01].tar"))
    assert [list(members_of(path.read_bytes())) for path in written] == [["d.tar/i.png"]] * 2


def test_results_of_another_process_come_into_the_shard(tmp_path):
    """As of processes that take one image each, after it killed the one with its whole unit."""
    job = job_on(shards(tmp_path / "in", 1), tmp_path / "out")
    opened = open_run(job)
    make_plan(opened, workers=1)
    (unit,) = read_units(opened.folder)
    outlet, other = opened.layout.outlet, open_run(job).layout.outlet
    other.stage_in(outlet.staging)
    rows = []
    for source in unit.sources:
        key = opened.layout.restored(source, "none", "median", (".png",))
        other.put(source, key, source.key.encode())
        rows.append({"source_id": source.source_id, "status": "ok", "output_uri": key})
    assert outlet.finish(unit.sources, rows, SourceLocator(job).locate) == {}
    made = members_of((tmp_path / "out/train/0.tar").read_bytes())
    assert (made["1.png"], len(made)) == (b"train/0.tar/1.png", 6)
    assert list(outlet.staging.iterdir()) == []


def test_killed_at_any_write_nothing_is_lost_or_doubled(tmp_path, monkeypatch):
    shards_in(
        tmp_path / "in", {f"{n}.tar": {"a.png": encoded(photograph(n)), "a.txt": b"a"} for n in range(2)}
    )

    def results():
        return {path.name: path.read_bytes() for path in sorted((tmp_path / "out").glob("*.tar"))}

    assert check_kill_safe(job_on(tmp_path / "in", tmp_path / "out"), results, monkeypatch) == 4


def test_all_threads_stage_in_one_place(tmp_path):
    for _ in range(20):
        outlet, barrier = TarOutlet(Folder(str(tmp_path))), threading.Barrier(8)

        def staged(outlet=outlet, barrier=barrier):
            barrier.wait()
            return outlet.staging

        with ThreadPoolExecutor(8) as pool:
            assert len({each.result() for each in [pool.submit(staged) for _ in range(8)]}) == 1


def test_a_private_shard_tells_no_name(tmp_path, monkeypatch):
    monkeypatch.setenv("RESTORA_PRIVACY_KEY_FILE", str(tmp_path / "key"))
    make_key(tmp_path / "key")
    files = {"CANARY-1.png": encoded(photograph(1)), "CANARY-1.txt": b"CANARY"}
    shards_in(
        tmp_path / "in", {"CANARY.tar": files, "CANARY-2.tar": {"CANARY-2.png": encoded(photograph(2))}}
    )
    job = restore(
        tmp_path,
        tmp_path / "out",
        datasets=[{"name": "s", "uri": str(tmp_path / "in"), "store": "tar", "private": True}],
    )
    rows = complete(job)
    assert [row["status"] for row in rows] == ["ok"] * 2
    assert len(list((tmp_path / "out").glob("*.tar"))) == 2
    for path in (each for each in (tmp_path / "out").rglob("*") if each.is_file()):
        assert "CANARY" not in str(path)
        assert b"CANARY" not in path.read_bytes(), path


def test_dicom_in_shards_wants_a_word_about_series(tmp_path):
    shards_in(tmp_path, {"x.tar": {"a.dcm": b"x"}})
    fields = {"name": "s", "uri": str(tmp_path), "store": "tar", "private": False}
    with pytest.raises(JobError, match=r'series = "single"'):
        plan_and_execute(restore(tmp_path, tmp_path.parent / "o", datasets=[fields]))


def test_a_member_that_is_too_large_is_told_to_become_an_object(tmp_path):
    """Scenes in strips are objects: to raise a limit is no cure for what does not fit into memory."""
    scene = tiff(np.zeros((60, 90), np.uint8), photometric="minisblack")
    archive = archive_of(tmp_path, x=tar_of({"a.tif": scene}))
    (entry,) = listed(archive)
    with pytest.raises(ImageError, match=r"90 x 60 pixels .* unpack it\)") as refusal:
        refuse_too_large(archive, entry.at, Limits(1000))
    assert refusal.value.reason == "TOO_LARGE"
