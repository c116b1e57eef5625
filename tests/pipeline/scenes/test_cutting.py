"""Which sources are scenes: a store that fails must not decide it."""

import pytest

from pipeline import run
from pipeline.errors import StorageError
from pipeline.ledger.run_folder import open_run
from pipeline.planning import plan_files
from pipeline.storage.disk import Disk
from tests.geotiff_samples import geotiff
from tests.helpers import fill, restore
from tests.scene_samples import TILED, ground

SMALL = {"scene_pixels": 10_000, "strip_samples": 1}


def failing(monkeypatch, call: str, error: Exception, times: float) -> list[str]:
    """The disk fails so many times at one of its calls, for ``scene.tif``; returns where it was asked."""
    asked, working = [], getattr(Disk, call)

    def broken(self, key, *arguments):
        if key == "scene.tif":
            asked.append(key)
            if len(asked) <= times:
                raise error
        return working(self, key, *arguments)

    monkeypatch.setattr(Disk, call, broken)
    return asked


@pytest.fixture
def job(tmp_path):
    """Two strips of 600 x 90 pixels."""
    fill(tmp_path / "in", {"scene.tif": geotiff(ground(1, "uint8", 600, 90), **TILED)})
    return restore(tmp_path / "in", tmp_path / "out", resources=SMALL)


def planned(job) -> list[bool]:
    """Whether each unit is a strip."""
    opened = open_run(job)
    run.plan(opened, run.Options(engine="local"))
    return [unit.strip is not None for unit in plan_files.read_units(opened.folder)]


@pytest.mark.parametrize("call", ["head", "open"])
def test_a_store_that_fails_once_changes_nothing(job, monkeypatch, call):
    asked = failing(monkeypatch, call, OSError("connection reset"), times=1)
    assert planned(job) == [True, True]
    assert len(asked) > 1


@pytest.mark.parametrize("call", ["head", "open"])
def test_a_store_that_fails_for_good_ends_the_plan_and_is_named(job, monkeypatch, call):
    failing(monkeypatch, call, OSError("connection reset"), times=float("inf"))
    with pytest.raises(StorageError, match=r'dataset "photos": scene\.tif .* connection reset; .* again'):
        planned(job)


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), PermissionError("not for you")])
def test_what_is_wrong_with_one_object_is_for_its_own_row(job, monkeypatch, error):
    failing(monkeypatch, "head", error, times=float("inf"))
    assert planned(job) == [False]


def test_what_is_no_raster_is_no_scene(tmp_path):
    fill(tmp_path / "in", {"scene.tif": b"II*\0" + bytes(20_000), "other.tif": bytes(20_000)})
    assert not any(planned(restore(tmp_path / "in", tmp_path / "out", resources=SMALL)))
