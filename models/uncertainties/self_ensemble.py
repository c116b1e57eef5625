"""How far the eight rotations and reflections of an image, restored and turned back, lie apart.

The passes are those of the self-ensemble (Timofte, Rothe and Van Gool 2016); their spread as uncertainty:
Wang et al. 2019, "Aleatoric uncertainty estimation with test-time augmentation for medical image
segmentation".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.contract import Condition
from models.restorer import Restorer
from models.solvers.self_ensemble import SelfEnsemble, turned_passes
from models.uncertainties.base import Restore, smoothed

_SIDE = 5


@dataclass(frozen=True)
class SelfEnsembleSpread:
    """Standard deviation of eight passes, over 5 x 5 pixels; of a self-ensemble, of the restorer within."""

    name: ClassVar[str] = "self_ensemble"
    version: ClassVar[int] = 1
    calls: ClassVar[int] = 7

    def subject(self, restorer: Restorer) -> Restorer:
        """Any restorer that does not invert operators, whose kernels would have to turn as well."""
        if isinstance(restorer.model, SelfEnsemble):
            return restorer.model.restorer  # its own passes are all alike
        if restorer.card.inverts_operators:
            raise ValueError(
                f'uncertainty: "{self.name}" turns images, and {restorer.card.name} inverts operators, '
                "which do not turn with them; leave it out"
            )
        return restorer

    def __call__(
        self, restore: Restore, degraded_BCHW: Tensor, condition: Condition, restored_BCHW: Tensor
    ) -> Tensor:
        """As ``Uncertainty``. Seven calls, eight for a self-ensemble, one after the other."""
        count, mean_BCHW, scatter_BCHW = 0, torch.zeros_like(restored_BCHW), torch.zeros_like(restored_BCHW)
        for each_BCHW in turned_passes(restore, degraded_BCHW, condition):
            count += 1
            step_BCHW = each_BCHW - mean_BCHW
            mean_BCHW = mean_BCHW + step_BCHW / count
            scatter_BCHW = scatter_BCHW + step_BCHW * (each_BCHW - mean_BCHW)
        return smoothed(scatter_BCHW / (count - 1), _SIDE)
