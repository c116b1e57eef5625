"""Tar shards: what is wrong with one, and whole runs over them."""

import io
import os
import tarfile
from collections import Counter

import pytest

from pipeline.doors.tar.door import COMPRESSED, NO_SHARDS, TarArchive
from pipeline.doors.tar.index import LABELS, LINKS, REPLACED
from pipeline.errors import ImageError, JobError
from pipeline.storage.folder import Folder
from tests.door_contract import listed
from tests.helpers import complete, encoded, photograph, plan_and_execute, restore
from tests.tar_samples import shards_in, tar_of


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
    return shards_in(
        folder,
        {
            f"train/{shard}.tar": {f"{i}.png": encoded(photograph(next(images))) for i in range(3)}
            for shard in range(count)
        },
    )


def test_a_shard_is_a_unit_and_its_images_are_restored(tmp_path):
    shards(tmp_path / "in")
    job = restore(
        tmp_path / "in",
        tmp_path / "out",
        datasets=[{"name": "s", "uri": str(tmp_path / "in"), "store": "tar"}],
    )
    rows = complete(job)
    assert [row["key"] for row in rows] == [f"train/{s}.tar/{i}.png" for s in range(3) for i in range(3)]
    assert {row["status"] for row in rows} == {"ok"}
    assert len({row["unit_id"] for row in rows}) == 3
    planned, _ = plan_and_execute(job)
    assert planned.left == 0
    path = tmp_path / "in" / "train" / "1.tar"
    path.write_bytes(path.read_bytes() + bytes(512))
    planned, _ = plan_and_execute(job)
    assert (planned.left, planned.units) == (3, 1)


def test_dicom_in_shards_wants_a_word_about_series(tmp_path):
    shards_in(tmp_path, {"x.tar": {"a.dcm": b"x"}})
    fields = {"name": "s", "uri": str(tmp_path), "store": "tar", "private": False}
    with pytest.raises(JobError, match=r'series = "single"'):
        plan_and_execute(restore(tmp_path, tmp_path.parent / "o", datasets=[fields]))
