"""Tiles: geometry by its laws, and pixels against the whole image, bit for bit on the CPU."""

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models import catalog
from models.card import Card
from models.contract import Condition
from models.networks import NetworkModel, build_network, card_facts
from models.restorer import Restorer
from models.tiled_traversal import TiledTraversal
from models.tiling import Tiling, ramp, spans
from tests.models.test_networks import SMALL
from tests.restorer_contract import condition_for, scene

EXACT_NETWORKS = [
    name for name, arguments in SMALL.items() if build_network(name, arguments).halo is not None
]

MULTIPLES = st.sampled_from([1, 2, 4, 8])


def probe(model, **facts) -> Restorer:
    return Restorer(Card(**{"name": "probe", "summary": "A probe.", "task": "general", **facts}), model)


def random_network(architecture: str) -> Restorer:
    torch.manual_seed(3)
    network = build_network(architecture, SMALL[architecture])
    for weights in network.parameters():
        weights.data *= 0.6  # random layers in a row must not leave the range that the guard allows
    return probe(NetworkModel(network.requires_grad_(False)), **card_facts(network))


@settings(deadline=None)  # other work on the same cores is no fault of ours
@given(st.integers(1, 400), st.integers(1, 60), st.integers(0, 20), MULTIPLES)
def test_cores_cover_a_side_once_and_tiles_see_the_whole_halo(units, core, halo, multiple):
    length, core, halo = units * multiple, core * multiple, halo * multiple
    found = spans(length, core, halo, multiple)
    assert [span.first for span in found] == [0, *(span.last for span in found[:-1])]
    assert found[-1].last == length
    assert len({span.stop - span.start for span in found}) == 1
    for start, stop, first, last in found:
        assert start % multiple == 0
        assert 0 <= start <= max(first - halo, 0)
        assert min(last + halo, length) <= stop <= length
        assert stop - start <= core + 2 * halo
        assert first < last


@settings(deadline=None)  # other work on the same cores is no fault of ours
@given(st.integers(1, 400), st.integers(1, 60), st.integers(1, 20), st.integers(1, 4))
def test_blending_weights_sum_to_one_and_never_reach_zero_where_they_count(length, extra, halo, scale):
    found = spans(length, 2 * halo + extra, halo, 1)
    total = torch.zeros(length * scale, dtype=torch.float64)
    for span in found:
        weights = ramp(span, length, halo, scale)
        total[span.start * scale : span.stop * scale] += weights
        inside = weights[(span.first - span.start) * scale : (span.last - span.start) * scale]
        assert float(inside.min()) > 0
        if span.first == 0:
            assert float(weights[0]) == 1.0
        if span.last == length:
            assert float(weights[-1]) > 0
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", catalog.RESTORERS)  # built here alone, not in all that collect tests
def test_catalog_gives_the_pixels_of_the_whole_image(name):
    restorer = catalog.build(name)
    if not restorer.card.tile_exact:
        pytest.skip("looks at the whole image")
    degraded = scene(restorer.card.channels or 2, 91, 118)
    condition = condition_for(restorer.card, 1, 91, 118)
    whole = restorer(degraded, condition=condition)
    for core in (40, 64):
        for pixels in (1, 1 << 14):
            traversal = TiledTraversal(Tiling.of(restorer.card, core), pixels)
            tiled = restorer(degraded, condition=condition, traversal=traversal)
            difference = float((tiled - whole).abs().max())
            assert torch.equal(tiled, whole), f"{name}: tile {core}, {pixels} pixels: {difference:g}"


@pytest.mark.parametrize("architecture", EXACT_NETWORKS)
def test_networks_give_the_pixels_of_the_whole_image(architecture):
    restorer = random_network(architecture)
    assert restorer.card.tile_exact
    height, width = 61, max(87, 2 * restorer.card.halo + 24)
    degraded = scene(restorer.card.channels or 3, height, width, batch=2)
    condition = condition_for(restorer.card, 2, height, width)
    whole = restorer(degraded, condition=condition)
    for core, pixels in itertools.product((16, 50), (1, 20_000)):
        traversal = TiledTraversal(Tiling.of(restorer.card, core), pixels)
        tiled = restorer(degraded, condition=condition, traversal=traversal)
        difference = float((tiled - whole).abs().max())
        assert torch.equal(tiled, whole), f"{architecture}: tile {core}, {pixels} pixels: {difference:g}"


