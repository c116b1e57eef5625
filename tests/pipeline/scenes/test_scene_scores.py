"""Scores of a scene in strips are those of the image in memory, however it is cut."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import rasterio
import torch

from models.card import Card
from models.networks import build_network
from models.weights import save_weights
from pipeline.formats.base import Limits
from pipeline.formats.geotiff.mosaic import Block
from pipeline.ledger.run_folder import open_run
from pipeline.ledger.strips import StripLedger
from pipeline.metrics import METRICS
from pipeline.metrics.accumulating import Accumulating
from pipeline.metrics.base import MetricInputs
from pipeline.scenes.block_codec import BlockCodec
from pipeline.scenes.geometry import steps
from pipeline.scenes.output import Output
from pipeline.scenes.reader import Group, Scene
from pipeline.scenes.score_totals import ScoreTotals
from pipeline.scenes.scoring import Scoring
from pipeline.storage.folder import Folder
from pipeline.worker.worker import Worker
from tests.geotiff_samples import geotiff
from tests.scene_samples import KINDS, TILED, Archive, ground, holes

GUIDED = [name for name, metric in METRICS.items() if metric.protocol.pair is MetricInputs.GUIDED]
"""Scenes with a guide are not cut."""
NAMES = [
    name for name, metric in METRICS.items() if not (metric.protocol.pair.needs_reference or name in GUIDED)
]


def alike(tmp_path, data: bytes, *cuts: int, rel: float = 1e-9, metrics=NAMES, **fields) -> dict:
    """Both ways give the same scores; returns the row."""
    fields["metrics"] = metrics
    row, file = Archive.of(tmp_path, data, "whole", **fields).whole()
    again, in_strips = Archive.of(tmp_path, data, "strips", **fields).in_strips(*cuts)
    assert (row["status"], again["status"]) == ("ok", "ok"), (row["message"], again["message"])
    assert in_strips == file
    assert again["message"] is None
    for column in (f"{name}{suffix}" for name in metrics for suffix in ("", "_degraded")):
        allowed = max(rel, 1e-6) if column.startswith("niqe") else rel
        if column.startswith("consistency_worst") and rel <= 1e-9:
            allowed = 0.0
        wanted = row.get(column)
        close = None if wanted is None else pytest.approx(wanted, rel=allowed, abs=0)
        assert again.get(column) == close, column
    return row


@pytest.fixture
def twice_as_large(tmp_path):
    """A small network of any weights that enlarges by two."""
    arguments = {"channels": 2, "features": 4, "layers": 1, "scale": 2}
    card = Card(
        name="twice", summary="", task="super-resolution", scale=2, channels=2, halo=3,
        architecture="srvgg", arguments=arguments,
    )  # fmt: skip
    torch.manual_seed(0)
    path = tmp_path / "twice.safetensors"
    save_weights(path, card, build_network("srvgg", arguments).state_dict())
    return {"name": "twice", "weights": str(path)}


def test_an_odd_size_with_holes(tmp_path):
    """Strips that do some windows alone, and strips lower than any window."""
    data = geotiff(holes(ground(3, "uint8", 597, 611), 0), nodata=0, **TILED)
    row = alike(tmp_path, data, 0, 37, 41, 256, 597)
    assert None not in [row[name] for name in NAMES]
    assert row["niqe"] != row["niqe_degraded"]


@pytest.mark.parametrize(("metrics", "has_holes"), [(["consistency"], False), (NAMES, True)])
def test_an_enlarged_scene(tmp_path, twice_as_large, metrics, has_holes):
    """Bicubic looks across the borders of windows and strips on its way back to the input's size."""
    samples = ground(2, "uint16", 251, 303)
    data = geotiff(holes(samples, 9), nodata=9, **TILED) if has_holes else geotiff(samples, **TILED)
    row = alike(tmp_path, data, 0, 90, 101, 251, restorers=[twice_as_large], metrics=metrics)
    assert row["consistency"] > 0.001


