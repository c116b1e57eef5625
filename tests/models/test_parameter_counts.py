"""Parameter counts: against the numbers that papers and repositories print, by hand, and in the docs.

A wrong count is the cheapest sign of a wrong architecture.
"""

import re
import tomllib
from pathlib import Path

import pytest
import torch

from models.discriminators import DISCRIMINATORS
from models.networks import GENERATORS, NETWORKS, card_facts
from models.networks.mobile_encoder import MobileEncoder

PAGE = Path(__file__).parents[2] / "docs" / "networks.md"

SIDD = {"encoders": (2, 2, 4, 8), "middle": 12, "decoders": (2, 2, 2, 2)}

# Millions as papers and their authors' repositories print them, or to the last parameter.
PUBLISHED = [
    ("srresnet", {}, 1.549),
    ("msrresnet", {}, 1.518),
    ("msrresnet", {}, 1.517571),
    ("edsr", {}, 1.517571),
    ("edsr", {"features": 256, "blocks": 32, "residual_weight": 0.1}, 43.089923),
    ("rrdbnet", {}, 16.697987),
    ("rrdbnet", {"scale": 2}, 16.703171),
    ("rrdbnet", {"blocks": 6}, 4.468),
    ("srvgg", {}, 1.213296),
    ("srvgg", {"layers": 16}, 0.621424),
    ("span", {}, 0.498),
    ("span", {"features": 48}, 0.426),
    ("span", {"scale": 2}, 0.481),
    ("dncnn", {"channels": 1, "layers": 17}, 0.556),
    ("dncnn", {}, 0.669),
    ("ffdnet", {}, 0.852108),
    ("drunet", {}, 32.640960),
    ("drunet", {"channels": 1}, 32.638656),
    ("nafnet", {}, 17.11),
    ("nafnet", {"features": 64}, 67.89),
    ("nafnet", SIDD, 29.16),
    ("nafnet", {"features": 64, **SIDD}, 115.98),
    ("deblurgan", {}, 11.38),
    ("pix2pix_unet", {}, 54.41),
    ("restormer", {}, 26.1),
    ("swinir", {}, 11.9),
    ("swinir", {"features": 240, "blocks": [6] * 9, "heads": 8, "bottleneck": True, "tail": "nearest"}, 28.0),
    ("lama", {}, 27.0),
    ("lama", {"blocks": 18}, 51.0),
]


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def build_without_memory(name, arguments):
    with torch.device("meta"):
        return NETWORKS[name](**arguments)


@pytest.mark.parametrize(("name", "arguments", "millions"), PUBLISHED)
def test_parameters_are_the_published_number(name, arguments, millions):
    digits = len(str(millions).partition(".")[2])
    assert round(count(build_without_memory(name, arguments)) / 1e6, digits) == millions


def convolution(inner, outer, kernel, bias=True):
    return inner * outer * kernel**2 + outer * bias


