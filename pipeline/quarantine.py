"""What an exception means for a row: its reason code, and a text that holds no file contents."""

from __future__ import annotations

import traceback

import torch

from models.contract import RestorerError
from pipeline.errors import REASONS, ImageError, describe
from pipeline.ledger.schema import QUARANTINED, Row
from pipeline.starvation import is_starved


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device, or this machine, had too little memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, RestorerError) and error.__cause__ is not None:
        return is_out_of_memory(error.__cause__)
    if isinstance(error, ImageError):
        return False  # it says itself what is wrong, whatever it came of
    return is_starved(error) or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def reason_and_message(error: BaseException) -> tuple[str, str]:
    """The quarantine reason and the message of a row."""
    if is_out_of_memory(error):
        return "OUT_OF_MEMORY", "did not fit into memory even alone"
    if isinstance(error, ImageError | RestorerError):
        assert error.reason in REASONS, error.reason
        return error.reason, str(error)
    if isinstance(error, FileNotFoundError):
        return "NOT_FOUND", "listed, but no longer there"
    return "INTERNAL", f"{type(error).__name__} at {_place(error)}"


def read_failure(error: Exception) -> ImageError:
    """The store's failure to hand over an object, as a row."""
    if isinstance(error, FileNotFoundError):
        return ImageError("NOT_FOUND", "listed, but no longer there")
    return ImageError("READ_FAILED", describe(error))


def _place(error: BaseException) -> str:
    """File and line where it was raised: an unexpected error's own text might quote the file."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else "unknown place"


_STAGES = {
    **dict.fromkeys(("READ_FAILED", "NOT_FOUND", "EMPTY", "CHANGED"), "fetch"),
    **dict.fromkeys(("NO_ASSET", "ASSET_GRIDS", "BAD_ITEM"), "fetch"),
    **dict.fromkeys(("NO_REFERENCE", "TWO_REFERENCES"), "pair"),
    **dict.fromkeys(
        ("REFERENCE_SIZE", "REFERENCE_ELSEWHERE", "REFERENCE_BANDS", "REFERENCE_UNREADABLE"), "pair"
    ),
    **dict.fromkeys(("NO_MASK", "MASK_UNFIT", "NO_KERNEL", "KERNEL_UNFIT"), "condition"),
    **dict.fromkeys(("NO_GUIDE", "GUIDE_UNFIT"), "condition"),
    **dict.fromkeys(("FRAMES_MISSING", "FRAMES_UNORDERED", "FRAME_UNFIT"), "condition"),
    **dict.fromkeys(("CRASHED", "TIMED_OUT"), "process"),
    "RADIOMETRY_UNKNOWN": "degrade",
    **dict.fromkeys(("UNENCODABLE", "BAD_GEOMETRY"), "encode"),
}
"""Reason of an ``ImageError`` -> the stage it comes from; all others come from decoding."""
_CERTAIN = frozenset({"fetch", "process", "pair", "condition"})
"""Stages whose reasons no other stage gives: they hold wherever the error was met."""


class StagedError(Exception):
    """An error whose stage is known where it is raised: storing, or a strip's that its scene inherits."""

    def __init__(self, reason: str, stage: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.stage = reason, stage

    @classmethod
    def of_writing(cls, error: Exception) -> StagedError:
        """The store did not take an object."""
        return cls("WRITE_FAILED", "write", describe(error))


def quarantine_columns(error: Exception, stage: str | None = None) -> Row:
    """The columns of a row that say what went wrong, and where.

    ``stage`` is where the error was met: ``decode``, ``degrade``, ``restore``, ``score``, ``encode`` or
    ``process``; without one, the reason tells it.
    """
    if isinstance(error, StagedError):
        reason, stage, message = error.reason, error.stage, str(error)
    else:
        reason, message = reason_and_message(error)
        stage = _stage(error, stage)
    return {"status": QUARANTINED, "reason": reason, "stage": stage, "message": message}


def _stage(error: Exception, met: str | None) -> str:
    if not isinstance(error, ImageError):
        return met or "restore"
    own = _STAGES.get(error.reason, "decode")
    return own if met is None or own in _CERTAIN else met
