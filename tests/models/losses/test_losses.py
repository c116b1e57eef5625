"""Losses of pixels: the contract over all of them, and each against its formula in numpy or scikit-image."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from models.losses import LOSSES, build_loss

# Adding a loss: one line, with the arguments to try and its value where restored and target are equal.
CONTRACT = {
    "charbonnier": ({}, 1e-3),
    "frequency": ({}, 0.0),
    "l1": ({}, 0.0),
    "laplace": ({}, None),
    "masked_l1": ({}, 0.0),
    "masked_mse": ({}, 0.0),
    "mse": ({}, 0.0),
    "psnr": ({}, -80.0),
    "ssim": ({}, 0.0),
    "total_variation": ({}, None),
}


def pair(batch=2, channels=3, height=16, width=19, seed=0, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    target = rng.random((batch, channels, height, width))
    restored = np.clip(target + rng.normal(0, 0.1, target.shape), 0, 1)
    return torch.tensor(restored, dtype=dtype), torch.tensor(target, dtype=dtype)


def mask_for(image_BCHW, seed=3):
    rng = np.random.default_rng(seed)
    mask = rng.random((len(image_BCHW), 1, *image_BCHW.shape[-2:])) > 0.3
    return torch.tensor(mask, dtype=image_BCHW.dtype)


def widths_for(image_BCHW, seed=4):
    width = np.random.default_rng(seed).uniform(0.02, 0.2, image_BCHW[0].shape)
    return torch.tensor(width, dtype=image_BCHW.dtype).expand_as(image_BCHW)


def evaluate(loss, restored_BCHW, target_BCHW):
    if getattr(loss, "needs_mask", False):
        return loss(restored_BCHW, target_BCHW, mask_for(restored_BCHW)[: len(restored_BCHW)])
    if getattr(loss, "needs_half_width", False):
        return loss(restored_BCHW, target_BCHW, widths_for(restored_BCHW))
    return loss(restored_BCHW, target_BCHW)


def value_of(name, restored_BCHW, target_BCHW, **arguments):
    return float(build_loss(name, arguments)(restored_BCHW, target_BCHW))


def test_every_loss_is_in_the_contract():
    assert CONTRACT.keys() | {"perceptual"} == LOSSES.keys()  # perceptual has a file of its own


@pytest.mark.parametrize("name", CONTRACT)
class TestContract:
    def test_is_a_scalar_with_a_finite_gradient(self, name):
        restored, target = pair(dtype=torch.float32)
        restored.requires_grad_()
        loss = evaluate(build_loss(name, CONTRACT[name][0]), restored, target)
        assert loss.shape == ()
        loss.backward()
        assert restored.grad.isfinite().all()
        assert restored.grad.abs().sum() > 0

    def test_gradient_is_finite_where_nothing_is_wrong(self, name):
        arguments, best = CONTRACT[name]
        _, target = pair(dtype=torch.float32)
        restored = target.clone().requires_grad_()
        loss = evaluate(build_loss(name, arguments), restored, target)
        loss.backward()
        assert restored.grad.isfinite().all()
        if best is not None:
            assert float(loss.detach()) == pytest.approx(best, abs=1e-5)

    def test_gradient_is_that_of_finite_differences(self, name):
        restored, target = pair(batch=1, channels=1, height=11, width=12)
        loss = build_loss(name, CONTRACT[name][0])
        if name == "ssim":  # runs in float32, whose differences are coarse
            restored.requires_grad_()
            evaluate(loss, restored, target).backward()
            step = 1e-2 * restored.grad.sign()
            moved = [float(evaluate(loss, restored.detach() + s * step, target)) for s in (-0.5, 0.5)]
            assert moved[1] - moved[0] == pytest.approx(float((restored.grad * step).sum()), rel=0.02)
        else:
            assert torch.autograd.gradcheck(lambda r: evaluate(loss, r, target), restored.requires_grad_())

    def test_batch_is_the_mean_of_its_parts(self, name):
        restored, target = pair(batch=4)
        loss, mask = build_loss(name, CONTRACT[name][0]), mask_for(restored)
        masked = getattr(loss, "needs_mask", False)
        values = [
            float(loss(restored[s], target[s], mask[s]) if masked else evaluate(loss, restored[s], target[s]))
            for s in (slice(0, 4), slice(0, 2), slice(2, 4))
        ]
        assert values[0] == pytest.approx((values[1] + values[2]) / 2, rel=1e-5)

    def test_wrong_arguments_are_named(self, name):
        with pytest.raises(ValueError, match=rf'loss "{name}": unknown argument "power"; known are'):
            build_loss(name, {"power": 3})


def test_wrong_names_are_put_right():
    with pytest.raises(ValueError, match=r'unknown loss "charbonier"; did you mean "charbonnier"\?'):
        build_loss("charbonier", {})
    with pytest.raises(ValueError, match='unknown loss "zzz"; known are charbonnier, frequency'):
        build_loss("zzz", {})


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("charbonnier", {"epsilon": 0}, "charbonnier: epsilon must be a number of 1e-12 or more, got 0"),
        ("psnr", {"epsilon": math.nan}, "psnr: epsilon must be a number"),
        ("masked_l1", {"known": -1}, "known must be a number of 0 or more, got -1"),
        ("masked_mse", {"known": 0, "missing": 0}, "known and missing are both 0"),
    ],
)
def test_wrong_values_are_named(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        build_loss(name, arguments)


class TestFormulas:
    """Each written out by hand in float64."""

    def test_l1_and_mse(self):
        restored, target = pair()
        difference = restored.numpy() - target.numpy()
        assert value_of("l1", restored, target) == pytest.approx(np.abs(difference).sum() / difference.size)
        assert value_of("mse", restored, target) == pytest.approx((difference**2).sum() / difference.size)

    def test_charbonnier(self):
        restored, target = pair()
        expected = np.sqrt((restored.numpy() - target.numpy()) ** 2 + 0.05**2).mean()
        assert value_of("charbonnier", restored, target, epsilon=0.05) == pytest.approx(expected)

    def test_psnr_is_that_of_scikit_image(self):
        restored, target = pair(batch=3)
        scores = [
            peak_signal_noise_ratio(t, r, data_range=1)
            for r, t in zip(restored.numpy(), target.numpy(), strict=True)
        ]
        assert value_of("psnr", restored, target) == pytest.approx(-np.mean(scores), abs=1e-4)

    def test_ssim_is_that_of_scikit_image(self):
        restored, target = pair(batch=2, height=24, width=31)
        scores = [
            structural_similarity(
                t, r, channel_axis=0, data_range=1, gaussian_weights=True, use_sample_covariance=False
            )
            for r, t in zip(restored.numpy(), target.numpy(), strict=True)
        ]
        assert value_of("ssim", restored, target) == pytest.approx(1 - np.mean(scores), abs=2e-6)

    def test_ssim_of_dark_flat_images_keeps_its_digits(self):
        flat = torch.full((1, 1, 16, 16), 0.003, dtype=torch.float64)
        expected = 1 - (2 * 0.003 * 0.03 + 1e-4) / (0.003**2 + 0.03**2 + 1e-4)
        assert value_of("ssim", flat, 10 * flat) == pytest.approx(expected, rel=1e-3)

    def test_ssim_refuses_images_smaller_than_its_window(self):
        small = torch.zeros(1, 1, 10, 40)
        with pytest.raises(
            ValueError, match=r"ssim: images must be 11 pixels or more a side, got \(10, 40\)"
        ):
            build_loss("ssim", {})(small, small)

    def test_frequency_is_the_discrete_fourier_transform_written_out(self):
        restored, target = pair(batch=1, channels=2, height=4, width=5)
        d = (restored - target).numpy()[0]
        rows, columns = np.mgrid[:4, :5]
        total = 0.0
        for channel in d:
            for u in range(4):
                for v in range(5):
                    wave = np.exp(-2j * np.pi * (u * rows / 4 + v * columns / 5))
                    coefficient = (channel * wave).sum()
                    total += abs(coefficient.real) + abs(coefficient.imag)
        assert value_of("frequency", restored, target) == pytest.approx(total / (2 * d.size))

    def test_frequency_of_half_precision_does_not_overflow(self):
        black, white = torch.zeros(1, 1, 512, 512, dtype=torch.float16), torch.ones(1, 1, 512, 512).half()
        assert value_of("frequency", white, black) == pytest.approx(512 * 512 / (2 * 512 * 512))

    def test_total_variation(self):
        restored, target = pair(batch=1)
        x = restored.numpy()
        expected = np.abs(x[..., 1:] - x[..., :-1]).sum() + np.abs(x[..., 1:, :] - x[..., :-1, :]).sum()
        assert value_of("total_variation", restored, target) == pytest.approx(expected / x.size)

    @pytest.mark.parametrize(("name", "power"), [("masked_l1", 1), ("masked_mse", 2)])
    def test_masked(self, name, power):
        restored, target = pair()
        mask = mask_for(restored)
        d, m = np.abs(restored.numpy() - target.numpy()) ** power, mask.numpy()
        expected = (2.0 * np.sum(m * d) + 5.0 * np.sum((1 - m) * d)) / d.size
        found = build_loss(name, {"known": 2.0, "missing": 5.0})(restored, target, mask)
        assert float(found) == pytest.approx(expected)
