"""Frames as samples of a finer image: each pixel sees a Gaussian about the place where it was registered.

Shapes: B images, T frames of each, I and J rows and columns of a frame, P and Q those of the finer grid, C
channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

NOTHING = 1e-7
"""Weight that no longer counts."""


class Sampling:
    """What frames see of an image on the finer grid, and what they say of it.

    Gaussians are separable: there is a small matrix for each frame and axis.
    """

    def __init__(self, shift_BT2: Tensor, scale: int, width: float, size: tuple[int, int]) -> None:
        """``shift_BT2``: how far frames lie down and right of the image, in their own pixels.

        ``width``: standard deviation of the Gaussian in pixels of the finer grid; ``size``: of a frame.
        """
        self._rows_BTIP = _weights(shift_BT2[..., 0], scale, width, size[0])
        self._columns_BTJQ = _weights(shift_BT2[..., 1], scale, width, size[1])

    def normalised(self) -> Sampling:
        """The same with weights that add up to one for each sample: ``seen`` keeps a constant as it is."""
        same = object.__new__(Sampling)
        same._rows_BTIP = self._rows_BTIP / self._rows_BTIP.sum(-1, keepdim=True).clamp_min(1e-9)
        same._columns_BTJQ = self._columns_BTJQ / self._columns_BTJQ.sum(-1, keepdim=True).clamp_min(1e-9)
        return same

    def to(self, like: Tensor) -> Sampling:
        """The same in the type of a tensor."""
        same = object.__new__(Sampling)
        same._rows_BTIP, same._columns_BTJQ = self._rows_BTIP.to(like), self._columns_BTJQ.to(like)
        return same

    def seen(self, image_BCPQ: Tensor) -> Tensor:
        """BTCIJ: what the frames' samples are by the image."""
        across_BTCPJ = image_BCPQ[:, None] @ self._columns_BTJQ.mT[:, :, None]
        return self._rows_BTIP[:, :, None] @ across_BTCPJ

    def spread(self, values_BTCIJ: Tensor) -> Tensor:
        """BCPQ: the adjoint of ``seen``: every sample given to its neighbours, added over all frames."""
        across_BTCIQ = values_BTCIJ @ self._columns_BTJQ[:, :, None]
        # One product adds over samples and frames; nothing as large as all frames on the finer grid is held.
        by_channel_BCNQ = across_BTCIQ.transpose(1, 2).flatten(2, 3)
        rows_BNP = self._rows_BTIP.flatten(1, 2)
        return rows_BNP.mT[:, None] @ by_channel_BCNQ


def _weights(shift_BT: Tensor, scale: int, width: float, count: int) -> Tensor:
    """Frame x sample x place of the grid, along one axis."""
    steps_I = torch.arange(count, dtype=torch.float64, device=shift_BT.device)
    centres_BTI = (steps_I + 0.5 - shift_BT.double()[..., None]) * scale - 0.5
    places_P = torch.arange(count * scale, dtype=torch.float64, device=shift_BT.device)
    weights_BTIP = torch.exp(-0.5 * ((centres_BTI[..., None] - places_P) / width) ** 2)
    # Exactly nothing far away: processors take many times as long for numbers next to zero.
    return torch.where(weights_BTIP > NOTHING, weights_BTIP, 0)
