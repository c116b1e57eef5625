"""Images of microscopes say how large a pixel is, in whatever size: tifffile and its reading of OME look."""

import io
import struct
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from pipeline.errors import ImageError
from pipeline.formats import decode, encode
from pipeline.formats.tiff.microscopy import ome_on

pytest.importorskip("rasterio", reason="restora[geo] is not installed")
SAMPLES = np.random.default_rng(0).integers(0, 200, (41, 48))
OME = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "\u00b5m", "PhysicalSizeY": 0.25, "Name": "cells \u00e9"}
IMAGEJ = {"unit": "um", "spacing": 1.5}


def tiff(dtype: str, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, SAMPLES.astype(dtype), **options)
    return file.getvalue()


def of_size(image, factor: float):
    """With as many times as many pixels a side; a rest at the lower right is cut off before."""
    if factor >= 1:
        times = int(factor)
        return image.with_pixels(np.repeat(np.repeat(image.pixels_HWC, times, 0), times, 1))
    step = round(1 / factor)
    height, width = (side // step for side in image.size[:2])
    return image.with_pixels(image.pixels_HWC[: height * step : step, : width * step : step].copy())


@pytest.mark.parametrize("factor", [1, 3, 0.25])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int16"])
def test_ome_pixels_are_as_many_and_as_large_as_they_are(dtype, factor):
    image = of_size(decode(tiff(dtype, ome=True, metadata=OME | {"axes": "YX"})), factor)
    with tifffile.TiffFile(io.BytesIO(encode(image))) as file:
        assert file.is_ome
        assert file.series[0].shape == image.size[:2]
        pixels = next(ElementTree.fromstring(file.ome_metadata).iter(f"{NAMESPACE}Pixels"))
        assert (int(pixels.get("SizeY")), int(pixels.get("SizeX"))) == image.size[:2]
        assert float(pixels.get("PhysicalSizeX")) == 0.5 / factor
        assert float(pixels.get("PhysicalSizeY")) == 0.25 / factor
        assert pixels.get("PhysicalSizeXUnit") == "\u00b5m"
        assert "cells \u00e9" in file.ome_metadata


NAMESPACE = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


@pytest.mark.parametrize("factor", [1, 3, 0.25])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_imagej_has_as_many_pixels_a_unit(dtype, factor):
    image = decode(tiff(dtype, imagej=True, resolution=(2.5, 5.0), metadata=IMAGEJ))
    with tifffile.TiffFile(io.BytesIO(encode(of_size(image, factor)))) as file:
        found = [file.pages[0].tags[code].value for code in (282, 283)]
        assert [over / under for over, under in found] == pytest.approx([2.5 * factor, 5.0 * factor])
        assert file.imagej_metadata["unit"] == "um"


def test_a_photograph_keeps_its_dots_an_inch():
    image = of_size(decode(tiff("uint8", resolution=(300, 300), resolutionunit=2, metadata=None)), 3)
    with tifffile.TiffFile(io.BytesIO(encode(image))) as file:
        assert file.pages[0].tags[282].value == (300, 1)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_shape_of_an_array_that_it_is_no_longer_is_not_said(dtype):
    image = decode(tiff(dtype))
    assert b'"shape"' in tiff(dtype)
    assert b'"shape"' not in encode(of_size(image, 2))


@pytest.mark.parametrize(
    "description",
    [
        "<OME><Pixels SizeX='5'/></OME>",
        '<OME><Pixels SizeX="5" SizeY="4"/><Pixels SizeX="5" SizeY="4"/></OME>',
        '<OME><Pixels SizeX="6" SizeY="4"/></OME>',
        '<OME><Pixels SizeX="5" SizeY="4" PhysicalSizeX="half a metre"/></OME>',
    ],
)
def test_what_cannot_be_said_anew_is_refused_or_left_out(description):
    assert ome_on(description, (4, 5), (8, 10)) is None
    assert ome_on(description, (4, 5), (7, 9)) is None
    namespaced = '<ome:OME><ome:Pixels SizeX="5" SizeY="4"></ome:Pixels></ome:OME>'
    assert 'SizeX="10" SizeY="8"' in ome_on(namespaced, (4, 5), (8, 10))
    image = decode(tiff("uint8", ome=True, metadata={"axes": "YX"}))
    with pytest.raises(ImageError, match="OME description"):
        encode(image.with_pixels(np.zeros((50, 60, 1), np.uint8)))


def test_a_resolution_over_nothing_or_too_fine_is_left_out():
    data = tiff("uint8", imagej=True, resolution=(2**31, 3.0), metadata=IMAGEJ)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        at = file.pages[0].tags[283].valueoffset
    data = data[:at] + struct.pack(">II", 3, 0) + data[at + 8 :]
    with tifffile.TiffFile(io.BytesIO(encode(of_size(decode(data), 3)))) as file:
        assert file.pages[0].tags[282].value != (2**31, 1)
        assert file.pages[0].shape == (123, 144)
