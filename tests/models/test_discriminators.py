"""Every discriminator: built, called, and against its paper."""

import pytest
import torch

from models.discriminators import DISCRIMINATORS, build_discriminator
from models.discriminators.autoencoder import AutoencoderDiscriminator
from models.discriminators.dcgan import DCGANDiscriminator
from models.discriminators.multi_scale import MultiScaleDiscriminator
from models.discriminators.patch import PatchDiscriminator
from models.discriminators.progressive import ProgressiveDiscriminator, append_deviation
from models.discriminators.srgan import SRGANDiscriminator
from models.discriminators.unet import UNetDiscriminator

# Adding a discriminator: one line, with arguments small enough to be fast, and the shapes of its logits
# for a batch of three images of 32 x 32.
SMALL = {
    "autoencoder": ({"image_size": 32, "features": 4, "latent": 8}, [(3,)]),
    "dcgan": ({"image_size": 32, "features": 4}, [(3,)]),
    "multi_scale": ({"features": 4, "layers": 2, "scales": 2, "channels": 3}, [(3, 1, 6, 6), (3, 1, 2, 2)]),
    "patch": ({"features": 4, "channels": 3}, [(3, 1, 2, 2)]),
    "progressive": ({"image_size": 32, "features": 64, "widest": 8}, [(3,)]),
    "srgan": ({"features": 4, "hidden": 8}, [(3,)]),
    "unet": ({"features": 4}, [(3, 1, 32, 32)]),
}


def discriminator_and_images(name, **arguments):
    torch.manual_seed(0)
    discriminator = build_discriminator(name, {**SMALL[name][0], **arguments}).eval()
    return discriminator, torch.rand(3, 3, 32, 32) * 2 - 1


def logits(discriminator, image_BCHW):
    found = discriminator(image_BCHW)
    return found if isinstance(found, list) else [found]


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_discriminator_is_in_the_contract():
    assert SMALL.keys() == DISCRIMINATORS.keys()


@pytest.mark.parametrize("name", SMALL)
class TestContract:
    def test_gives_float32_logits_and_repeats_itself(self, name):
        discriminator, image_BCHW = discriminator_and_images(name)
        first, again = logits(discriminator, image_BCHW), logits(discriminator, image_BCHW)
        assert [tuple(each.shape) for each in first] == SMALL[name][1]
        for one, other in zip(first, again, strict=True):
            assert one.dtype == torch.float32
            assert torch.equal(one, other)

    def test_batch_of_three_is_three_batches_of_one(self, name):
        discriminator, image_BCHW = discriminator_and_images(name)
        if name == "progressive":
            pytest.skip("it compares the images of a group on purpose")
        together = logits(discriminator, image_BCHW)
        alone = [logits(discriminator, image_BCHW[i : i + 1]) for i in range(3)]
        for scale, found in enumerate(together):
            expected = torch.cat([each[scale] for each in alone])
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)

    def test_gradient_reaches_the_image_and_every_parameter(self, name):
        discriminator, image_BCHW = discriminator_and_images(name)
        discriminator.train()
        image_BCHW.requires_grad_()
        sides = (4, 8, 16, 32) if name == "progressive" else (32,)
        for side in sides:
            crop_BCHW = image_BCHW[..., :side, :side]
            sum(each.square().sum() for each in logits(discriminator, crop_BCHW)).backward()
        assert image_BCHW.grad.abs().sum((1, 2, 3)).min() > 0
        still = [key for key, p in discriminator.named_parameters() if p.grad is None or not p.grad.any()]
        assert not still, f"no gradient reaches {still}"

    def test_weights_load_strictly(self, name):
        discriminator, image_BCHW = discriminator_and_images(name)
        other = build_discriminator(name, SMALL[name][0]).eval()
        other.load_state_dict(discriminator.state_dict(), strict=True)
        for one, two in zip(logits(other, image_BCHW), logits(discriminator, image_BCHW), strict=True):
            assert torch.equal(one, two)

    def test_bfloat16_autocast_gives_finite_logits_near_those_of_float32(self, name):
        discriminator, image_BCHW = discriminator_and_images(name)
        expected = torch.cat([each.flatten() for each in logits(discriminator, image_BCHW)])
        with torch.autocast("cpu", torch.bfloat16):
            found = torch.cat([each.flatten().float() for each in logits(discriminator, image_BCHW)])
        assert (found - expected).norm() < 0.05 * expected.norm()

    def test_wrong_arguments_are_named(self, name):
        with pytest.raises(ValueError, match="features must be a whole number of"):
            build_discriminator(name, {"features": 0})
        with pytest.raises(ValueError, match="channels must be a whole number of 1 or more, got 0"):
            build_discriminator(name, {"channels": 0})
        with pytest.raises(ValueError, match=rf'discriminator "{name}": unknown argument "depth"'):
            build_discriminator(name, {"depth": 3})


