"""For each patch of an image that is to be filled, the known patch that looks most like it.

Barnes, Shechtman, Finkelstein and Goldman 2009, "PatchMatch: a randomized correspondence algorithm for
structural image editing": good matches are few, but a neighbour's match, moved along, is often good, and so
is one near the best so far. All patches are asked at once, with neighbours at distances of 8 and 1 pixels in
the place of the paper's scan.

Shapes: C channels, H and W height and width, N pixels of the plane in reading order, P target patches,
T some of them, D pixels of a patch.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor

_STEPS = (8, 1)
_NARROWER = 4
"""How many times nearer each random place is than the one before; the paper's is 2."""
_AT_ONCE = 1 << 14
"""So many patches are compared at once."""


class PatchField:
    """``match_P``: the centre of the best known patch of each target, found by ``search`` and kept up."""

    def __init__(self, target_HW: Tensor, source_HW: Tensor, radius: int, rng: Generator) -> None:
        """Both mark centres of patches that lie in the plane; there is at least one source."""
        self.height, self.width = target_HW.shape
        self._source_N, self._rng = source_HW.flatten(), rng
        self.target_P = target_HW.flatten().nonzero()[:, 0]
        self._among_N = torch.full_like(self._source_N, -1, dtype=torch.long)
        self._among_N[self.target_P] = torch.arange(len(self.target_P), device=target_HW.device)
        side = torch.arange(-radius, radius + 1, device=target_HW.device)
        self.offset_D = (side[:, None] * self.width + side).flatten()
        self.match_P = self._random_sources(len(self.target_P))
        self.distance_P = torch.full(self.target_P.shape, torch.inf, device=target_HW.device)

    def start_from(self, centre_P: Tensor) -> None:
        """Takes these as matches where they are sources."""
        self.match_P = torch.where(self._is_source(centre_P), centre_P, self.match_P)

    def search(self, value_CN: Tensor) -> None:
        """One round over neighbours' matches, and places ever nearer to the best one."""
        every_P = torch.arange(len(self.target_P), device=value_CN.device)
        self.distance_P = self._distance(value_CN, every_P, self.match_P)
        for candidate_P in self._moved_along():
            self._take_better(value_CN, candidate_P)
        reach = max(self.height, self.width)
        while reach >= 1:
            self._take_better(value_CN, self._around(reach))
            reach //= _NARROWER

    def parts(self) -> Iterator[Tensor]:
        """Places among the targets, as many as are to be held at once."""
        yield from torch.split(torch.arange(len(self.target_P), device=self.target_P.device), _AT_ONCE)

    def _moved_along(self) -> Iterator[Tensor]:
        last = len(self._among_N) - 1
        for step in _STEPS:
            for move in (step, -step, step * self.width, -step * self.width):
                neighbour_P = self._among_N[(self.target_P + move).clamp(0, last)]
                yield torch.where(neighbour_P >= 0, self.match_P[neighbour_P] - move, -1)

    def _around(self, reach: int) -> Tensor:
        moves_2P = torch.randint(-reach, reach + 1, (2, len(self.match_P)), generator=self._rng)
        down_P, right_P = moves_2P.to(self.match_P.device)
        row_P = (self.match_P // self.width + down_P).clamp(0, self.height - 1)
        column_P = (self.match_P % self.width + right_P).clamp(0, self.width - 1)
        place_P: Tensor = row_P * self.width + column_P
        return place_P

    def _take_better(self, value_CN: Tensor, candidate_P: Tensor) -> None:
        tried_T = (self._is_source(candidate_P) & (candidate_P != self.match_P)).nonzero()[:, 0]
        distance_T = self._distance(value_CN, tried_T, candidate_P[tried_T])
        is_better_T = distance_T < self.distance_P[tried_T]
        better_T = tried_T[is_better_T]
        self.match_P[better_T] = candidate_P[better_T]
        self.distance_P[better_T] = distance_T[is_better_T]

    def _is_source(self, centre_P: Tensor) -> Tensor:
        last = len(self._source_N) - 1
        inside_P = (centre_P >= 0) & (centre_P <= last)
        is_source_P: Tensor = inside_P & self._source_N[centre_P.clamp(0, last)]
        return is_source_P

    def _distance(self, value_CN: Tensor, place_T: Tensor, centre_T: Tensor) -> Tensor:
        """T: summed squared differences of these targets' patches to those about the centres."""
        parts = zip(torch.split(place_T, _AT_ONCE), torch.split(centre_T, _AT_ONCE), strict=True)
        distances = [
            self._patches(value_CN, self.target_P[each_T])
            .sub_(self._patches(value_CN, centre_T))
            .square_()
            .sum(dim=(0, 2))
            for each_T, centre_T in parts
        ]
        return torch.cat(distances) if distances else value_CN.new_zeros(0)

    def _patches(self, value_CN: Tensor, centre_T: Tensor) -> Tensor:
        return value_CN[:, centre_T[:, None] + self.offset_D]

    def _random_sources(self, count: int) -> Tensor:
        source_S = self._source_N.nonzero()[:, 0]
        drawn = torch.randint(len(source_S), (count,), generator=self._rng)
        return source_S[drawn.to(source_S.device)]
