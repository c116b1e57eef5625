"""What every format must do; ``test_formats.py`` runs these over all of them."""

import io
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from pipeline.errors import ImageError
from pipeline.formats import Limits, decode
from pipeline.formats.base import Format
from pipeline.imaging.image import Domain, Image, Metadata

NEEDS = {
    "geotiff": pytest.mark.skipif(not find_spec("rasterio"), reason="restora[geo] is not installed"),
}
"""Format -> the extra that it needs."""


def image_of(
    format_name: str, dtype: str, channels: int, *, alpha: bool, entries: Mapping[str, Any] | None = None
) -> Image:
    """Noise over the whole range, with its two ends, in sizes that are multiples of nothing."""
    rng = np.random.default_rng(channels)
    domain = Domain.of_integers(dtype)
    samples_HWC = rng.integers(0, int(domain.high) + 1, (37, 53, channels + alpha), dtype=dtype)
    samples_HWC[0, 0], samples_HWC[0, 1] = 0, int(domain.high)
    return Image(
        pixels_HWC=samples_HWC[:, :, :channels],
        domain=domain,
        metadata=Metadata(format_name, entries or {}),
        alpha_HW=samples_HWC[:, :, channels] if alpha else None,
    )


def check_round_trip(form: Format, image: Image) -> None:
    """Same image, same bytes; read back, the same pixels, opacity, domain; once more, the same file."""
    form.check(image)
    data = form.encode(image)
    assert form.encode(image) == data, "the same image gave other bytes"
    assert form.recognises(data)
    again = decode(data)
    np.testing.assert_array_equal(again.pixels_HWC, image.pixels_HWC)
    assert (again.alpha_HW is None) == (image.alpha_HW is None)
    if image.alpha_HW is not None:
        np.testing.assert_array_equal(again.alpha_HW, image.alpha_HW)
    assert again.domain == image.domain
    assert again.metadata.format == form.name
    assert form.encode(again) == data, "a file that is read and written changes"


def check_refuses(form: Format, image: Image) -> None:
    """What does not fit is refused with the format, the pixels and the cure in the text, early or late."""
    with pytest.raises(ImageError, match=r"(?s)holds .* not .*; ") as refusal:
        form.encode(image)
    assert refusal.value.reason == "UNENCODABLE"
    with pytest.raises(ImageError) as early:
        form.check(image)
    assert (early.value.reason, str(early.value)) == (refusal.value.reason, str(refusal.value))


def check_every_cut_is_refused(data: bytes) -> None:
    """A file cut at any of twenty places is refused; none of them is read with part of it grey."""
    decode(data)
    for percent in range(0, 100, 5):
        with pytest.raises(ImageError) as refusal:
            decode(data[: len(data) * percent // 100])
        assert refusal.value.reason in {"EMPTY", "TRUNCATED", "UNREADABLE"}, percent


def check_survives(data: bytes) -> None:
    """Whatever the bytes: an image that keeps its promises, or an ``ImageError``."""
    try:
        image = decode(data, Limits(max_pixels=1_000_000))
    except ImageError:
        return
    assert image.pixels_HWC.dtype == image.domain.dtype
    assert min(image.pixels_HWC.shape) >= 1
    assert image.alpha_HW is None or image.alpha_HW.shape == image.pixels_HWC.shape[:2]


def read_by_others(data: bytes, *, deep: bool) -> np.ndarray:
    """All samples HWC as others read them: tifffile, Pillow, libpng for what Pillow cuts to 8 bits."""
    if data[:2] in (b"II", b"MM"):
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            samples, planes = (
                tiff.asarray(),
                tiff.pages[0].planarconfig == 2 and tiff.pages[0].samplesperpixel > 1,
            )
        samples = np.moveaxis(samples, 0, -1) if planes else samples
    elif deep:
        samples = imagecodecs.png_decode(data)
    else:
        samples = np.asarray(Pillow.open(io.BytesIO(data)))
    return samples[..., None] if samples.ndim == 2 else samples
