"""Files whose first page is not their image: a preview, or the first of a stack."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from pipeline.errors import ImageError
from pipeline.formats import decode
from tests.bad_images import DEEP, PHOTO, tiff

STACK = np.stack([DEEP[:, :, 0] // divisor for divisor in (1, 2, 3)])
TYPES = ("uint16", "float32", "int16")


def reason_of(data: bytes) -> str:
    with pytest.raises(ImageError) as refusal:
        decode(data)
    return refusal.value.reason


def written(*pages: tuple[np.ndarray, dict], **options) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, **options) as writer:
        for samples, arguments in pages:
            writer.write(samples, metadata=None, **arguments)
    return file.getvalue()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_preview_before_its_image_is_refused(dtype):
    """As in camera raws: page 0 is reduced, the image hangs in its SubIFDs."""
    small, whole = PHOTO[::4, ::4].astype(dtype), PHOTO[:, :, 0].astype("uint16")
    data = written(
        (small, {"subfiletype": 1, "subifds": 1, "photometric": "rgb"}),
        (whole, {"photometric": "minisblack"}),
    )
    assert reason_of(data) == "UNREADABLE"


def test_a_preview_that_does_not_say_so_is_found_by_its_size():
    data = written((PHOTO[::4, ::4], {"subifds": 1, "photometric": "rgb"}), (PHOTO, {"photometric": "rgb"}))
    assert reason_of(data) == "UNREADABLE"
    data = written(
        (PHOTO[::4, ::4], {"photometric": "rgb"}), (PHOTO, {"photometric": "rgb", "subfiletype": 1})
    )
    assert reason_of(data) == "UNREADABLE"


def test_reduced_pages_behind_the_image_are_overviews():
    for children in ({"subifds": 1}, {}):
        data = written(
            (PHOTO, {"photometric": "rgb"} | children),
            (PHOTO[::2, ::2].copy(), {"photometric": "rgb", "subfiletype": 1}),
        )
        np.testing.assert_array_equal(decode(data).pixels_HWC, PHOTO)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_stack_of_imagej_in_one_directory_is_no_image(dtype):
    """More slices than directories, as ImageJ itself writes what is larger than 4 GB."""
    file = io.BytesIO()
    tifffile.imwrite(file, STACK.astype(dtype), imagej=True)
    assert reason_of(one_directory(file.getvalue())) == "ANIMATED"


@pytest.mark.parametrize("dtype", TYPES)
def test_a_shaped_stack_in_one_directory_is_no_image(dtype):
    file = io.BytesIO()
    tifffile.imwrite(file, STACK.astype(dtype), photometric="minisblack", contiguous=True)
    assert reason_of(one_directory(file.getvalue())) == "ANIMATED"


def test_a_stack_of_metamorph_is_no_image():
    planes = (33629, 5, 3, (1, 1) * 3, True)
    assert reason_of(tiff(PHOTO[:, :, 0].copy(), photometric="minisblack", extratags=[planes])) == "ANIMATED"


@pytest.mark.parametrize("dtype", TYPES)
def test_a_note_of_one_image_is_no_stack(dtype):
    file = io.BytesIO()
    tifffile.imwrite(file, STACK[0].astype(dtype), photometric="minisblack")
    np.testing.assert_array_equal(decode(file.getvalue()).pixels_HWC[:, :, 0], STACK[0].astype(dtype))
    for description in ('{"shape": "x"}', '{"shape": [', "ImageJ=1.54f\nimages=1\n", "shape=(64, 80)"):
        data = tiff(PHOTO[:, :, 0].copy(), photometric="minisblack", description=description)
        assert decode(data).size == (64, 80, 1)


def one_directory(data: bytes) -> bytes:
    """Without all directories but the first; the samples of the others stay where they are."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        order, first = file.byteorder, file.pages[0].offset
    count = struct.unpack_from(f"{order}H", data, first)[0]
    at = first + 2 + 12 * count
    return data[:at] + bytes(4) + data[at + 4 :]


def multi_picture(kind: int, order: str = ">") -> bytes:
    """A JPEG file of two images whose index says what kind they are (CIPA DC-007)."""
    file = io.BytesIO()
    first = Pillow.fromarray(PHOTO)
    first.save(file, "MPO", save_all=True, append_images=[Pillow.fromarray(PHOTO[:, ::-1].copy())])
    data = file.getvalue()
    with Pillow.open(io.BytesIO(data)) as picture:
        sizes = [(each["Size"], each["DataOffset"]) for each in picture.mpinfo[0xB002]]
    entries = b"".join(struct.pack(f"{order}IIIHH", kind, *each, 0, 0) for each in sizes)
    table = struct.pack(f"{order}HHII", 0xB002, 7, len(entries), 26)
    index = (
        (b"MM\0*" if order == ">" else b"II*\0")
        + struct.pack(f"{order}IH", 8, 1)
        + table
        + bytes(4)
        + entries
    )
    at = data.index(b"MPF\0") - 4
    length = struct.unpack_from(">H", data, at + 2)[0]
    segment = struct.pack(">HH", 0xFFE2, 2 + 4 + len(index)) + b"MPF\0" + index
    return data[:at] + segment + data[at + 2 + length :]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [0x020001, 0x020002, 0x020003])
def test_one_view_of_several_in_a_jpeg_file_is_no_image(kind, order):
    assert reason_of(multi_picture(kind, order)) == "ANIMATED"


@pytest.mark.parametrize("kind", [0, 0x010001, 0x010002, 0x030000])
def test_what_helps_the_first_image_of_a_jpeg_file_is_left_behind(kind):
    assert decode(multi_picture(kind)).size == PHOTO.shape
