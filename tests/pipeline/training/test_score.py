"""The scoring command of docs/weights.md."""

import math

import numpy as np
import pytest
import torch
import typer
from skimage.metrics import peak_signal_noise_ratio
from typer.testing import CliRunner

from models import catalog
from models.weights import shipped_path
from pipeline.training import score
from tests.helpers import photographs_in


def test_psnr_is_that_of_scikit_image():
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    restored = reference + rng.normal(0, 20, reference.shape)

    def to_tensor(values):
        return torch.from_numpy(values / 255.0).permute(2, 0, 1)[None]

    rounded = np.clip(np.round(restored), 0, 255).astype(np.uint8)
    expected = peak_signal_noise_ratio(reference, rounded, data_range=255)
    assert score.psnr(to_tensor(restored), to_tensor(reference)) == pytest.approx(expected, abs=1e-6)
    assert score.psnr(to_tensor(reference * 1.0), to_tensor(reference * 1.0)) == math.inf


def test_noise_repeats_and_has_its_level():
    clean = torch.full((1, 3, 128, 128), 0.5)
    first = score.noisy("a", clean, 25)
    assert torch.equal(first, score.noisy("a", clean, 25))
    assert not torch.equal(first, score.noisy("b", clean, 25))
    assert float((first - clean).std()) * 255 == pytest.approx(25, rel=0.02)


def test_doing_nothing_scores_the_noise():
    # Far from black and white nothing is clipped: the error is sigma^2 + 1/12 of rounding.
    grey = {"grey": torch.full((1, 3, 128, 128), 128 / 255)}
    found = score.scores(catalog.build("identity"), grey, [5, 15])
    for sigma in (5, 15):
        expected = 10 * math.log10(255**2 / (sigma**2 + 1 / 12))
        assert found[f"{sigma}"] == pytest.approx(expected, abs=0.1)


def test_command_names_weights_and_every_photograph(tmp_path):
    photographs_in(tmp_path, 2)
    app = typer.Typer()
    app.command()(score.main)
    scored = CliRunner().invoke(app, [str(shipped_path("ffdnet-colour")), str(tmp_path), "--sigma", "25"])
    assert scored.exit_code == 0, scored.output
    lines = scored.output.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["0000.png", "0001.png", "mean"]
    single = [float(line.split()[-1]) for line in lines[1:]]
    assert single[2] == pytest.approx((single[0] + single[1]) / 2, abs=1e-3)
    assert single[2] > 10 * math.log10(255**2 / 25**2) + 5
