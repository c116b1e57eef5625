"""What cannot be stored is refused before any work is done on it, and what is left out is said."""

import io
from dataclasses import replace

import numpy as np
import pytest

from pipeline import run
from pipeline.errors import ImageError
from pipeline.formats import FORMATS, decode
from pipeline.formats.left_out import left_out
from pipeline.ledger.layout import Layout
from pipeline.ledger.run_folder import open_run
from pipeline.processing.cases import Loaded
from pipeline.processing.processor import Processor
from pipeline.recipe.recipe import Recipe
from pipeline.units import Source
from pipeline.worker.encoding import OutputEncoder
from tests.dicom_samples import pydicom, samples
from tests.geotiff_samples import geotiff, ground, rasters
from tests.helpers import benchmark, complete, encoded, fill, photograph, restore

pytest.importorskip("rasterio", reason="restora[geo] is not installed")
NEVER = {"threshold": 1.0, "stop_share": 1.0}


def outputs_of(job) -> OutputEncoder:
    recipe = Recipe.of(job)
    return OutputEncoder(recipe, Layout.of(job, recipe.recipe_id))


def refusals(job, image) -> list[tuple[str, str, str]]:
    loaded = Loaded(Source("photos", "a", 1, "", ""), "", 1, image)
    return [(each.degradation, each.restorer, each.error.reason) for each in outputs_of(job).refuse(loaded)]


def strip(width: int, height: int = 4):
    """A photograph of one extreme side."""
    return decode(encoded(np.resize(photograph(0), (height, width, 3))))


@pytest.mark.parametrize(("restorer", "width", "fits"), [
    ("identity", 16383, True), ("identity", 16384, False),
    ("bicubic-x4", 4095, True), ("bicubic-x4", 4096, False),
])  # fmt: skip
def test_the_size_that_counts_is_that_of_the_output(tmp_path, restorer, width, fits):
    job = restore(tmp_path, tmp_path / "out", restorers=[restorer], output_format="webp")
    assert refusals(job, strip(width)) == ([] if fits else [("none", restorer, "UNENCODABLE")])


def test_a_smaller_copy_may_fit_where_the_image_does_not(tmp_path):
    fields = {"kind": "degrade", "restorers": [], "metrics": [], "output_format": "webp"}
    small = restore(tmp_path, tmp_path / "out", **fields, degradations=["bicubic-x2"])
    same = restore(tmp_path, tmp_path / "out", **fields, degradations=["awgn-25"])
    assert refusals(small, strip(20_000)) == []
    assert refusals(same, strip(20_000)) == [("awgn-25", "none", "UNENCODABLE")]
    assert refusals(small, strip(8, height=1)) == [], "too small to be shrunk, which its row will say"


def test_a_benchmark_scores_what_it_could_not_store(tmp_path):
    image = decode(geotiff(ground(5)))
    kept = {"degradations": ["awgn-25", "bicubic-x2"], "restorers": ["bicubic"], "output_format": "jpeg"}
    assert refusals(benchmark(tmp_path, tmp_path / "out", **kept), image) == []
    for save in ("restored", "all"):
        assert refusals(benchmark(tmp_path, tmp_path / "out", save=save, **kept), image) == [
            (each, "bicubic", "UNENCODABLE") for each in ("awgn-25", "bicubic-x2")
        ]


def no_place() -> bytes:
    """A CT slice that does not say where its pixels lie, which another grid would have to."""
    dataset = pydicom.dcmread(samples()["CT_small.dcm"])
    del dataset.ImagePositionPatient
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset)
    return file.getvalue()


def test_headers_that_another_grid_does_not_fit_are_refused_early_and_alike(tmp_path):
    image = decode(no_place())
    same, larger = (
        restore(tmp_path, tmp_path / "out", restorers=[name]) for name in ("identity", "bicubic-x2")
    )
    assert refusals(same, image) == []
    assert refusals(larger, image) == [("none", "bicubic-x2", "BAD_GEOMETRY")]
    with pytest.raises(ImageError) as late:
        FORMATS["dicom"].encode(image.with_pixels(image.pixels_HWC.repeat(2, 0).repeat(2, 1)))
    assert late.value.reason == "BAD_GEOMETRY"


def test_no_work_is_done_on_what_cannot_be_stored(tmp_path, monkeypatch):
    """Their rows say as much as of any other image, and the others of their unit are done."""
    files = {"a.png": encoded(photograph(0)), "b.tif": geotiff(ground(5)), "c.png": encoded(photograph(1))}
    fill(tmp_path / "in", files)
    worked, call = [], Processor.degraded

    def counted(self, loaded, degradation):
        worked.append(loaded.source.key)
        return call(self, loaded, degradation)

    monkeypatch.setattr(Processor, "degraded", counted)
    rows = complete(restore(tmp_path / "in", tmp_path / "out", output_format="jpeg", quarantine=NEVER))
    assert sorted(worked) == ["a.png", "c.png"]
    assert [row["status"] for row in rows] == ["ok", "quarantined", "ok"]
    refused = rows[1]
    assert (refused["reason"], refused["stage"]) == ("UNENCODABLE", "encode")
    assert "5 channels" in refused["message"]
    assert (refused["height"], refused["width"], refused["channels"]) == (50, 81, 5)
    assert refused["source_sha256"]


def test_a_georeference_that_is_left_out_is_said_in_the_row_and_once_in_the_report(tmp_path):
    files = {name: rasters()[name] for name in ("north-up", "rational")}
    fill(tmp_path / "in", {f"{name}.tif": data for name, data in files.items()})
    fill(tmp_path / "in", {"photo.png": encoded(photograph(0))})
    job = restore(tmp_path / "in", tmp_path / "out", restorers=["identity"], output_format="tiff")
    rows = complete(job)
    assert {row["status"] for row in rows} == {"ok"}
    said = "tiff leaves out the georeference; output_format geotiff keeps it"
    assert {row["key"]: row["message"] for row in rows} == {
        "north-up.tif": said, "photo.png": None, "rational.tif": said,
    }  # fmt: skip
    run.report(open_run(job))
    page = (tmp_path / "out/_restora/report/index.html").read_text()
    assert page.count(f"{said} (2 images)") == 1


@pytest.mark.parametrize(
    ("name", "words"), [("alpha", None), ("masked", "hold no data"), ("nodata-zero", "hold no data")]
)
def test_holes_that_are_left_out_are_said(name, words):
    image = decode(rasters()[name])
    bare = replace(image.metadata.entries["geotiff_header"], crs="", transform=None)
    image = replace(image, metadata=replace(image.metadata, entries={"geotiff_header": bare}))
    said = left_out(image, "png")
    assert (said is None) if words is None else (words in said)
    assert left_out(image, "geotiff") is None


def test_a_scale_that_is_left_out_is_said():
    image = decode(rasters()["physical"])
    assert "physical values" in left_out(image, "tiff")
    assert left_out(image, "geotiff") is None


def test_nothing_is_said_where_the_georeference_is_kept_or_there_is_none(tmp_path):
    image = decode(rasters()["north-up"])
    header = image.metadata.entries["geotiff_header"]
    bare = {"geotiff_header": replace(header, crs="", transform=None)}
    for output_format in (None, "geotiff"):
        job = restore(tmp_path, tmp_path / "out", output_format=output_format)
        assert outputs_of(job).left_out(image) is None
    png = outputs_of(restore(tmp_path, tmp_path / "out", output_format="png"))
    assert png.left_out(image)
    assert png.left_out(replace(image, metadata=replace(image.metadata, entries=bare))) is None
