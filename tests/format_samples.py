"""One file of every format with all the metadata it can carry, written by Pillow."""

import io

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms
from PIL.TiffImagePlugin import IFDRational

from pipeline.imaging.image import Image
from tests.bad_images import PHOTO, saved

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"/><?xpacket end="w"?>'
ARTIST, ORIENTATION, EXPOSURE, EXIF_POINTER, GPS_POINTER = 315, 274, 33434, 0x8769, 0x8825


def _exif() -> bytes:
    """By Pillow: orientation, artist, exposure time, position."""
    exif = Pillow.Exif()
    exif[ORIENTATION], exif[ARTIST] = 6, "A. Photographer"
    exif.get_ifd(EXIF_POINTER)[EXPOSURE] = IFDRational(1, 125)
    exif.get_ifd(GPS_POINTER)[1] = "N"
    return exif.tobytes()


EXIF = _exif()
SOURCES = {
    "png": saved(PHOTO, "PNG", exif=EXIF, icc_profile=ICC, dpi=(300, 300)),
    "jpeg": saved(PHOTO, "JPEG", exif=EXIF, icc_profile=ICC, xmp=XMP, dpi=(300, 200), comment=b"a comment"),
    "webp": saved(PHOTO, "WEBP", exif=EXIF, icc_profile=ICC, xmp=XMP, lossless=True),
    "avif": saved(PHOTO, "AVIF", exif=EXIF, icc_profile=ICC, xmp=XMP, quality=90),
    "tiff": saved(PHOTO, "TIFF", exif=EXIF, icc_profile=ICC, dpi=(300, 200), description="a face"),
}


def opened(data: bytes) -> Pillow.Image:
    """By Pillow, its metadata as stored."""
    # Not loaded, for Pillow then turns a TIFF and forgets how it was stored.
    return Pillow.open(io.BytesIO(data))


def enlarged(image: Image) -> Image:
    """Twice as high and wide."""
    return image.with_pixels(np.repeat(np.repeat(image.pixels_HWC, 2, 0), 2, 1))
