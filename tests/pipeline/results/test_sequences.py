"""Sequences of two folders: what flickers is told from what does not, and a damaged frame costs its pairs."""

import math

import numpy as np
import pyarrow.parquet as pq
import pytest

from flows.scoring import score_fields
from pipeline.errors import JobError
from pipeline.jobs.frames import FrameRule
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import open_run
from pipeline.results.sequences import SEQUENCE_TABLE, means_of, score_sequences
from tests.helpers import complete, encoded, fill, photograph

RULE = FrameRule(match=r"(?P<scene>.+)_(?P<t>\d+)\.png")


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    place = tmp_path_factory.mktemp("sequences")
    whole = photograph(3, 60, 96)
    true = {f"walk_{t}.png": whole[t : t + 48, 2 * t : 2 * t + 64] for t in (8, 9, 10, 11)}
    darker = {key: pixels // 16 * 15 for key, pixels in true.items()}
    flickering = {
        key: pixels // 16 * (15 if index % 2 else 16) for index, (key, pixels) in enumerate(true.items())
    }
    for name, frames in (("true", true), ("steady", darker), ("flickering", flickering)):
        fill(place / name, {key: encoded(np.ascontiguousarray(each)) for key, each in frames.items()})
    fill(place / "steady", {"walk_10.png": b"no image"})
    names = [str(place / each) for each in ("steady", "flickering")]
    job = Job.parse(score_fields(names, str(place / "true"), output=str(place / "out"), metrics=["psnr"]))
    complete(job)
    return open_run(job)


def test_what_flickers_is_told_from_what_is_wrong_alike(scored):
    steady, flickering = sorted(score_sequences(scored, RULE), key=lambda each: each.restorer, reverse=True)
    assert (steady.scene, steady.frames, steady.left_out, flickering.frames) == ("walk", 3, 1, 4)
    assert flickering.temporal_error > 3 * steady.temporal_error > 0
    assert math.isfinite(steady.flow_error)
    table = pq.read_table(scored.folder.open(SEQUENCE_TABLE)).to_pylist()
    assert [row["restorer"] for row in table] == ["flickering", "steady"]
    means = means_of([flickering, steady])
    assert means["steady"]["psnr_worst_frame"] == steady.psnr_worst_frame


@pytest.mark.parametrize(
    ("match", "said"),
    [
        (r"(?P<scene>.+)\.png", r"needs an order: a group \(\?P<t>"),
        (r"(?P<scene>.+)-(?P<t>\d+)\.jpg", "matches no key"),
    ],
)
def test_rules_that_make_no_sequence_are_refused(scored, match, said):
    with pytest.raises(JobError, match=said):
        score_sequences(scored, FrameRule(match=match))
