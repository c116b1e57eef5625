"""Errors as rows: the same reason, stage and message wherever they are met."""

import pytest
import torch

from models.contract import RestorerError
from pipeline.errors import REASONS, ImageError
from pipeline.quarantine import StagedError, quarantine_columns

FETCHED = {"READ_FAILED", "NOT_FOUND", "EMPTY", "CHANGED", "NO_ASSET", "ASSET_GRIDS", "BAD_ITEM"}
ALONE = {"CRASHED", "TIMED_OUT"}
PAIRED = {
    "NO_REFERENCE",
    "TWO_REFERENCES",
    "REFERENCE_SIZE",
    "REFERENCE_ELSEWHERE",
    "REFERENCE_BANDS",
    "REFERENCE_UNREADABLE",
}
CONDITIONED = {
    *("NO_MASK", "MASK_UNFIT", "NO_KERNEL", "KERNEL_UNFIT", "NO_GUIDE", "GUIDE_UNFIT"),
    *("FRAMES_MISSING", "FRAMES_UNORDERED", "FRAME_UNFIT"),
}
STAGES = {
    **dict.fromkeys(FETCHED, "fetch"),
    **dict.fromkeys(ALONE, "process"),
    **dict.fromkeys(PAIRED, "pair"),
    **dict.fromkeys(CONDITIONED, "condition"),
}
IN_SCENES = {"RADIOMETRY_UNKNOWN": "degrade", "UNENCODABLE": "encode", "BAD_GEOMETRY": "encode"}


def row_of(reason: str, stage: str) -> dict:
    return {"status": "quarantined", "reason": reason, "stage": stage, "message": "what happened"}


@pytest.mark.parametrize("reason", REASONS)
def test_an_image_that_was_not_loaded(reason):
    """Reading, decoding or its own process failed: the reason tells which."""
    stage = STAGES.get(reason, "decode")
    assert quarantine_columns(ImageError(reason, "what happened"), "decode") == row_of(reason, stage)


@pytest.mark.parametrize("reason", REASONS)
def test_a_scene_whose_stage_only_the_reason_tells(reason):
    stage = STAGES.get(reason, "decode")
    expected = row_of(reason, IN_SCENES.get(reason, stage))
    assert quarantine_columns(ImageError(reason, "what happened")) == expected


@pytest.mark.parametrize("stage", ["degrade", "restore", "score", "encode"])
def test_a_stage_that_is_known_is_kept(stage):
    for reason in set(REASONS) - set(STAGES):
        assert quarantine_columns(ImageError(reason, "what happened"), stage) == row_of(reason, stage)
    for error in (
        RestorerError("WRONG_SHAPE", "what happened"),
        StagedError("UNREADABLE", stage, "what happened"),
    ):
        row = quarantine_columns(error, None if isinstance(error, StagedError) else stage)
        assert (row["stage"], row["message"]) == (stage, "what happened")


def test_errors_that_are_not_ours():
    assert quarantine_columns(MemoryError(), "decode") == {
        "status": "quarantined", "reason": "OUT_OF_MEMORY", "stage": "decode",
        "message": "did not fit into memory even alone",
    }  # fmt: skip
    assert quarantine_columns(torch.OutOfMemoryError())["stage"] == "restore"
    unexpected = quarantine_columns(KeyError("a patient's name"), "score")
    assert (unexpected["reason"], unexpected["stage"]) == ("INTERNAL", "score")
    assert "patient" not in unexpected["message"]


def test_a_store_that_did_not_take_an_object():
    row = quarantine_columns(StagedError.of_writing(OSError("no space left\nand more")))
    assert (row["reason"], row["stage"]) == ("WRITE_FAILED", "write")
    assert row["message"] == "OSError: no space left"