class TestCounts:
    def test_dcgan_is_the_example_and_the_paper(self):
        assert count(DCGANDiscriminator()) == 2_765_568
        kernels = 25 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024)
        by_hand = kernels + 2 * (256 + 512 + 1024) + 4 * 4 * 1024
        assert count(DCGANDiscriminator(features=128, kernel=5)) == by_hand

    def test_patch_of_seventy_is_pix2pixs(self):
        assert count(PatchDiscriminator()) == 2_768_705

    def test_unet_is_real_esrgans(self):
        assert count(UNetDiscriminator()) == 4_376_897

    def test_srgan_by_hand(self):
        pairs = [(64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
        convolutions = 27 * 64 + 64 + sum(9 * inner * outer + 2 * outer for inner, outer in pairs)
        dense = 512 * 6 * 6 * 1024 + 1024 + 1024 + 1
        assert count(SRGANDiscriminator()) == convolutions + dense

    def test_multi_scale_is_three_patch_discriminators(self):
        assert count(MultiScaleDiscriminator()) == 3 * count(PatchDiscriminator(normalisation="instance"))

    def test_progressive_at_1024_pixels_is_the_papers(self):
        with torch.device("meta"):
            discriminator = ProgressiveDiscriminator()
        assert round(count(discriminator) / 1e6, 1) == 23.1  # table 2


class TestAutoencoder:
    def test_logit_is_minus_the_error_of_rebuilding(self):
        discriminator, image_BCHW = discriminator_and_images("autoencoder")
        error_BCHW = discriminator.rebuild(image_BCHW) - image_BCHW
        expected = -error_BCHW.abs().flatten(1).sum(1) / (3 * 32 * 32)
        torch.testing.assert_close(discriminator(image_BCHW), expected)

    def test_count_by_hand(self):
        # Widths 64, 128, 192, 256 going down; 64 all the way up; a latent of 64 at 8 x 8 pixels.
        def convolution(inner, outer):
            return 9 * inner * outer + outer

        down = sum(convolution(w, w) + convolution(w, w + 64) for w in (64, 128, 192)) + 2 * convolution(
            256, 256
        )
        up = 8 * convolution(64, 64)
        dense = 256 * 64 * 64 + 64 + 64 * 64 * 64 + 64 * 64
        ends = convolution(3, 64) + convolution(64, 3)
        assert count(AutoencoderDiscriminator()) == down + up + dense + ends


class TestPatch:
    @pytest.mark.parametrize(("layers", "side"), [(1, 16), (3, 70), (5, 286)])
    def test_sees_what_the_paper_says(self, layers, side):
        # Isola et al., section 6.1.2: 16, 70 and 286 pixels.
        torch.manual_seed(0)
        discriminator = PatchDiscriminator(features=2, channels=3, layers=layers, normalisation="none")
        assert discriminator.patch == side
        for parameter in discriminator.double().parameters():
            parameter.data.abs_().add_(0.01)
        image_BCHW = torch.rand(1, 3, 640, 640, dtype=torch.float64, requires_grad=True)
        logit_hw = discriminator(image_BCHW)[0, 0]
        logit_hw[logit_hw.shape[0] // 2, logit_hw.shape[1] // 2].backward()
        rows = image_BCHW.grad.abs().sum((0, 1, 3)).nonzero().flatten()
        assert int(rows.max() - rows.min()) + 1 == side

    def test_features_end_in_the_logits(self):
        discriminator, image_BCHW = discriminator_and_images("patch")
        layers = discriminator.features(image_BCHW)
        assert len(layers) == 5
        assert torch.equal(layers[-1], discriminator(image_BCHW))

    def test_smallest_image_gives_one_logit_and_smaller_ones_are_refused(self):
        discriminator = PatchDiscriminator(channels=3, features=2).eval()
        assert discriminator(torch.rand(1, 3, 24, 24)).shape == (1, 1, 1, 1)
        with pytest.raises(ValueError, match=r"24 pixels or more a side for 3 layers, got \(24, 23\)"):
            discriminator(torch.rand(1, 3, 24, 23))


class TestSpectralNorm:
    @pytest.mark.parametrize("name", ["dcgan", "multi_scale", "patch", "srgan", "unet"])
    def test_largest_singular_value_becomes_one(self, name):
        arguments = {} if name == "unet" else {"normalisation": "spectral"}
        discriminator, image_BCHW = discriminator_and_images(name, **arguments)
        discriminator.train()
        for _ in range(30):  # a step of the power iteration each
            discriminator(image_BCHW)
        discriminator.eval()
        layers = [layer for layer in discriminator.modules() if hasattr(layer, "parametrizations")]
        assert len(layers) == {"dcgan": 4, "multi_scale": 8, "patch": 5, "srgan": 10, "unet": 8}[name]
        for layer in layers:
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.03)


class TestSRGAN:
    def test_crops_of_the_paper_are_not_averaged(self):
        discriminator = SRGANDiscriminator(features=2, hidden=4).eval()
        image_BCHW = torch.rand(2, 3, 96, 96)
        features_BFHW = discriminator.body(image_BCHW)
        assert features_BFHW.shape == (2, 16, 6, 6)
        _, flatten, *dense = discriminator.judgement
        expected = flatten(features_BFHW)
        for layer in dense:
            expected = layer(expected)
        assert torch.equal(discriminator(image_BCHW), expected)

    @pytest.mark.parametrize("size", [(16, 16), (96, 96), (101, 57)])
    def test_takes_any_size(self, size):
        assert SRGANDiscriminator(features=2, hidden=4).eval()(torch.rand(2, 3, *size)).shape == (2,)


class TestProgressive:
    def test_images_of_half_the_size_enter_while_a_size_fades_in(self):
        discriminator, image_BCHW = discriminator_and_images("progressive")
        halved = torch.nn.functional.avg_pool2d(image_BCHW, 2)
        torch.testing.assert_close(discriminator(image_BCHW, fade=0.0), discriminator(halved))
        assert (discriminator(image_BCHW, fade=0.5) - discriminator(halved)).abs().max() > 1e-4

    def test_deviation_is_the_mean_over_a_group(self):
        features = torch.randn(6, 4, 3, 3, dtype=torch.float64)
        found = append_deviation(features)
        assert found.shape == (6, 5, 3, 3)
        # Three of six are the largest group of up to four: image i with i + 2 and i + 4.
        for i in range(6):
            group = features[[i % 2, i % 2 + 2, i % 2 + 4]].numpy()
            assert found[i, 4].flatten().tolist() == pytest.approx([group.std(axis=0).mean()] * 9, abs=1e-6)
        assert append_deviation(features[:1])[0, 4].max() < 1e-3  # one image differs from nothing

    def test_equal_images_are_told_from_different_ones(self):
        discriminator, image_BCHW = discriminator_and_images("progressive")
        equal = image_BCHW[:1].expand(3, -1, -1, -1)
        assert (discriminator(equal)[0] - discriminator(image_BCHW)[0]).abs() > 1e-4


@pytest.mark.parametrize(
    ("name", "arguments", "shape", "message"),
    [
        ("autoencoder", {"image_size": 16}, (1, 3, 8, 8), r"images must be 16 x 16, got \(8, 8\)"),
        ("dcgan", {"image_size": 32}, (1, 3, 64, 64), r"images must be 32 x 32, got \(64, 64\)"),
        ("srgan", {}, (1, 3, 15, 64), r"16 pixels or more a side, got \(15, 64\)"),
        ("unet", {}, (1, 3, 12, 16), r"must be multiples of 8, got \(12, 16\)"),
        (
            "multi_scale",
            {"channels": 3},
            (1, 3, 95, 96),
            r"96 pixels or more a side for 3 scales, got \(95, 96\)",
        ),
        ("progressive", {"image_size": 16, "features": 16}, (1, 3, 32, 32), r"at most 16 pixels a side"),
        ("progressive", {"image_size": 16, "features": 16}, (1, 3, 12, 12), "height must be a power of two"),
    ],
)
def test_images_of_a_wrong_size_are_refused(name, arguments, shape, message):
    with pytest.raises(ValueError, match=message):
        build_discriminator(name, arguments)(torch.rand(shape))


@pytest.mark.parametrize("name", ["dcgan", "multi_scale", "patch", "srgan"])
def test_an_unknown_normalisation_is_refused(name):
    with pytest.raises(
        ValueError, match="normalisation must be one of batch, instance, spectral, none; got 'layer'"
    ):
        build_discriminator(name, {"normalisation": "layer"})
