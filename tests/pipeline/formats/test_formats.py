"""The pixels of every format: the contract, and Pillow, tifffile and libpng as referees."""

import bz2
import gzip
import io
import lzma
import tarfile
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from skimage.metrics import peak_signal_noise_ratio

from pipeline.errors import ImageError
from pipeline.formats import FORMATS, Limits, decode, encode, format_of
from pipeline.formats.png_chunks import Chunk, join_chunks, read_chunks
from pipeline.formats.tiff.lzw import decode_lzw
from pipeline.formats.zarr_container import Header, pack
from tests.bad_images import DEEP, GREY, ODD_BUT_GOOD, OPACITY, PHOTO, interlaced_png, png, saved, tiff
from tests.format_contract import (
    NEEDS,
    check_every_cut_is_refused,
    check_refuses,
    check_round_trip,
    check_survives,
    image_of,
    read_by_others,
)
from tests.format_samples import (
    SOURCES,
    opened,
)

HOLDS = {
    "png": [
        (dtype, channels, alpha) for dtype in ("uint8", "uint16") for channels in (1, 3) for alpha in (0, 1)
    ],
    "jpeg": [("uint8", 1, 0), ("uint8", 3, 0)],
    "webp": [("uint8", 3, 0), ("uint8", 3, 1)],
    "avif": [("uint8", 1, 0), ("uint8", 3, 0), ("uint8", 3, 1)],
    "tiff": [
        (dtype, n, alpha) for dtype in ("uint8", "uint16") for n in (1, 2, 3, 4, 6, 13) for alpha in (0, 1)
    ],
    "geotiff": [
        (dtype, n, alpha) for dtype in ("uint8", "uint16") for n in (1, 2, 3, 4, 6, 13) for alpha in (0, 1)
    ],
    # Read only: test_bitmaps.py, test_raster.py. Only what came from such a file: test_dicom.py and others.
    "gif": [],
    "bmp": [],
    "raster": [],
    "dicom": [],
    "nifti": [],
    "zarr": [],
}
"""Format -> what it can hold, as dtype, channels, alpha. A new format: one line here."""
LOSSLESS = [
    pytest.param(name, *kind, marks=NEEDS.get(name, ()))
    for name, kinds in HOLDS.items()
    for kind in kinds
    if name not in ("jpeg", "avif")
]
SPECIAL = {
    "geotiff": tiff(GREY, photometric="minisblack", extratags=[(42113, 2, 0, "0", True)]),
    "raster": b"\0\0\0\x0cjP  \r\n\x87\n",
    # A DICOM object may begin with the header of a TIFF (PS3.10, 7.1).
    "gif": saved(GREY, "GIF"),
    "bmp": saved(GREY, "BMP"),
    "dicom": b"II*\0" + bytes(124) + b"DICM",
    "zarr": pack(Header("uint8", (1, 2, 2)), np.zeros((1, 2, 2), np.uint8)),
    "nifti": (348).to_bytes(4, "little") + bytes(340) + b"n+1\0",
}
"""Files of the formats that no camera writes, each of a kind that a plainer format would take too."""


def test_every_format_is_listed_under_its_name_and_told_apart():
    assert set(FORMATS) == set(HOLDS)
    for name, form in FORMATS.items():
        assert form.name == name
        assert form.summary
        assert form.extensions
        assert format_of(example_of(name)).name == name


def example_of(name):
    """A file that something else wrote; where there is none at hand, what the format writes itself."""
    if name in SOURCES | SPECIAL:
        return (SOURCES | SPECIAL)[name]
    dtype, channels, alpha = HOLDS[name][0]
    return FORMATS[name].encode(image_of(name, dtype, channels, alpha=bool(alpha)))


@pytest.mark.parametrize(("name", "dtype", "channels", "alpha"), LOSSLESS)
def test_lossless_formats_keep_every_sample(name, dtype, channels, alpha):
    image = image_of(name, dtype, channels, alpha=bool(alpha))
    check_round_trip(FORMATS[name], image)
    samples_HWC = image.pixels_HWC
    if image.alpha_HW is not None:
        samples_HWC = np.dstack([samples_HWC, image.alpha_HW])
    read = read_by_others(FORMATS[name].encode(image), deep=dtype == "uint16")
    np.testing.assert_array_equal(read, samples_HWC)


