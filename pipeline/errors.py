"""Everything this project raises for its users.

RestoraError (ValueError)
|-- JobError          the job or the command line is wrong            exit code 2
|-- StorageError      a store cannot be read or written at all        exit code 1
|-- RunStopped        the run gave up, for a reason it names          exit code 1
`-- ImageError        this one image cannot be processed              a quarantine row
"""

from __future__ import annotations


class RestoraError(ValueError):
    """Base of all errors meant for the user; its text names the thing, the value and the cure."""


class JobError(RestoraError):
    """A job or a command line that cannot be run as it stands."""


class StorageError(RestoraError):
    """A store that cannot be reached, listed or written; nobody's image is to blame."""


class RunStopped(RestoraError):  # noqa: N818 - not a fault of the program but a decision
    """A run that ended early on purpose; running the same command again goes on."""


class ImageError(RestoraError):
    """One image that cannot be processed: becomes a quarantine row, never costs another image.

    ``reason`` is a code of ``REASONS``; the text must hold no file contents.
    """

    def __init__(self, reason: str, message: str) -> None:
        assert reason in REASONS, reason
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        return type(self), (self.reason, str(self))


def describe(error: BaseException) -> str:
    """Type and first line of an error: enough to act on, no contents."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


REASONS: dict[str, str] = {
    "EMPTY": "the object has no bytes",
    "NOT_FOUND": "the object was listed but is gone",
    "CHANGED": "the object changed between listing and reading",
    "UNREADABLE": "no known format reads the bytes",
    "TRUNCATED": "the pixel data end early",
    "ANIMATED": "more than one frame",
    "UNSUPPORTED_COLOUR": "a colour space that cannot be restored without loss, such as CMYK",
    "UNSUPPORTED_DTYPE": "a pixel type whose value range the header does not tell",
    "TOO_LARGE": "more pixels than the job's limit",
    "TOO_SMALL": "fewer pixels than the degradation, restorer or metric needs",
    "BAND_MISMATCH": "more or fewer channels than the restorer takes",
    "CONDITION_MISSING": "the restorer needs a noise level, mask or operator that is not known",
    "NONFINITE_INPUT": "NaN or infinite values in the image",
    "NONFINITE_OUTPUT": "the restorer gave NaN or infinite values",
    "IMPLAUSIBLE_OUTPUT": "the restorer gave a flat or wildly out-of-range image",
    "WRONG_SHAPE": "the restorer gave an image of another size",
    "OUT_OF_MEMORY": "did not fit the device even alone",
    "BAD_GEOREF": "the georeference is damaged or contradicts itself",
    "BAD_GEOMETRY": "the header lacks the geometry that a derived image needs",
    "RADIOMETRY_UNKNOWN": "physical units are wanted, and the file does not say how to get them",
    "ALL_NODATA": "not one valid pixel",
    "NO_PIXELS": "the object holds no image",
    "UNSUPPORTED_TRANSFER_SYNTAX": "no permissively licensed decoder reads this compression",
    "UNSUPPORTED_SOP_CLASS": "a kind of DICOM object that can be read and scored, but not restored",
    "SERIES_INCONSISTENT": "images of one series contradict each other",
    "SERIES_INCOMPLETE": "another image of its series failed, and a series is restored whole or not at all",
    "NOT_PRIVATE": "a medical image in a dataset that is not declared private",
    "UNENCODABLE": "the output format cannot hold the pixels",
    "READ_FAILED": "the store failed to hand the object over, after retries",
    "WRITE_FAILED": "the store failed to take the object, after retries",
    "CRASHED": "processing this image killed the process",
    "TIMED_OUT": "processing this image alone took longer than the job's limit",
    "INTERNAL": "an unexpected error: a fault of this program or of a library",
}
"""Quarantine reason codes and what they mean; the report and the documentation print them."""
