"""Where in the way of a scene an error belongs, for its row."""

from __future__ import annotations

from pipeline.errors import ImageError, describe
from pipeline.faults import reason_and_message
from pipeline.ledger import QUARANTINED, Row

_STAGES = {
    **dict.fromkeys(("READ_FAILED", "NOT_FOUND", "EMPTY", "CHANGED"), "fetch"),
    "RADIOMETRY_UNKNOWN": "degrade",
    **dict.fromkeys(("UNENCODABLE", "BAD_GEOMETRY"), "encode"),
}
"""As in the rows of images; every other ``ImageError`` comes from decoding."""


class StagedError(Exception):
    """A fault whose stage is known where it happens: storing, or a strip's that its scene inherits."""

    def __init__(self, reason: str, stage: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.stage = reason, stage

    @classmethod
    def of_writing(cls, error: Exception) -> StagedError:
        """The store did not take an object."""
        return cls("WRITE_FAILED", "write", describe(error))


def fault(error: Exception) -> Row:
    """The columns that say what went wrong."""
    if isinstance(error, StagedError):
        reason, stage, message = error.reason, error.stage, str(error)
    else:
        reason, message = reason_and_message(error)
        stage = _STAGES.get(reason, "decode") if isinstance(error, ImageError) else "restore"
    return {"status": QUARANTINED, "reason": reason, "stage": stage, "message": message}
