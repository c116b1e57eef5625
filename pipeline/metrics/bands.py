"""Scores of each band alone, beside the score of the image: ``M_bands``, in the order of the file.

Shapes: B batch, C channels (bands), H and W height and width.
"""

from __future__ import annotations

from torch import Tensor

from pipeline.metrics.base import ALL_CHANNELS, Metric, MetricProtocol


def has_bands(protocol: MetricProtocol) -> bool:
    """Whether the score of one band means what that of the image does."""
    return protocol.colour == ALL_CHANNELS and protocol.pair.needs_reference and protocol.fewest_bands == 1


def per_band(
    metric: Metric, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None
) -> list[list[float | None]]:
    """For each image the score of each band; ``None`` where it is undefined."""
    bands = [slice(band, band + 1) for band in range(reference_BCHW.shape[1])]
    scores = [metric(restored_BCHW[:, band], reference_BCHW[:, band], valid_B1HW) for band in bands]
    by_image = zip(*(each.tolist() for each in scores), strict=True)
    return [[None if score != score else score for score in image] for image in by_image]
