"""Names on a disk that are no UTF-8: one key each, which leads back to the file; others keep their names."""

import os

import pytest

from pipeline.errors import StorageError
from pipeline.storage.folder import Folder
from tests.helpers import complete, encoded, photograph, restore


def write(folder, name: bytes, data: bytes) -> None:
    path = os.path.join(os.fsencode(folder), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def listed(folder: Folder) -> dict[str, bytes]:
    return {entry.key: folder.read(entry.key) for page in folder.pages() for entry in page}


def test_every_name_is_one_key_that_leads_back_to_its_file(tmp_path):
    names = {
        b"M\xfcnchen.png": "M%FCnchen.png",
        b"50%\xff.png": "50%25%FF.png",
        b"gr\xf6\xdfe/a%20b.png": "gr%F6%DFe/a%20b.png",
        b"gr\xf6\xdfe/\xe9.png": "gr%F6%DFe/%E9.png",
        b"100%FF/\xff.png": "100%FF/%FF.png",
        "M\u00fcnchen.png".encode(): "M\u00fcnchen.png",
        b"a%FCb.png": "a%FCb.png",
    }
    for name in names:
        write(tmp_path, name, name)
    folder = Folder(str(tmp_path))
    assert listed(folder) == {key: name for name, key in names.items()}
    for name, key in names.items():
        assert folder.exists(key)
        assert folder.entry(key).size == folder.local_path(key).stat().st_size == len(name)


def test_a_file_that_has_the_escaped_name_is_another_key(tmp_path):
    for name in (b"\xfc.png", b"%FC.png", b"%FC%2Epng"):
        write(tmp_path, name, name)
    assert listed(Folder(str(tmp_path))) == {
        "%FC.png": b"%FC.png",
        "%FC%2Epng": b"%FC%2Epng",
        "%FC%2E%70ng": b"\xfc.png",
    }


def test_an_escaped_key_leads_out_of_no_folder(tmp_path):
    write(tmp_path, b"secret", b"x")
    write(tmp_path, b"in/\xfc", b"y")
    folder = Folder(str(tmp_path / "in"))
    for key in ("%2E%2E/secret", "..%2Fsecret", "%FC/..%2F..%2Fsecret"):
        assert not folder.exists(key)


def test_writing_takes_keys_as_they_are(tmp_path):
    write(tmp_path, b"\xfc.png", b"original")
    folder = Folder(str(tmp_path))
    folder.put("%FC.png", b"new")
    assert (tmp_path / os.fsdecode(b"\xfc.png")).read_bytes() == b"original"
    assert folder.read("%FC.png") == b"new"


def test_a_run_restores_an_image_whose_name_is_no_utf_8_and_the_others(tmp_path):
    for number, name in enumerate((b"M\xfcnchen.png", b"good.png", b"sub/\xe9/good2.png")):
        write(tmp_path / "in", name, encoded(photograph(number)))
    rows = complete(restore(tmp_path / "in", tmp_path / "out"))
    assert {row["key"]: row["status"] for row in rows} == dict.fromkeys(
        ("M%FCnchen.png", "good.png", "sub/%E9/good2.png"), "ok"
    )
    assert (tmp_path / "out" / "M%FCnchen.png").is_file()


def test_a_folder_whose_own_name_is_no_utf_8_is_refused_with_a_cure():
    with pytest.raises(StorageError, match="no UTF-8; give a link"):
        Folder(os.fsdecode(b"/scans/M\xfcnchen"))