@pytest.mark.parametrize("name", [name for name in HOLDS if name != "geotiff"])
def test_what_a_format_cannot_hold_is_refused_with_a_cure(name):
    every = [
        (dtype, n, alpha) for dtype in ("uint8", "uint16") for n in (1, 2, 3, 4, 6, 13) for alpha in (0, 1)
    ]
    for dtype, channels, alpha in sorted({*every, ("float32", 1, 0)} - set(HOLDS[name])):
        image = image_of(name, "uint16" if dtype == "float32" else dtype, channels, alpha=bool(alpha))
        if dtype == "float32":
            domain = replace(image.domain, dtype="float32")
            image = replace(image, pixels_HWC=image.pixels_HWC.astype(np.float32), domain=domain)
        check_refuses(FORMATS[name], image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1)])
@pytest.mark.parametrize("name", ["png", "webp", "tiff"])
def test_thin_images(name, shape):
    image = image_of(name, "uint8", 3, alpha=True)
    pixels_HWC = np.resize(image.pixels_HWC, (*shape, 3))
    check_round_trip(FORMATS[name], image.with_pixels(pixels_HWC))


def test_opaque_alpha_stays_alpha():
    image = image_of("webp", "uint8", 3, alpha=True)
    for name in ("png", "webp", "tiff"):
        check_round_trip(FORMATS[name], replace(image, alpha_HW=np.full((37, 53), 255, np.uint8)))


@pytest.mark.parametrize("samples", [PHOTO, GREY], ids=["rgb", "grey"])
def test_jpeg_reads_as_pillow_does_and_writes_close_to_the_image(samples):
    for options in ({}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 2, "quality": 60}):
        data = saved(samples, "JPEG", **options)
        np.testing.assert_array_equal(decode(data).pixels_HWC.squeeze(), np.asarray(opened(data)))
    image = decode(saved(samples, "PNG"))
    written = encode(image, "jpeg")
    assert written == encode(image, "jpeg")
    # What Pillow's JPEG of the same setting reaches is the measure.
    peer = peak_signal_noise_ratio(
        samples, np.asarray(opened(saved(samples, "JPEG", quality=95, subsampling=0)))
    )
    ours = peak_signal_noise_ratio(samples, np.asarray(opened(written)))
    assert ours == pytest.approx(peer, abs=0.05)


def test_avif_reads_as_pillow_does_and_writes_close_to_the_image():
    for options in ({}, {"subsampling": "4:2:0", "quality": 60}, {"codec": "aom", "range": "limited"}):
        data = saved(PHOTO, "AVIF", **options)
        np.testing.assert_array_equal(decode(data).pixels_HWC, np.asarray(opened(data)))
    clear = np.dstack([PHOTO, OPACITY])
    image = decode(saved(clear, "PNG"))
    written = encode(image, "avif")
    assert written == encode(image, "avif"), "the same image gave other bytes"
    again = decode(written)
    np.testing.assert_allclose(again.alpha_HW, OPACITY, atol=1)
    visible = OPACITY > 0
    peer = np.asarray(opened(saved(PHOTO, "AVIF", quality=95, subsampling="4:4:4")))
    expected = peak_signal_noise_ratio(PHOTO[visible], peer[visible])
    ours = peak_signal_noise_ratio(PHOTO[visible], again.pixels_HWC[visible])
    assert ours == pytest.approx(expected, abs=0.5)
    assert decode(encode(again)).metadata == again.metadata


