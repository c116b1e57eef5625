"""What lies in a folder and is no image of it: pipes, sockets, devices, loops of links, unfinished files."""

import os
import shutil
import socket
from collections import Counter

import fsspec
import pytest

from pipeline.errors import FolderNotFound
from pipeline.storage import disk
from pipeline.storage.base import LOOP, NO_FILE, UNFINISHED
from pipeline.storage.folder import Folder
from tests.helpers import complete, encoded, photograph, plan_and_execute, restore


@pytest.fixture
def folder(tmp_path):
    folder = Folder(str(tmp_path / "in"))
    folder.put("good.png", encoded(photograph(0)))
    folder.put("sub/other.png", encoded(photograph(1)))
    return folder


def listed(folder):
    left_out = Counter()
    return [entry.key for page in folder.pages(left_out=left_out) for entry in page], left_out


def test_pipes_sockets_and_devices_are_counted_and_never_opened(folder, tmp_path):
    os.mkfifo(tmp_path / "in" / "pipe.png")
    (tmp_path / "in" / "sub" / "endless.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "in" / "socket.png"))
        assert listed(folder) == (["good.png", "sub/other.png"], {NO_FILE: 3})
        for key in ("pipe.png", "socket.png", "sub/endless.png"):
            with pytest.raises(OSError, match="pipe, socket or device"):
                folder.read(key)
            with pytest.raises(OSError, match="pipe, socket or device"):
                folder.head(key, 10)


def test_a_loop_of_links_is_left_out_and_other_links_are_followed(folder, tmp_path):
    (tmp_path / "in" / "loop").symlink_to(".")
    (tmp_path / "in" / "sub" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "sub" / "self.png").symlink_to("self.png")
    (tmp_path / "in" / "twin").symlink_to("sub")
    keys, left_out = listed(folder)
    assert keys == ["good.png", "sub/other.png", "twin/other.png"]
    assert left_out == {LOOP: 5}, "the links below the twin lead back too"


def test_two_links_that_lead_into_each_other_end(folder, tmp_path):
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / "in" / name).mkdir()
        (tmp_path / "in" / name / "other").symlink_to(tmp_path / "in" / other)
    (tmp_path / "in" / "a" / "1.png").write_bytes(b"x")
    assert listed(folder) == (
        ["a/1.png", "b/other/1.png", "good.png", "sub/other.png"],
        {LOOP: 2},
    )


def test_only_our_own_temporary_files_are_left_out(folder, tmp_path):
    for name in (".restora-x.part", ".restora-Photo001.part", ".restora-abcd_123.part", "a.part"):
        (tmp_path / "in" / name).write_bytes(b"x")
    keys, left_out = listed(folder)
    assert keys == [".restora-Photo001.part", ".restora-x.part", "a.part", "good.png", "sub/other.png"]
    assert left_out == {UNFINISHED: 1}


def test_our_temporary_files_have_the_names_that_are_left_out(folder, monkeypatch):
    seen = Counter()

    def look(temporary, path):
        seen.update(listed(folder)[1])
        os.rename(temporary, path)

    monkeypatch.setattr(os, "replace", look)
    for number in range(20):
        folder.put(f"{number}.png", b"x")
    assert seen == {UNFINISHED: 20}


def test_a_run_goes_on_and_says_what_it_left_out(folder, tmp_path):
    os.mkfifo(tmp_path / "in" / "pipe.png")
    (tmp_path / "in" / "loop").symlink_to(".")
    job = restore(folder.url, tmp_path / "out")
    planned, _ = plan_and_execute(job)
    assert (planned.sources, planned.skipped) == (2, {NO_FILE: 1, LOOP: 1})
    assert {row["key"]: row["status"] for row in complete(job)} == {"good.png": "ok", "sub/other.png": "ok"}


def test_a_folder_that_goes_while_the_one_above_is_listed_holds_nothing(folder, tmp_path, monkeypatch):
    in_order = disk.in_order

    def meanwhile(items, key):
        found = list(items)
        shutil.rmtree(tmp_path / "in" / "sub", ignore_errors=True)
        return in_order(iter(found), key)

    monkeypatch.setattr(disk, "in_order", meanwhile)
    assert listed(folder) == (["good.png"], {})
    with pytest.raises(FolderNotFound):
        listed(Folder(str(tmp_path / "in" / "sub")))


class Vanishing(fsspec.AbstractFileSystem):
    """A store in which a folder goes as soon as the one above it was listed."""

    protocol = "vanishing"

    def ls(self, path, detail=True, **_):
        if path.rpartition("/")[2] != "in":
            raise FileNotFoundError(path)
        kinds = {"a": "directory", "b.png": "file"}
        return [{"name": f"{path}/{name}", "size": 1, "type": kind} for name, kind in kinds.items()]


def test_so_it_is_in_other_stores():
    fsspec.register_implementation("vanishing", Vanishing, clobber=True)
    assert listed(Folder("vanishing://bucket/in")) == (["b.png"], {})
    with pytest.raises(FolderNotFound):
        listed(Folder("vanishing://bucket/elsewhere"))
