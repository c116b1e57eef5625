"""What a recipe says of networks that learn how far they may be off, checked; and how one begins.

A head for half-widths is trained on a network whose image is good and stays so: its weights are given, and
lack the head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from models.losses import LOSSES
from pipeline.errors import JobError
from pipeline.training.recipe.recipe import TrainingRecipe


def check_half_widths(recipe: TrainingRecipe, network: nn.Module) -> None:
    """``JobError`` by path where half-widths are judged and none are given, or the other way round."""
    judging = [each.name for each in recipe.losses if _judges(each.name)]
    architecture = recipe.network.architecture
    if not hasattr(network, "half_width"):
        if judging:
            raise JobError(
                f'losses: "{judging[0]}" judges half-widths, and {architecture} gives none; take '
                'architecture = "ffdnet_quantiles", or another loss'
            )
        return
    if not judging:
        raise JobError(f'losses: {architecture} learns half-widths alone; give {{ name = "laplace" }}')
    if _new_parts(network) and recipe.network.start is None:
        raise JobError(
            f"network.start: {architecture} learns half-widths of a network that restores already; name its "
            "weights"
        )


def load_start(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Loads the weights that a run begins with; all that they lack may be the network's new parts.

    ``RuntimeError`` as ``load_state_dict``.
    """
    new = {
        key: each for key, each in network.state_dict().items() if key.startswith(tuple(_new_parts(network)))
    }
    lacks_all = not new.keys() & state.keys()
    network.load_state_dict({**(new if lacks_all else {}), **state})


def _judges(loss: str) -> bool:
    return loss in LOSSES and bool(getattr(LOSSES.named(loss), "needs_half_width", False))


def _new_parts(network: nn.Module) -> Sequence[str]:
    found: Sequence[str] = getattr(network, "new_parts", ())
    return found
