"""A folder: whole objects, every key, honest listings; on a disk and behind fsspec."""

import os
import pickle
import socket
import uuid
from pathlib import Path

import pytest

from pipeline.errors import StorageError
from pipeline.storage import folder as storage
from pipeline.storage import remote, retrying
from pipeline.storage.folder import Folder

ODD_KEYS = [
    "plain.png",
    "with space.png",
    "d\u00e9j\u00e0 vu/\u5199\u771f.png",
    "_leading/under_score.png",
    ".hidden",
    "..dots..png",
    "a/b/c/d/e.png",
    "100%.png",
    "question?mark#hash.png",
    "[brackets].png",
    "quote'\".png",
    "new\nline.png",
]


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path):
    return Folder(str(tmp_path) if request.param == "disk" else f"memory://{uuid.uuid4().hex}")


def listed(folder: Folder, pattern: str = "*") -> list[str]:
    return [entry.key for page in folder.pages(pattern) for entry in page]


def test_what_is_put_is_read_listed_and_deleted(folder):
    for key in ODD_KEYS:
        folder.put(key, key.encode())
    assert sorted(listed(folder)) == sorted(ODD_KEYS)
    for key in ODD_KEYS:
        assert folder.read(key) == key.encode()
        with folder.open(key) as file:
            file.seek(1)
            assert file.read(3) == key.encode()[1:4]
        assert folder.exists(key)
        folder.delete(key)
        assert not folder.exists(key)
        folder.delete(key)
    folder.put("last", b"")
    assert listed(folder) == ["last"]


def test_put_file_puts_the_same_bytes(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "file"
    path.write_bytes(os.urandom((4 << 20) + 17))
    folder.put_file("deep/er/file", path)
    assert folder.read("deep/er/file") == path.read_bytes()


def test_listing_is_in_order_of_key_with_sizes(folder):
    for key in ("a.png", "a/z.png", "a0.png", "b/b.png", "b.png"):
        folder.put(key, b"x" * len(key))
    entries = [entry for page in folder.pages() for entry in page]
    assert [entry.key for entry in entries] == sorted(entry.key for entry in entries)
    assert [entry.size for entry in entries] == [len(entry.key) for entry in entries]


def test_listing_comes_in_bounded_pages(folder, monkeypatch):
    monkeypatch.setattr(storage, "PAGE", 3)
    for number in range(7):
        folder.put(f"{number}.png", b"")
    assert [len(page) for page in folder.pages()] == [3, 3, 1]


def test_patterns_match_the_name_or_the_whole_key(folder):
    for key in ("a.png", "a.txt", "sub/b.png", "sub/deep/c.png"):
        folder.put(key, b"")
    assert listed(folder, "*.png") == ["a.png", "sub/b.png", "sub/deep/c.png"]
    assert listed(folder, "sub/*.png") == ["sub/b.png", "sub/deep/c.png"]
    assert listed(folder, "c.png") == ["sub/deep/c.png"]


def test_keys_of_an_absent_folder_are_none(folder):
    assert folder.keys("ledger/none", ".parquet") == []


def test_an_absent_folder_cannot_be_listed(tmp_path):
    with pytest.raises(StorageError, match=r"cannot list .*absent: no such folder; check the address"):
        list(Folder(str(tmp_path / "absent")).pages())


class Silent(remote.Remote):
    """A store whose every request ends as those to a port do at which nobody listens."""

    def exists(self, key):
        with socket.create_connection(("127.0.0.1", 9), timeout=5):
            return True


def test_a_store_that_does_not_answer_is_named():
    folder = Folder("memory://scans")
    folder.__dict__["_store"] = Silent("memory://scans")
    with pytest.raises(StorageError, match=r"cannot reach memory://scans: Connection.*; check the address"):
        folder.exists("a.png")


def test_version_changes_with_the_content(folder):
    folder.put("a", b"one")
    before = next(folder.pages())[0].version
    folder.put("a", b"two!")
    assert next(folder.pages())[0].version != before


def test_a_crash_before_the_replace_leaves_the_old_object(tmp_path, monkeypatch):
    class Death(BaseException):
        pass

    def die(*_, **__):
        raise Death

    folder = Folder(str(tmp_path))
    folder.put("key", b"old")
    monkeypatch.setattr(os, "replace", die)
    monkeypatch.setattr(Path, "unlink", die)  # a dead process tidies nothing
    with pytest.raises(Death):
        folder.put("key", b"new and longer")
    monkeypatch.undo()
    assert folder.read("key") == b"old"
    assert len(os.listdir(tmp_path)) == 2
    assert listed(folder) == ["key"], "the leftover must never look like an object"
    folder.put("key", b"new and longer")
    assert folder.read("key") == b"new and longer"


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        Folder(str(tmp_path)).put("key", b"data")
    assert os.listdir(tmp_path) == []


def test_an_unreadable_folder_is_an_entry_and_the_rest_is_listed(tmp_path, monkeypatch):
    folder = Folder(str(tmp_path))
    for key in ("a/1.png", "secret/2.png", "z/3.png"):
        folder.put(key, b"x")
    scandir = os.scandir

    def guarded(path):
        if str(path).rstrip("/").endswith("secret"):  # chmod does not stop root
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert listed(folder, "*.png") == ["a/1.png", "secret/", "z/3.png"]


def test_a_link_to_nowhere_stops_nobody(tmp_path):
    folder = Folder(str(tmp_path))
    folder.put("good.png", b"x")
    (tmp_path / "broken.png").symlink_to(tmp_path / "absent")
    assert listed(folder) == ["broken.png", "good.png"]
    with pytest.raises(FileNotFoundError):
        folder.read("broken.png")


@pytest.mark.parametrize("url", ["s3://key:secret@bucket/a", "ftp://me@host/a"])
def test_credentials_in_a_url_are_refused_and_not_repeated(url):
    with pytest.raises(StorageError, match="environment or name a profile") as refusal:
        Folder(url)
    assert "secret" not in str(refusal.value)
    assert "me@" not in str(refusal.value)


def test_an_unknown_scheme_is_refused_by_name():
    with pytest.raises(StorageError, match="nosuch"):
        list(Folder("nosuch://bucket/a").pages())


def test_a_profile_is_for_s3_alone(tmp_path):
    with pytest.raises(StorageError, match=r"'work'.*only s3://"):
        list(Folder(f"memory://{uuid.uuid4().hex}", "work").pages())


def test_paths_mean_one_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Folder("x/../y/").url == Folder(f"file://{tmp_path}/y").url == str(tmp_path / "y")
    assert pickle.loads(pickle.dumps(Folder("y", None))).url == str(tmp_path / "y")


def test_passing_faults_are_tried_again_and_lasting_ones_are_not(monkeypatch):
    monkeypatch.setattr(retrying, "sleep", lambda _: None)
    faults = [ConnectionError("reset by peer"), TimeoutError("slow")]

    def flaky():
        if faults:
            raise faults.pop()
        return b"data"

    assert retrying.retried(flaky) == b"data"
    calls = []

    def forbidden():
        calls.append(1)
        raise OSError("An error occurred (403) Forbidden")

    with pytest.raises(OSError, match="403"):
        retrying.retried(forbidden)
    assert len(calls) == 1


def test_the_first_bytes_are_as_many_as_there_are(folder):
    folder.put("a b.bin", bytes(range(100)))
    assert folder.head("a b.bin", 10) == bytes(range(10))
    assert folder.head("a b.bin", 1000) == bytes(range(100))
    with pytest.raises(FileNotFoundError):
        folder.head("absent", 10)
