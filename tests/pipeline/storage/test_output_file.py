"""A command that writes one file writes over nothing that it was given, by whatever name or link."""

import os

import pytest

from pipeline.errors import JobError
from pipeline.storage.output_file import check_output_file, write_output


def test_what_is_read_and_files_of_other_kinds_are_refused(tmp_path):
    weights, link = tmp_path / "w.onnx", tmp_path / "link.onnx"
    weights.write_bytes(b"given")
    link.hardlink_to(weights)
    (tmp_path / "folder.onnx").mkdir()
    for target, said in (
        (weights, "is what is read"),
        (tmp_path / "folder.onnx" / ".." / "w.onnx", "is what is read"),
        (link, "is what is read"),
        (tmp_path / "folder.onnx", "is a folder"),
        (tmp_path / "photo.png", r"ends in \.onnx; call it photo\.png\.onnx"),
    ):
        with pytest.raises(JobError, match=said):
            check_output_file(target, ".onnx", ["ffdnet-grey", None, weights])
    for free in ("new.onnx", "new.ONNX"):
        check_output_file(tmp_path / free, ".onnx", ["s3://bucket/w.onnx", "a\0b", weights])


def test_what_is_written_is_whole_and_litter_of_killed_writes_goes(tmp_path):
    dead, young, theirs = (
        tmp_path / name for name in (".restora-abcdefgh.part", ".restora-12345678.part", "a.part")
    )
    for each in (dead, young, theirs):
        each.write_bytes(b"half")
    os.utime(dead, (0, 0))
    write_output(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert sorted(each.name for each in tmp_path.iterdir()) == [young.name, "a", "a.part"]
    with pytest.raises(JobError, match="cannot be written"):
        write_output(tmp_path / "a" / "b", b"")
