"""Broken lines of a scanner: found where they are, and nowhere else."""

import numpy as np
import pytest
import skimage.data
import torch

from models.defects import dead_columns, dust, scan_lines


def photograph(name: str) -> torch.Tensor:
    pixels = getattr(skimage.data, name)() / 255
    return torch.from_numpy(np.atleast_3d(pixels)).permute(2, 0, 1).float()


@pytest.mark.parametrize("name", ["camera", "coffee", "brick"])
def test_broken_lines_are_found_and_no_others(name):
    clean = photograph(name)
    assert not scan_lines(clean).any()
    assert not dead_columns(clean).any()
    broken, lines = clean.clone(), [30, 31, 60, 90, 150]
    broken[:, lines], broken[:, 60] = 0, 1
    found = scan_lines(broken)
    assert found.all(dim=1).nonzero()[:, 0].tolist() == lines
    assert int(found.any(dim=1).sum()) == len(lines)
    assert torch.equal(dead_columns(broken.mT), found.T)


def test_images_of_a_few_lines_have_no_defects():
    assert not scan_lines(torch.eye(8)[None]).any()


@pytest.mark.parametrize(("name", "most_wrong"), [("chelsea", 0.002), ("rocket", 0.006)])
def test_dust_is_found_and_little_else(name, most_wrong):
    clean = photograph(name)[:, :300, :400]
    dusty, specks = clean.clone(), torch.zeros(clean.shape[-2:], dtype=torch.bool)
    for place, at in enumerate(np.random.default_rng(0).uniform(10, 290, (30, 2)).astype(int).tolist()):
        size = 1 + place % 5
        specks[at[0] : at[0] + size, at[1] : at[1] + size] = True
    specks[40:200, 350:352] = True  # a scratch
    dusty[:, specks] = 1.0
    visible = specks & ((dusty - clean).amin(dim=0) > 0.3)
    assert float(dust(clean).float().mean()) < most_wrong
    assert float(dust(dusty)[visible].float().mean()) > 0.6


def test_an_image_without_detail_has_no_dust_and_a_tiny_one_can_be_looked_at():
    assert not dust(torch.full((3, 50, 40), 0.4)).any()
    speck = torch.full((1, 9, 9), 0.5)
    speck[0, 4, 4] = 1.0
    assert dust(speck).nonzero().tolist() == [[4, 4]]
    assert not dust(torch.rand(1, 1, 1)).any()
