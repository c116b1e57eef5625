"""Zarr: the contract, what is wrong with arrays, and whole runs whose output others open."""

import gzip
import shutil
import struct
import uuid
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("zarr", reason="needs the extra zarr")

from pipeline import run
from pipeline.doctor import reach
from pipeline.doors import door_of, open_archive
from pipeline.doors.zarr.archive import EMPTY, ZarrArchive
from pipeline.doors.zarr.hierarchy import NO_IMAGE, SMALLER
from pipeline.errors import ImageError, JobError
from pipeline.formats import decode, encode
from pipeline.formats.zarr_container import Header, pack, unpack
from pipeline.jobs.job import Dataset
from pipeline.ledger.run_folder import open_run
from pipeline.results.verify import verify
from pipeline.storage import folder as storage
from pipeline.storage.folder import Folder
from tests.door_contract import (
    check_absent,
    check_door,
    check_kill_safe,
    check_losses_are_seen,
    check_many,
    listed,
)
from tests.helpers import complete, metric_rows, plan_and_execute, restore
from tests.moto_s3 import new_bucket
from tests.zarr_samples import cube, pyramid, zarr

numcodecs = pytest.importorskip("numcodecs", reason="comes with the extra zarr")

ODD = ("plain", "with space", "d\u00e9j\u00e0 vu/\u5199\u771f", "100%", "[b]", "q'")
NAMES = tuple(f"{name}/0-12,0-20.zblock" for name in ODD)
pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata")


def archive_of(url, **options) -> ZarrArchive:
    store = {"name": "zarr"} | options
    return open_archive(Dataset(name="cube", uri=str(url), store=store), str(url))


def job_on(source, output, restorer="median", store=None, **fields):
    dataset = {"name": "cube", "uri": str(source), "store": {"name": "zarr"} | (store or {})}
    return restore("", output, datasets=[dataset], restorers=[restorer], **fields)


@pytest.fixture(params=["disk", "s3"])
def place(request, tmp_path):
    if request.param == "disk":
        return str(tmp_path)
    request.getfixturevalue("s3")
    return new_bucket()


