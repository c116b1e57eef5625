"""STAC: catalogues in and out, from end to end, and what is wrong with one."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pystac
import pytest
import rasterio

from pipeline.doors import open_archive
from pipeline.doors.stac.archive import TWICE
from pipeline.doors.stac.filters import FILTERED, NO_CLOUDS, NO_PLACE
from pipeline.doors.stac.geoparquet import geometry_of
from pipeline.doors.stac.walking import LOOPS
from pipeline.errors import ImageError, JobError, StorageError
from pipeline.formats.geotiff.directory import read_directory
from pipeline.formats.geotiff.limits import segments_of
from pipeline.jobs.job import Dataset, Job
from pipeline.privacy.key import VARIABLE, make_key
from tests.canary import CANARY, hits
from tests.door_contract import check_kill_safe, check_losses_are_seen, listed
from tests.helpers import complete, plan_and_execute, restore
from tests.stac_samples import catalogue, entrance, item_of, problems, raster

ANY_SHARE = {"threshold": 1.0, "stop_share": 1.0}


def archive_at(url, **store):
    dataset = {"name": "alps", "uri": str(url), "store": {"name": "stac"} | store}
    return open_archive(Dataset.model_validate(dataset), str(url))


def scenes(folder, count: int = 3, **fields):
    """A catalogue of items of two bands and a thumbnail."""
    items = []
    for i in range(count):
        item = item_of(f"s{i}", {"red": "red.tif", "nir": "./nir.tif"}, **fields)
        item["assets"]["thumbnail"] = {"href": "t.png", "type": "image/png", "roles": ["thumbnail"]}
        for j, band in enumerate(("red", "nir")):
            path = folder / f"alps/s{i}/{band}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raster(2 * i + j))
        items.append(item)
    return catalogue(folder, items)


def job_on(url, output, store=None, **fields) -> Job:
    dataset = {"name": "alps", "uri": str(url), "store": {"name": "stac"} | (store or {})}
    return restore("", output, datasets=[dataset], quarantine=ANY_SHARE, **fields)


def test_bands_of_an_item_become_one_image_with_a_derived_item(tmp_path):
    job = job_on(scenes(tmp_path / "in"), tmp_path / "out", {"assets": ["nir", "red"]})
    rows = complete(job)
    assert [(row["key"], row["status"], row["channels"]) for row in rows] == [
        (f"alps/s{i}/nir+red.tif", "ok", 2) for i in range(3)
    ]
    assert rows[0]["source_uri"] == str(tmp_path / "in/alps/s0/s0.json") + "#nir+red"
    assert problems(tmp_path / "out") == []
    with rasterio.open(tmp_path / "out/alps/s1/nir+red.tif") as made:
        assert (made.descriptions, made.crs.to_epsg(), made.transform.c) == (("nir", "red"), 32633, 500000.0)
    items = {
        each.id: each
        for each in pystac.Catalog.from_file(str(tmp_path / "out/catalog.json")).get_items(recursive=True)
    }
    assert sorted(items) == ["s0", "s1", "s2"]
    said, source = items["s1"].properties, tmp_path / "in/alps/s1/s1.json"
    assert items["s1"].get_single_link("derived_from").get_absolute_href() == str(source)
    assert list(said["processing:software"]) == ["Restora"]
    assert (said["proj:code"], said["proj:shape"], said["platform"]) == (
        "EPSG:32633",
        [32, 40],
        "sentinel-2a",
    )
    assert said["restora:restorer"] == "median"
    assert items["s1"].geometry == json.loads(source.read_text())["geometry"]
    asset = items["s1"].assets["nir+red"].to_dict()
    assert asset["file:checksum"] == "1220" + rows[1]["output_sha256"]
    assert plan_and_execute(job)[0].left == 0


def test_a_changed_item_and_a_changed_file_are_one_each(tmp_path):
    job = job_on(scenes(tmp_path / "in"), tmp_path / "out", {"assets": ["red"]})
    complete(job)
    path = tmp_path / "in/alps/s2/s2.json"
    path.write_text(path.read_text().replace("sentinel-2a", "sentinel-2c"))
    assert plan_and_execute(job)[0].left == 1
    (tmp_path / "in/alps/s0/red.tif").write_bytes(raster(77))
    assert plan_and_execute(job)[0].left == 1
    complete(job)
    assert (
        json.loads((tmp_path / "out/alps/s2/s2.json").read_text())["properties"]["platform"] == "sentinel-2c"
    )
    catalogue(
        tmp_path / "in", [json.loads((tmp_path / f"in/alps/s{i}/s{i}.json").read_text()) for i in (0, 2)]
    )
    complete(job)
    links = json.loads((tmp_path / "out/alps/catalog.json").read_text())["links"]
    assert [each["href"] for each in links if each["rel"] == "item"] == ["./s0/s0.json", "./s2/s2.json"]


def test_scores_are_properties_and_other_formats_have_items(tmp_path):
    job = job_on(scenes(tmp_path / "in", 1), tmp_path / "out", {"assets": ["red"]}, metrics=["sharpness"],
                 restorers=["bicubic-x2"])  # fmt: skip
    (row,) = complete(job)
    said = json.loads((tmp_path / "out/alps/s0/s0.json").read_text())["properties"]
    assert said["restora:sharpness"] == row["sharpness"]
    assert (said["gsd"], said["proj:shape"], said["proj:transform"][0]) == (5, [64, 80], 5.0)
    plan_and_execute(
        job_on(tmp_path / "in/catalog.json", tmp_path / "png", {"assets": ["red"]}, output_format="png")
    )
    (asset,) = json.loads((tmp_path / "png/alps/s0/s0.json").read_text())["assets"].values()
    assert (asset["href"], asset["type"]) == ("./red.tif.png", "image/png")


def test_killed_at_any_write_the_catalogue_is_whole(tmp_path, monkeypatch):
    url = scenes(tmp_path / "in", 1)

    def results():
        assert problems(tmp_path / "out") == []
        files = (each for each in sorted((tmp_path / "out").rglob("*.*")) if "_restora" not in each.parts)
        return {str(each): timeless(each.read_bytes()) for each in files if each.is_file()}

    assert check_kill_safe(job_on(url, tmp_path / "out", {"assets": ["red"]}), results, monkeypatch) == 3


def test_items_and_catalogues_that_are_lost_are_seen(tmp_path):
    check_losses_are_seen(job_on(scenes(tmp_path / "in", 2), tmp_path / "out", {"assets": ["red"]}))


def timeless(data: bytes) -> bytes:
    return b"\n".join(line for line in data.splitlines() if b"processing:datetime" not in line)


CHOICES = {
    "cloud": ({"cloud_cover": 20}, ["a"], {FILTERED: 1, NO_CLOUDS: 2}),
    "box": ({"bbox": [14.5, 45.5, 20, 50]}, ["a", "b"], {FILTERED: 1, NO_PLACE: 1}),
    "over the antimeridian": ({"bbox": [170, -20, -170, -10]}, ["c"], {FILTERED: 2, NO_PLACE: 1}),
    "a day": ({"datetime": "2024-05-04"}, ["a", "c", "d"], {FILTERED: 1}),
    "until": ({"datetime": "../2024-05-05T00:00:00Z"}, ["a", "c", "d"], {FILTERED: 1}),
    "collection": ({"collections": ["other"]}, [], {}),
}


@pytest.mark.parametrize("name", CHOICES)
def test_filters_choose_and_count(tmp_path, name):
    store, chosen, counts = CHOICES[name]
    url = catalogue(tmp_path, [
        item_of("a", {"image": "a.tif"}, **{"eo:cloud_cover": 10}),
        item_of("b", {"image": "b.tif"}, datetime="2024-06-01T00:00:00Z", **{"eo:cloud_cover": 90}),
        item_of("c", {"image": "c.tif"}, bbox=[179.0, -16.0, -179.0, -15.0]),
        item_of("d", {"image": "d.tif"}, geometry=None, bbox=None),
    ])  # fmt: skip
    left_out: Counter[str] = Counter()
    entries = [each for page in archive_at(url, **store).pages("*", left_out) for each in page]
    assert [each.key.split("/")[1] for each in entries] == chosen
    assert left_out == counts


def test_loops_and_links_that_lead_nowhere(tmp_path):
    url = catalogue(tmp_path, [item_of("a", {"image": "a.tif"})])
    (tmp_path / "alps/a/a.tif").write_bytes(raster())
    path = tmp_path / "alps/collection.json"
    fields = json.loads(path.read_text())
    fields["links"] += [
        {"rel": "child", "href": "../catalog.json"}, {"rel": "item", "href": "./a/a.json"},
        {"rel": "item", "href": "gone/gone.json"}, {"rel": "child", "href": "./gone.json"},
        {"rel": "item", "href": "./text.json"}, {"rel": "item"}, {"rel": "item", "href": "../../" * 40 + "x"},
        {"rel": "item", "href": "https://h/i.json?sig=SECRET"},
    ]  # fmt: skip
    path.write_text(json.dumps(fields))
    (tmp_path / "alps/text.json").write_text("no")
    archive, left_out = archive_at(url), Counter()
    entries = [each for page in archive.pages("*", left_out) for each in page]
    assert reasons(archive, entries) == {
        "alps/a/a.tif": None, "alps/gone/gone": "NOT_FOUND", "alps/gone": "NOT_FOUND",
        "alps/text": "BAD_ITEM",
        **{f"alps/collection/link {place}": "BAD_ITEM" for place in (5, 6, 7)},
    }  # fmt: skip
    assert left_out == {LOOPS: 1, TWICE: 1}
    assert not any("SECRET" in each.at for each in entries)


def reasons(archive, entries) -> dict[str, str | None]:
    found = {}
    for entry in entries:
        try:
            archive.read(entry.at)
            found[entry.key] = None
        except ImageError as error:
            found[entry.key] = error.reason
    return found


def bad_items() -> list[dict]:
    items = [
        item_of("grid", {"red": "red.tif", "nir": "moved.tif"}),
        item_of("size", {"red": "red.tif", "nir": "small.tif"}),
        item_of("lacks", {"red": "red.tif"}),
        item_of("text", {"red": "red.tif", "nir": "text.tif"}),
        item_of("signed", {"red": "red.tif", "nir": "https://h/n.tif?X-Amz-Signature=SECRET"}),
        item_of("password", {"red": "red.tif", "nir": "https://me:SECRET@h/n.tif"}),
        item_of("above", {"red": "red.tif", "nir": "../" * 60 + "etc/passwd"}),
        item_of("nan", {"red": "red.tif", "nir": "red.tif"}, gsd=float("nan")),
        item_of("absent", {"red": "red.tif", "nir": "none.tif"}),
        item_of("good", {"red": "red.tif", "nir": "none/./../good/nir.tif"}),
    ]
    return [*items, {"id": "empty"}, {"assets": {}}, 7, items[-1] | {"properties": {"datetime": None}}]


def test_what_is_wrong_with_an_item_costs_no_other(tmp_path):
    for name, data in {"red": raster(0), "nir": raster(1), "moved": raster(1, west=500005.0),
                       "small": raster(1, 16, 20), "text": b"no image"}.items():  # fmt: skip
        (tmp_path / "in/good").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"in/{name}.tif").write_bytes(data)
        (tmp_path / f"in/good/{name}.tif").write_bytes(data)
    url = tmp_path / "in/items.json"
    url.write_text(json.dumps({"links": [], "features": bad_items(), "type": "FeatureCollection"}))
    rows = complete(job_on(url, tmp_path / "out", {"assets": ["red", "nir"]}))
    found = {row["key"]: row["reason"] for row in rows}
    again = next(key for key in found if key.startswith("good/red+nir.tif ("))
    assert found == {
        "grid/red+nir.tif": "ASSET_GRIDS", "size/red+nir.tif": "ASSET_GRIDS", "lacks": "NO_ASSET",
        "text/red+nir.tif": "UNREADABLE", "signed": "BAD_ITEM", "password": "BAD_ITEM", "above": "BAD_ITEM",
        "nan/red+nir.tif": "BAD_ITEM", "absent/red+nir.tif": "NOT_FOUND", "good/red+nir.tif": None,
        "empty": "BAD_ITEM", "items/item 12": "BAD_ITEM", "items/item 13": "BAD_ITEM", again: "BAD_ITEM",
    }  # fmt: skip
    written = [each for each in (tmp_path / "out").rglob("*") if each.is_file()]
    assert not any(b"SECRET" in each.read_bytes() for each in written)
    assert problems(tmp_path / "out") == []


def masked(index: int) -> bytes:
    """A band with a mask of its own, a tag and polynomials."""
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.MemoryFile(raster(index)) as file:
        with file.open() as plain:
            samples_CHW, profile = plain.read(), plain.profile
        profile |= {"compress": "deflate", "blockysize": 32}
        with rasterio.MemoryFile() as out:
            with out.open(**profile) as made:
                made.write(samples_CHW)
                made.write_mask(np.arange(32 * 40).reshape(32, 40) >= 40 * index)
                made.update_tags(SENSOR="MSI", AREA_OR_POINT="Point")
            return out.read()


def test_bands_keep_what_each_file_says_of_its_pixels(tmp_path):
    url = scenes(tmp_path / "in", 1)
    for index, band in enumerate(("red", "nir"), 1):
        (tmp_path / f"in/alps/s0/{band}.tif").write_bytes(masked(index))
    rows = complete(job_on(url, tmp_path / "out", {"assets": ["red", "nir"]}, restorers=["identity"]))
    assert rows[0]["nodata_share"] == pytest.approx(2 / 32)
    with rasterio.open(tmp_path / "out/alps/s0/red+nir.tif") as made:
        mask = made.dataset_mask()
        assert (mask[:2] == 0).all()
        assert (mask[2:] == 255).all()
        assert made.tags()["SENSOR"] == "MSI"
        assert made.tags()["AREA_OR_POINT"] == "Point"
        for index, band in enumerate(("red", "nir"), 1):
            with rasterio.open(tmp_path / f"in/alps/s0/{band}.tif") as source:
                assert (made.read(index) == source.read(1)).all()


def test_a_band_whose_data_end_early_is_named(tmp_path):
    url = scenes(tmp_path / "in", 1)
    whole = masked(1)
    directory = read_directory(whole)
    assert directory is not None
    at, size = segments_of(directory)[-1]
    cut = whole[: at + size - 40] + bytes(40) + whole[at + size :]  # never written
    (tmp_path / "in/alps/s0/nir.tif").write_bytes(cut)
    (row,) = complete(job_on(url, tmp_path / "out", {"assets": ["red", "nir"]}))
    assert row["reason"] == "TRUNCATED"
    assert "asset nir" in row["message"]


def test_a_remote_catalogue_reads_no_files_of_this_machine():
    from pipeline.doors.stac.hrefs import resolved

    for href in ("/etc/passwd", "file:///etc/passwd", "../../../x"):
        with pytest.raises(ImageError, match="leads"):
            resolved("s3://bucket/a/catalog.json", href)
    assert resolved("https://h/a/b.json?page=2", "/x/y.json") == "https://h/x/y.json"
    assert resolved("https://h/a/b.json?page=2", "../y.tif?q=1") == "https://h/y.tif?q=1"
    assert resolved("s3://b/a/c.json", "./../d e/100%.tif") == "s3://b/d e/100%.tif"


@pytest.mark.parametrize(("data", "said"), [
    (b"{", "ends too early"), (b"[1]", "no JSON object"), (b'{"type": "Catalog"}', "no STAC"),
    (b'{"type": "FeatureCollection", "features": [{"id": "a"}, {', "ends too early"),
    (json.dumps({"stac_version": "1.0.0", "type": "Catalog", "links": [{"rel": "search"}]}).encode(), "API"),
    (json.dumps({"type": "FeatureCollection", "features": [],
                 "links": [{"rel": "next", "method": "POST", "href": "x"}]}).encode(), "POST"),
    (json.dumps({"type": "FeatureCollection",
                 "features": [item_of("a", {"red": "r.tif", "nir": "n.tif"})]}).encode(), 'assets = ["red"]'),
])  # fmt: skip
def test_what_is_no_catalogue_is_no_empty_archive(tmp_path, data, said):
    (tmp_path / "catalog.json").write_bytes(data)
    with pytest.raises((JobError, StorageError)) as caught:
        listed(archive_at(tmp_path / "catalog.json"))
    assert said in str(caught.value)


def test_an_answer_in_pages_is_followed_once(tmp_path):
    for page in range(3):
        answer = {"type": "FeatureCollection", "features": [item_of(f"i{page}", {"image": f"{page}.tif"})],
                  "links": [{"rel": "next", "href": f"./{(page + 1) % 3}.json"}]}  # fmt: skip
        (tmp_path / f"{page}.json").write_text(json.dumps(answer))
    assert [each.key for each in listed(archive_at(tmp_path / "0.json"))] == [
        f"i{n}/{n}.tif" for n in range(3)
    ]


def test_stac_geoparquet_says_the_same(tmp_path):
    items = [item_of(f"i{n}", {"red": f"{n}.tif"}, collection="alps") for n in range(3)]
    wkb = bytes.fromhex("0103000000010000000500000000000000000026400000000000804640")
    rows = [
        {
            **{k: each[k] for k in ("id", "collection", "assets", "bbox")},
            **each["properties"],
            "geometry": wkb,
        }
        for each in items
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "items.parquet")
    keys = [each.key for each in listed(archive_at(tmp_path / "items.parquet"))]
    assert keys == [f"alps/i{n}/{n}.tif" for n in range(3)]
    box = {"bbox": [20, 40, 21, 41]}
    assert listed(archive_at(tmp_path / "items.parquet", **box)) == []
    pq.write_table(pa.table({"x": [1]}), tmp_path / "none.parquet")
    with pytest.raises(JobError, match="no columns id and assets"):
        listed(archive_at(tmp_path / "none.parquet"))


@pytest.mark.parametrize(("wkb", "kind", "coordinates"), [
    ("0101000000000000000000F03F0000000000000040", "Point", [1.0, 2.0]),
    ("00800000013FF000000000000040000000000000004008000000000000", "Point", [1.0, 2.0]),
    ("01060000000100000001030000000100000001000000000000000000F03F0000000000000040", "MultiPolygon",
     [[[[1.0, 2.0]]]]),
])  # fmt: skip
def test_well_known_binary(wkb, kind, coordinates):
    assert geometry_of(bytes.fromhex(wkb)) == {"type": kind, "coordinates": coordinates}
    assert geometry_of(bytes.fromhex(wkb)[:-3]) is None


def test_a_private_catalogue_is_written_as_a_folder_and_tells_nothing(tmp_path, monkeypatch):
    make_key(tmp_path / "key")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "key"))
    (tmp_path / "in/x").mkdir(parents=True)
    (tmp_path / f"in/x/{CANARY}.tif").write_bytes(raster())
    items = [
        item_of(f"{CANARY}-1", {"image": f"../../x/{CANARY}.tif"}),
        item_of(f"{CANARY}-2", {CANARY: "b.tif"}),
    ]
    url = catalogue(tmp_path / "in", items)
    dataset = {
        "name": "alps",
        "uri": str(url),
        "private": True,
        "store": {"name": "stac", "assets": ["image"]},
    }
    job = restore("", tmp_path / "out", datasets=[dataset], quarantine=ANY_SHARE)
    assert sorted(str(row["reason"]) for row in complete(job)) == ["NO_ASSET", "None"]
    assert hits(tmp_path / "out") == []
    assert not list((tmp_path / "out").glob("**/catalog.json"))
    with pytest.raises(JobError, match="private"):
        plan_and_execute(restore("", tmp_path / "o", datasets=[dataset], output_store="stac"))


@pytest.mark.parametrize("fields", [{"bbox": [0, 50, 1, 40]}, {"datetime": "yesterday"}, {"cloud_cover": 120},
                                    {"datetime": "2024-02-01/2024-01-01"}])  # fmt: skip
def test_filters_that_mean_nothing_are_refused(fields):
    with pytest.raises(ValueError, match=r"bbox|give times|cloud_cover|ends before"):
        archive_at("catalog.json", **fields)


def test_originals_beside_a_catalogue_are_never_written_over(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.tif").write_bytes(raster())
    url = catalogue(tmp_path / "in", [item_of("a", {"image": "../../../images/a.tif"})])
    with pytest.raises(JobError, match="inside"):
        plan_and_execute(job_on(url, tmp_path / "images", overwrite=True))
    assert entrance(tmp_path, []).exists()
