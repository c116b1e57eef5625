"""What an item says of its bands and the file does not: holes, physical values, classes; and bits."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from pipeline.doors.stac.item import StacImage, image_of
from tests.helpers import complete, restore
from tests.stac_samples import catalogue, item_of

ANY_SHARE = {"threshold": 1.0, "stop_share": 1.0}
SENTINEL = {"nodata": 0, "data_type": "uint16", "bits_per_sample": 15, "scale": 0.0001, "offset": -0.1}


def band(
    index: int, size: int = 32, count: int = 1, dtype: str = "uint16", scales=(1.0,), **profile
) -> bytes:
    """Reflectance as Sentinel-2 has it, with a corner of zeros."""
    samples_CHW = np.random.default_rng(index).integers(1100, 3000, (count, size, size)).astype(np.uint16)
    samples_CHW[:, : size // 4, : size // 4] = 0
    grid = {"crs": "EPSG:32633", "transform": from_origin(500000.0, 5000000.0, 10, 10)}
    with rasterio.MemoryFile() as file:
        shape = {"height": size, "width": size, "count": count, "dtype": "uint16"}
        with file.open(driver="GTiff", **shape, **grid, **profile) as made:
            made.write(samples_CHW)
            made.scales = scales * count
        return file.read()


def rows_of(folder, files: dict[str, bytes], said: dict, store=None, name: str = "s0", item=None, **fields):
    """Rows and outputs of an item whose assets are these files and say this of them."""
    output = fields.pop("output", folder / "out")
    made = item_of(name, {asset: f"{asset}.tif" for asset in files}, **(item or {}))
    for asset, data in files.items():
        path = folder / f"in/alps/{name}/{asset}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        made["assets"][asset] |= said.get(asset, {})
    dataset = {"name": "alps", "uri": str(catalogue(folder / "in", [made]))}
    dataset |= {"store": {"name": "stac"} | (store or {})} | fields.pop("dataset", {})
    fields = {"restorers": ["median"], "quarantine": ANY_SHARE} | fields
    return complete(restore("", output, datasets=[dataset], **fields))


@pytest.mark.parametrize(
    "said",
    [
        {"raster:bands": [SENTINEL]},
        {"bands": [{"name": "B04", "nodata": 0, "raster:scale": 0.0001, "raster:offset": -0.1}]},
        {"bands": [{"name": "B04"}], "nodata": 0, "raster:scale": 0.0001, "raster:offset": -0.1},
        {"nodata": 0, "raster:scale": 0.0001, "raster:offset": -0.1},
    ],
    ids=["STAC 1.0", "of the band", "of its asset", "without bands"],
)
def test_holes_and_physical_values_are_those_of_the_item(tmp_path, said):
    radiometry = {"radiometry": {"low": 0.0, "high": 1.0}}
    (row,) = rows_of(tmp_path, {"red": band(1)}, {"red": said}, dataset=radiometry)
    assert (row["status"], row["data_low"], row["data_high"]) == (
        "ok",
        pytest.approx(1000),
        pytest.approx(11000),
    )
    assert row["nodata_share"] == pytest.approx(1 / 16)
    with rasterio.open(tmp_path / "out/alps/s0/red.tif") as made:
        assert (made.nodata, made.scales, made.offsets) == (0, (0.0001,), (-0.1,))
        samples_HW = made.read(1)
    assert (samples_HW[:8, :8] == 0).all()
    assert samples_HW[samples_HW > 0].min() >= 1100  # a median across the edge of a hole takes its zeros


def test_the_file_goes_before_the_item(tmp_path):
    data = {"red": band(1, nodata=2000, scales=(0.5,))}
    (row,) = rows_of(tmp_path, data, {"red": {"raster:bands": [SENTINEL | {"unit": "1"}]}})
    assert row["status"] == "ok"
    with rasterio.open(tmp_path / "out/alps/s0/red.tif") as out:
        assert (out.nodata, out.scales, out.offsets, out.units) == (2000, (0.5,), (0.0,), ("1",))


def test_strips_hear_the_item_as_a_whole_image_does(tmp_path):
    digests = []
    for output, pixels in (("whole", 10**9), ("strips", 10_000)):
        resources = {"scene_pixels": pixels, "strip_samples": 1, "unit_images": 8}
        data = band(1, 640, compress="deflate", tiled=True, blockxsize=128, blockysize=128)
        (row,) = rows_of(
            tmp_path, {"red": data}, {"red": {"raster:bands": [SENTINEL]}}, output=tmp_path / output,
            resources=resources,
        )  # fmt: skip
        assert (row["status"], row["nodata_share"]) == ("ok", pytest.approx(1 / 16))
        digests.append(row["output_sha256"])
    assert len(list((tmp_path / "strips/_restora/ledger").glob("*-strips"))) == 1
    assert digests[0] == digests[1]


def test_bands_of_several_assets_keep_bits_holes_and_scales(tmp_path):
    files = {"red": band(1, NBITS=12), "nir": band(2, NBITS=12)}
    said = {"red": {"raster:bands": [SENTINEL]}, "nir": {"raster:bands": [SENTINEL | {"offset": 0.0}]}}
    (row,) = rows_of(tmp_path, files, said, {"assets": ["nir", "red"]}, restorers=["identity"])
    assert (row["status"], row["data_high"], row["data_range_rule"]) == ("ok", 4095, "header")
    assert row["nodata_share"] == pytest.approx(1 / 16)
    with rasterio.open(tmp_path / "out/alps/s0/nir+red.tif") as made:
        assert (made.nodata, made.scales, made.offsets) == (0, (0.0001, 0.0001), (0.0, -0.1))
        for at, name in enumerate(("nir", "red"), 1):
            with rasterio.MemoryFile(files[name]) as file, file.open() as source:
                np.testing.assert_array_equal(made.read(at), source.read(1))


def test_assets_of_different_bits_or_holes_are_no_one_image(tmp_path):
    wanted = {"store": {"assets": ["red", "nir"]}, "restorers": ["identity"]}
    bits = {"red": band(1, NBITS=12), "nir": band(2)}
    (row,) = rows_of(tmp_path / "bits", bits, {}, **wanted)
    assert (row["reason"], "bits a sample" in row["message"]) == ("ASSET_GRIDS", True)
    said = {"red": {"nodata": 0}, "nir": {"nodata": -1}}
    (row,) = rows_of(tmp_path / "holes", {"red": band(1), "nir": band(2)}, said, **wanted)
    assert (row["reason"], "value of no data" in row["message"]) == ("ASSET_GRIDS", True)


CLASSES = [{"value": 4, "name": "vegetation"}, {"value": 0, "name": "fill", "nodata": True}]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"raster:bands": [{"scale": 0.1}, {"scale": 0.2}]}, "BAD_ITEM"),
        ({"raster:bands": [{"nodata": 0}, {"nodata": 1}, {"nodata": 0}]}, "UNENCODABLE"),
        ({"classification:classes": CLASSES}, "UNSUPPORTED_COLOUR"),
        ({"bands": [{"classification:bitfields": [{"offset": 0}]}]}, "UNSUPPORTED_COLOUR"),
        ({"classification:classes": CLASSES[1:], "nodata": "nan"}, None),
        ({"raster:bands": [{"nodata": "x", "scale": True, "offset": "1"}] * 2}, None),
        ({"raster:bands": "none", "bands": [None]}, None),
        ({"raster:bands": [SENTINEL]}, None),
    ],
)
def test_bands_that_contradict_the_file_and_classes_are_refused(tmp_path, said, reason):
    (row,) = rows_of(tmp_path, {"image": band(1, count=3)}, {"image": said}, restorers=["identity"])
    assert row["reason"] == reason


def test_the_item_may_say_it_of_all_its_assets_and_the_plan_keeps_it():
    item = item_of("s0", {"red": "red.tif"}, nodata=-9999.0, unit="K")
    image = image_of(item, "/x/s0.json", ())
    assert [(each.nodata, each.unit) for each in image.said[0]] == [("-9999", "K")]
    assert StacImage.of(image.text).said == image.said
    older = image.text.rpartition(",[[[")[0] + "]"  # of a plan without what is said
    assert StacImage.of(older).bands == [(*image.assets[0], ())]
