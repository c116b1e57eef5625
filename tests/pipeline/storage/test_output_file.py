"""A command that writes one file writes over nothing that it was given, by whatever name or link."""

import pytest

from pipeline.errors import JobError
from pipeline.storage.output_file import check_output_file


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
