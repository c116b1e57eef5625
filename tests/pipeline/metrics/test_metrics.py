"""Every metric: the contract, and agreement with scikit-image, scipy or the formula in NumPy float64."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
from numpy.lib.stride_tricks import sliding_window_view
from skimage import color, data, metrics
from torch import Tensor

from pipeline.metrics import METRICS, Metric
from pipeline.metrics.accumulating import Accumulating
from pipeline.metrics.base import MetricInputs
from pipeline.metrics.features import FeatureMetric, NeedsWeights
from pipeline.metrics.moments import local_moments, shared_mean
from pipeline.metrics.page import page
from pipeline.metrics.temporal import FlowError, TemporalError, WorstFramePSNR
from pipeline.metrics.window import gaussian
from tests import metric_contract
from tests.metric_contract import noisy

ROOT = Path(__file__).parents[3]
SIZE = 200  # above the minimum of ms_ssim
GREY_OR_COLOUR = (1, 3)
DEFINED_CHANNELS = dict.fromkeys(("psnr_y", "ssim_y", "lpips_lite0", "dists_lite0"), GREY_OR_COLOUR) | {
    "sam": (3, 6),
    "temporal_error": (3, 6),
    "flow_error": (3, 6),
    "qnr": (3, 6),
    "hqnr": (3, 6),
}


@dataclass(frozen=True)
class WithInput:
    """A metric that looks at the restorer's input too, on an input that is the reference, blurred."""

    metric: Metric

    @property
    def protocol(self):
        return self.metric.protocol

    def __call__(self, restored_BCHW, reference_BCHW, valid_B1HW):
        shown = reference_BCHW if valid_B1HW is None else reference_BCHW.where(valid_B1HW, 0.5)
        return self.metric(restored_BCHW, torch.cat([reference_BCHW, blurred(shown, 2.0)], dim=1), valid_B1HW)


WITHOUT_FILES = [name for name in METRICS if not isinstance(METRICS[name], NeedsWeights)]
"""The others are these with networks of the user: ``test_feature_metrics.py``."""


@pytest.fixture(params=WITHOUT_FILES)
def metric(request):
    found = METRICS[request.param]
    return WithInput(found) if found.protocol.pair is MetricInputs.BOTH else found


@cache
def _two_photographs() -> Tensor:
    image_CHW = torch.from_numpy(data.astronaut().transpose(2, 0, 1).copy()).float() / 255
    return torch.cat([image_CHW, image_CHW.flip(-1)])


def photograph(channels: int = 3, batch: int = 1, size: int = SIZE) -> Tensor:
    """Crops of a photograph; six channels are it and its mirror image."""
    image_CHW = _two_photographs()[:channels]
    return torch.stack([image_CHW[:, i * 30 : i * 30 + size, 100 : 100 + size] for i in range(batch)])


def size_of(metric) -> int:
    """Small where the best of many shifts is looked for, or a network looks."""
    is_slow = metric.protocol.pair is MetricInputs.UNREGISTERED or isinstance(metric, FeatureMetric)
    return 44 if is_slow or isinstance(metric, TemporalError | FlowError) else SIZE


def channels_of(metric, candidates=(1, 3, 6)) -> list[int]:
    return [c for c in candidates if c in DEFINED_CHANNELS.get(metric.protocol.name, (1, 3, 6))]


def test_contract_identical(metric):
    for channels in channels_of(metric):
        metric_contract.check_identical(metric, photograph(channels, batch=2, size=size_of(metric)))


def test_contract_shape(metric):
    for channels in channels_of(metric):
        metric_contract.check_shape(metric, photograph(channels, batch=2, size=size_of(metric)))


def test_contract_batch(metric):
    size = (
        300 if metric.protocol.minimum_size > 176 else size_of(metric)
    )  # blocks must be left beside the hole
    metric_contract.check_batch(metric, photograph(batch=3, size=size))


def test_contract_mask(metric):
    # Whole blocks or windows must be left beside the hole.
    size = 400 if metric.protocol.minimum_size > 90 else min(size_of(metric), 120)
    for channels in channels_of(metric, (1, 3)):  # a mask has no channels
        metric_contract.check_mask(metric, photograph(channels, batch=2, size=size))


