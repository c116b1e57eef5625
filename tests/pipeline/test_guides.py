"""Guides that a job tells of its images, from end to end, and each that does not fit."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.conditions.guides import checked_guide, split
from pipeline.errors import ImageError, JobError
from pipeline.formats.geotiff.format import RASTER_HEADER
from pipeline.formats.geotiff.header import Band, RasterHeader
from pipeline.hashing import sha256_hex
from pipeline.imaging.image import Domain, Image, Metadata
from pipeline.jobs.job import Job
from pipeline.recipe.recipe import Recipe
from tests.helpers import complete, decoded, encoded, fill, photograph

ANY_SHARE = {"threshold": 1.0, "stop_share": 1.0}


def job(folder, restorer="mtf-glp", kind="restore", **dataset) -> Job:
    source = {"name": "set", "uri": str(folder / "in")} | dataset
    fields = {"name": "t", "kind": kind, "output": str(folder / "out"), "datasets": [source]}
    more = {"degradations": ["mtf-x2"], "metrics": ["psnr", "qnr", "hqnr"]} if kind == "benchmark" else {}
    return Job.parse(fields | {"restorers": [restorer], "quarantine": ANY_SHARE} | more)


def grey(index, height=64, width=80) -> np.ndarray:
    return photograph(index, height, width).mean(axis=2).round().astype(np.uint8)


def halved(image) -> np.ndarray:
    height, width = image.shape[:2]
    return image.reshape(height // 2, 2, width // 2, 2, -1).mean(axis=(1, 3)).round().astype(np.uint8)


def test_guides_by_key_sharpen_and_each_that_does_not_fit_costs_its_own_row(tmp_path):
    fill(tmp_path / "in", {f"{i}_ms.png": encoded(halved(photograph(i, 64, 80))) for i in range(5)})
    guides = {
        0: encoded(grey(0)),
        1: encoded(grey(1, 63)),
        2: encoded(grey(2))[:-30],
        4: encoded(grey(4, 32, 80)),
    }
    fill(tmp_path / "pan", {f"{i}_pan.png": data for i, data in guides.items()})
    rule = {"uri": str(tmp_path / "pan"), "match": r"(?P<id>.+)_ms\.png", "key": "{id}_pan.png"}
    rows = complete(job(tmp_path, guide=rule))
    assert {row["key"]: row["reason"] for row in rows} == {
        "0_ms.png": None, "1_ms.png": "GUIDE_UNFIT", "2_ms.png": "GUIDE_UNFIT", "3_ms.png": "NO_GUIDE",
        "4_ms.png": "GUIDE_UNFIT"}  # fmt: skip
    assert {row["stage"] for row in rows if row["reason"]} == {"condition"}
    told = json.loads(next(row for row in rows if row["key"] == "0_ms.png")["condition"])
    assert told["guide"] == {"from": "uri", "sha256": sha256_hex(guides[0])}
    restored = decoded((tmp_path / "out" / "0_ms.png").read_bytes()).astype(float)
    truth = photograph(0, 64, 80).astype(float)
    plain = halved(photograph(0, 64, 80)).repeat(2, 0).repeat(2, 1)
    assert np.abs(restored - truth).mean() < 0.6 * np.abs(plain - truth).mean()


def test_a_guide_of_the_truth_stays_sharp_under_a_degradation(tmp_path):
    fill(tmp_path / "in", {"a.png": encoded(photograph(0, 64, 80))})
    fill(tmp_path / "pan", {"a.png": encoded(grey(0))})
    (row,) = complete(job(tmp_path, kind="benchmark", guide=str(tmp_path / "pan")))
    assert row["psnr"] > row["psnr_degraded"] + 3
    assert 0.9 < row["hqnr"] <= 1
    assert row["hqnr"] > row["hqnr_degraded"]
    assert 0.5 < row["qnr"] <= 1


def test_own_bands_guide_the_others_which_alone_are_left(tmp_path):
    fill(tmp_path / "in", {"a.png": encoded(photograph(0, 64, 80))})
    restorer = {"name": "guided", "solver": "guided_filter", "scale": 1}
    (row,) = complete(job(tmp_path, restorer, guide=[2, 3]))
    assert json.loads(row["condition"])["guide"] == {"bands": [2, 3]}
    assert decoded((tmp_path / "out" / "a.png").read_bytes()).ndim == 2


@pytest.mark.parametrize(
    ("kind", "restorer", "guide", "message"),
    [
        ("restore", "gsa", None, r"datasets\[0\].guide .--guide"),
        ("benchmark", "gsa", None, "a degradation that makes one: wald-x2"),
        ("benchmark", "bicubic-x2", [3], r"datasets\[0\].guide: no restorer of the job takes it"),
        ("restore", "gsa", {"bands": [1, 1], "uri": "x"}, "there twice"),
        ("restore", "gsa", {"profile": "x"}, "give file, uri or bands"),
    ],
)
def test_what_cannot_work_is_refused_before_the_run(tmp_path, kind, restorer, guide, message):
    told = {} if guide is None else {"guide": guide}
    with pytest.raises(JobError, match=message):
        Recipe.of(job(tmp_path, restorer, kind, **told))


def raster(height, width, *, step, x=500.0, crs="here", bands=2) -> Image:
    header = RasterHeader(
        height, width, tuple(Band(f"b{i}", scale=1.0 + i) for i in range(bands)), crs=crs,
        transform=(x, step, 0.0, 900.0, 0.0, -step),
    )  # fmt: skip
    pixels = np.arange(height * width * bands, dtype=np.uint16).reshape(height, width, bands)
    return Image(pixels, header.domain("uint16"), Metadata("geotiff", {RASTER_HEADER: header}))


def test_a_guide_lies_on_the_ground_of_its_image():
    image = raster(4, 5, step=20)
    assert checked_guide(raster(8, 10, step=10), image, [2]).size == (8, 10, 1)
    assert checked_guide(raster(8, 10, step=10, x=504), image, []).size == (
        8,
        10,
        2,
    )  # less than half a pixel
    for guide, why in (
        (raster(8, 10, step=10, x=520), "elsewhere on the ground"),
        (raster(8, 10, step=5), "elsewhere on the ground"),
        (raster(8, 10, step=10, crs="there"), "another coordinate system"),
        (raster(8, 15, step=10), "whole number of times"),
        (replace(raster(8, 10, step=10), valid_HW=np.eye(8, 10) == 0), "no data for 10.00%"),
    ):
        with pytest.raises(ImageError, match=why) as refusal:
            checked_guide(guide, image, [])
        assert refusal.value.reason == "GUIDE_UNFIT"


def test_headers_go_with_their_bands():
    rest, guide = split(raster(4, 5, step=20, bands=3), [1, 3])
    assert (rest.size[2], guide.size[2]) == (1, 2)
    assert rest.domain.scales == (2.0,)
    assert [band.description for band in guide.metadata.entries[RASTER_HEADER].channels] == ["b0", "b2"]
    plain = Image(np.zeros((3, 3, 2), np.uint8), Domain.of_integers("uint8"), Metadata("png"))
    for bands in ([1, 2], [5]):
        with pytest.raises(ImageError, match="the guide"):
            split(plain, bands)
