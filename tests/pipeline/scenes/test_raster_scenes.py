"""JPEG 2000 and NITF scenes in strips: the GeoTIFF of the ordinary way, to the byte."""

import numpy as np
import pytest

from pipeline import run
from pipeline.ledger.run_folder import open_run
from pipeline.planning import plan_files
from pipeline.storage.folder import Folder
from tests.geotiff_samples import geotiff
from tests.helpers import complete, fill, restore
from tests.raster_samples import converted, jpeg2000
from tests.scene_samples import ground, holes

STRIPS = {"scene_pixels": 40_000, "strip_samples": 1, "unit_images": 8}
"""Scenes from 200 x 200 pixels on, in strips of 512 rows."""
WHOLE = {"scene_pixels": 10**9, "unit_images": 8}
NEVER = {"threshold": 1.0, "stop_share": 1.0}


def job_on(tmp_path, output: str, resources, **fields):
    chosen = {"output_format": "geotiff", "quarantine": NEVER, "resources": resources}
    return restore(tmp_path / "in", tmp_path / output, **chosen | fields)


def rough() -> np.ndarray:
    """Samples that no codec makes small, so that a file is as large as a scene must be."""
    noise = np.random.default_rng(0).integers(0, 400, (2, 1300, 90), dtype=np.uint16)
    return ground(2, "uint16", 1300, 90) + noise


@pytest.fixture
def scenes(tmp_path):
    georeferenced = geotiff(rough())
    tiled = jpeg2000(geotiff(holes(rough(), 0), nodata=0), BLOCKXSIZE="64", BLOCKYSIZE="128")
    files = {
        "one-tile.jp2": jpeg2000(georeferenced),
        "tiled.jp2": tiled,
        "cut.jp2": tiled[: len(tiled) // 2],
        "plain.ntf": converted(georeferenced, "NITF", ".ntf"),
    }
    fill(tmp_path / "in", files)
    return files


def test_strips_give_the_file_and_the_row_of_the_ordinary_way(tmp_path, scenes):
    whole = {row["key"]: row for row in complete(job_on(tmp_path, "whole", WHOLE))}
    job = job_on(tmp_path, "strips", STRIPS)
    run.plan(open_run(job), run.Options(engine="local"))
    planned = [(unit.sources[0].key, unit.strip.rows) for unit in plan_files.read_units(open_run(job).folder)]
    assert {key for key, _ in planned} == set(scenes)
    assert len(planned) >= 2 * len(scenes)
    rows = {row["key"]: row for row in complete(job)}
    same = ("status", "reason", "stage", "source_sha256", "nodata_share", "height", "output_sha256")
    for key, row in rows.items():
        compared = same[:3] if key == "cut.jp2" else same
        assert {name: row[name] for name in compared} == {name: whole[key][name] for name in compared}, key
        assert row["status"] == ("quarantined" if key == "cut.jp2" else "ok")
        if row["status"] == "ok":
            name = row["output_uri"].rpartition("/")[2]
            assert Folder(job.output).read(name) == Folder(str(tmp_path / "whole")).read(name)


def test_without_the_word_geotiff_they_are_no_scenes_and_are_refused_at_once(tmp_path, scenes):
    job = job_on(tmp_path, "out", STRIPS, output_format=None)
    run.plan(open_run(job), run.Options(engine="local"))
    assert [unit.strip for unit in plan_files.read_units(open_run(job).folder)] == [None]
    rows = {row["key"]: (row["reason"], row["stage"]) for row in complete(job)}
    assert rows.pop("cut.jp2")[1] == "decode"
    assert set(rows.values()) == {("UNENCODABLE", "encode")}