def test_contract_undersized(metric):
    if metric.protocol.pair is MetricInputs.BOTH:
        pytest.skip("one pixel may count or not, whatever the size")
    metric_contract.check_undersized(metric, photograph(batch=2))


def test_contract_ladder(metric):
    reference_BCHW = photograph(batch=2, size=size_of(metric))
    match metric.protocol.name:
        case "bias":  # noise has no bias
            ladder = [reference_BCHW + offset for offset in (0.01, 0.03, 0.1)]
        case "ratio_bias":  # radiometry that was moved, and no speckle
            ladder = [reference_BCHW * gain for gain in (1.05, 1.2, 1.5)]
        case "sfrc_flagged" | "sfrc_mri_flagged":  # a share of few patches
            ladder = [noisy(reference_BCHW, sigma) for sigma in (0.05, 0.2, 0.6)]
        case "omission":  # nearer and nearer the input
            ladder = [blurred(reference_BCHW, sigma) for sigma in (0.5, 1.0, 2.0)]
        case "flow_error":  # frames of more noise are not found at all
            ladder = [noisy(reference_BCHW, sigma) for sigma in (0.002, 0.005, 0.01)]
        case "sharpness":  # noise looks sharp
            ladder = [blurred(reference_BCHW, sigma) for sigma in (0.5, 1.0, 2.0)]
        case _:
            ladder = [noisy(reference_BCHW, sigma) for sigma in (0.02, 0.05, 0.1)]
    metric_contract.check_ladder(metric, ladder, reference_BCHW)


@pytest.mark.parametrize("name", [name for name in METRICS if isinstance(METRICS[name], Accumulating)])
def test_contract_sections(name):
    """Sizes that no grid divides; every metric of a restore run is of this kind."""
    metric_contract.check_sections(METRICS[name], photograph(batch=2, size=410)[..., :403])


def test_every_metric_without_a_reference_can_be_had_of_scenes():
    pairs = (MetricInputs.INPUT, MetricInputs.ALONE)  # scenes that have a guide are not cut
    without = [metric for metric in METRICS.values() if metric.protocol.pair in pairs]
    assert len(without) == 6
    assert all(isinstance(metric, Accumulating) for metric in without)


def test_contract_precision(metric):
    if metric.protocol.pair is MetricInputs.BOTH:
        pytest.skip("nothing counts on data without contrast")
    metric_contract.check_precision(metric, photograph(size=size_of(metric)))


def test_undefined_channel_counts_are_nan():
    for name, channels in (("psnr_y", 6), ("ssim_y", 2), ("sam", 1)):
        reference_BCHW = photograph(channels, batch=2)
        assert METRICS[name](noisy(reference_BCHW, 0.1), reference_BCHW, None).isnan().all()


def test_page_is_current():
    text = page(metric.protocol for metric in METRICS.values())
    assert (ROOT / "docs/metrics.md").read_text() == text, "run: python -m pipeline.metrics > docs/metrics.md"


# Against others. Pairs are float32 as the worker makes them; the referees work in float64.


def blurred(image_BCHW: Tensor, sigma: float) -> Tensor:
    filtered = scipy.ndimage.gaussian_filter(image_BCHW.numpy(), (0, 0, sigma, sigma))
    return torch.from_numpy(filtered)


@pytest.fixture(scope="module", params=["noise", "blur"])
def pair(request):
    """Restored and reference, 1 x 3 x H x W with an odd height and width."""
    reference_BCHW = photograph()[:, :, :191, :187].contiguous()
    return noisy(reference_BCHW, 0.05) if request.param == "noise" else blurred(
        reference_BCHW, 1.3
    ), reference_BCHW


def as_array(image_BCHW: Tensor) -> np.ndarray:
    return image_BCHW[0].permute(1, 2, 0).double().numpy()


def score(name: str, pair, valid_B1HW: Tensor | None = None) -> float:
    return METRICS[name](*pair, valid_B1HW).item()