def test_what_storing_moves_is_scored_as_it_was_restored(tmp_path):
    """The mean of valid samples often is the value of no data, and then is stored one step higher."""
    data = geotiff(ground(1, "uint8", 230, 300), nodata=200, **TILED)
    smooth = {"name": "smooth", "solver": "bilateral", "radius": 2}
    alike(tmp_path, data, 0, 37, 230, restorers=[smooth])
    plain = geotiff(ground(1, "uint8", 230, 300), **TILED)
    _, file = Archive.of(tmp_path / "plain", plain, "out", restorers=[smooth]).whole()
    with rasterio.MemoryFile(file) as memory, memory.open() as raster:
        assert (raster.read() == 200).mean() > 0.01, "nothing had to be moved"


@pytest.mark.parametrize("kind", ["nan", "opacity", "mask", "nodata"])
def test_what_a_file_may_hold(tmp_path, kind):
    alike(tmp_path, KINDS[kind](), 0, 90, 101, 240)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_physical_units(tmp_path, dtype):
    """Fractions of the range that the job names; stored floats are rounded once more than scored ones."""
    radiometry = {"low": 0.05, "high": 0.45, "scale": 0.00001 if dtype == "uint16" else 1.0}
    dataset = {"name": "photos", "uri": str(tmp_path / "in"), "radiometry": radiometry}
    data = geotiff(ground(2, dtype, 210, 200), **TILED)
    rel = 1e-9 if dtype == "uint16" else 1e-5
    row = alike(tmp_path, data, 0, 100, 210, datasets=[dataset], rel=rel)
    assert row["data_range_rule"] == "job"


def test_a_scene_too_small_for_a_metric_has_no_score_of_it(tmp_path):
    row = alike(tmp_path, geotiff(ground(1, "uint8", 191, 400), **TILED), 0, 90, 191)
    assert row["niqe"] is None
    assert row["sharpness"] is not None


def test_strips_do_what_they_can_alone_and_any_worker_the_rest(tmp_path):
    """Windows across two strips are those of the assembly; what the strips said is in their rows."""
    fields = {"metrics": ["consistency"], "resources": {"scene_pixels": 1000}}
    data = geotiff(ground(1, "uint8", 1200, 200), **TILED)
    row, _ = Archive.of(tmp_path, data, "whole", **fields).whole()
    archive = Archive.of(tmp_path, data, "strips", **fields)
    first, second, third = archive.units(0, 500, 600, 1200)
    folder = open_run(archive.job).folder
    for unit in (third, first):
        assert Worker(open_run(archive.job))(unit) == []
    (again,) = Worker(open_run(archive.job))(second)
    assert again["consistency"] == pytest.approx(row["consistency"], rel=1e-12)
    strips = StripLedger(folder, archive.worker.recipe.recipe_id)
    counted = {}
    for unit in (first, second, third):
        (strip,) = strips.rows(unit.unit_id)
        parts = ScoreTotals.from_json(strip["scores"]).parts
        counted[strip["first_row"]] = parts["consistency"][0, 0].item() / 200 if parts else 0
    assert counted[500] == 0, "no window fits into 100 rows"
    assert 300 <= counted[0] < 500
    assert 300 <= counted[600] < 600


def test_strips_of_another_version_are_scored_again(tmp_path, monkeypatch):
    """Their bands were others, or there were no scores yet."""
    data = geotiff(ground(1, "uint8", 900, 120), **TILED)
    row, _ = Archive.of(tmp_path, data, "whole", metrics=["sharpness"]).whole()
    archive = Archive.of(tmp_path, data, "strips", metrics=["sharpness"])
    first, second, third = archive.units(0, 300, 600, 900)
    with monkeypatch.context() as older:
        older.setattr("pipeline.scenes.scoring._ROWS", 150)
        assert archive.worker(first) == []
        older.setattr("pipeline.scenes.strip_work.scored_in_strips", lambda job: {})
        assert archive.worker(second) == []
    (again,) = archive.worker(third)
    assert again["sharpness"] == pytest.approx(row["sharpness"], rel=1e-9)


@dataclass(frozen=True)
class OfTheWhole:
    """A metric that needs all pixels at once."""

    protocol: ClassVar = replace(METRICS["sharpness"].protocol, name="median_value")

    def __call__(self, restored_BCHW, reference_BCHW, valid_B1HW):
        return restored_BCHW.flatten(1).median(dim=1).values.double()


