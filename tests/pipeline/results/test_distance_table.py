"""Set-wise distances and scores without reference, in the tables of real runs."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import run
from pipeline.errors import JobError
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import open_run
from pipeline.results.tables import read_metrics, read_summary
from tests.helpers import benchmark, complete, photographs_in, restore


def test_distances_of_a_run_are_those_of_its_folders(tmp_path):
    pytest.importorskip("efficientnet_lite_pytorch")
    from pipeline.distances import frechet_distance, kernel_distance
    from pipeline.distances.features import Lite0Features
    from pipeline.distances.folders import summarise_folder
    from pipeline.storage.folder import Folder

    photographs_in(tmp_path / "in", 6, 64, 64)
    job = benchmark(
        tmp_path / "in",
        tmp_path / "out",
        degradations=["awgn-25-uint8"],
        restorers=["identity", "median"],
        distances=["frechet_lite0", "kernel_lite0"],
        save="restored",
        resources={"unit_images": 2},
    )
    rows = complete(job)
    opened = open_run(job)
    assert not [name for name in read_metrics(opened).schema.names if name.startswith("features")]
    summary = {
        (row["restorer"], row["metric"]): row
        for row in read_summary(opened).to_pylist()
        if row["metric"].endswith("_lite0")
    }
    assert len(summary) == 4
    network = Lite0Features()
    reference = summarise_folder(Folder(str(tmp_path / "in")), network).features
    for restorer in ("identity", "median"):
        made = [row["output_uri"] for row in rows if row["restorer"] == restorer]
        folder = Folder(str(Path(made[0].removeprefix("file://")).parent))
        restored = summarise_folder(folder, network).features
        row = summary[restorer, "frechet_lite0"]
        assert row["n"] == 6
        assert row["mean"] == pytest.approx(frechet_distance(restored, reference), rel=5e-3)
        expected = kernel_distance(restored, reference)
        assert summary[restorer, "kernel_lite0"]["mean"] == pytest.approx(expected, rel=2e-2, abs=1e-4)
    own = summary["identity", "frechet_lite0"]
    assert own["mean_degraded"] == pytest.approx(own["mean"], rel=1e-6), "identity changes nothing"
    assert own["gain"] == pytest.approx(0, abs=1e-6)


def test_a_restore_run_has_scores_that_need_no_reference(tmp_path):
    photographs_in(tmp_path / "in", 3, 200, 208)
    job = restore(tmp_path / "in", tmp_path / "out", metrics=["sharpness", "niqe"])
    rows = complete(job)
    for row in rows:
        for metric in ("sharpness", "niqe"):
            assert np.isfinite([row[metric], row[f"{metric}_degraded"]]).all()
        assert row["sharpness"] < row["sharpness_degraded"], "a median filter makes images less sharp"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"metrics": ["psnr"]},
            r'metrics\[0\]: "psnr" needs a reference.*there are .*sharpness, .*consis',
        ),
        ({"metrics": ["niqe", "volume_psnr"]}, r'metrics\[1\]: "volume_psnr" needs a reference'),
        ({"metrics": ["frechet_lite0"]}, r'"frechet_lite0" is no score of one image; write distances = '),
    ],
)
def test_other_scores_are_refused_with_the_cure(tmp_path, fields, message):
    photographs_in(tmp_path / "in", 1)
    with pytest.raises(JobError, match=message):
        run.plan(open_run(restore(tmp_path / "in", tmp_path / "out", **fields)), run.Options(engine="local"))


def test_an_unknown_distance_is_refused_with_the_nearest_name(tmp_path):
    photographs_in(tmp_path / "in", 1)
    job = benchmark(tmp_path / "in", tmp_path / "out", distances=["frechet_lite"])
    assert isinstance(job, Job)
    with pytest.raises(
        JobError, match=r'distances\[0\]: unknown distance "frechet_lite"; did you mean "frechet_lite0"'
    ):
        run.plan(open_run(job), run.Options(engine="local"))
