"""Each network against its paper: initial weights, and what it computes written out."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
import torch.nn.functional as F

from models.networks.deblurgan_v2 import DeblurGANv2
from models.networks.dncnn import DnCNN
from models.networks.drunet import DRUNet
from models.networks.edsr import EDSR
from models.networks.fourier_convolution import FourierUnit
from models.networks.gated_unet import GatedConvolution, GatedUNet
from models.networks.lama import LaMa
from models.networks.local_pooling import pool_locally
from models.networks.mobile_encoder import MobileEncoder
from models.networks.nafnet import NAFBlock, NAFNet
from models.networks.pix2pix_unet import Pix2PixUNet
from models.networks.receptive_field import Window, halo_of
from models.networks.rrdbnet import DenseBlock, RRDBNet
from models.networks.srresnet import SRResNet
from models.networks.upsampling import SubPixelUpsampling


class TestInitialWeights:
    def test_residual_blocks_of_rrdbnet_start_a_tenth_as_large_as_he(self):
        torch.manual_seed(0)
        network = RRDBNet(blocks=1)
        for layer in network.body[0].blocks[0].convolutions:
            expected = 0.1 * math.sqrt(2 / (layer.in_channels * 9))
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.03)
            assert not layer.bias.any()

    def test_denoisers_start_orthogonal(self):
        torch.manual_seed(0)
        for network, gain in ((DnCNN(layers=4), math.sqrt(2)), (DRUNet(features=(16, 32), blocks=1), 0.2)):
            for parameter in network.parameters():
                if parameter.ndim == 4:
                    rows = parameter.flatten(1)
                    rows = rows if len(rows) <= rows.shape[1] else rows.T
                    torch.testing.assert_close(
                        rows @ rows.T, gain**2 * torch.eye(len(rows)), atol=1e-5, rtol=0
                    )

    def test_adversarial_generators_start_from_a_normal_of_two_hundredths(self):
        torch.manual_seed(0)
        network = Pix2PixUNet(features=32, levels=4)
        weights = torch.cat([p.flatten() for p in network.parameters() if p.ndim == 4])
        gains = torch.cat([p for k, p in network.named_parameters() if k.endswith("1.weight")])
        assert weights.mean().item() == pytest.approx(0, abs=2e-4)
        assert weights.std().item() == pytest.approx(0.02, rel=0.01)
        assert gains.mean().item() == pytest.approx(1, abs=5e-3)
        assert gains.std().item() == pytest.approx(0.02, rel=0.1)

    def test_blocks_of_nafnet_start_as_the_identity(self):
        features_BFHW = torch.randn(2, 8, 5, 6)
        assert torch.equal(NAFBlock(8, None)(features_BFHW), features_BFHW)


class TestForwardWrittenOut:
    def test_simple_gate_and_channel_attention(self):
        torch.manual_seed(0)
        block = NAFBlock(4, None).double()
        for parameter in block.parameters():
            torch.nn.init.normal_(parameter)
        image = torch.randn(1, 4, 5, 6, dtype=torch.float64)

        def norm(x, layer):
            centred = x - x.mean(1, keepdim=True)
            scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
            return scaled * layer.weight.view(-1, 1, 1) + layer.bias.view(-1, 1, 1)

        x = block.depthwise(block.expansion_1(norm(image, block.norm_1)))
        x = x[:, :4] * x[:, 4:]
        x = x * block.attention(x.mean((2, 3), keepdim=True))
        y = image + block.beta * block.projection_1(x)
        z = block.expansion_2(norm(y, block.norm_2))
        expected = y + block.gamma * block.projection_2(z[:, :4] * z[:, 4:])
        torch.testing.assert_close(block(image), expected)

    def test_gated_convolution(self):
        layer = GatedConvolution(3, 2)
        image = torch.randn(1, 3, 6, 6)
        weight, bias = layer.both.weight, layer.both.bias
        features = F.conv2d(image, weight[:2], bias[:2], padding=1)
        gates = F.conv2d(image, weight[2:], bias[2:], padding=1)
        expected = torch.where(features > 0, features, features.exp() - 1) / (1 + (-gates).exp())
        torch.testing.assert_close(layer(image), expected)

    def test_dense_block_sees_all_outputs_before(self):
        block = DenseBlock(4, 2)
        seen = [torch.randn(1, 4, 5, 5)]
        for layer in block.convolutions[:4]:
            x = F.conv2d(torch.cat(seen, 1), layer.weight, layer.bias, padding=1)
            seen.append(x.clamp_min(0) + 0.2 * x.clamp_max(0))
        last = block.convolutions[4]
        expected = seen[0] + 0.2 * F.conv2d(torch.cat(seen, 1), last.weight, last.bias, padding=1)
        torch.testing.assert_close(block(seen[0]), expected)

    def test_batch_norm_of_dncnn_folds_into_its_convolutions(self):
        torch.manual_seed(0)
        network, folded = DnCNN(layers=4, features=8), DnCNN(layers=4, features=8, batch_norm=False)
        network(torch.rand(4, 3, 16, 16))  # running statistics that are not those of the start
        network.eval()
        convolutions = [layer for layer in folded.noise if isinstance(layer, torch.nn.Conv2d)]
        norms = iter(layer for layer in network.noise if isinstance(layer, torch.nn.BatchNorm2d))
        sources = [layer for layer in network.noise if isinstance(layer, torch.nn.Conv2d)]
        for target, source in zip(convolutions, sources, strict=True):
            weight, bias = source.weight.data, source.bias
            if bias is None:
                norm = next(norms)
                factor = norm.weight / (norm.running_var + norm.eps).sqrt()
                weight, bias = weight * factor.view(-1, 1, 1, 1), norm.bias - norm.running_mean * factor
            target.weight.data, target.bias.data = weight.data, bias.data
        image_BCHW = torch.rand(1, 3, 9, 9)
        torch.testing.assert_close(folded(image_BCHW), network(image_BCHW), atol=1e-5, rtol=1e-5)

    def test_encoder_gives_the_channels_and_sizes_it_says(self):
        encoder = MobileEncoder().eval()
        results = encoder(torch.rand(1, 3, 64, 96))
        assert [tuple(each.shape[1:]) for each in results] == [
            (count, 64 >> level, 96 >> level) for level, count in enumerate((16, 24, 32, 96, 320), start=1)
        ]


class TestFourierUnit:
    def test_is_a_convolution_on_numpys_spectrum_for_even_and_odd_sizes(self):
        torch.manual_seed(0)
        unit = FourierUnit(2).eval()
        for height, width in ((6, 8), (5, 7)):
            image = torch.randn(1, 2, height, width)
            spectrum = np.fft.rfft2(image[0].numpy().astype(np.float64), norm="ortho")
            parts = np.stack([spectrum.real, spectrum.imag], axis=1).reshape(4, *spectrum.shape[1:])
            weight = unit.convolution.weight[:, :, 0, 0].detach().numpy()
            mixed = np.maximum(np.einsum("oi,ihw->ohw", weight, parts) / math.sqrt(1 + unit.norm.eps), 0)
            expected = np.fft.irfft2(mixed[0::2] + 1j * mixed[1::2], (height, width), norm="ortho")
            np.testing.assert_allclose(unit(image)[0].detach().numpy(), expected, atol=1e-5)

    def test_works_in_float32_under_autocast(self):
        torch.manual_seed(0)
        unit = FourierUnit(4).eval()
        # 2 ** -10 is far below bfloat16's step at 256, which a spectrum in bfloat16 would lose.
        image = torch.full((1, 4, 8, 8), 256.0) + torch.randn(1, 4, 8, 8) * 2**-10
        with torch.autocast("cpu", torch.bfloat16):
            found = unit(image)
        assert found.dtype == torch.float32
        assert torch.equal(found, unit(image))


class TestLocalPooling:
    def test_is_the_mean_of_the_window_shifted_inside_the_image(self):
        image = torch.randn(2, 3, 11, 14, dtype=torch.float64)
        for size in (3, 4, 7):
            expected = torch.empty_like(image)
            for i in range(11):
                for j in range(14):
                    top, left = min(max(i - size // 2, 0), 11 - size), min(max(j - size // 2, 0), 14 - size)
                    expected[..., i, j] = image[..., top : top + size, left : left + size].mean((2, 3))
            torch.testing.assert_close(pool_locally(image, size), expected)

    def test_agrees_with_scipy_away_from_the_borders(self):
        image = np.random.default_rng(0).random((40, 60)).astype(np.float32)
        expected = scipy.ndimage.uniform_filter(image.astype(np.float64), 9)
        found = pool_locally(torch.from_numpy(image)[None, None], 9)[0, 0].numpy()
        np.testing.assert_allclose(found[4:-4, 4:-4], expected[4:-4, 4:-4], atol=1e-6)

    def test_images_no_larger_than_the_window_are_pooled_globally(self):
        torch.manual_seed(0)
        arguments = {"features": 4, "encoders": (1,), "decoders": (1,)}
        whole, local = NAFNet(**arguments).eval(), NAFNet(**arguments, local_window=16).eval()
        for parameter in whole.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        local.load_state_dict(whole.state_dict(), strict=True)
        small, large = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 32, 24)
        torch.testing.assert_close(local(small), whole(small))
        assert (local(large) - whole(large)).abs().max() > 1e-3

    def test_local_statistics_come_from_nearby(self):
        torch.manual_seed(0)
        network = NAFNet(features=4, encoders=(1,), decoders=(1,), local_window=8).eval()
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        image = torch.rand(1, 3, 16, 128)
        other = image.clone()
        other[..., -16:] = torch.rand(1, 3, 16, 16)
        torch.testing.assert_close(network(other)[..., :64], network(image)[..., :64], atol=1e-6, rtol=0)


class TestInpainting:
    @pytest.mark.parametrize(
        "network", [GatedUNet(features=4), GatedUNet(features=4, levels=4), LaMa(features=4, blocks=1)]
    )
    def test_known_pixels_stay_and_hidden_ones_are_not_looked_at(self, network):
        network.eval()
        mask_B1HW = torch.ones(1, 1, 32, 32)
        mask_B1HW[..., 10:20, 5:25] = 0
        image_BCHW = torch.rand(1, 3, 32, 32)
        filled_BCHW = network(image_BCHW, mask_B1HW)
        known = mask_B1HW.bool().expand_as(image_BCHW)
        assert torch.equal(filled_BCHW[known], image_BCHW[known])
        assert torch.equal(filled_BCHW[~known], network.predict(image_BCHW, mask_B1HW)[~known])
        hidden_BCHW = torch.where(known, image_BCHW, torch.rand(1, 3, 32, 32))
        assert torch.equal(network(hidden_BCHW, mask_B1HW), filled_BCHW)


class TestReceptiveField:
    def test_windows_are_those_of_the_layers(self):
        layers = [
            (torch.nn.Conv1d(1, 1, 5, 2, padding=2), lambda w: w.before_convolution(5, 2, padding=2)),
            (torch.nn.Conv1d(1, 1, 3, padding=4, dilation=4), lambda w: w.before_convolution(3, dilation=4)),
            (torch.nn.Conv1d(1, 1, 4, 2, padding=1), lambda w: w.before_convolution(4, 2, padding=1)),
            (torch.nn.ConvTranspose1d(1, 1, 4, 2, 1), lambda w: w.before_transposed_convolution(4, 2, 1)),
            (torch.nn.ConvTranspose1d(1, 1, 3, 2, 1, 1), lambda w: w.before_transposed_convolution(3, 2, 1)),
            (torch.nn.Upsample(scale_factor=3, mode="nearest"), lambda w: w.before_enlarging(3)),
            (torch.nn.Upsample(scale_factor=2, mode="linear"), lambda w: w.before_bilinear(2)),
            (torch.nn.Upsample(scale_factor=3, mode="linear"), lambda w: w.before_bilinear(3)),
            (torch.nn.Upsample(scale_factor=4, mode="linear"), lambda w: w.before_bilinear(4)),
        ]
        for layer, before in layers:
            for parameter in layer.parameters():
                torch.nn.init.ones_(parameter)
            line = torch.rand(1, 1, 40, requires_grad=True)
            output = layer(line)[0, 0]
            for place in range(len(output) // 2 - 4, len(output) // 2 + 4):
                (gradient,) = torch.autograd.grad(output[place], line, retain_graph=True)
                reached = gradient[0, 0].nonzero().flatten().tolist()
                window = before(Window(place, place))
                assert window.first <= reached[0] <= reached[-1] <= window.last, layer
                # A weight may be zero at the edge of a bilinear triangle, never elsewhere.
                slack = 1 if isinstance(layer, torch.nn.Upsample) else 0
                assert reached[0] - window.first <= slack, layer
                assert window.last - reached[-1] <= slack, layer

    def test_halo_is_the_farthest_over_a_period(self):
        # A block average, enlarged again: the first pixel of four looks three to the right.
        assert halo_of(lambda w: w.before_enlarging(4).before_unshuffle(4), multiple_of=4) == 3


def test_edsr_takes_div2ks_mean_away_and_adds_it_again():
    network = EDSR(features=4, blocks=1)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    restored = network(torch.rand(1, 3, 4, 4))
    torch.testing.assert_close(restored[0, :, 0, 0], torch.tensor([0.4488, 0.4371, 0.4040]))
    assert "mean_C11" not in network.state_dict()


def test_residual_weight_scales_the_blocks():
    torch.manual_seed(0)
    full, tenth = EDSR(features=4, blocks=1), EDSR(features=4, blocks=1, residual_weight=0.1)
    features = torch.randn(1, 4, 5, 5)
    added = full.body[0](features) - features
    tenth.body[0].load_state_dict(full.body[0].state_dict())
    torch.testing.assert_close(tenth.body[0](features), features + 0.1 * added)


def test_sub_pixel_upsampling_of_three_is_one_step():
    assert [type(layer).__name__ for layer in SubPixelUpsampling(2, 3)] == ["Conv2d", "PixelShuffle"]
    assert SubPixelUpsampling(2, 8)(torch.rand(1, 2, 3, 4)).shape == (1, 2, 24, 32)


def test_dropout_of_pix2pix_is_drawn_in_training_only():
    torch.manual_seed(0)
    network, image_BCHW = Pix2PixUNet(features=4, levels=5), torch.rand(2, 3, 32, 32)
    assert not torch.equal(network(image_BCHW), network(image_BCHW))
    assert sum(isinstance(layer, torch.nn.Dropout) for layer in network.modules()) == 3
    network.eval()
    assert torch.equal(network(image_BCHW), network(image_BCHW))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SRResNet(scale=5), "SRResNet: scale must be one of 2, 3, 4, 8; got 5"),
        (lambda: RRDBNet(scale=3), "RRDBNet: scale must be one of 1, 2, 4; got 3"),
        (lambda: DnCNN(layers=2), "DnCNN: layers must be a whole number of 3 or more, got 2"),
        (lambda: DnCNN(features=8.5), "DnCNN: features must be a whole number of 1 or more, got 8.5"),
        (lambda: EDSR(residual_weight=0), r"EDSR: residual_weight must be in \(0, 1\], got 0"),
        (lambda: DRUNet(features=(64,)), r"DRUNet: features must be two or more .* got \(64,\)"),
        (
            lambda: NAFNet(encoders=(1, 1), decoders=(1,)),
            r"NAFNet: encoders and decoders .*\(1, 1\) and \(1,\)",
        ),
        (lambda: NAFNet(local_window=8), "NAFNet: local_window must be a whole number of 16 or more, got 8"),
        (
            lambda: Pix2PixUNet(dropout=1.0),
            "dropout must be a number from 0 to below 1, got 1.0",
        ),
        (lambda: Pix2PixUNet(levels=1), "Pix2PixUNet: levels must be a whole number of 2 or more, got 1"),
        (lambda: DeblurGANv2(encoder_width=0), r"DeblurGANv2: encoder_width must be in \(0, 4\], got 0"),
    ],
)
def test_wrong_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()