@pytest.mark.parametrize("architecture", ["ffdnet", "drunet"])
def test_an_image_has_the_same_bits_alone_and_in_a_batch(architecture):
    restorer = random_network(architecture)
    batch = scene(3, 20, 26, batch=3).repeat(6, 1, 1, 1)
    condition = Condition(noise_level_B=torch.tensor([0.1]))
    together = restorer(batch, condition=condition)
    for index in (0, 7, 17):
        assert torch.equal(restorer(batch[index : index + 1], condition=condition)[0], together[index])


def test_origins_that_miss_the_multiple_would_be_seen():
    """The fault that alignment prevents: a network that halves its input pairs other pixels."""

    class Halves(nn.Module):
        def forward(self, image, condition):
            height, width = image.shape[-2:]
            return nn.functional.interpolate(image[..., ::2, ::2], scale_factor=2)[..., :height, :width]

    restorer = probe(Halves(), multiple_of=2)
    degraded = scene(1, 33, 45)
    whole = restorer(degraded)
    assert torch.equal(restorer(degraded, traversal=TiledTraversal(Tiling.of(restorer.card, 9), 1)), whole)
    card = replace(restorer.card, multiple_of=1)
    misaligned = TiledTraversal(Tiling.of(card, 9), 1)
    assert not torch.equal(restorer(degraded, traversal=misaligned), whole)


def test_too_small_a_halo_would_be_seen():
    restorer = random_network("ffdnet")
    degraded, condition = scene(3, 64, 64), Condition(noise_level_B=torch.tensor([0.1]))
    whole = restorer(degraded, condition=condition)
    tiling = Tiling.of(restorer.card, 16)
    assert torch.equal(restorer(degraded, condition=condition, traversal=TiledTraversal(tiling, 1)), whole)
    short = TiledTraversal(replace(tiling, halo=2), 1)
    assert not torch.equal(restorer(degraded, condition=condition, traversal=short), whole)


def test_masks_are_cut_and_noise_levels_stay_with_their_image():
    def model(image, condition):
        return image * condition.mask_B1HW + condition.noise_level_B.reshape(-1, 1, 1, 1)

    restorer = probe(model, needs=("mask", "noise_level"))
    degraded = scene(3, 30, 41, batch=2)
    mask = (torch.rand(2, 1, 30, 41, generator=torch.Generator().manual_seed(2)) < 0.5).float()
    condition = Condition(noise_level_B=torch.tensor([0.25, 0.5]), mask_B1HW=mask)
    tiled = restorer(
        degraded, condition=condition, traversal=TiledTraversal(Tiling.of(restorer.card, 7), 100)
    )
    assert torch.equal(tiled, degraded * mask + torch.tensor([0.25, 0.5]).reshape(2, 1, 1, 1))


def test_noise_is_estimated_on_the_whole_image():
    seen = []

    def model(image, condition):
        seen.append(condition.noise_level_B.tolist())
        return image.clone()

    degraded = scene(1, 40, 60)
    degraded[..., 30:] += 0.1 * torch.randn(40, 30, generator=torch.Generator().manual_seed(4))
    restorer = probe(model, needs=("noise_level",))
    restorer(degraded)
    restorer(degraded, traversal=TiledTraversal(Tiling.of(restorer.card, 20), 1))
    assert len(seen) == 1 + 6
    assert all(level == seen[0] for level in seen)


def test_blends_keep_flat_images_and_leave_no_seam():
    def leaning(image, condition):
        return image + image.mean(dim=(-2, -1), keepdim=True)  # a global statistic: seams between tiles

    card = Card(name="probe", summary="A probe.", task="general", halo=None, tile_exact=False)
    restorer = Restorer(card, leaning)
    blended = TiledTraversal(Tiling(64, 32, 1, "feather"), 1)
    flat = torch.full((1, 1, 150, 200), 0.25)
    torch.testing.assert_close(restorer(flat, traversal=blended), torch.full_like(flat, 0.5))
    slope = torch.linspace(0, 1, 200).expand(1, 1, 150, 200)
    steps = restorer(slope, traversal=blended)[0, 0, 75].diff().abs()
    cropped = restorer(slope, traversal=TiledTraversal(Tiling(64, 32, 1, "crop"), 1))[0, 0, 75].diff().abs()
    assert float(steps.max()) < 0.02
    assert float(cropped.max()) > 0.1


def test_restorers_that_invert_operators_stay_whole():
    assert Tiling.of(catalog.build("wiener").card) is None
    assert Tiling.of(catalog.build("wavelet").card).blend == "feather"
