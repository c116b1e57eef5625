"""DICOM objects whose pixel data are other ones than the header describes: refused, not read in part."""

import io

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from pipeline.formats.dicom.paging import DicomPages
from tests.dicom_samples import changed, pydicom, read, refused, samples

HEIGHT, WIDTH = 23, 34
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
GREY = (50 * ROWS + 70 * COLUMNS).astype(np.uint16)
FILM = np.stack([GREY, GREY[::-1], GREY[:, ::-1]])
COLOUR = np.dstack([3 * ROWS + 100, 5 * COLUMNS + 40, 90 + ROWS + COLUMNS]).astype(np.uint8)
FITTING = {"Rows": HEIGHT, "Columns": WIDTH, "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}
IN_COLOUR = {
    **FITTING, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "SamplesPerPixel": 3,
    "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0,
}  # fmt: skip
ENCODERS = {
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEG2000Lossless: lambda image: imagecodecs.jpeg2k_encode(
        image, level=0, reversible=True, codecformat="j2k"
    ),
    RLELossless: lambda image: pydicom.pixels.encoders.RLELosslessEncoder.encode(
        image, encoding_plugin="pydicom", rows=HEIGHT, columns=WIDTH, samples_per_pixel=1, bits_allocated=16,
        bits_stored=12, number_of_frames=1, pixel_representation=0, photometric_interpretation="MONOCHROME2",
    ),
}  # fmt: skip


def native(pixels, **attributes):
    unsigned = {"PixelRepresentation": 0, "PixelPaddingValue": None}
    return changed("CT_small.dcm", **(FITTING | unsigned | attributes), PixelData=pixels.tobytes())


def encoded(frames, syntax, has_bot=True, **attributes):
    dataset = pydicom.dcmread(io.BytesIO(native(GREY, **attributes)))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(frames, has_bot=has_bot)
    dataset["PixelData"].is_undefined_length = True
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, implicit_vr=False, little_endian=True)
    return file.getvalue()


def frames_of(syntax):
    return [bytes(ENCODERS[syntax](frame)) for frame in FILM]


def test_what_fits_is_read():
    np.testing.assert_array_equal(read(native(GREY)).pixels_HWC[:, :, 0], GREY)
    np.testing.assert_array_equal(read(native(FILM, NumberOfFrames=3)).pixels_HWC, FILM.transpose(1, 2, 0))
    for syntax in ENCODERS:
        film = read(encoded(frames_of(syntax), syntax, NumberOfFrames=3))
        np.testing.assert_array_equal(film.pixels_HWC, FILM.transpose(1, 2, 0))
        whole = frames_of(syntax)[0]
        np.testing.assert_array_equal(read(encoded([whole], syntax)).pixels_HWC[:, :, 0], GREY)


def test_zeros_behind_the_pixels_are_padding_as_long_as_they_are_no_frame():
    padded = native(np.concatenate([GREY.ravel(), np.zeros(100, np.uint16)]))
    np.testing.assert_array_equal(read(padded).pixels_HWC[:, :, 0], GREY)
    assert refused(native(np.stack([GREY, 0 * GREY]))).reason == "UNREADABLE"


@pytest.mark.parametrize(
    "attributes",
    [
        {"Rows": HEIGHT - 1},
        {"Columns": WIDTH - 1},
        {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
    ],
    ids=str,
)
def test_native_pixels_that_are_left_over_are_refused(attributes):
    error = refused(native(GREY + np.uint16(257), **attributes))
    assert error.reason == "UNREADABLE"
    assert "PixelData" in str(error)


@pytest.mark.parametrize("frames", [None, 1, 2])
def test_frames_that_the_header_does_not_count_are_not_lost(frames):
    counted = {} if frames is None else {"NumberOfFrames": frames}
    objects = {"native": native(FILM, **counted)}
    for syntax in ENCODERS:
        for has_bot in (True, False):
            objects[f"{syntax.name} {has_bot}"] = encoded(frames_of(syntax), syntax, has_bot, **counted)
    for name, data in objects.items():
        error = refused(data)
        assert (error.reason, "NumberOfFrames" in str(error)) == ("UNREADABLE", True), name
        with pytest.raises(type(error)):
            DicomPages(data)


@pytest.mark.parametrize("syntax", ENCODERS, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("has_bot", [True, False])
def test_frames_that_are_missing_were_cut(syntax, has_bot):
    data = encoded(frames_of(syntax), syntax, has_bot, NumberOfFrames=4)
    assert refused(data).reason == "TRUNCATED"


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless], ids=lambda syntax: syntax.name)
def test_a_frame_of_another_shape_is_not_laid_out_anew(syntax):
    stream = frames_of(syntax)[0]
    for attributes in ({"Rows": WIDTH, "Columns": HEIGHT}, {"Columns": WIDTH - 1}, {"Rows": HEIGHT - 1}):
        error = refused(encoded([stream], syntax, **attributes))
        assert error.reason == "UNREADABLE"
        assert f"{WIDTH} x {HEIGHT}" in str(error)


def test_a_colour_frame_is_not_read_as_grey():
    stream = bytes(imagecodecs.jpeg8_encode(COLOUR))
    grey = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    assert "3 samples" in str(refused(encoded([stream], JPEGBaseline8Bit, **grey)))


@pytest.mark.parametrize("planes", [0, 1])
def test_compressed_colours_lie_pixel_by_pixel_whatever_planar_configuration_says(planes):
    jpeg = bytes(imagecodecs.jpeg8_encode(COLOUR, level=98, subsampling="444"))
    cases = {
        JPEGBaseline8Bit: (jpeg, "YBR_FULL_422"),
        JPEGLSLossless: (bytes(imagecodecs.jpegls_encode(COLOUR)), "RGB"),
        JPEG2000Lossless: (bytes(ENCODERS[JPEG2000Lossless](COLOUR)), "YBR_RCT"),
    }
    for syntax, (stream, photometric) in cases.items():
        labels = {"PhotometricInterpretation": photometric, "PlanarConfiguration": planes}
        image = read(encoded([stream], syntax, **(IN_COLOUR | labels)))
        apart = np.abs(image.pixels_HWC.astype(int) - COLOUR).max()
        assert apart <= (6 if syntax == JPEGBaseline8Bit else 0), syntax.name


@pytest.mark.parametrize("high_bit", [10, 12, 15])
def test_pixels_above_the_lowest_bit_are_refused_also_where_they_are_dark(high_bit):
    dark = (GREY >> 8) << max(high_bit - 11, 0)
    error = refused(native(dark.astype(np.uint16), HighBit=high_bit))
    assert (error.reason, "HighBit" in str(error)) == ("UNSUPPORTED_DTYPE", True)
    np.testing.assert_array_equal(read(native(GREY, HighBit=None)).pixels_HWC[:, :, 0], GREY)


@pytest.mark.parametrize("photometric", ["", "RGB", "MONOCHROME", "HSV"])
def test_colours_that_are_no_one_sample_are_refused_by_name(photometric):
    error = refused(changed("CT_small.dcm", PhotometricInterpretation=photometric))
    assert error.reason == "UNREADABLE"
    assert "PhotometricInterpretation" in str(error)


def test_there_are_samples_of_every_kind_that_stay_readable():
    padded = samples()["MR_small_padded.dcm"].read_bytes()
    np.testing.assert_array_equal(
        read(padded).pixels_HWC, read(samples()["MR_small.dcm"].read_bytes()).pixels_HWC
    )