def test_squared_error_family(pair):
    restored, reference = map(as_array, pair)
    expected = metrics.mean_squared_error(reference, restored)
    assert score("mse", pair) == pytest.approx(expected, rel=1e-6)
    assert score("rmse", pair) == pytest.approx(np.sqrt(expected), rel=1e-6)
    assert score("nrmse", pair) == pytest.approx(metrics.normalized_root_mse(reference, restored), rel=1e-6)
    assert score("mae", pair) == pytest.approx(np.abs(restored - reference).mean(), rel=1e-6)
    psnr = metrics.peak_signal_noise_ratio(reference, restored, data_range=1.0)
    assert score("psnr", pair) == pytest.approx(psnr, abs=1e-5)


def test_nrmse_of_a_black_reference_is_undefined():
    black = torch.zeros(1, 1, 8, 8)
    assert METRICS["nrmse"](black + 0.1, black, None).isnan().all()


def test_luma_metrics_use_matlab_luma(pair):
    restored, reference = (color.rgb2ycbcr(as_array(image))[..., 0] / 255 for image in pair)
    psnr = metrics.peak_signal_noise_ratio(reference, restored, data_range=1.0)
    assert score("psnr_y", pair) == pytest.approx(psnr, abs=1e-4)
    assert score("ssim_y", pair) == pytest.approx(wang_ssim(reference, restored), abs=1e-6)


def wang_ssim(reference, restored, channel_axis=None, **options):
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False} | options
    return metrics.structural_similarity(
        reference, restored, data_range=1.0, channel_axis=channel_axis, **options
    )


def test_ssim_is_scikit_image_s(pair):
    restored, reference = map(as_array, pair)
    assert score("ssim", pair) == pytest.approx(wang_ssim(reference, restored, 2), abs=1e-6)


@pytest.mark.parametrize(("height", "width"), [(11, 11), (12, 45), (43, 75), (300, 13), (1, 512)])
def test_ssim_of_any_size(height, width):
    reference_BCHW = photograph(3, size=512)[:, :, :height, :width]
    pair = noisy(reference_BCHW, 0.1), reference_BCHW
    if height < 11:
        assert np.isnan(score("ssim", pair))
        return
    restored, reference = map(as_array, pair)
    assert score("ssim", pair) == pytest.approx(wang_ssim(reference, restored, 2), abs=1e-6)


def test_ssim_in_strips_is_ssim_at_once():
    image_CHW = torch.from_numpy(data.retina().transpose(2, 0, 1).copy()).float() / 255
    reference_BCHW = image_CHW[None, :, :700, :900]  # larger than what is worked on at once
    pair = noisy(reference_BCHW, 0.1), reference_BCHW
    restored, reference = map(as_array, pair)
    assert score("ssim", pair) == pytest.approx(wang_ssim(reference, restored, 2), abs=1e-6)


def test_masked_ssim_is_the_mean_over_whole_windows(pair):
    valid_B1HW = torch.ones_like(pair[1][:, :1], dtype=torch.bool)
    valid_B1HW[:, :, 40:60, 70:71] = False
    restored, reference = map(as_array, pair)
    _, map_HWC = wang_ssim(reference, restored, 2, full=True)
    whole = scipy.ndimage.minimum_filter(valid_B1HW[0, 0].numpy(), 11)[5:-5, 5:-5]
    expected = map_HWC[5:-5, 5:-5][whole].mean()
    assert score("ssim", pair, valid_B1HW) == pytest.approx(expected, abs=1e-6)


def test_window_is_scipy_s():
    window = gaussian(11, 1.5)
    rows_HPW = torch.rand(97, 4, 75, generator=torch.Generator().manual_seed(0))
    taps = np.array(window.weights)
    expected = scipy.ndimage.correlate1d(rows_HPW.double().numpy(), taps, axis=0)
    expected = scipy.ndimage.correlate1d(expected, taps, axis=2)[5:-5, :, 5:-5]
    np.testing.assert_allclose(window.means_(rows_HPW).numpy(), expected, atol=1e-6)


def test_local_variance_survives_a_high_offset():
    """Plain E[x^2] - E[x]^2 in float32 is wrong in the first digit here."""
    level = (30000 + 400 * (photograph(1).double() - 0.5)).round() / 65535
    moments = local_moments(level.float(), level.float(), shared_mean(level.float(), None), gaussian(11, 1.5))
    taps = np.array(gaussian(11, 1.5).weights)
    windows = sliding_window_view(level[0, 0].numpy(), (11, 11))
    mean = np.einsum("hwij,i,j->hw", windows, taps, taps)
    variance = np.einsum("hwij,i,j->hw", (windows - mean[..., None, None]) ** 2, taps, taps)
    np.testing.assert_allclose(moments.sum_variance[:, 0].numpy() / 4, variance, rtol=1e-3, atol=1e-11)


