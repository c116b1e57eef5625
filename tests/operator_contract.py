"""What every operator must keep, checked on one instance of it."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import torch
from torch import Tensor

from models.operators import LinearOperator, Operator, ProximalOperator


def seeded(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_image(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 3) -> Tensor:
    return torch.rand(*shape, generator=seeded(seed), dtype=torch.float64).to(dtype)


def check_operator(operator: Operator, channels: tuple[int, ...] = (1, 3, 6), side: int = 64) -> None:
    """Runs every law on an operator that takes images of ``side`` x ``side`` with these channels."""
    assert isinstance(operator, Operator)
    check_value(operator)
    for count in channels:
        check_calls(operator, random_image(3, count, side, side))
    check_small_images(operator, channels[0])
    if hasattr(operator, "mask"):
        check_mask(operator, side)
    if isinstance(operator, LinearOperator) and getattr(operator, "rounding", "none") == "none":
        check_adjoint(operator, channels[-1], side)
    if isinstance(operator, ProximalOperator) and getattr(operator, "rounding", "none") == "none":
        check_prox(operator, channels[-1], side)


def size_after(operator: Operator, height: int, width: int) -> tuple[int, int]:
    if hasattr(operator, "height"):
        return operator.height, operator.width
    scale = getattr(operator, "scale", 1)
    return height // scale, width // scale


def check_value(operator: Operator) -> None:
    """Frozen, hashable, equal after pickling, and rebuilt from its fields (as a replayed record is)."""
    assert dataclasses.is_dataclass(operator)
    assert operator.__dataclass_params__.frozen
    assert pickle.loads(pickle.dumps(operator)) == operator
    assert hash(copy.copy(operator)) == hash(operator)
    fields = {each.name: getattr(operator, each.name) for each in dataclasses.fields(operator)}
    assert type(operator)(**fields) == operator


def check_calls(operator: Operator, image_BCHW: Tensor) -> None:
    """Deterministic, keeps its input, dtype and finiteness; a batch is its images one by one."""
    before = image_BCHW.clone()
    worse_BCHW = operator(image_BCHW, seeded())
    assert torch.equal(image_BCHW, before), "the input was changed"
    assert torch.equal(worse_BCHW, operator(image_BCHW, seeded())), "same state, other pixels"
    assert worse_BCHW.dtype == image_BCHW.dtype
    assert torch.isfinite(worse_BCHW).all()
    assert worse_BCHW.shape == (*image_BCHW.shape[:2], *size_after(operator, *image_BCHW.shape[2:]))
    assert worse_BCHW.is_contiguous()
    rng = seeded()
    singles = torch.cat([operator(single[None], rng) for single in image_BCHW])
    torch.testing.assert_close(worse_BCHW, singles, rtol=0, atol=2e-6)


def check_small_images(operator: Operator, channels: int) -> None:
    """1x1, 1xN and Nx1 work, or raise a ValueError that starts with the name and gives the size."""
    for height, width in ((1, 1), (1, 40), (40, 1)):
        refusal = None
        try:
            worse_BCHW = operator(random_image(1, channels, height, width), seeded())
        except ValueError as error:
            refusal = str(error)
        if refusal is None:
            assert torch.isfinite(worse_BCHW).all()
        else:
            assert refusal.startswith(operator.name), refusal
            assert f"{height} x {width}" in refusal, refusal


def check_mask(operator: Operator, side: int) -> None:
    """The mask alone and the call draw the same; it holds 0 and 1 only, and something stays known."""
    image_BCHW = random_image(1, 2, side, side) + 1
    mask_1HW = operator.mask(side, side, seeded())  # type: ignore[attr-defined]
    assert mask_1HW.shape == (1, side, side)
    assert set(mask_1HW.unique().tolist()) <= {0.0, 1.0}
    assert mask_1HW.any()
    assert torch.equal(operator(image_BCHW, seeded()), image_BCHW * mask_1HW)
    others = [operator.mask(side, side, seeded(seed)) for seed in range(8)]  # type: ignore[attr-defined]
    assert operator.name == "box_mask" or not all(torch.equal(other, mask_1HW) for other in others)


def check_adjoint(operator: LinearOperator, channels: int, side: int) -> None:
    """<A x, y> = <x, A' y> in float64, on a square and on an oblong image."""
    for height, width in ((side, side), (side, side + 2 * getattr(operator, "scale", 1))):
        x = random_image(2, channels, height, width, dtype=torch.float64)
        y = random_image(2, channels, *size_after(operator, height, width), dtype=torch.float64, seed=5)
        forward = (operator(x, seeded()) * y).sum()
        backward = (x * operator.adjoint(y, height, width)).sum()
        assert abs(forward - backward) <= 1e-9 * abs(forward), operator


def check_prox(operator: ProximalOperator, channels: int, side: int) -> None:
    """At the minimum the gradient ``A'(A x - y) + rho (x - z)`` vanishes."""
    z = random_image(2, channels, side, side, dtype=torch.float64)
    y = random_image(2, channels, *size_after(operator, side, side), dtype=torch.float64, seed=5)
    for rho in (0.01, 1.0):
        x = operator.prox(z, y, rho)
        gradient = operator.adjoint(operator(x, seeded()) - y, side, side) + rho * (x - z)
        assert gradient.norm() <= 1e-5 * operator.adjoint(y, side, side).norm(), (operator, rho)
