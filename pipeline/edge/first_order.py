"""How much of the loss each weight carries, on images of the training: what pruning ranks channels by."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from models.losses import build_loss
from models.networks import NetworkModel
from models.restorer import Restorer
from pipeline.training.data.collected import collected
from pipeline.training.data.samples import Samples
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.steps.network_update import NetworkUpdate
from pipeline.training.steps.restoration import RestorationStep

BATCHES = 16


def by_loss(given: Restorer, recipe: TrainingRecipe) -> dict[str, Tensor]:
    """(gradient x weight) squared, mean over ``BATCHES`` steps of the recipe that move nothing.

    Molchanov et al., "Importance Estimation for Neural Network Pruning", CVPR 2019, equation 8. On the CPU,
    where the same images always give the same bits.
    """
    assert isinstance(given.model, NetworkModel)
    network = copy.deepcopy(given.model.network).requires_grad_(True)
    built = BuiltRecipe.of(recipe)
    collection = collected(recipe, built)
    samples = Samples(recipe, collection, built.degradations, torch.device("cpu"))
    step = _still(network, recipe)
    found = {name: torch.zeros_like(tensor) for name, tensor in network.state_dict().items()}
    try:
        for number in range(BATCHES):
            step(samples.examples(number), number, torch.Generator().manual_seed(number))
            for name, parameter in network.named_parameters():
                if parameter.grad is not None:
                    found[name] += (parameter.detach() * parameter.grad).square() / BATCHES
    finally:
        collection.close()
    return found


def _still(network: nn.Module, recipe: TrainingRecipe) -> RestorationStep:
    """A step of the recipe's losses whose rate is nothing: for its gradients."""
    losses = [(each.name, each.weight, build_loss(each.name, each.arguments)) for each in recipe.losses]
    update = NetworkUpdate(network, torch.optim.SGD(network.parameters(), 0.0))
    return RestorationStep(update, losses, value_range=recipe.network.value_range)