class TestCountsByHand:
    """What no paper prints to the digit, from its layers."""

    def test_srresnet_at_twice_the_size_has_one_enlarging_layer(self):
        ends = convolution(3, 64, 9) + 1 + convolution(64, 3, 9)
        blocks = 16 * (2 * (convolution(64, 64, 3) + 128) + 1)
        after = convolution(64, 64, 3) + 128
        for scale, steps in ((2, 1), (4, 2), (8, 3)):
            enlarging = steps * (convolution(64, 256, 3) + 1)
            found = count(build_without_memory("srresnet", {"scale": scale}))
            assert found == ends + blocks + after + enlarging
        triple = convolution(64, 576, 3) + 1
        assert count(build_without_memory("srresnet", {"scale": 3})) == ends + blocks + after + triple

    def test_nafnet(self):
        def block(c):
            # Two norms, two widenings, depthwise on 2c, attention and two projections, beta and gamma.
            wide = convolution(c, 2 * c, 1)
            return 4 * c + 2 * wide + (9 + 1) * 2 * c + 3 * convolution(c, c, 1) + 2 * c

        total = convolution(3, 32, 3) + convolution(32, 3, 3) + block(512)
        for level, blocks in enumerate((1, 1, 1, 28)):
            c = 32 << level
            total += (
                (blocks + 1) * block(c) + convolution(c, 2 * c, 2) + convolution(2 * c, 4 * c, 1, bias=False)
            )
        assert count(build_without_memory("nafnet", {})) == total == 17_111_907

    def test_gated_unet(self):
        f = 48
        shapes = [(4, f, 5), (f, 2 * f, 3), (2 * f, 2 * f, 3), (2 * f, 4 * f, 3), *[(4 * f, 4 * f, 3)] * 8]
        shapes += [(4 * f + 2 * f, 2 * f, 3), (2 * f, 2 * f, 3), (2 * f + f, f, 3), (f, f // 2, 3)]
        gated = sum(convolution(inner, 2 * outer, kernel) for inner, outer, kernel in shapes)
        assert count(build_without_memory("gated_unet", {})) == gated + convolution(f // 2, 3, 3)

    @pytest.mark.parametrize(("scale", "thousands"), [(2, 878), (3, 886), (4, 897)])
    def test_lightweight_swinir_without_its_tables_of_biases(self, scale, thousands):
        # The paper leaves out the biases of relative positions: 15 x 15 offsets, 6 heads, 24 blocks.
        light = {"features": 60, "blocks": [6] * 4, "tail": "pixel_shuffle_direct", "scale": scale}
        assert round((count(build_without_memory("swinir", light)) - 225 * 6 * 24) / 1e3) == thousands

    def test_swinir_for_denoising(self):
        c = 180
        block = 4 * c + convolution(c, 3 * c, 1) + convolution(c, c, 1) + 225 * 6
        block += convolution(c, 2 * c, 1) + convolution(2 * c, c, 1)
        groups = 6 * (6 * block + convolution(c, c, 3))
        ends = convolution(3, c, 3) + 2 * 2 * c + convolution(c, c, 3) + convolution(c, 3, 3)
        found = count(build_without_memory("swinir", {"scale": 1, "tail": "residual"}))
        assert found == groups + ends == 11_504_163

    def test_restormer(self):
        def block(c, heads):
            hidden = int(2.66 * c)
            attention = heads + 3 * c * c + 9 * 3 * c + c * c
            return 4 * c + attention + 2 * hidden * c + 9 * 2 * hidden + hidden * c

        total = 9 * 3 * 48 + 4 * block(48, 1) + 9 * 48 * 24 + 6 * block(96, 2) + 9 * 96 * 48
        total += 6 * block(192, 4) + 9 * 192 * 96 + 8 * block(384, 8) + 9 * 384 * 768 + 384 * 192
        total += 6 * block(192, 4) + 9 * 192 * 384 + 192 * 96 + 6 * block(96, 2) + 9 * 96 * 192
        total += (4 + 4) * block(96, 1) + 9 * 96 * 3
        assert count(build_without_memory("restormer", {})) == total == 26_126_644

    def test_mobile_encoder_is_mobilenet_v2_without_its_last_layers(self):
        # 3,504,872 parameters with classifier (1280 -> 1000) and the convolution before it (320 -> 1280).
        last = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
        assert count(MobileEncoder()) == 3_504_872 - last

    def test_deblurgan_v2(self):
        encoder, p, f = 1_811_712, 128, 64
        lateral = sum(convolution(width, p, 1) for width in (24, 32, 96, 320)) + convolution(16, f, 1)
        smoothing = 3 * (convolution(p, p, 3, bias=False) + 2 * p)
        heads = 4 * (convolution(p, f, 3, bias=False) + convolution(f, f, 3, bias=False))
        ends = convolution(4 * f, f, 3, bias=False) + 2 * f + convolution(f, f // 2, 3, bias=False) + f
        total = encoder + lateral + smoothing + heads + ends + convolution(f // 2, 3, 3)
        assert count(build_without_memory("deblurgan_v2", {})) == total

    def test_lama(self):
        def fourier(f):
            local, rest = f // 4, 3 * f // 4
            inner = rest // 2
            spectral = 2 * rest * inner + 2 * inner + (2 * inner) ** 2 + 2 * 2 * inner
            return convolution(f, local, 3, bias=False) + 9 * local * rest + spectral + 2 * f

        down = [(4, 64, 7), (64, 128, 3), (128, 256, 3), (256, 512, 3)]
        up = [(512, 256, 3), (256, 128, 3), (128, 64, 3)]
        ends = sum(convolution(i, o, k, bias=False) + 2 * o for i, o, k in down) + convolution(64, 3, 7)
        ends += sum(convolution(i, o, k) + 2 * o for i, o, k in up)
        assert count(build_without_memory("lama", {})) == ends + 18 * fourier(512)


def rows(section):
    """The table under a heading of docs/networks.md: name in the first column -> its row's cells."""
    text = PAGE.read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    table = [[cell.strip().replace("`", "") for cell in cells] for cells in lines]
    return {cells[0]: cells for cells in table[2:]}


def whole_number(cell):
    return int(cell.replace(",", ""))


class TestPage:
    """docs/networks.md says what the code says."""

    def test_networks(self):
        table = rows("Networks")
        assert table.keys() == NETWORKS.keys()
        for name, cells in table.items():
            _, _, parameters, scale, halo, multiple_of, minimum_size, condition, _ = cells
            network = build_without_memory(name, {})
            facts = card_facts(network)
            assert whole_number(parameters) == count(network), name
            assert halo == ("all" if facts["halo"] is None else str(facts["halo"])), name
            assert int(multiple_of) == facts["multiple_of"], name
            assert int(minimum_size) == facts["minimum_size"], name
            assert condition == ", ".join(facts["needs"]).replace("_", " "), name
            assert int(scale.partition(" ")[0]) == facts["scale"], name

    def test_other_shapes(self):
        table = rows("Other shapes")
        assert len(table) > 5
        for what, (_, name, arguments, parameters) in table.items():
            built_with = tomllib.loads(re.sub(r", (?=[a-z])", "\n", arguments))
            assert count(build_without_memory(name, built_with)) == whole_number(parameters), what

    @pytest.mark.parametrize(
        ("section", "known"), [("Generators", GENERATORS), ("Discriminators", DISCRIMINATORS)]
    )
    def test_generators_and_discriminators(self, section, known):
        table = rows(section)
        assert table.keys() == known.keys()
        for name, cells in table.items():
            assert whole_number(cells[2]) == count(known[name]()), name
