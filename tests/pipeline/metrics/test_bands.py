"""Scores of each band in the tables, against scikit-image on the stored files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from pipeline.errors import JobError
from pipeline.ledger.run_folder import open_run
from pipeline.metrics import METRICS
from pipeline.metrics.bands import has_bands, per_band
from pipeline.recipe.recipe import Recipe
from pipeline.results.tables import read_metrics
from tests.helpers import benchmark, complete, decoded, photographs_in


def test_each_band_has_the_score_that_it_has_alone(tmp_path):
    photographs_in(tmp_path / "in", 2, 40, 48)
    job = benchmark(
        tmp_path / "in",
        tmp_path / "out",
        degradations=["awgn-25-uint8"],
        restorers=["median"],
        metrics=["psnr", "bias", "psnr_y"],
        per_band=["psnr", "bias"],
        save="all",
    )
    for row in complete(job):
        reference, restored, degraded = (
            decoded(Path(row[name].removeprefix("file://")).read_bytes())
            for name in ("source_uri", "output_uri", "degraded_uri")
        )
        for column, image in (("psnr_bands", restored), ("psnr_bands_degraded", degraded)):
            expected = [peak_signal_noise_ratio(reference[..., c], image[..., c]) for c in range(3)]
            assert row[column] == pytest.approx(expected, abs=1e-5)
        signed = (restored.astype(float) - reference).mean(axis=(0, 1)) / 255
        assert row["bias_bands"] == pytest.approx(np.abs(signed), abs=1e-7)
        assert row["bias"] == pytest.approx(np.mean(row["bias_bands"]), abs=1e-12)
    assert "psnr_y_bands" not in read_metrics(open_run(job)).schema.names


def test_only_metrics_of_the_job_that_one_band_has(tmp_path):
    with pytest.raises(JobError, match=r'per_band\[0\]: "ssim" is none of the metrics'):
        Recipe.of(benchmark(tmp_path, tmp_path / "out", metrics=["psnr"], per_band=["ssim"]))
    for name in ("psnr_y", "sam", "consistency", "sharpness"):
        with pytest.raises(JobError, match="is no score of one band; there are psnr, ssim"):
            Recipe.of(benchmark(tmp_path, tmp_path / "out", metrics=[name], per_band=[name]))


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if has_bands(metric.protocol)])
def test_an_image_of_one_band_has_its_own_score(name):
    generator = torch.Generator().manual_seed(0)
    reference_B1HW = torch.rand(2, 1, 180, 180, generator=generator)
    restored_B1HW = reference_B1HW + 0.05 * torch.randn(reference_B1HW.shape, generator=generator)
    pair = (restored_B1HW, reference_B1HW, None)
    whole = METRICS[name](*pair).tolist()
    assert per_band(METRICS[name], *pair) == [[pytest.approx(score)] for score in whole]