def test_ms_ssim_is_the_formula(pair):
    """Wang 2003, eq. 7, on float64 with scikit-image's maps."""
    restored, reference = map(as_array, pair)
    product = np.ones(3)
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        full, contrast = (ssim_per_channel(reference, restored, only) for only in (False, True))
        product *= np.maximum(full if scale == 4 else contrast, 0) ** weight
        restored, reference = (halve(image) for image in (restored, reference))
    assert score("ms_ssim", pair) == pytest.approx(product.mean(), abs=1e-6)


def halve(image):
    even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4


def ssim_per_channel(x, y, contrast_only):
    def mean(image):
        return scipy.ndimage.gaussian_filter(image, (1.5, 1.5, 0), truncate=3.5)[5:-5, 5:-5]

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    contrast = (2 * cov + 0.03**2) / (vx + vy + 0.03**2)
    luminance = (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
    return (contrast if contrast_only else contrast * luminance).mean(axis=(0, 1))


def same(image, kernel):
    """MATLAB's ``conv2(image, kernel, 'same')``: scipy centres even kernels on the other side."""
    return np.rot90(scipy.signal.convolve2d(np.rot90(image, 2), np.rot90(kernel, 2), mode="same"), 2)


def test_gmsd_is_the_formula(pair):
    """Xue 2014 as in the authors' MATLAB, on 0..255."""
    kernel = np.array([[1, 0, -1]] * 3) / 3

    def gradient(image_HWC):
        grey = 255 * image_HWC @ [0.299, 0.587, 0.114]
        small = same(grey, np.ones((2, 2)) / 4)[::2, ::2]
        return np.sqrt(same(small, kernel) ** 2 + same(small, kernel.T) ** 2)

    x, y = (gradient(as_array(image)) for image in pair)
    expected = ((2 * x * y + 170) / (x**2 + y**2 + 170)).std()
    assert score("gmsd", pair) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_haarpsi_is_the_formula(pair, channels):
    """Reisenhofer 2018, eq. 9-15, with explicit kernels on 0..255."""
    pair = tuple(image[:, :channels] for image in pair)
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])

    def planes(image_HWC):
        image = 255 * image_HWC
        image = image @ yiq.T if channels == 3 else image
        return [same(image[..., c], np.ones((2, 2)) / 4)[::2, ::2] for c in range(channels)]

    def coefficient(plane, scale, axis):
        kernel = np.ones((2**scale, 2**scale)) / 2**scale
        kernel[: 2**scale // 2] *= -1
        return np.abs(same(plane, kernel if axis == 0 else kernel.T))

    def similarity(x, y):
        return (2 * x * y + 30) / (x**2 + y**2 + 30)

    x, y = (planes(as_array(image)) for image in pair)
    local, weights = [], []
    for axis in (0, 1):
        fine = [similarity(coefficient(x[0], j, axis), coefficient(y[0], j, axis)) for j in (1, 2)]
        local.append((fine[0] + fine[1]) / 2)
        weights.append(np.maximum(coefficient(x[0], 3, axis), coefficient(y[0], 3, axis)))
    if channels == 3:
        x, y = ([np.abs(same(plane, np.ones((2, 2)) / 4)) for plane in image[1:]] for image in (x, y))
        local.append((similarity(x[0], y[0]) + similarity(x[1], y[1])) / 2)
        weights.append((weights[0] + weights[1]) / 2)
    logistic = 1 / (1 + np.exp(-4.2 * np.array(local)))
    mean = (logistic * weights).sum() / np.sum(weights)
    assert score("haarpsi", pair) == pytest.approx((np.log(mean / (1 - mean)) / 4.2) ** 2, abs=1e-6)


def test_uqi_is_the_formula(pair):
    """Wang and Bovik 2002, eq. 2, window by window."""
    x, y = (sliding_window_view(as_array(image), (8, 8), axis=(0, 1)).reshape(-1, 64) for image in pair)
    mx, my, vx, vy = x.mean(1), y.mean(1), x.var(1), y.var(1)
    cov = ((x - mx[:, None]) * (y - my[:, None])).mean(1)
    expected = (4 * cov * mx * my / ((vx + vy) * (mx**2 + my**2))).mean()
    assert score("uqi", pair) == pytest.approx(expected, abs=1e-6)


def test_uqi_of_flat_images_compares_their_levels():
    dark, bright = torch.full((1, 1, 16, 16), 0.25), torch.full((1, 1, 16, 16), 0.5)
    assert METRICS["uqi"](dark, bright, None).item() == pytest.approx(2 * 0.125 / (0.0625 + 0.25))
    assert METRICS["uqi"](dark * 0, dark * 0, None).item() == 1.0


def test_sam_is_the_mean_angle(pair):
    restored, reference = (as_array(image).reshape(-1, 3) for image in pair)
    lit = restored.any(axis=1) & reference.any(axis=1)
    restored, reference = restored[lit], reference[lit]
    cosine = (
        (restored * reference).sum(1) / np.linalg.norm(restored, axis=1) / np.linalg.norm(reference, axis=1)
    )
    expected = np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean()
    assert score("sam", pair) == pytest.approx(expected, rel=1e-5)


def test_sam_leaves_out_black_pixels():
    reference = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).reshape(1, 2, 1, 2)
    restored = torch.tensor([[1.0, 0.5], [1.0, 0.5]]).reshape(1, 2, 1, 2)
    assert METRICS["sam"](restored, reference, None).item() == pytest.approx(45.0)


