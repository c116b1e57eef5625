"""Whether validation has gained nothing for so long that a run is over.

Prechelt, "Early Stopping - But When?", in: Neural Networks: Tricks of the Trade, 1998.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.metrics import METRICS
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.validation.generator import METRIC


def is_exhausted(rows: Sequence[Mapping[str, Any]], recipe: TrainingRecipe) -> bool:
    """By the rows of the table alone, so that a run that goes on knows it too."""
    patience = recipe.validation.patience
    if patience is None:
        return False
    merits = [merit for row in rows if (merit := _merit(row, recipe)) is not None]
    return len(merits) > patience and max(merits[-patience:]) <= max(merits[:-patience])


def _merit(row: Mapping[str, Any], recipe: TrainingRecipe) -> float | None:
    """The first metric, mean over degradations, larger is better; ``None`` where nothing was validated, or it
    is undefined."""
    generates = recipe.kind == "generation"
    metric = METRIC if generates else recipe.validation.metrics[0]
    found = [
        value
        for name, value in row.items()
        if name.startswith("validation_") and name.endswith(f"_{metric}") and value is not None
    ]
    if not found:
        return None
    mean = float(sum(found) / len(found))
    if math.isnan(mean):
        return None
    return mean if not generates and METRICS[metric].protocol.higher_is_better else -mean
