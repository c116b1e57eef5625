"""A scene in strips is the scene: the same file to the byte and the same row, however it is cut."""

import json

import numpy as np
import pytest
import rasterio

from tests.geotiff_samples import geotiff
from tests.scene_samples import KINDS, TILED, Archive, ground, holes

SAME = (
    "source_bytes", "source_sha256", "height", "width", "channels", "dtype", "data_low", "data_high",
    "data_range_rule", "nodata_share", "clipped_pixels", "status", "reason", "stage",
    "output_sha256", "output_bytes", "restorer", "restorer_sha256", "degradation",
)  # fmt: skip
"""Columns of the row that must not know how the scene was cut."""


def alike(tmp_path, data: bytes, *cuts: int, **fields):
    """Both ways give one file and one row; returns them."""
    row, file = Archive.of(tmp_path, data, "whole", **fields).whole()
    assert row["status"] == "ok", row["message"]
    again, in_strips = Archive.of(tmp_path, data, "strips", **fields).in_strips(*cuts)
    assert {name: again.get(name) for name in SAME} == {name: row.get(name) for name in SAME}
    assert in_strips == file
    return row, file


@pytest.mark.parametrize(
    ("restorer", "bands"),
    [
        ("identity", 2),
        ("median", 2),
        ({"name": "bilateral", "solver": "bilateral"}, 1),
        ({"name": "ffdnet-colour", "noise_level": 15}, 3),
        ({"name": "by-band", "solver": "per_band", "restorer": "ffdnet-colour", "noise_level": 15}, 2),
        ("srvgg-x4", 3),
    ],
    ids=str,
)
def test_any_tile_exact_restorer_with_any_cut(tmp_path, restorer, bands):
    samples = ground(bands, "uint16", 150, 118)
    alike(tmp_path, geotiff(samples, **TILED), 0, 37, 149, 150, restorers=[restorer])


def test_a_scene_of_several_bands_and_panels(tmp_path):
    """More than one band of rows in a strip, and more than one panel across."""
    samples = holes(ground(1, "uint16", 900, 2100), 0)
    alike(tmp_path, geotiff(samples, nodata=0, **TILED), 0, 100, 900)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_file_may_hold(tmp_path, kind):
    """Holes wider than the restorer sees, lying across the cuts."""
    data = KINDS[kind]()
    solver = {"name": "wide", "solver": "bilateral", "radius": 6}
    row, _ = alike(tmp_path, data, 0, 90, 101, 240, restorers=[solver])
    assert (row["nodata_share"] > 0) == (kind in ("nodata", "nan", "mask", "opacity"))


def test_holes_and_enlargement(tmp_path):
    """Four times the size: holes and the mask go along, and places on the ground stay."""
    mask = np.full((100, 90), 255, np.uint8)
    mask[30:70, 20:60] = 0
    data = geotiff(ground(3, "uint8", 100, 90), mask=mask, **TILED)
    _, file = alike(tmp_path, data, 0, 50, 100, restorers=["srvgg-x4"])
    before, after = rasterio.MemoryFile(data), rasterio.MemoryFile(file)
    with before, after, before.open() as source, after.open() as result:
        assert result.shape == (400, 360)
        assert result.bounds == source.bounds
        assert (result.read_masks(1) == source.read_masks(1).repeat(4, 0).repeat(4, 1)).all()


def test_physical_units(tmp_path):
    """Scale and offset from the file, the range from the job, values outside the range and the type."""

    def physical(dataset):
        dataset.scales, dataset.offsets = (0.0001, 0.0001), (-0.1, -0.1)

    samples = ground(2, "uint16", 260, 200)
    samples[:, 100:140, 50:90] = 65535
    samples[:, ::2, 55] = 0
    dataset = {"name": "photos", "uri": str(tmp_path / "in"), "radiometry": {"low": 0.0, "high": 1.0}}
    sharpen = {"name": "cubic", "solver": "interpolation", "kernel": "bicubic", "scale": 1}
    row, _ = alike(
        tmp_path, geotiff(samples, physical, **TILED), 0, 120, 260, datasets=[dataset], restorers=[sharpen]
    )
    assert row["data_range_rule"] == "job"
    assert (row["data_low"], row["data_high"]) == pytest.approx((1000, 11000))


def test_the_blind_noise_estimate_is_of_the_whole_scene(tmp_path):
    noisy = ground(3, "uint8", 260, 200).astype(float)
    noisy[:, 130:] += np.random.default_rng(0).normal(0, 30, noisy[:, 130:].shape)  # strips would differ
    data = geotiff(noisy.clip(0, 255).astype(np.uint8), **TILED)
    alike(tmp_path, data, 0, 130, 260, restorers=["ffdnet-colour"])


def test_the_row_says_how_the_scene_was_done(tmp_path):
    archive = Archive.of(tmp_path, geotiff(ground(1, "uint16", 600, 1200), **TILED), "out")
    row, _ = archive.in_strips(0, 256, 600)
    assert json.loads(row["condition"]) == {
        "strips": 2,
        "tiling": {"tile": 512, "halo": 1, "blend": "crop"},
    }
    assert row["seconds"] > 0
