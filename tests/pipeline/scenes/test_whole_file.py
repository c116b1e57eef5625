"""A scene's file is checked block by block while its digest is taken."""

import hashlib
import io

import numpy as np
import pytest
import tifffile

from pipeline.errors import ImageError
from pipeline.formats.tiff.segments import SegmentCheck
from pipeline.scenes import whole_file
from tests.cut_samples import segment_cuts
from tests.geotiff_samples import geotiff
from tests.helpers import complete, fill, restore
from tests.scene_samples import TILED, ground

SMALL = {"scene_pixels": 10_000, "strip_samples": 1}
NEVER = {"threshold": 1.0, "stop_share": 1.0}


def test_a_tile_that_was_not_written_to_its_end_fails_the_scene(tmp_path):
    """GDAL reads it without an error: zeros are codes of Deflate, and it does not look at the checksum."""
    whole = geotiff(ground(1, "uint8", 600, 90), **TILED)
    zeros = dict(segment_cuts(whole))["half zeros"]
    fill(tmp_path / "in", {"whole.tif": whole, "zeros.tif": zeros})
    rows = complete(restore(tmp_path / "in", tmp_path / "out", resources=SMALL, quarantine=NEVER))
    assert [(row["key"], row["reason"]) for row in rows] == [("whole.tif", None), ("zeros.tif", "TRUNCATED")]


def with_zeros(data: bytes, at: int, count: int, share: float) -> bytes:
    """The last part of what stands there never written."""
    zeros = int(count * share)
    return data[: at + count - zeros] + bytes(zeros) + data[at + count :]


@pytest.mark.parametrize("resources", [{}, SMALL])
def test_a_mask_and_tables_that_were_not_written_to_their_end_fail_the_raster(tmp_path, resources):
    """GDAL reads other pixels out of both without an error."""
    rng = np.random.default_rng(0)
    mask_HW = np.where(rng.random((600, 90)) < np.linspace(0.7, 0.98, 90), 255, 0).astype(np.uint8)
    masked = geotiff(ground(1, "uint8", 600, 90), mask=mask_HW, **TILED)
    jpeg = geotiff(ground(3, "uint8", 600, 90), **TILED | {"compress": "JPEG"}, photometric="YCBCR")
    with tifffile.TiffFile(io.BytesIO(masked)) as file:
        blocks = list(zip(file.pages[1].dataoffsets, file.pages[1].databytecounts, strict=True))
    with tifffile.TiffFile(io.BytesIO(jpeg)) as file:
        tables = file.pages[0].tags[347]
    files = {"masked.tif": masked, "tables.tif": jpeg}
    for number, block in enumerate(blocks):
        files[f"masked-{number}.tif"] = with_zeros(masked, *block, 0.25)
    files["tables-cut.tif"] = with_zeros(jpeg, tables.valueoffset, tables.count, 0.5)
    fill(tmp_path / "in", files)
    rows = complete(restore(tmp_path / "in", tmp_path / "out", resources=resources, quarantine=NEVER))
    whole = ("masked.tif", "tables.tif")
    assert {r["key"]: r["reason"] for r in rows} == {k: None if k in whole else "TRUNCATED" for k in files}


def test_a_strip_that_takes_too_long_to_decode_fails_the_scene(tmp_path):
    fill(tmp_path / "in", {"scene.tif": geotiff(ground(1, "uint8", 200, 90), **TILED)})
    limits = {"limits": {"decode_seconds": 1e-9}, "quarantine": NEVER}
    (row,) = complete(restore(tmp_path / "in", tmp_path / "out", resources=SMALL, **limits))
    assert (row["reason"], row["stage"]) == ("TIMED_OUT", "process")
    assert "limits.decode_seconds" in row["message"]


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 22])
def test_blocks_are_found_whatever_the_pieces(monkeypatch, piece):
    """Out of order, twice the same, side by side and apart, in pieces smaller and larger than they are."""
    monkeypatch.setattr(whole_file, "_PIECE", piece)
    data = np.random.default_rng(0).integers(1, 255, 500, np.uint8).tobytes()
    seen: list[bytes] = []
    check = SegmentCheck(compression=1)
    monkeypatch.setattr(check, "add", seen.append)
    blocks = [(300, 100), (10, 40), (50, 3), (10, 40), (499, 1), (0, 0)]
    assert whole_file.digest_of_whole(io.BytesIO(data), blocks, check) == hashlib.sha256(data).hexdigest()
    assert seen == [data[at : at + count] for at, count in [(10, 40), (50, 3), (300, 100), (499, 1)]]


def test_a_block_that_ends_early_is_named_as_such():
    with pytest.raises(ImageError) as refusal:
        whole_file.digest_of_whole(io.BytesIO(b"x" * 100), [(10, 50)], SegmentCheck(compression=7))
    assert refusal.value.reason == "TRUNCATED"
