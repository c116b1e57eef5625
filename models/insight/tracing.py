"""A restorer as a function of its image alone, through which gradients flow.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from models.contract import Condition, RestorerError
from models.noise_level import estimate_noise_level
from models.restorer import Restorer

Traced = Callable[[Tensor], Tensor]
"""BCHW in [0, 1] -> the restored image, with gradients."""


def trace(restorer: Restorer, image_BCHW: Tensor, condition: Condition | None = None) -> Traced:
    """The restorer with everything but the image fixed: a noise level that it needs is estimated on this one.

    ``RestorerError`` for an image that it cannot take, and where no gradient comes back to it.
    """
    given = _plain(condition or Condition())
    if "noise_level" in restorer.card.needs and given.noise_level_B is None:
        given = replace(given, noise_level_B=estimate_noise_level(image_BCHW))

    def restored(image_BCHW: Tensor) -> Tensor:
        return restorer.differentiable(image_BCHW, given)

    try:
        probe_BCHW = image_BCHW.detach().clone().requires_grad_()
        has_gradient = restored(probe_BCHW).requires_grad
    except RuntimeError as error:
        raise RestorerError("NO_GRADIENT", f"{_refusal(restorer)} ({error})") from error
    if not has_gradient:
        raise RestorerError("NO_GRADIENT", _refusal(restorer))
    return restored


def gradient_of(value: Tensor, image_BCHW: Tensor) -> Tensor:
    """Of one number, on every pixel of the image; 0 where it does not matter."""
    (gradient_BCHW,) = torch.autograd.grad(value, image_BCHW, allow_unused=True)
    return torch.zeros_like(image_BCHW) if gradient_BCHW is None else gradient_BCHW


def _plain(condition: Condition) -> Condition:
    """Tensors that were made while no gradients were wanted cannot take part in any: copies can."""
    return condition.changed(torch.clone)


def _refusal(restorer: Restorer) -> str:
    return (
        f"{restorer.card.name}: no gradient comes back from its output to the image, as of ONNX files and of "
        "solvers outside PyTorch; give the weights that the file was made from, or another restorer"
    )
