"""Where a restorer is unsure, by name: what intervals in pixels are made of.

Adding one: a file with a frozen class, a line here, a line in ``tests/models/test_uncertainties.py``, and a
row in ``docs/trust.md``.
"""

from __future__ import annotations

from models.uncertainties.base import Uncertainty
from models.uncertainties.posterior import PosteriorSpread
from models.uncertainties.quantile_head import QuantileHead
from models.uncertainties.self_ensemble import SelfEnsembleSpread

UNCERTAINTIES: dict[str, Uncertainty] = {
    each.name: each for each in (SelfEnsembleSpread(), PosteriorSpread(), QuantileHead())
}
"""As a restorer's ``uncertainty`` in a job."""