def moved(folder, url: str) -> str:
    """Copies a hierarchy from the disk to where it is wanted."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            Folder(url).put(f"{folder.name}/{path.relative_to(folder)}", path.read_bytes())
    return f"{url}/{folder.name}"


@pytest.mark.parametrize(
    ("place", "version", "names"),
    [("disk", 2, NAMES), ("disk", 3, NAMES), ("s3", 3, NAMES[3:4])],
    indirect=["place"],
)
def test_arrays_keep_the_contract(tmp_path, place, version, names):
    def make(images):
        for key, data in images.items():
            _, samples_CHW = unpack(data)
            array = zarr.create_array(
                tmp_path / "a.zarr" / key.rpartition("/")[0],
                shape=samples_CHW.shape[1:],
                dtype="uint16",
                chunks=(5, 7),
                zarr_format=version,
                overwrite=True,
            )
            array[...] = samples_CHW[0]
        url = moved(tmp_path / "a.zarr", f"{place}/there")
        return lambda: archive_of(url)

    def data_of(index):
        samples = np.random.default_rng(index).integers(1, 60000, (1, 12, 20), np.uint16)
        return pack(Header("uint16", (1, 12, 20)), samples)

    check_door(make, data_of, names)


def test_what_is_not_there_cannot_be_listed(tmp_path):
    check_absent(lambda: archive_of(tmp_path / "none.zarr"))


def test_a_large_array_is_listed_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "PAGE", 100)
    zarr.create_array(tmp_path / "a.zarr", shape=(300, 4, 4), dtype="uint8", chunks=(1, 4, 4))
    for index in range(300):
        place = tmp_path / f"a.zarr/c/{index}/0"
        place.mkdir(parents=True)
        (place / "0").touch()
    check_many(archive_of(tmp_path / "a.zarr"), 300, 1 << 19)


def test_an_address_says_that_it_is_one(tmp_path):
    assert door_of(Dataset(name="a", uri="s3://b/S2.ZARR/"), "s3://b/S2.ZARR/").name == "zarr"
    cube(tmp_path / "a.zarr")
    assert reach(str(tmp_path / "a.zarr")).message.startswith("listing and reading work (zarr)")


def places_in_gdal(folder) -> tuple:
    """Size, transform, value of no data and dates of the first plane, as GDAL reads them."""
    rasterio = pytest.importorskip("rasterio", reason="another reader")
    with rasterio.open(f'ZARR:"{folder}":/reflectance:0') as raster:
        assert raster.transform.to_gdal() == (499995.0, 10.0, 0.0, 4000005.0, 0.0, -10.0)
        return raster.shape, raster.transform, raster.nodata, raster.count, raster.dtypes


@pytest.mark.parametrize("version", [2, 3])
def test_xarray_opens_the_output_with_the_same_coordinates(tmp_path, version):
    import xarray

    values = cube(tmp_path / "a.zarr", version)
    job = job_on(tmp_path / "a.zarr", tmp_path / "out", store={"tile": 16, "overlap": 4})
    rows = complete(job)
    assert len(rows) == 18
    assert {row["status"] for row in rows} == {"ok"}
    before, after = (xarray.open_zarr(each) for each in (tmp_path / "a.zarr", tmp_path / "out/a.zarr"))
    assert before.attrs == after.attrs
    if version == 2:  # GDAL 3.10 reads none of version 3 as zarr and xarray write it
        assert places_in_gdal(tmp_path / "out/a.zarr") == places_in_gdal(tmp_path / "a.zarr")
    for name in ("time", "y", "x", "spatial_ref", "quality"):
        assert before[name].identical(after[name])
    assert after.reflectance.dims == before.reflectance.dims
    assert after.reflectance.encoding["_FillValue"] == 0
    made = zarr.open_array(tmp_path / "out/a.zarr/reflectance")[...]
    assert (made[0, :3, :5] == 0).all()
    assert (made != values).any()
    if version == 3:
        complete(job_on(tmp_path / "a.zarr", tmp_path / "whole"))
        assert (zarr.open_array(tmp_path / "whole/a.zarr/reflectance")[...] == made).all()
        assert plan_and_execute(job)[0].left == 0


def test_enlarged_arrays_have_coordinates_between_the_old_ones(tmp_path):
    import xarray

    cube(tmp_path / "a.zarr", side=(24, 32), chunk=(2, 8, 8))
    complete(job_on(tmp_path / "a.zarr", tmp_path / "out", "bicubic-x2", {"tile": 8, "overlap": 8}))
    after = xarray.open_zarr(tmp_path / "out/a.zarr")
    assert after.reflectance.shape == (2, 48, 64)
    assert after.quality.shape == (48, 64)
    np.testing.assert_allclose(after.x[:3], [499_997.5, 500_002.5, 500_007.5])
    np.testing.assert_allclose(after.y[[0, -1]], [4_000_002.5, 4_000_002.5 - 5 * 47])
    assert after.spatial_ref.attrs["GeoTransform"] == "499995.0 5.0 0.0 4000005.0 0.0 -5.0"
    made = zarr.open_array(tmp_path / "out/a.zarr/reflectance")
    assert made.chunks == (1, 8, 8)


@pytest.mark.filterwarnings("ignore:The data type")
def test_the_pixels_of_an_enlarged_swath_lie_between_the_old_ones_also_across_the_date_line(tmp_path):
    xarray = pytest.importorskip("xarray", reason="judges the output")
    y, x = np.mgrid[:6, :8].astype(np.float64)
    latitudes, longitudes = 10 - 0.5 * y - 0.1 * x, 178 + 0.5 * x + 0.1 * y
    known = longitudes.copy()
    longitudes = np.where(longitudes > 180, longitudes - 360, longitudes)
    latitudes[0, 0] = np.nan
    places = {
        "lat": (("y", "x"), latitudes, {"units": "degrees_north"}),
        "lon": (("y", "x"), longitudes, {"units": "degrees_east"}),
        "site": (("y",), np.array(list("abcdef"))),
    }
    values = np.random.default_rng(0).integers(1, 200, (6, 8), np.uint8)
    xarray.Dataset({"radiance": (("y", "x"), values)}, places).to_zarr(
        tmp_path / "a.zarr", consolidated=False
    )
    complete(job_on(tmp_path / "a.zarr", tmp_path / "out", "bicubic-x2"))
    made = xarray.open_zarr(tmp_path / "out/a.zarr", consolidated=False)
    at_y, at_x = (np.mgrid[:12, :16] + 0.5) / 2 - 0.5
    lat, lon = made["lat"].values, made["lon"].values
    assert np.abs(lon).max() <= 180
    assert np.abs((lon - (178 + 0.5 * at_x + 0.1 * at_y) + 180) % 360 - 180).max() < 1e-9
    assert known.max() > 180
    assert np.isnan(lat[:2, :2]).all()
    assert np.abs((lat - (10 - 0.5 * at_y - 0.1 * at_x))[4:, 4:]).max() < 1e-9
    assert made["site"].values.tolist() == [each for each in "abcdef" for _ in range(2)]


@pytest.mark.parametrize("version", [2, 3])
def test_a_pyramid_is_restored_at_its_largest_level_and_made_again_below(tmp_path, version):
    pyramid(tmp_path / "a.zarr", version)
    left_out: Counter[str] = Counter()
    found = [each for page in archive_of(tmp_path / "a.zarr").pages("*", left_out) for each in page]
    assert [each.key for each in found] == ["0/0,0-64,0-64.zblock", "0/1,0-64,0-64.zblock"]
    assert left_out == {SMALLER: 1}
    complete(job_on(tmp_path / "a.zarr", tmp_path / "out", store={"tile": 32}))
    source, made = (zarr.open_group(each) for each in (tmp_path / "a.zarr", tmp_path / "out/a.zarr"))
    assert made.attrs.asdict() == source.attrs.asdict()
    means = np.rint(made["0"][...].reshape(2, 32, 2, 32, 2).mean((2, 4)))
    assert (made["1"][...] == means).all()
    assert made["0"].shards == ((1, 32, 32) if version == 3 else None)
    assert made["0"].chunks == (1, 16, 16)
    if version == 2:
        return
    complete(job_on(tmp_path / "a.zarr", tmp_path / "twice", "bicubic-x2"))
    attributes = zarr.open_group(tmp_path / "twice/a.zarr").attrs.asdict()
    level = attributes.get("ome", attributes)["multiscales"][0]["datasets"][0]
    assert level["coordinateTransformations"] == [
        {"type": "scale", "scale": [1.0, 0.25, 0.25]},
        {"type": "translation", "translation": [0.0, -0.125, -0.125]},
    ]


def test_smaller_levels_are_means_of_what_lies_in_them_in_depth_too_and_of_nothing_without_data(tmp_path):
    root = zarr.create_group(tmp_path / "a.zarr", zarr_format=3)
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    scales = (("0", [1.0, 1.0, 1.0]), ("1", [2.0, 2.0, 2.0]))
    levels = [
        {"path": path, "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        for path, scale in scales
    ]
    root.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}
    values = np.random.default_rng(0).integers(1, 4000, (5, 16, 16), np.uint16)
    values[:, :3, :5] = 0
    large = root.create_array("0", data=values, chunks=(1, 8, 8))
    large.attrs["_FillValue"] = 0
    root.create_array("1", shape=(3, 8, 8), dtype="uint16", chunks=(1, 8, 8))
    complete(job_on(tmp_path / "a.zarr", tmp_path / "out", "identity"))
    made = zarr.open_group(tmp_path / "out/a.zarr")
    assert (made["0"][...] == values).all()
    cells = np.concatenate([values, values[-1:]]).reshape(3, 2, 8, 2, 8, 2).transpose(0, 2, 4, 1, 3, 5)
    known = np.ma.masked_equal(cells.reshape(3, 8, 8, 8), 0).mean(3)
    assert (made["1"][...] == np.rint(known).filled(0)).all()


def test_killed_at_any_write_the_array_is_complete_in_the_end(tmp_path, place, monkeypatch):
    on_disk = not place.startswith("s3")
    blocks = 2 if on_disk else 1
    array = zarr.create_array(tmp_path / "a.zarr", shape=(8, 8 * blocks), dtype="uint8", chunks=(8, 8))
    array[...] = np.arange(64 * blocks, dtype=np.uint8).reshape(8, -1)
    job = job_on(moved(tmp_path / "a.zarr", f"{place}/in"), f"{place}/out", store={"tile": 8})

    def results() -> dict[str, bytes]:
        out = Folder(f"{place}/out/a.zarr")
        return {entry.key: out.read(entry.key) for page in out.pages() for entry in page}

    assert check_kill_safe(job, results, monkeypatch, before=on_disk) >= 3 * blocks - 1


def test_only_what_changed_is_done_again_and_what_is_lost_is_made_again(tmp_path):
    cube(tmp_path / "a.zarr", side=(32, 32))
    job = job_on(tmp_path / "a.zarr", tmp_path / "out", store={"tile": 16, "overlap": 0})
    complete(job)
    array = zarr.open_array(tmp_path / "a.zarr/reflectance", mode="r+")
    array[1, 20, 20] = 17
    assert plan_and_execute(job)[0].left == 1
    complete(job)
    (tmp_path / "out/a.zarr/reflectance/c/0/1/1").unlink()
    assert verify(open_run(job)).problem_count == 1
    plan_and_execute(job, repair=True)
    assert verify(open_run(job)).is_whole


@pytest.mark.parametrize(("make", "version"), [(cube, 2), (pyramid, 3)])
def test_coordinates_levels_and_metadata_are_verified_as_blocks_are(tmp_path, make, version):
    make(tmp_path / "a.zarr", version)
    check_losses_are_seen(job_on(tmp_path / "a.zarr", tmp_path / "out", store={"tile": 64}))


def reasons_of(archive) -> dict[str, str]:
    found = {}
    for entry in listed(archive):
        try:
            decode(archive.read(entry.at))
        except ImageError as error:
            found[entry.key] = f"{error.reason} {error}"
    return found


def test_chunks_that_were_never_written_are_no_data(tmp_path):
    values = np.full((24, 24), 7, np.uint16)
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=(24, 24), dtype="uint16", chunks=(8, 8), fill_value=7
    )
    array[...] = np.arange(576, dtype=np.uint16).reshape(24, 24)
    shutil.rmtree(tmp_path / "a.zarr/c/1")
    (tmp_path / "a.zarr/c/0/0").unlink()
    archive, left_out = archive_of(tmp_path / "a.zarr", tile=8, overlap=2), Counter()
    keys = [entry.key for page in archive.pages("*", left_out) for entry in page]
    assert left_out == {EMPTY: 4}
    assert "0-8,8-16.zblock" in keys
    rows = complete(job_on(tmp_path / "a.zarr", tmp_path / "out"))
    assert rows[0]["nodata_share"] == pytest.approx(4 / 9)
    made = zarr.open_array(tmp_path / "out/a.zarr")[...]
    assert (made[8:16] == values[8:16]).all()


@pytest.mark.parametrize("version", [2, 3])
def test_unsigned_numbers_in_a_signed_array_are_those_that_xarray_sees(tmp_path, version):
    xarray = pytest.importorskip("xarray", reason="judges the output")
    stored = np.linspace(30_000, 36_000, 256).astype(np.uint16).reshape(16, 16)
    stored[0, :3] = 65535
    told = {"_Unsigned": "true", "_FillValue": np.int16(-1), "scale_factor": 0.5}
    array = xarray.Variable(("y", "x"), stored.view(np.int16), told)
    dataset = xarray.Dataset({"radiance": array}).drop_encoding()
    dataset.to_zarr(tmp_path / "a.zarr", zarr_format=version, consolidated=False)
    (row,) = complete(job_on(tmp_path / "a.zarr", tmp_path / "out"))
    assert (row["dtype"], row["nodata_share"]) == ("uint16", pytest.approx(3 / 256))
    before, after = (
        xarray.open_zarr(each, consolidated=False)["radiance"].values
        for each in (tmp_path / "a.zarr", tmp_path / "out/a.zarr")
    )
    assert np.isnan(before[0, :3]).all()
    np.testing.assert_array_equal(np.isnan(after), np.isnan(before))
    assert np.nanmax(np.abs(after - before)) < 250  # of values about 16,000


@pytest.mark.parametrize("told", [{"missing_value": [0, 9]}, {"_FillValue": 0, "missing_value": 9}])
def test_several_values_mean_no_data_and_no_restored_one_becomes_one_of_them(tmp_path, told):
    values = np.full((8, 8), 8, np.uint8)
    values[0, 0], values[1, 1] = 0, 9
    array = zarr.create_array(tmp_path / "a.zarr", data=values, chunks=(8, 8))
    array.attrs.update(told)
    archive = archive_of(tmp_path / "a.zarr")
    image = decode(archive.read(listed(archive)[0].at))
    assert image.valid_HW is not None
    assert (image.valid_HW == (values == 8)).all()
    for restored, kept in ((0, 1), (9, 10), (8, 8)):
        made = decode(encode(image.with_pixels(np.full((8, 8, 1), restored, np.uint8))))
        assert (made.pixels_HWC[:, :, 0] == np.where(values == 8, kept, values)).all()


def test_a_codec_that_is_not_there_and_chunks_that_do_not_decode_are_rows(tmp_path):
    for name, codec in (("known", "gzip"), ("unknown", "gzip"), ("broken", "gzip")):
        compressor = zarr.codecs.GzipCodec() if codec == "gzip" else None
        array = zarr.create_array(
            tmp_path / "a.zarr" / name, shape=(8, 8), dtype="uint8", chunks=(8, 8), compressors=compressor
        )
        array[...] = np.arange(64, dtype=np.uint8).reshape(8, 8)
    document = tmp_path / "a.zarr/unknown/zarr.json"
    document.write_text(document.read_text().replace('"gzip"', '"wavelet-of-2031"'))
    (tmp_path / "a.zarr/broken/c/0/0").write_bytes(b"\x1f\x8b no gzip")
    zarr.create_array(tmp_path / "a.zarr/complex", shape=(8, 8), dtype="complex64")[...] = 1
    found = reasons_of(archive_of(tmp_path / "a.zarr"))
    assert found.keys() == {"unknown.zblock", "broken/0-8,0-8.zblock", "complex/0-8,0-8.zblock"}
    assert found["unknown.zblock"].startswith("UNREADABLE zarr cannot read the array")
    assert "wavelet-of-2031" in found["unknown.zblock"]
    assert found["broken/0-8,0-8.zblock"].startswith("UNREADABLE a chunk of the array does not decode")
    assert found["complex/0-8,0-8.zblock"].startswith("UNSUPPORTED_DTYPE")


@pytest.mark.filterwarnings("ignore:Numcodecs codecs")
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", ["GZip", "Zlib", "BZ2", "LZMA", "Zstd", "Blosc", "LZ4"])
def test_no_chunk_decodes_to_more_than_its_array_announces(tmp_path, version, name):
    codec = getattr(numcodecs, name)()
    wanted = codec if version == 2 else getattr(zarr.codecs.numcodecs, name)()
    values = np.arange(256, dtype=np.int16).reshape(16, 16)
    kept = {"dtype": "int16", "compressors": wanted, "zarr_format": version}
    zarr.create_array(tmp_path / "a.zarr/b", shape=(16, 16), chunks=(16, 8), **kept)[...] = values
    bomb = tmp_path / "a.zarr/b" / ("0.1" if version == 2 else "c/0/1")
    bomb.write_bytes(codec.encode(bytes(1 << 20)))
    archive = archive_of(tmp_path / "a.zarr", tile=8, overlap=0)
    first, second = listed(archive)
    np.testing.assert_array_equal(unpack(archive.read(first.at))[1][0], values[:, :8])
    with pytest.raises(ImageError, match="more than its shape announces") as caught:
        archive.read(second.at)
    assert caught.value.reason == "TOO_LARGE"


def test_the_chunks_in_a_shard_are_bounded_as_well(tmp_path):
    """A shard of one chunk, its index behind it: where the chunk lies, and a checksum."""
    pyramid(tmp_path / "a.zarr")
    inside = numcodecs.Zstd().encode(bytes(1 << 20))
    index = struct.pack("<8Q", 0, len(inside), *[2**64 - 1] * 6)
    shard = inside + bytes(numcodecs.CRC32C(location="end").encode(index))
    (tmp_path / "a.zarr/0/c/0/0/0").write_bytes(shard)
    assert set(reasons_of(archive_of(tmp_path / "a.zarr", tile=32)).values()) == {
        "TOO_LARGE a chunk of the array holds more than its shape announces; write it again"
    }


def test_a_block_that_is_larger_than_any_image_is_not_read(tmp_path):
    """Of 100 x 100 pixels, in a chunk of gigabytes."""
    sides = {"shape": (100, 100), "dtype": "uint8", "chunks": (1 << 16, 1 << 16)}
    zarr.create_array(tmp_path / "a.zarr/b", **sides, compressors=zarr.codecs.GzipCodec())
    (tmp_path / "a.zarr/b/c/0").mkdir(parents=True)
    (tmp_path / "a.zarr/b/c/0/0").write_bytes(gzip.compress(bytes(1 << 20)))
    rows = complete(job_on(tmp_path / "a.zarr", tmp_path / "out", quarantine={"stop_share": 1.0}))
    assert [row["reason"] for row in rows] == ["TOO_LARGE"]


def test_an_array_that_changes_after_it_was_listed_is_not_read(tmp_path):
    cube(tmp_path / "a.zarr", side=(16, 16))
    archive = archive_of(tmp_path / "a.zarr")
    entry = listed(archive)[0]
    cube(tmp_path / "a.zarr", side=(16, 16), seed=1)
    with pytest.raises(ImageError, match="another block") as caught:
        archive.read(entry.at)
    assert caught.value.reason == "CHANGED"


def test_bands_are_the_channels_of_one_image_and_flags_and_labels_are_none(tmp_path):
    root = zarr.create_group(tmp_path / "a.zarr")
    array = root.create_array(
        "b", shape=(3, 8, 8), dtype="uint8", chunks=(2, 8, 8), dimension_names=("band", "y", "x")
    )
    array[...] = np.arange(192, dtype=np.uint8).reshape(3, 8, 8)
    root.create_array("labels/0", shape=(8, 8), dtype="uint8")[...] = 1
    root.create_array("valid", shape=(8, 8), dtype="bool")[...] = True
    left_out: Counter[str] = Counter()
    archive = archive_of(tmp_path / "a.zarr")
    (entry,) = [each for page in archive.pages("*", left_out) for each in page]
    assert left_out == {NO_IMAGE: 2}
    assert decode(archive.read(entry.at)).size == (8, 8, 3)
    assert len(listed(archive_of(tmp_path / "a.zarr", bands="none"))) == 3
    complete(job_on(tmp_path / "a.zarr", tmp_path / "out", "identity"))
    made = zarr.open_group(tmp_path / "out/a.zarr")
    assert (made["b"][...] == array[...]).all()
    assert made["valid"][...].all()


@pytest.mark.filterwarnings("ignore:The data type")
@pytest.mark.parametrize("version", [2, 3])
def test_arrays_of_dates_and_texts_are_no_images_and_cost_no_other(tmp_path, version):
    root = zarr.create_group(tmp_path / "a.zarr", zarr_format=version)
    root.create_array("image", data=np.arange(64, dtype=np.uint8).reshape(8, 8))
    dates = np.arange(64).reshape(8, 8).astype("datetime64[s]")
    root.create_array("dates", data=dates)
    root.create_array("names", data=np.full((8, 8), "ab", "<U2"))
    left_out: Counter[str] = Counter()
    found = [each.key for page in archive_of(tmp_path / "a.zarr").pages("*", left_out) for each in page]
    assert (found, left_out) == (["image/0-8,0-8.zblock"], {NO_IMAGE: 2})
    complete(job_on(tmp_path / "a.zarr", tmp_path / "out"))
    assert (zarr.open_array(tmp_path / "out/a.zarr/dates")[...] == dates).all()


def test_arrays_in_memory_of_others_become_pictures_where_the_job_says_so(tmp_path):
    url = f"memory://{uuid.uuid4().hex}/a.zarr"
    cube(tmp_path / "a.zarr", side=(16, 16))
    for entry in listed(Folder(str(tmp_path / "a.zarr"))):
        Folder(url).put(entry.key, Folder(str(tmp_path / "a.zarr")).read(entry.key))
    job = job_on(url, tmp_path / "out", output_store="folder", output_format="tiff")
    names = [row["output_uri"].rpartition("/")[2] for row in complete(job)]
    assert names == [f"{t},0-16,0-16.zblock.tif" for t in (0, 1)]
    wrong = job_on(url, tmp_path / "wrong", output_format="png")
    plan_and_execute(wrong)
    run.compact(open_run(wrong))
    assert {row["reason"] for row in metric_rows(wrong)} == {"UNENCODABLE"}
    private = Dataset(name="cube", uri=url, private=True, store="zarr")
    hidden = job_on(url, tmp_path / "p").model_copy(update={"datasets": (private,)})
    with pytest.raises(JobError, match="private"):
        plan_and_execute(hidden)