def test_ergas_is_the_formula(pair):
    restored, reference = map(as_array, pair)
    relative = ((restored - reference) ** 2).mean(axis=(0, 1)) / reference.mean(axis=(0, 1)) ** 2
    assert score("ergas", pair) == pytest.approx(100 / 4 * np.sqrt(relative.mean()), rel=1e-6)


def test_scc_is_the_correlation_of_the_laplacians(pair):
    kernel = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]])
    x, y = (
        [scipy.signal.convolve2d(as_array(image)[..., c], kernel, mode="valid").ravel() for c in range(3)]
        for image in pair
    )
    expected = np.mean([np.corrcoef(x[c], y[c])[0, 1] for c in range(3)])
    assert score("scc", pair) == pytest.approx(expected, abs=1e-6)


def test_bias_of_channels_does_not_cancel(pair):
    reference = pair[1]
    shifted = reference + torch.tensor([0.02, -0.02, 0.0]).reshape(1, 3, 1, 1)
    assert score("bias", (shifted, reference)) == pytest.approx(0.04 / 3, rel=1e-5)


def test_sharpness_is_the_deviation_of_the_laplacian(pair):
    restored = as_array(pair[0])
    laplacian = [scipy.ndimage.laplace(restored[..., c])[1:-1, 1:-1].var() for c in range(3)]
    assert score("sharpness", pair) == pytest.approx(np.sqrt(np.mean(laplacian)), rel=1e-5)
    assert score("sharpness", (pair[0], torch.zeros_like(pair[0]))) == score("sharpness", pair)


def test_a_sequence_is_scored_by_its_worst_frame_by_flicker_and_by_motion():
    whole = photograph(1, size=64)
    reference = torch.cat([whole[..., :48, t : t + 48] for t in range(0, 6, 2)], 1)  # 2 pixels a frame
    worse = reference.clone()
    worse[:, 1] += 0.1
    psnr = METRICS["psnr"](worse[:, 1:2], reference[:, 1:2], None)
    torch.testing.assert_close(WorstFramePSNR()(worse, reference, None), psnr)
    # One bright frame of three: two changes of 0.1, whatever moves. All of them brighter: nothing flickers.
    torch.testing.assert_close(TemporalError()(worse, reference, None), torch.tensor([0.1]).double())
    assert TemporalError()(reference + 0.1, reference, None) < 1e-6
    still = reference[:, :1].expand(-1, 3, -1, -1)
    assert FlowError()(still, reference, None) == pytest.approx(2.0, abs=0.3)
    assert FlowError()(still, still, None) == 0
