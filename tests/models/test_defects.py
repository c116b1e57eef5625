"""Broken lines of a scanner: found where they are, and nowhere else."""

import numpy as np
import pytest
import skimage.data
import torch

from models.defects import dead_columns, scan_lines


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
