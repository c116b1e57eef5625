"""Summaries of whole folders, a bounded number of images in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pipeline.distances.features import Lite0Features
from pipeline.distances.summary import FeatureSummary
from pipeline.errors import JobError, RestoraError, describe
from pipeline.formats import decode
from pipeline.imaging.radiometry import to_tensor
from pipeline.storage.folder import Folder

TOGETHER = 64
"""Images whose features are gathered before they are summed up."""


@dataclass
class FolderSummary:
    """The features of a folder's images, and what could not be taken into account."""

    features: FeatureSummary
    skipped: dict[str, str] = field(default_factory=dict)
    """Key of every object that is no image, or not one of 1 or 3 channels, with the reason."""


def summarise_folder(folder: Folder, network: Lite0Features) -> FolderSummary:
    """All images below a folder. Raises ``JobError`` where there is none, ``StorageError`` for the store."""
    skipped: dict[str, str] = {}
    summary: FeatureSummary | None = None
    names: list[str] = []
    rows: list[Tensor] = []

    def total() -> FeatureSummary | None:
        if not names:
            return summary
        part = FeatureSummary.of(torch.cat(rows), names)
        return part if summary is None else summary.merge(part)

    for name, features_1D in _features(folder, network, skipped):
        names.append(name)
        rows.append(features_1D)
        if len(names) == TOGETHER:
            summary, names, rows = total(), [], []
    summary = total()
    if summary is None:
        raise JobError(f"{folder.url}: no image that can be read among {len(skipped)} objects")
    return FolderSummary(summary, skipped)


def _features(
    folder: Folder, network: Lite0Features, skipped: dict[str, str]
) -> Iterator[tuple[str, Tensor]]:
    for page in folder.pages():
        for entry in page:
            try:
                image = decode(folder.read(entry.key))
                yield entry.key, network(to_tensor(image, torch.device("cpu")))
            except (RestoraError, OSError, ValueError) as error:
                skipped[entry.key] = describe(error)