def test_webp_is_lossy_only_after_a_lossy_source():
    lossy = decode(saved(PHOTO, "WEBP", quality=80))
    assert b"VP8 " in encode(lossy)[:64]
    assert b"VP8 " in encode(decode(SOURCES["jpeg"]), "webp")
    for source in ("png", "webp", "tiff"):
        written = encode(decode(SOURCES[source]), "webp")
        np.testing.assert_array_equal(np.asarray(opened(written)), PHOTO)
    peer = peak_signal_noise_ratio(PHOTO, np.asarray(opened(saved(PHOTO, "WEBP", quality=95))))
    ours = peak_signal_noise_ratio(PHOTO, np.asarray(opened(encode(replace(lossy, pixels_HWC=PHOTO)))))
    assert ours == pytest.approx(peer, abs=0.5)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_of_few_bits_is_stretched_exactly(bits):
    top = 2**bits - 1
    values = np.arange(16) % (top + 1)
    packed = np.packbits(((values[:, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8).ravel())
    image = decode(png(16, 1, bits, 0, b"\0" + packed.tobytes()))
    np.testing.assert_array_equal(image.pixels_HWC[0, :, 0], values * 255 // top)
    assert image.domain.high == 255


def test_interlaced_png():
    np.testing.assert_array_equal(decode(interlaced_png(PHOTO)).pixels_HWC, PHOTO)


EXACT = [
    "palette.png",
    "palette-4-bit.png",
    "rgba.png",
    "grey-alpha.png",
    "clear-colour.png",
    "palette-clear.png",
]
EXACT += ["rgba.webp", "lossy-rgba.webp", "1-bit.tif", "fax.tif", "palette.tif", "1-bit.png"]
EXACT += ["lzw-1-bit.tif", "lzw-palette.tif", "with-preview.jpg"]


@pytest.mark.parametrize("name", EXACT)
def test_colours_and_opacity_are_those_that_pillow_sees(name):
    image, picture = decode(ODD_BUT_GOOD[name]), opened(ODD_BUT_GOOD[name])
    has_alpha = image.alpha_HW is not None
    mode = {(1, False): "L", (1, True): "LA", (3, False): "RGB", (3, True): "RGBA"}[image.size[2], has_alpha]
    samples = np.asarray(picture.convert(mode)).reshape(*image.size[:2], -1)
    np.testing.assert_array_equal(image.pixels_HWC, samples[:, :, : image.size[2]])
    if has_alpha:
        np.testing.assert_array_equal(image.alpha_HW, samples[:, :, -1])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rgb-16.png", DEEP),
        ("rgb-16-big-endian.tif", DEEP),
        ("planes.tif", DEEP),
        ("lzw-planes.tif", DEEP),
        ("lzw-tiled.tif", DEEP),
        ("zstd.tif", DEEP),
        ("lzma.tif", DEEP),
        ("jpeg2000.tif", DEEP),
        ("packbits.tif", PHOTO),
        ("lzw.tif", PHOTO),
        ("grey-16.tif", DEEP[:, :, :1]),
        ("grey-16.png", DEEP[:, :, :1]),
        ("six-bands.tif", np.dstack([DEEP, DEEP[::-1]])),
        ("tiled.tif", PHOTO),
        ("bigtiff.tif", PHOTO),
        ("rgba.tif", PHOTO),
        # Stored 255 is black there.
        ("white-is-zero.tif", 255 - GREY[:, :, None]),
    ],
)
def test_samples_are_those_that_were_written(name, expected):
    image = decode(ODD_BUT_GOOD[name])
    np.testing.assert_array_equal(image.pixels_HWC, expected)
    assert image.domain.dtype == expected.dtype.name
    assert image.domain.high == np.iinfo(expected.dtype).max


def test_the_range_comes_from_the_header_and_not_from_dark_pixels():
    dark = decode(tiff((DEEP >> 10).astype(np.uint16), photometric="rgb"))
    assert (dark.domain.low, dark.domain.high) == (0, 65535)
    assert dark.to_unit().max() < 0.001


def test_premultiplied_colours_do_not_go_where_they_would_be_taken_for_plain_ones():
    image = decode(tiff(np.dstack([PHOTO, OPACITY]), photometric="rgb", extrasamples=["assocalpha"]))
    for name in ("png", "webp"):
        check_refuses(FORMATS[name], image)


def test_tiff_overviews_are_not_pages():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(PHOTO, photometric="rgb", metadata=None)
        writer.write(PHOTO[::2, ::2], photometric="rgb", metadata=None, subfiletype=1)
    np.testing.assert_array_equal(decode(file.getvalue()).pixels_HWC, PHOTO)


def test_lzw_that_holds_too_little_or_nonsense_is_refused():
    rows = PHOTO.tobytes()
    encoded = imagecodecs.lzw_encode(rows)
    assert decode_lzw(encoded, len(rows), 1) == rows
    assert decode_lzw(imagecodecs.bitorder_decode(encoded), len(rows), 2) == rows
    for broken in (imagecodecs.lzw_encode(rows[:-1]), encoded[: len(encoded) // 2], bytes(100)):
        with pytest.raises(imagecodecs.TiffError):
            decode_lzw(broken, len(rows), 1)


@pytest.mark.parametrize("name", SOURCES)
def test_no_cut_file_is_read_in_part(name):
    check_every_cut_is_refused(SOURCES[name])
    check_every_cut_is_refused(encode(decode(SOURCES[name])))


@pytest.mark.parametrize("name", ODD_BUT_GOOD)
def test_unusual_files_are_read_written_and_refused_when_cut(name):
    image = decode(ODD_BUT_GOOD[name])
    again = decode(encode(image))
    assert again.metadata == image.metadata
    if FORMATS[image.metadata.format].lossless:
        np.testing.assert_array_equal(again.pixels_HWC, image.pixels_HWC)
    # What these two lose first lies behind the image.
    if name not in ("trailing-bytes.jpg", "with-preview.jpg"):
        check_every_cut_is_refused(ODD_BUT_GOOD[name])


SEEDS = [*SOURCES.values(), *(data for data in ODD_BUT_GOOD.values() if len(data) < 40_000)]


@settings(
    max_examples=400,
    deadline=2000,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=6),
    in_header=st.booleans(),
)
def test_any_bytes_give_an_image_or_an_image_error(seed, changes, in_header):
    data = bytearray(seed)
    for place, change in changes:
        start = int(place * (min(len(data), 512) if in_header else len(data)))
        data[start : start + len(change)] = change
    check_survives(bytes(data))


def tar_of(member: bytes) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        header = tarfile.TarInfo("member.bin")
        header.size = len(member)
        archive.addfile(header, io.BytesIO(member))
    return written.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC image, .* export it as JPEG"),
        (b"\0\0\0\x14ftypqt  ", "a film; take its frames out"),
        (b"RIFF\x10\0\0\0AVI LIST", "a film; take its frames out"),
        (b"II\xbc\x01", "a JPEG XR image; convert it to PNG or TIFF"),
        (b"qoif\0\0\0@", "a QOI image; convert it to PNG or TIFF"),
        (b"P5 2 2 255\n\0\0\0\0", "a Netpbm image; convert it to PNG or TIFF"),
        (b"\0\0\0\x18ftypcrx ", r"a camera raw \(CR3\); develop it"),
        (b"%PDF-1.7", "a PDF; take its images out"),
        (tar_of(b"no image"), "a tar archive, .* give its own address"),
        (gzip.compress(b"no image", mtime=0), "compressed with gzip; unpack it"),
        (bz2.compress(b"no image"), "compressed with bzip2; unpack it"),
        (lzma.compress(b"no image"), "compressed with xz; unpack it"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "none of the known formats: png, jpeg"),
        (b"\0\0\0", "none of the known formats: png, jpeg"),
    ],
)
def test_what_no_format_reads_is_called_by_its_name_with_the_cure(data, message):
    with pytest.raises(ImageError, match=message) as refusal:
        format_of(data)
    assert refusal.value.reason == "UNREADABLE"


