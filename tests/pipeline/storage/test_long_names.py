"""Names that a store does not take, and names that it takes for one: each costs its own image, if any."""

import os

import pytest

from pipeline.storage.folder import Folder
from pipeline.storage.folding import folding_of
from tests.faulty_s3 import faulty_s3
from tests.helpers import complete, encoded, photograph, restore

LONG = "x" * 251 + ".jpg"


def test_a_name_that_grows_past_what_the_disk_takes_costs_its_own_image(tmp_path):
    folder = Folder(str(tmp_path / "in"))
    folder.put("good.png", encoded(photograph(0)))
    folder.put(LONG, encoded(photograph(1), "JPEG"))
    job = restore(tmp_path / "in", tmp_path / "out", output_format="png", quarantine={"stop_share": 1.0})
    rows = complete(job)
    good, bad = sorted(rows, key=lambda row: row["key"])
    assert good["status"] == "ok"
    assert bad["reason"] == "WRITE_FAILED"
    assert "259 bytes, more than this disk takes; shorten the source's name" in bad["message"]


def test_keys_that_make_a_folder_of_a_file_say_so(tmp_path):
    folder = Folder(str(tmp_path))
    folder.put("a.png/b.png", b"x")
    folder.put("c.png", b"x")
    for key in ("a.png", "c.png/d.png"):
        with pytest.raises(OSError, match="other images' keys make a folder where this is a file"):
            folder.put(key, b"x")
        assert not folder.exists(key)
    assert sorted(os.listdir(tmp_path)) == ["a.png", "c.png"]


def test_a_key_that_is_longer_than_s3_takes_is_not_there():
    with faulty_s3("bad_request"):
        folder = Folder("s3://b/out")
        assert not folder.exists("k" * 1024)
        with pytest.raises(Exception, match="Bad Request"):
            folder.exists("k" * 1000)


def test_how_a_disk_folds_names_is_what_it_does(tmp_path):
    folder = Folder(str(tmp_path / "out"))
    fold = folding_of(folder)
    assert os.listdir(tmp_path / "out") == []
    (tmp_path / "out" / "a.png").touch()
    folds = fold is not None and fold("A.png") == fold("a.png")
    assert (tmp_path / "out" / "A.png").exists() == folds
    assert folding_of(Folder("s3://bucket/out")) is None
