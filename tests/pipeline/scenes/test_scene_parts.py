"""Scenes, part by part: how they are cut, what strips sum up, and the file that blocks are assembled into."""

import io
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.card import Card
from pipeline.formats.base import Limits
from pipeline.formats.geotiff.directory import read_directory
from pipeline.formats.geotiff.format import RASTER_HEADER, GeoTiff, all_bands, signed
from pipeline.formats.geotiff.mosaic import Block, write_mosaic
from pipeline.scenes.geometry import BAND, panels, reach, row_bands, strip_cuts
from pipeline.scenes.noise import sample
from pipeline.scenes.reader import FileBytes
from pipeline.scenes.strip_statistics import StripStatistics as Statistics
from tests.geotiff_samples import RASTERS, restored, source

length = st.integers(1, 5000)


@settings(deadline=None)
@given(height=length, width=length, bands=st.integers(1, 6), most=st.integers(1, 10**8))
@example(height=1536, width=1, bands=1, most=1)  # both borders of a strip move by half a band, apart
def test_strips_cover_a_scene_once_and_are_as_large_as_they_may_be(height, width, bands, most):
    cuts = strip_cuts(height, width, bands, most)
    assert (cuts[0], cuts[-1]) == (0, height)
    strips = [last - first for first, last in pairwise(cuts)]
    assert all(rows > 0 for rows in strips)
    allowed = max(most // (width * bands), BAND)
    assert all(rows <= allowed + BAND for rows in strips), "borders move by half a band at most"
    assert len(strips) <= -(-height // allowed)


@settings(deadline=None)
@given(cuts=st.lists(length, min_size=2, max_size=6, unique=True).map(sorted))
def test_bands_have_the_same_borders_in_every_strip(cuts):
    whole = row_bands((cuts[0], cuts[-1]))
    parts = [band for rows in pairwise(cuts) for band in row_bands(rows)]
    for bands in (whole, parts):
        assert [bands[0][0], *(last for _, last in bands)] == sorted(
            {each for band in bands for each in band}
        )
        assert all(0 < last - first <= BAND for first, last in bands)
    assert {each for band in parts for each in band} == {each for band in whole for each in band} | set(cuts)


@settings(deadline=None)
@given(
    side=length,
    places=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    multiple=st.integers(1, 12),
    halo=st.integers(0, 70),
    least=st.integers(1, 200),
)
def test_what_is_read_holds_all_that_a_pixel_needs(side, places, multiple, halo, least):
    card = Card(name="any", summary="", task="general", halo=halo, multiple_of=multiple, minimum_size=least)
    first = int(min(places) * (side - 1))
    last = max(int(max(places) * side), first + 1)
    start, stop = reach((first, last), side, card)
    assert start <= max(first - halo, 0)
    assert stop >= min(last + halo, side)
    assert start % multiple == 0, "pixels are paired as in the whole image"
    assert stop == side or (stop - start) % multiple == 0, "no padding inside the scene"
    assert stop - start >= min(least, side), "no padding that the whole image would not have"


def test_panels_cover_a_band():
    card = Card(name="any", summary="", task="general", halo=9)
    found = list(panels((256, 768), (1300, 5000), card))
    assert [panel.columns for panel in found] == [(0, 2048), (2048, 4096), (4096, 5000)]
    assert {panel.read_rows for panel in found} == {(247, 777)}
    assert [panel.read_columns for panel in found] == [(0, 2057), (2039, 4105), (4087, 5000)]


def test_the_sample_for_the_noise_is_spread_over_a_large_scene():
    assert sample((2048, 2048)) == [((0, 2048), (0, 2048))]
    windows = sample((30_000, 700))
    assert len(set(windows)) == len(windows) == 8
    assert windows[0] == ((0, 512), (0, 512))
    assert max(rows[1] for rows, _ in windows) > 29_000
    assert all(rows[0] % 512 == 0 and rows[1] <= 30_000 and columns[1] <= 700 for rows, columns in windows)


def panel(value: float) -> torch.Tensor:
    return torch.full((1, 2, 40, 50), value)


def test_sums_merge_in_any_order():
    parts = [
        Statistics(10, 8, 1, 0.25, 0.5),
        Statistics(5, 0, 0),
        Statistics(7, 7, 2, -0.5, 0.25),
    ]
    whole = Statistics(22, 15, 3, -0.5, 0.5)
    assert Statistics.merged(parts) == Statistics.merged(reversed(parts)) == whole
    assert Statistics.from_json(Statistics.merged(parts[:2]).to_json()) == Statistics.merged(parts[:2])
    assert Statistics.from_json(Statistics().to_json()) == Statistics(), (
        "a strip without a single valid pixel"
    )


def test_a_scene_that_came_out_flat_is_found_though_its_panels_look_right():
    """Sea here and land there: each is flat before and after, but not the two together."""
    sea, land = Statistics(), Statistics()
    sea.add(panel(0.2), panel(0.5))
    land.add(panel(0.8), panel(0.5))
    assert sea.fault() is None
    assert land.fault() is None
    assert Statistics.merged([sea, land]).fault().reason == "IMPLAUSIBLE_OUTPUT"
    kept = Statistics()
    kept.add(panel(0.8), panel(0.8))
    assert Statistics.merged([sea, kept]).fault() is None
    same = Statistics()
    same.add(panel(0.2), panel(0.5))
    assert Statistics.merged([sea, same]).fault() is None, "what was flat may stay flat"


@pytest.mark.parametrize("name", RASTERS)
def test_a_directory_is_read_from_a_file_as_from_its_bytes(name):
    data = source(name)
    assert read_directory(FileBytes(io.BytesIO(data))) == read_directory(data)


@pytest.mark.parametrize("name", RASTERS)
def test_blocks_become_the_file_that_the_whole_image_becomes(tmp_path, name):
    """All that a GeoTIFF may hold, to the byte; blocks of any size, compressed by two threads."""
    image = restored(GeoTiff().decode(source(name), Limits()))
    header = image.metadata.entries[RASTER_HEADER]
    samples_CHW, mask_HW = all_bands(image, header).transpose(2, 0, 1), header.own_mask()
    _, height, width = samples_CHW.shape
    blocks = []
    for rows in pairwise(sorted({0, height // 3, height})):
        for columns in pairwise(sorted({0, width // 2, width // 2 + 1, width})):
            area = slice(*rows), slice(*columns)
            data = np.ascontiguousarray(samples_CHW[:, *area]).tobytes()
            if mask_HW is not None:
                data += (mask_HW[area].astype(np.uint8) * 255).tobytes()
            path = tmp_path / f"{len(blocks)}.raw"
            path.write_bytes(data)
            blocks.append(Block(path, rows[0], columns[0], rows[1] - rows[0], columns[1] - columns[0]))
    path = tmp_path / "assembled.tif"
    write_mosaic(
        path,
        blocks,
        signed(header, image.metadata.provenance),
        image.domain.dtype,
        mask=mask_HW is not None,
        level=GeoTiff().level,
        threads=2,
    )
    assert path.read_bytes() == GeoTiff().encode(image)
