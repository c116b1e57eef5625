"""What is kept of a set of images: enough for every distance, mergeable, of bounded size.

Workers summarise their parts; merged in any order and grouping they give what one pass gives: the sums
to rounding, the sample exactly.

Shapes: N images, D features, S images of the sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import safetensors.torch
import torch
from torch import Tensor

from pipeline.wording import number_of

SAMPLE = 2048
"""Images whose features are kept one by one, for distances that need pairs."""

_MOST_KEY = 2**63 - 1


@dataclass(frozen=True)
class FeatureSummary:
    """Count, sums and a sample of the features of a set of images.

    The sample is of the ``SAMPLE`` images with the smallest hash of their name: which images those are
    depends on the set alone, not on who saw them first.
    """

    count: int
    sum_D: Tensor
    """float64."""
    outer_DD: Tensor
    """Sum of the outer products of the features with themselves, float64."""
    key_S: Tensor
    """Hashes of the sample's names, int64, ascending."""
    sample_SD: Tensor
    """Features of the sample, float64, in the order of the hashes."""

    @classmethod
    def of(cls, features_ND: Tensor, names: Sequence[str]) -> FeatureSummary:
        """The summary of images by their features and their names, which are unique in the whole set."""
        if len(names) != len(features_ND):
            raise ValueError(f"{len(features_ND)} rows of features, but {len(names)} names; give one to each")
        features_ND = features_ND.double().cpu()
        key_N = torch.tensor([_key(name) for name in names], dtype=torch.int64)
        key_S, sample_SD = _smallest(key_N, features_ND)
        return cls(len(names), features_ND.sum(dim=0), features_ND.T @ features_ND, key_S, sample_SD)

    def merge(self, other: FeatureSummary) -> FeatureSummary:
        """The summary of both sets together, which share no image."""
        key_S, sample_SD = _smallest(
            torch.cat([self.key_S, other.key_S]), torch.cat([self.sample_SD, other.sample_SD])
        )
        return FeatureSummary(
            self.count + other.count,
            self.sum_D + other.sum_D,
            self.outer_DD + other.outer_DD,
            key_S,
            sample_SD,
        )

    def mean(self) -> Tensor:
        """(D,) float64; ``ValueError`` for an empty set."""
        self._require(1)
        return self.sum_D / self.count

    def covariance(self) -> Tensor:
        """(D, D) float64, over n - 1; ``ValueError`` for fewer than two images."""
        self._require(2)
        mean_D = self.mean()
        return (self.outer_DD - self.count * mean_D.outer(mean_D)) / (self.count - 1)

    def to_bytes(self) -> bytes:
        """As a safetensors file: D^2 + S D numbers of 8 bytes, 13 + up to 21 MB for D = 1280."""
        tensors = {"sum": self.sum_D, "outer": self.outer_DD, "key": self.key_S, "sample": self.sample_SD}
        content: bytes = safetensors.torch.save(
            {**tensors, "count": torch.tensor(self.count)}, metadata={"kind": "feature summary"}
        )
        return content

    @classmethod
    def from_bytes(cls, content: bytes) -> FeatureSummary:
        """What ``to_bytes`` wrote."""
        read = safetensors.torch.load(content)
        return cls(int(read["count"]), read["sum"], read["outer"], read["key"], read["sample"])

    def _require(self, least: int) -> None:
        if self.count < least:
            raise ValueError(f"a set of {number_of(self.count, 'image')}; at least {least} are needed")


def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") & _MOST_KEY


def _smallest(key_N: Tensor, features_ND: Tensor) -> tuple[Tensor, Tensor]:
    order = key_N.argsort(stable=True)[:SAMPLE]
    return key_N[order].contiguous(), features_ND[order].contiguous()
