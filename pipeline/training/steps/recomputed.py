"""Blocks whose inner values are made again for the gradient instead of being kept: less memory, more time.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.
"""

from __future__ import annotations

from functools import partial

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recompute_blocks(network: nn.Module) -> int:
    """Changes the network's blocks in place; how many. Their names and results stay the same.

    Blocks are what stands in a list or a sequence and has layers of its own. Those with batch normalisation
    stay as they are: its statistics would be counted twice.
    """
    found = list(_blocks(network))
    for block in found:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    return len(found)


def has_blocks(network: nn.Module) -> bool:
    """Whether it has any block that can be computed again."""
    return bool(_blocks(network))


def _blocks(network: nn.Module) -> list[nn.Module]:
    found: list[nn.Module] = []
    for child in network.children():
        if isinstance(child, nn.ModuleList | nn.Sequential):
            for each in child:
                found += [each] if _is_block(each) else _blocks(each)
        else:
            found += _blocks(child)
    return found


def _is_block(module: nn.Module) -> bool:
    layers = [each for each in module.modules() if next(each.parameters(recurse=False), None) is not None]
    counted = any(isinstance(each, _BatchNorm) for each in module.modules())
    return len(layers) > 1 and not counted