def test_jpeg_ls_is_no_jpeg_file_that_ends_early():
    samples = np.arange(64, dtype=np.uint8).reshape(8, 8)
    with_header = imagecodecs.jpegls_encode(samples)
    bare = with_header[with_header.index(b"\xff\xd8\xff\xf7") :]
    for data in (with_header, bare):
        assert np.array_equal(imagecodecs.jpegls_decode(data), samples)
        with pytest.raises(ImageError, match="a JPEG-LS image; convert it to PNG or TIFF") as refusal:
            decode(data)
        assert refusal.value.reason == "UNREADABLE"


def test_the_limit_counts_pixels():
    data = saved(PHOTO, "PNG")
    assert decode(data, Limits(max_pixels=64 * 80)).size == (64, 80, 3)
    with pytest.raises(ImageError, match="80 x 64 pixels are more than the limit of 5119") as refusal:
        decode(data, Limits(max_pixels=64 * 80 - 1))
    assert refusal.value.reason == "TOO_LARGE"


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_png_pixel_without_a_colour_in_the_palette_is_refused(bits):
    """Readers make black of it, or white, or nothing."""
    last = (1 << bits) - 2
    picture = Pillow.fromarray(np.full((5, 9), last, np.uint8))
    picture.putpalette(bytes(range(256)) * 3)
    file = io.BytesIO()
    picture.save(file, "PNG", bits=bits)
    chunks = list(read_chunks(file.getvalue()))

    def with_colours(count: int) -> bytes:
        palette = Chunk(b"PLTE", (bytes(range(256)) * 3)[: 3 * count])
        return join_chunks(palette if chunk.kind == b"PLTE" else chunk for chunk in chunks)

    assert decode(with_colours(last + 1)).size == (5, 9, 3)
    with pytest.raises(ImageError) as refusal:
        decode(with_colours(last))
    assert refusal.value.reason == "UNREADABLE"
