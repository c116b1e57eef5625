"""Everything this project raises for its users.

RestoraError (ValueError)
|-- JobError          the job or the command line is wrong            exit code 2
|-- StorageError      a store cannot be read or written at all        exit code 1
|   `-- FolderNotFound    no such folder: waiting does not bring it
|-- RunStopped        the run gave up, for a reason it names          exit code 1
`-- ImageError        this one image cannot be processed              a quarantine row
"""

from __future__ import annotations

from pipeline.addresses import redacted


class RestoraError(ValueError):
    """Base of all errors meant for the user; its text names the thing, the value and the cure.

    Secrets of addresses in it are taken out: it is printed, logged and stored.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(redacted(message))


class JobError(RestoraError):
    """A job or a command line that cannot be run as it stands."""


class StorageError(RestoraError):
    """A store that cannot be reached, listed or written; no image is to blame."""


class FolderNotFound(StorageError):  # noqa: N818 - it says it all
    """A folder that is not there, or is a file: trying again does not help."""


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
    text = redacted(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


REASONS: dict[str, str] = {
    "EMPTY": "the file has no bytes",
    "NOT_FOUND": "the file was listed, but is gone",
    "CHANGED": "the file changed between listing and reading; the next run takes its new version",
    "UNREADABLE": "no known format reads the file",
    "TRUNCATED": "the pixel data end early",
    "ANIMATED": 'the file holds more than one frame; a dataset with store = "pages" takes each',
    "UNSUPPORTED_COLOUR": "a colour space that cannot be restored without loss, such as CMYK; convert to RGB",
    "UNSUPPORTED_DTYPE": "a pixel type whose value range the header does not say",
    "TOO_LARGE": "more pixels than limits.max_pixels of the job, or far more data than the header says",
    "TOO_SMALL": "fewer pixels than the degradation, restorer or metric needs",
    "BAND_MISMATCH": "more or fewer channels than the restorer takes",
    "CONDITION_MISSING": "the restorer needs a noise level, mask, guide or operator, and none is known here",
    "NONFINITE_INPUT": "the image has NaN or infinite values",
    "NONFINITE_OUTPUT": "the restorer gave NaN or infinite values",
    "IMPLAUSIBLE_OUTPUT": "the restorer gave a flat image, or one far outside the value range",
    "RESTORER_FAILED": "a network failed inside; its words are in the message",
    "WRONG_SHAPE": "the restorer gave an image of another size than its card says",
    "OUT_OF_MEMORY": "the image does not fit the device's memory, even alone",
    "BAD_GEOREF": "the georeference is damaged or contradicts itself",
    "BAD_GEOMETRY": "the header lacks the geometry that a derived image needs",
    "RADIOMETRY_UNKNOWN": "the job wants physical units, and the file does not say how to get them; "
    "give scale and offset in the dataset's radiometry",
    "ALL_NODATA": "the image has not one valid pixel",
    "NO_PIXELS": "the file holds no image",
    "UNSUPPORTED_TRANSFER_SYNTAX": "no permissively licensed decoder reads this compression",
    "UNSUPPORTED_SOP_CLASS": "a kind of DICOM object that can be read and scored, but not restored",
    "SERIES_INCONSISTENT": "images of one series contradict each other",
    "SERIES_INCOMPLETE": "another image of its series failed, and a series is restored whole or not at all",
    "NOT_PRIVATE": "a medical image in a dataset that does not say private = true or false",
    "UNENCODABLE": "the output format cannot hold the pixels; choose another output_format",
    "NO_REFERENCE": "there is no reference for the image",
    "TWO_REFERENCES": "several objects could be the reference of the image, or several images have one",
    "REFERENCE_SIZE": "the sizes of image, reference and restored image do not go together",
    "REFERENCE_ELSEWHERE": "image and reference lie at different places, or turned, by their headers",
    "REFERENCE_BANDS": "the reference has more or fewer channels than the image",
    "REFERENCE_UNREADABLE": "the reference, or its mask, is damaged or no image; its own reason is in the "
    "message",
    "NO_MASK": "there is no mask for the image, or there are several",
    "MASK_UNFIT": "the mask is damaged, of another size or place, or leaves nothing",
    "NO_KERNEL": "there is no kernel for the image, or there are several",
    "KERNEL_UNFIT": "the kernel is no kernel, or larger than the image",
    "NO_GUIDE": "there is no guide for the image, or there are several",
    "GUIDE_UNFIT": "the guide is damaged, of another grid, size or ground than the image",
    "FRAMES_MISSING": "a scene lacks frames that the rule of its group asks for",
    "FRAMES_UNORDERED": "the frames of a scene have no order: times that are no numbers, or there twice",
    "FRAME_UNFIT": "another frame of the scene is damaged, or of another size or pixel type",
    "NO_ASSET": "the item of the catalogue has no such asset, or none that is an image",
    "ASSET_GRIDS": "the assets of the item are no bands of one image: grids, pixel types or values of no "
    "data differ",
    "BAD_ITEM": "the catalogue's entry cannot be used: damaged, there twice, signed, or it leads where it "
    "must not",
    "READ_FAILED": "the store did not give the file, even after retries; restora retry takes it again",
    "WRITE_FAILED": "the store did not take the file, even after retries, as where its disk is full; "
    "restora retry takes it again",
    "CRASHED": "decoding or processing this image ended its process",
    "TIMED_OUT": "this image took longer than resources.image_seconds alone, or limits.decode_seconds",
    "INTERNAL": "an unexpected error: a fault of this program or of a library; please report it",
}
"""Quarantine reason codes and what they mean; the report and the documentation print them."""