def test_a_metric_that_cannot_be_had_of_strips_is_empty_and_named(tmp_path, monkeypatch):
    monkeypatch.setitem(METRICS, "median_value", OfTheWhole())
    data, metrics = geotiff(ground(1, "uint8", 130, 150), **TILED), ["sharpness", "median_value"]
    row, _ = Archive.of(tmp_path, data, "whole", metrics=metrics).whole()
    assert row["median_value"] > 0
    again, _ = Archive.of(tmp_path, data, "strips", metrics=metrics).in_strips(0, 50, 130)
    assert again.get("median_value") is None
    assert again["sharpness"] == pytest.approx(row["sharpness"], rel=1e-9)
    assert again["message"] == "no median_value: not available for a scene in strips"
    assert not isinstance(METRICS["median_value"], Accumulating)


def test_a_scene_in_strips_has_a_reason_in_place_of_a_floor(tmp_path):
    data = geotiff(ground(1, "uint8", 130, 150), **TILED)
    row, _ = Archive.of(tmp_path, data, "strips", metrics=[], psnr_estimate=True).in_strips(0, 50, 130)
    assert row["psnr_reason"].startswith("STRIPS: ")
    assert row.get("psnr_floor") is None
    assert "uncertainty_reason" not in row


def test_a_scene_is_never_held_as_a_whole(tmp_path, monkeypatch):
    """Memory grows neither with the height nor, but for rows as they are stored, with the width."""
    samples = ground(1, "uint8", 4000, 600)
    Folder(str(tmp_path)).put("scene.tif", geotiff(samples, **TILED))
    (tmp_path / "0.raw").write_bytes(samples.tobytes())
    scene = Scene(Folder(str(tmp_path)), "scene.tif", Limits(10**8))
    output = Output([Block(tmp_path / "0.raw", 0, 0, 4000, 600)], BlockCodec.of(scene))
    monkeypatch.setattr("pipeline.scenes.scoring._SAMPLES", 1 << 15)
    pieces, held = [], []
    image, pixels = Scene.image, Output.pixels

    def seen(self, groups: list[Group], rows, columns):
        held.append(groups[-1].last - groups[0].first)
        return image(self, groups, rows, columns)

    def read(self, rows, columns):
        pieces.append(pixels(self, rows, columns))
        return pieces[-1]

    monkeypatch.setattr(Scene, "image", seen)
    monkeypatch.setattr(Output, "pixels", read)
    metrics = {name: METRICS[name] for name in NAMES if name != "niqe"}
    scoring = Scoring(scene, 1, None, torch.device("cpu"), metrics)
    scores = scoring(output, scoring.bands).scores(metrics)
    assert len(pieces) > 40
    assert max(piece.size for piece in pieces) < 3 << 15
    assert max(held) < 1600
    whole_1CHW = torch.from_numpy(samples[None].astype(np.float32) / np.float32(255))
    assert scores["sharpness"] == pytest.approx(
        METRICS["sharpness"](whole_1CHW, whole_1CHW, None).item(), rel=1e-9
    )
    assert scores["consistency"] == scores["consistency_worst_tile"] == 0.0


@pytest.mark.parametrize(("length", "step"), [(1, 96), (96, 96), (191, 96), (192, 96), (1000, 96)])
def test_steps_cover_a_side_and_none_is_shorter(length, step):
    found = steps(length, step)
    assert (found[0][0], found[-1][1]) == (0, length)
    assert [last for _, last in found[:-1]] == [first for first, _ in found[1:]]
    assert all(first % step == 0 and last - first >= min(step, length) for first, last in found)


def test_totals_travel_as_text_to_the_last_bit():
    part = torch.tensor([[1 / 3, -np.inf, np.nan, 1e-300]], dtype=torch.float64)
    again = ScoreTotals.from_json(ScoreTotals([(0, 96)], {"niqe": part}).to_json())
    assert again.bands == [(0, 96)]
    assert again.parts["niqe"].numpy().tobytes() == part.numpy().tobytes()
