"""Which channels of a network stand and fall together, by architecture: for pruning and for int8.

A channel is cut out of all that make it and all that read it: filters, biases, norms, slopes, the next
filters. Any order of the channels of a group is the same network, which is what a group is tested by.

Adding an architecture is its function here, its line in ``GROUPS``, and its line in the test.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Member:
    """An axis of a tensor that has the channels of a group."""

    name: str
    axis: int
    copies: int = 1
    """So many times one after the other: both halves of a gate are 2."""
    block: int = 1
    """Places of one channel side by side: before a pixel shuffle by 2 they are 4."""

    def places(self, channels: Tensor, width: int) -> Tensor:
        """Where these ``channels`` of a group of ``width`` lie on the axis, in their order."""
        firsts = torch.cat([(copy * width + channels) * self.block for copy in range(self.copies)])
        return (firsts[:, None] + torch.arange(self.block)).flatten()


@dataclass(frozen=True)
class Group:
    """Channels that stand and fall together; the first member makes them."""

    width: int
    members: tuple[Member, ...]

    def taken(self, state: State, channels: Tensor) -> dict[str, Tensor]:
        """The state with these channels alone, in their order."""
        result = dict(state)
        for each in self.members:
            places = each.places(channels, self.width)
            result[each.name] = result[each.name].index_select(each.axis, places)
        return result

    def summed(self, values: State) -> Tensor:
        """Of values for each weight, their sums for each channel."""
        total = torch.zeros(self.width, dtype=torch.float64)
        for each in self.members:
            places = each.places(torch.arange(self.width), self.width)
            ordered = values[each.name].double().movedim(each.axis, 0)[places]
            total += ordered.reshape(each.copies, self.width, -1).sum((0, 2))
        return total


def groups_of(architecture: str, state: State, arguments: Mapping[str, Any]) -> list[Group]:
    """All groups whose width follows ``features``; ``ValueError`` for an architecture without a line here."""
    if architecture not in GROUPS:
        raise ValueError(
            f'which channels of "{architecture}" belong together is not known (known: {", ".join(GROUPS)}); '
            "a smaller network can learn from it: --method distil"
        )
    return list(GROUPS[architecture](state, arguments))


def chain(state: State, _: Mapping[str, Any]) -> Iterator[Group]:
    """Convolutions one after the other; vectors between two belong to the first: biases, norms, slopes."""
    layers: list[list[str]] = []
    for name, tensor in state.items():
        if tensor.dim() == 4:
            layers.append([name])
        elif tensor.dim() == 1:
            layers[-1].append(name)
    for first, second in itertools.pairwise(layers):
        members = (*(Member(name, 0) for name in first), Member(second[0], 1))
        yield Group(len(state[first[0]]), members)


def nafnet(state: State, _: Mapping[str, Any]) -> Iterator[Group]:
    """What goes along each level, and inside of each block what either gate lets through."""
    levels = sum(name.startswith("shrinking.") and name.endswith("weight") for name in state)
    for level in range(levels + 1):
        members = [*_entering(level), *_leaving(level, levels)]
        for block in _blocks(state, level, levels):
            members += _along(block)
            yield _first_gate(state, block)
            yield _second_gate(state, block)
        yield Group(len(state[members[0].name]), tuple(members))


def _entering(level: int) -> list[Member]:
    maker = f"shrinking.{level - 1}" if level else "head"
    return [Member(f"{maker}.weight", 0), Member(f"{maker}.bias", 0)]


def _leaving(level: int, levels: int) -> list[Member]:
    """Who reads a level, and what comes up to it from below."""
    reader = "tail.weight" if level == 0 else f"enlarging.{levels - level}.0.weight"
    found = [Member(reader, 1)]
    if level < levels:
        found += [
            Member(f"shrinking.{level}.weight", 1),
            Member(f"enlarging.{levels - 1 - level}.0.weight", 0, block=4),
        ]
    return found


def _blocks(state: State, level: int, levels: int) -> list[str]:
    outer = (f"encoders.{level}.", f"decoders.{levels - 1 - level}.")
    places = outer if level < levels else ("middle.",)
    ending = "norm_1.weight"
    return [n.removesuffix(ending) for n in state if n.startswith(places) and n.endswith(ending)]


def _along(block: str) -> list[Member]:
    layers = ("norm_1", "projection_1", "norm_2", "projection_2")
    made = ["beta", "gamma", *(f"{layer}.{part}" for layer in layers for part in ("weight", "bias"))]
    read = ("expansion_1.weight", "expansion_2.weight")
    return [*(Member(block + name, 0) for name in made), *(Member(block + name, 1) for name in read)]


def _first_gate(state: State, block: str) -> Group:
    doubled = ("expansion_1.weight", "expansion_1.bias", "depthwise.weight", "depthwise.bias")
    members = [Member(block + name, 0, copies=2) for name in doubled]
    members += [Member(block + name, 0) for name in ("attention.weight", "attention.bias")]
    members += [Member(block + name, 1) for name in ("attention.weight", "projection_1.weight")]
    return Group(len(state[f"{block}attention.weight"]), tuple(members))


def _second_gate(state: State, block: str) -> Group:
    members = [Member(block + name, 0, copies=2) for name in ("expansion_2.weight", "expansion_2.bias")]
    read = Member(f"{block}projection_2.weight", 1)
    return Group(state[read.name].shape[1], (*members, read))


GROUPS: dict[str, Callable[[State, Mapping[str, Any]], Iterator[Group]]] = {
    "dncnn": chain,
    "ffdnet": chain,
    "nafnet": nafnet,
    "srvgg": chain,
}
"""Architecture -> its groups, of a state and the card's arguments."""
