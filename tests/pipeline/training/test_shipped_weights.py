"""What docs/weights.md says of the shipped weights is what a benchmark gives."""

import numpy as np
import pytest

from models.weights import SHIPPED
from tests.helpers import benchmark, complete
from tests.pipeline.training.training_data import ROOT

DATA = ROOT.parent / "shared" / "data"
PAGE = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")

SET5, SET12 = ("Set5/HR", "*.png"), ("Set12", "*.png")
SCORES = {
    "despeckle": ("Set12", "0[1-7].png", "speckle-1-look", "psnr", 20.92),
    "ffdnet-grey": (*SET12, "awgn-25", "psnr", 29.97),
    "inpaint-gated": (*SET5, "inpaint-thin", "psnr", 29.06),
    "nafnet-jpeg": (*SET5, "jpeg-q10", "psnr", 27.78),
    "nafnet-motion": (*SET5, "motion", "psnr", 35.31),
    "srgan-x4": (*SET5, "bicubic-x4", "psnr_y", 30.44),
    "srvgg-x2": (*SET5, "bicubic-x2", "psnr_y", 37.09),
    "srvgg-x4": (*SET5, "bicubic-x4", "psnr_y", 31.10),
}
"""Restorer -> images, degradation, metric, stated dB; ffdnet-colour has its own test beside the networks'."""


@pytest.mark.long
@pytest.mark.parametrize("name", SCORES)
def test_scores_are_those_of_the_page(tmp_path, name):
    folder, pattern, degradation, metric, stated = SCORES[name]
    if not (DATA / folder).is_dir():
        pytest.skip(f"{folder} does not lie in ../shared/data")
    section = PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert f"{stated:.2f}" in section
    dataset = {"name": folder.split("/")[0].lower(), "uri": str(DATA / folder), "pattern": pattern}
    job = benchmark(
        "", tmp_path, datasets=[dataset], degradations=[degradation], restorers=[name], metrics=[metric]
    )
    assert np.mean([row[metric] for row in complete(job)]) == pytest.approx(stated, abs=0.02)


def test_every_shipped_file_is_described():
    assert all(f"| `{name}` |" in PAGE and f"\n## {name}\n" in PAGE for name in SHIPPED)
