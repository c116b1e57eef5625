"""The page of all metrics, written from their protocols: ``docs/metrics.md`` is this text."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.metrics.base import MetricInputs, MetricProtocol

_HEAD = """# Metrics

One score per image and metric, in the column of the metric's name; `NAME_degraded` is the score of the
degraded input. Images are compared as fractions of the stored type's full range, after cutting `border`
pixels from each side: `scale` is the enlargement of super-resolution, and 0 where the size stays. Only
valid pixels count, and of windows only those wholly inside the image and the valid mask. A score that is
not defined (no valid pixel, an image under the minimum size, a channel count the metric does not know, a
flat image where the formula divides by its variance) is NaN. Identical images have an infinite PSNR,
which summaries count apart.

`sharpness`, `niqe` and the two of `consistency` need no reference: a restore run has them too.
`consistency` compares the restored image, degraded again, with the degraded input. In a restore run nobody
knows a degradation: there it says how far the restorer moved the pixels, or, where it enlarges, whether the
larger image gives the input back at the input's size, which an image without invented radiometry does;
`consistency_worst_tile` says it of the place where it is worst, and the input has no such score. Of
scenes that are restored in strips these scores are those of the whole image.

`cpsnr` and `cssim` are for pairs that are not registered, as of two sensors ([pairs.md](pairs.md)): the
best score of all small shifts, after a constant difference in brightness is taken off. They look at the
whole image but for the margin of the shifts, whatever the `border` of other scores.

`lpips_lite0` and `dists_lite0` need the extra `perceptual`; `lpips_alex`, `lpips_vgg` and `dists` files of
yours, which a job names ([trust.md](trust.md#perception-beside-distortion)).

The `volume_` scores take the channels of an image as the slices of one volume. Distances between sets
of images stand at the end.

This page is made by `python -m pipeline.metrics > docs/metrics.md` from the protocols that every table
carries in its schema metadata.
"""


_SETS = """## Distances between sets

With `distances = ["frechet_lite0", "kernel_lite0"]` a job writes them into `summary.parquet`, for each
dataset x degradation x restorer; `python -m pipeline.distances RESTORED REFERENCE` prints them for two
folders of images:

- `frechet_lite0`: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of the means and covariances of the features;
  biased upwards where images are few: compare only at equal numbers, best above 1280
- `kernel_lite0`: squared maximum mean discrepancy, unbiased, kernel (x . y / 1280 + 1)^3; over all images,
  or 2048 of each set where there are more

Features: last pooling of EfficientNet-Lite0 (ImageNet-1k), 1280 numbers; images resized to 224 x 224 by
MATLAB bicubic and given as (x - 127) / 128 of 0..255. The extra `perceptual` has the network. They are
not FID and KID, which rest on another network: no published number compares with them.
"""


def page(protocols: Iterable[MetricProtocol]) -> str:
    """Markdown: a summary table, each protocol in full, and the distances."""
    protocols = list(protocols)
    rows = [f"| `{p.name}` | {p.unit} | {_better(p)} | {_best(p)} | {p.minimum_size} |" for p in protocols]
    head = ["| metric | unit | better | identical images | minimum size |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([_HEAD, *head, *rows, "", *(_section(p) for p in protocols), _SETS])


def _section(protocol: MetricProtocol) -> str:
    lines = [f"## `{protocol.name}`", "", f"{protocol.formula}.", ""]
    facts = {
        "colour": protocol.colour,
        "border": protocol.border,
        "data range": protocol.data_range,
        "window": protocol.window,
        "parameters": ", ".join(f"{name} = {value}" for name, value in protocol.parameters),
        "source": protocol.source,
        "version": str(protocol.version),
    }
    return "\n".join([*lines, *(f"- {name}: {value}" for name, value in facts.items() if value), ""])


def _better(protocol: MetricProtocol) -> str:
    return "higher" if protocol.higher_is_better else "lower"


def _best(protocol: MetricProtocol) -> str:
    return f"{protocol.best:g}" if protocol.pair is not MetricInputs.ALONE else "no reference"
