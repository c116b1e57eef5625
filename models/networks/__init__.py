"""The networks this project can build, by name, and how one becomes the core of a restorer.

Adding a network is its file, its line in ``NETWORKS``, and its line in the contract test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from models.networks.ffdnet import FFDNet
from models.restorer import Condition, RestorerError

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "ffdnet": FFDNet,
}
"""Each takes keyword arguments, the ``arguments`` of a card. Its instances are called with an image
and then whatever their attribute ``conditions`` names, in that order (none, if they have no such
attribute), and say the radius of their receptive field in pixels as ``halo``."""


def build_network(architecture: str, arguments: dict[str, Any]) -> nn.Module:
    """A network with its initial weights; ``ValueError`` naming an unknown network or argument."""
    if architecture not in NETWORKS:
        raise ValueError(f"unknown network {architecture!r}; known are {', '.join(sorted(NETWORKS))}")
    try:
        return NETWORKS[architecture](**arguments)
    except TypeError as error:
        raise ValueError(f"network {architecture!r} cannot be built with {arguments}: {error}") from None


class NetworkCore(nn.Module):
    """A network behind the call of ``models.restorer.Core``.

    Hands the network those parts of the condition that it names; the card names the same ones in
    ``needs``, and the restorer sees to it that they are there.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """The network's output, in the network's value range."""
        restored_BCHW: Tensor = self.network(degraded_BCHW, *self._given(degraded_BCHW, condition))
        return restored_BCHW

    def _given(self, degraded_BCHW: Tensor, condition: Condition) -> list[Tensor]:
        wanted: Sequence[str] = getattr(self.network, "conditions", ())
        return [CONDITIONS[name](degraded_BCHW, condition) for name in wanted]


def _noise_level(degraded_BCHW: Tensor, condition: Condition) -> Tensor:
    level_B = condition.noise_level_B
    if level_B is None:
        raise RestorerError("CONDITION_MISSING", "this network needs the noise level of the degradation")
    return level_B.to(degraded_BCHW).expand(len(degraded_BCHW))


def _mask(degraded_BCHW: Tensor, condition: Condition) -> Tensor:
    if condition.mask_B1HW is None:
        raise RestorerError("CONDITION_MISSING", "this network needs the mask of the degradation")
    return condition.mask_B1HW.to(degraded_BCHW)


CONDITIONS: dict[str, Callable[[Tensor, Condition], Tensor]] = {
    "noise_level": _noise_level,
    "mask": _mask,
}
"""How a network's ``conditions`` come out of the call's condition, on the image's device and dtype."""
