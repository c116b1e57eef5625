"""Numbers that the field publishes or that several libraries agree on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data, io
from skimage.metrics import structural_similarity

from models.operators.resample import imresize
from pipeline.metrics import METRICS
from pipeline.metrics.sfrc import ring_correlation

SET5 = Path(__file__).parents[4] / "shared/data/Set5"


@pytest.fixture(scope="module")
def camera_pair():
    """The pair of scikit-image's own tests: camera and noise of 20 grey levels."""
    reference = data.camera()
    noise = 20 * np.random.RandomState(5).randn(*reference.shape)
    restored = np.clip(reference + noise, 0, 255).astype(np.uint8)
    return restored, reference


def score(name, pair):
    return METRICS[name](*(torch.from_numpy(image)[None, None].float() / 255 for image in pair), None).item()


def test_ssim_of_the_camera_pair(camera_pair):
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    referee = structural_similarity(*camera_pair, **options)
    assert score("ssim", camera_pair) == pytest.approx(referee, abs=1e-6)
    assert score("ssim", camera_pair) == pytest.approx(0.357964, abs=1e-5)
    assert score("ssim", camera_pair) == pytest.approx(0.357959091663361, abs=1e-3)  # IPOL imdiff


def test_psnr_of_the_camera_pair(camera_pair):
    assert score("psnr", camera_pair) == pytest.approx(22.409353363576034, abs=1e-4)  # IPOL imdiff


def test_ms_ssim_of_the_camera_pair(camera_pair):
    """pytorch_msssim 1.0 gives 0.793396, piq 0.8 gives 0.793388."""
    assert score("ms_ssim", camera_pair) == pytest.approx(0.793392, abs=1e-5)


def test_ring_correlation_is_that_of_the_authors_code():
    """frc_utils.FRC and find_earliest_lp_intersection of DIDSR/sfrc (02b04d2) on windowed patches."""
    reference = data.camera()[128:192, 200:264] / 255.0
    restored = reference + 0.15 * np.random.RandomState(0).randn(64, 64)
    pair = [torch.from_numpy(image)[None, None] for image in (restored, reference)]
    correlation = ring_correlation(*(image[:, :, None] for image in pair))[0, 0, 0]
    gold = [1.0, 0.999305, 0.990285, 0.993333, 0.972422, 0.945120, 0.923906, 0.877233, 0.814343, 0.791712]
    assert correlation[:10].tolist() == pytest.approx(gold, abs=1e-6)
    assert correlation[[14, 15, 31]].tolist() == pytest.approx([0.584040, 0.432385, 0.169484], abs=1e-6)
    assert METRICS["sfrc"](*pair, None).item() == pytest.approx(0.22740866612258598, abs=1e-7)
    assert METRICS["sfrc_flagged"](*pair, None).item() == 0.0


def test_the_ring_correlation_of_mri_has_its_own_patches_and_threshold():
    """The authors' rings on 48 x 48 pixels, where they meet 0.75."""
    reference = data.camera()[128:176, 200:248] / 255.0
    restored = reference + 0.15 * np.random.RandomState(0).randn(48, 48)
    pair = [torch.from_numpy(image)[None, None] for image in (restored, reference)]
    assert METRICS["sfrc_mri"](*pair, None).item() == pytest.approx(0.11957321341423463, abs=1e-7)
    assert METRICS["sfrc_mri_flagged"](*pair, None).item() == 1.0


@pytest.mark.parametrize(
    ("seed", "gold"),
    [(3, (0.0337284, 0.028524762, 0.937746839)), (8, (0.030275552, 0.028108495, 0.941615953))],
)
def test_shares_are_those_of_the_authors_code(seed, gold):
    """opensr-test 1.3.3, distance nd by pixel, softmin, gradient threshold 0.1, nothing harmonised."""
    rng = np.random.default_rng(seed)
    top, left = rng.integers(0, 380, 2)
    reference = torch.from_numpy(data.astronaut()[top : top + 64, left : left + 64].copy()) / 255
    reference = reference.double().permute(2, 0, 1)[None]
    noise = torch.from_numpy(rng.normal(size=reference.shape[1:]))
    restored = (reference + 0.1 * noise * (seed % 5) / 2).clamp(0.01, 1)
    given = torch.nn.functional.avg_pool2d(reference, 4)
    given = torch.nn.functional.interpolate(given, scale_factor=4, mode="bilinear")
    both = torch.cat([reference, given], dim=1)
    names = ("improvement", "omission", "hallucination")
    assert [METRICS[name](restored, both, None).item() for name in names] == pytest.approx(gold, abs=1e-8)


def test_looks_and_ratio_of_simulated_speckle():
    """Gamma speckle of four looks on even ground: its own number of looks, and a ratio of mean 1."""
    rng = np.random.default_rng(0)
    ground = np.full((1, 1, 256, 256), 0.2)
    speckled, even = (torch.from_numpy(ground * each) for each in (rng.gamma(4.0, 0.25, ground.shape), 1.0))
    assert METRICS["enl"](speckled, speckled, None).item() == pytest.approx(4.0, rel=0.04)
    assert METRICS["ratio_bias"](even, speckled, None).item() == pytest.approx(0.0, abs=0.005)
    assert METRICS["ratio_bias"](0.8 * even, speckled, None).item() == pytest.approx(0.25, abs=0.01)


@pytest.mark.skipif(not SET5.exists(), reason="Set5 is not in ../shared/data")
@pytest.mark.parametrize(
    ("names", "expected"),
    [(("psnr_y", "ssim_y"), (28.431, 0.8113)), (("psnr", "ssim"), (26.695, 0.7734))],
)
def test_bicubic_x4_on_set5(names, expected):
    """The bicubic row of super-resolution tables: low resolution by MATLAB, uint8, 4 pixels cut."""
    scores = np.array(
        [[METRICS[name](*bicubic_pair(path), None).item() for name in names] for path in images()]
    )
    psnr, ssim = scores.mean(axis=0)
    assert len(scores) == 5
    assert psnr == pytest.approx(expected[0], abs=0.005)
    assert ssim == pytest.approx(expected[1], abs=0.0002)


def images():
    return sorted((SET5 / "HR").glob("*.png"))


def bicubic_pair(path):
    reference = pixels(path)
    low = pixels(next((SET5 / "LR_bicubic").glob(f"**/{path.stem}x4.png")))
    height, width = 4 * low.shape[-2], 4 * low.shape[-1]
    restored = imresize(low, height, width, kernel="bicubic").mul(255).round().clamp(0, 255) / 255
    inside = slice(4, height - 4), slice(4, width - 4)
    return restored[:, :, *inside], reference[:, :, *inside]


def pixels(path):
    return torch.from_numpy(io.imread(path)).permute(2, 0, 1)[None].float() / 255
