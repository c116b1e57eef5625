"""SwinIR and Restormer against their papers: attention written out, and what released files hold."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.networks.receptive_field import Window
from models.networks.restormer import ChannelAttention, PixelNorm, Restormer
from models.networks.shifted_windows import SwinBlock, from_windows, to_windows
from models.networks.swinir import SwinIR

SMALL = {"features": 12, "blocks": (2, 3), "heads": 3}


def random(module):
    torch.manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module.double()


class TestWindows:
    def test_windows_are_cut_out_in_reading_order_and_put_back(self):
        image_BHWF = torch.rand(2, 6, 9, 4)
        tokens_NTF = to_windows(image_BHWF, 3)
        assert torch.equal(tokens_NTF[1], image_BHWF[0, :3, 3:6].reshape(9, 4))
        assert torch.equal(tokens_NTF[6 + 3], image_BHWF[1, 3:6, :3].reshape(9, 4))
        assert torch.equal(from_windows(tokens_NTF, 3, 6, 9), image_BHWF)

    @pytest.mark.parametrize(("window", "shift"), [(2, 0), (4, 2), (3, 1)])
    def test_a_pixel_attends_to_those_of_its_window_alone(self, window, shift):
        block, heads = random(SwinBlock(6, window, shift, 2, 2.0)), 2
        height, width = window, 2 * window
        image = torch.randn(1, height, width, 6, dtype=torch.float64)
        normalised = block.norm1(image)[0]
        query, key, value = block.attn.qkv(normalised).view(height, width, 3, heads, 3).unbind(2)
        attended = torch.zeros(height, width, heads, 3, dtype=torch.float64)

        def window_of(y, x):
            return (y - shift) // window, (x - shift) // window

        places = [(y, x) for y in range(height) for x in range(width)]
        for y, x in places:
            seen = [place for place in places if window_of(*place) == window_of(y, x)]
            for head in range(heads):
                scores = torch.stack([query[y, x, head] @ key[v, u, head] for v, u in seen]) / 3**0.5
                offsets = [(y - v + window - 1) * (2 * window - 1) + x - u + window - 1 for v, u in seen]
                weights = (scores + block.attn.relative_position_bias_table[offsets, head]).softmax(0)
                attended[y, x, head] = weights @ torch.stack([value[v, u, head] for v, u in seen])
        expected = image + block.attn.proj(attended.flatten(2))
        hidden = block.mlp.fc1(block.norm2(expected))
        expected = expected + block.mlp.fc2(hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5)))
        torch.testing.assert_close(block(image), expected)

    def test_what_attention_needs_ends_at_windows(self):
        assert Window(5, 9).before_attention(4) == Window(4, 11)
        assert Window(5, 9).before_attention(4, 2) == Window(2, 9)


class TestSwinIR:
    def test_takes_the_mean_of_photographs_away_and_adds_it_again(self):
        network = SwinIR(**SMALL, tail="pixel_shuffle_direct")
        for parameter in network.parameters():
            nn.init.zeros_(parameter)
        enlarged = network(torch.rand(1, 3, 8, 8))
        torch.testing.assert_close(enlarged[0, :, 0, 0], torch.tensor([0.4488, 0.4371, 0.4040]))

    def test_without_last_layer_it_gives_the_image_back(self):
        network = SwinIR(**SMALL, scale=1, tail="residual", gain=255.0)
        nn.init.zeros_(network.conv_last.weight)
        nn.init.zeros_(network.conv_last.bias)
        image = torch.rand(1, 3, 8, 16)
        torch.testing.assert_close(network(image), image)

    def test_takes_released_files_with_what_they_hold_beside_weights(self):
        network = SwinIR(**SMALL)
        released = dict(network.state_dict())
        for layer, block in ((0, 0), (0, 1), (1, 1)):
            place = f"layers.{layer}.residual_group.blocks.{block}"
            released[f"{place}.attn.relative_position_index"] = torch.zeros(64, 64, dtype=torch.int64)
            released[f"{place}.attn_mask"] = torch.zeros(4, 64, 64)
        network.load_state_dict(released, strict=True)
        with pytest.raises(RuntimeError, match="Unexpected key"):
            network.load_state_dict(released | {"layers.0.odd": torch.zeros(1)}, strict=True)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"window": 1}, "SwinIR: window must be a whole number of 2 or more, got 1"),
            ({"tail": "bicubic"}, "SwinIR: tail must be one of residual, .*; got 'bicubic'"),
            ({"scale": 1}, "SwinIR with tail 'pixel_shuffle': scale must be one of 2, 3, 4, 8; got 1"),
            ({"scale": 3, "tail": "nearest"}, "tail 'nearest': scale must be one of 2, 4; got 3"),
            ({"blocks": ()}, r"SwinIR: blocks must name one group .*, got \(\)"),
            ({"heads": 5}, "SwinIR: features must be a multiple of heads 5, got 12"),
            ({"expansion": 0}, "SwinIR: expansion must be a number above 0, got 0"),
        ],
    )
    def test_wrong_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            SwinIR(**{**SMALL, **arguments})


class TestRestormer:
    def test_attention_is_between_channels(self):
        attention = random(ChannelAttention(6, 2, bias=True))
        image = torch.randn(1, 6, 4, 5, dtype=torch.float64)
        layer = attention.qkv_dwconv
        mixed = F.conv2d(attention.qkv(image), layer.weight, layer.bias, padding=1, groups=18)[0].flatten(1)
        expected = torch.empty(6, 20, dtype=torch.float64)
        for head in range(2):
            rows = range(3 * head, 3 * head + 3)
            query, key, value = (torch.stack([mixed[start + i] for i in rows]) for start in (0, 6, 12))
            cosines = (query @ key.T) / (query.norm(dim=1)[:, None] * key.norm(dim=1))
            expected[list(rows)] = (cosines * attention.temperature[head]).softmax(1) @ value
        expected = attention.project_out(expected.view(1, 6, 4, 5))
        torch.testing.assert_close(attention(image), expected)

    def test_norm_without_bias_leaves_the_mean(self):
        pixels = torch.tensor([1.0, 3.0, 8.0]).view(1, 3, 1, 1)
        deviation = (26 / 3) ** 0.5
        torch.testing.assert_close(PixelNorm(3, bias=False)(pixels), pixels / deviation)
        torch.testing.assert_close(PixelNorm(3, bias=True)(pixels), (pixels - 4) / deviation)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"blocks": (1, 1)}, r"Restormer: blocks must be 4 whole numbers >= 1, got \(1, 1\)"),
            ({"heads": (5, 2, 4, 8)}, r"Restormer: features must be even, .* heads \(5, 2, 4, 8\); got 48"),
            ({"refinement": 0}, "Restormer: refinement must be a whole number of 1 or more, got 0"),
            ({"expansion": -1.0}, "Restormer: expansion must be a number above 0, got -1.0"),
        ],
    )
    def test_wrong_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            Restormer(**arguments)
