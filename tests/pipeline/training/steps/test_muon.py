"""Muon: orthogonal directions for kernels, Adam for vectors."""

import pytest
import torch
from torch import nn

from pipeline.training.steps.muon import Muon, orthogonalise


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (12, 12)])
def test_directions_are_made_equally_strong(shape):
    matrix = torch.randn(shape, generator=generator(), dtype=torch.float64)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    made = orthogonalise(matrix)
    # In the basis of the matrix itself the result is diagonal: only singular values change.
    inside = left.T @ made @ right.T
    values = inside.diagonal()
    assert float((inside - values.diag()).abs().max()) < 1e-6
    assert ((values > 0.6) & (values < 1.3)).all(), values


def test_kernels_move_by_the_learning_rate_whatever_the_gradient():
    for size in (1e-3, 1e3):
        kernel = nn.Parameter(torch.zeros(8, 4, 3, 3))
        kernel.grad = torch.randn(kernel.shape, generator=generator()) * size
        Muon([kernel], lr=0.02).step()
        moved = torch.linalg.svdvals(kernel.detach().flatten(1))
        assert ((moved > 0.6 * 0.02) & (moved < 1.3 * 0.02)).all()
        assert float((kernel.detach() * kernel.grad).sum()) < 0


def test_vectors_move_by_adam():
    gradients = torch.randn(10, 5, generator=generator())
    ours, theirs = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    muon = Muon([ours], lr=0.1, vector_share=0.3)
    adam = torch.optim.Adam([theirs], lr=0.03, betas=(0.9, 0.99))
    for gradient in gradients:
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        muon.step()
        adam.step()
    torch.testing.assert_close(ours, theirs)


def test_parameters_without_a_gradient_stay():
    used, unused = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    used.grad = torch.eye(2)
    Muon([used, unused]).step()
    assert torch.equal(unused.detach(), torch.ones(2, 2))
    assert not torch.equal(used.detach(), torch.ones(2, 2))
