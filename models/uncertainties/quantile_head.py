"""What a network says of its own errors: half-widths that were learnt beside the image.

Angelopoulos et al., "Image-to-Image Regression with Distribution-Free Uncertainty Quantification and
Applications in Imaging", ICML 2022: a heuristic of the network, scaled by risk-controlling prediction sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from models.contract import Condition
from models.networks import NetworkModel
from models.restorer import Restorer
from models.solvers.per_band import PerBand
from models.uncertainties.base import Restore


class _HalfWidths(NetworkModel):
    """The network's half-widths behind the call that gives its image: padded, cut and put on devices
    alike."""

    def __init__(self, network: nn.Module, low: float) -> None:
        super().__init__(network)
        self._low = low

    def forward(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW in the network's range, whose lower end stands for no width."""
        network: Any = self.network
        half_width_BCHW: Tensor = network.half_width(degraded_BCHW, *self._given(degraded_BCHW, condition))
        return half_width_BCHW + self._low


@dataclass(frozen=True)
class QuantileHead:
    """Half-widths of networks that have them."""

    name: ClassVar[str] = "quantile_head"
    version: ClassVar[int] = 1
    calls: ClassVar[int] = 1

    def subject(self, restorer: Restorer) -> Restorer:
        """What gives the half-widths of this restorer's images, band by band where it works so."""
        if isinstance(restorer.model, PerBand):
            by_band: Any = PerBand(restorer=self.subject(restorer.model.restorer))
            return Restorer(restorer.card, by_band)
        network: Any = getattr(restorer.model, "network", None)
        if not hasattr(network, "half_width"):
            raise ValueError(
                f'uncertainty: "{self.name}" is for networks that learnt how far they may be off, and '
                f'{restorer.card.name} did not; use ffdnet-grey-quantiles, or "self_ensemble"'
            )
        model = _HalfWidths(network, restorer.card.value_range[0])
        return Restorer(restorer.card, model, precision=restorer.precision)

    def __call__(
        self, restore: Restore, degraded_BCHW: Tensor, condition: Condition, restored_BCHW: Tensor
    ) -> Tensor:
        """As ``Uncertainty``. One call."""
        return restore(degraded_BCHW, condition).clamp_min(0)
