"""From a metric's name in a job to the metric: ours, of an installed package, or with files of the user."""

from __future__ import annotations

from models.features import FeatureNetworkError
from models.names import unknown
from pipeline.addresses import redacted
from pipeline.distances import DISTANCES
from pipeline.errors import JobError, describe
from pipeline.jobs.job import Job
from pipeline.metrics import METRICS
from pipeline.metrics.base import Metric, MetricInputs
from pipeline.metrics.features import FeatureMetric, NeedsWeights, require_lite0
from pipeline.recipe.weights import fetch


def build_metric(name: str, where: str, job: Job) -> Metric:
    """The metric that a job calls so. ``JobError`` with the cure where the run cannot have it."""
    if name in DISTANCES:
        raise JobError(f'{where}: "{name}" is no score of one image; write distances = ["{name}"]')
    if name not in METRICS:
        raise JobError(f"{where}: {unknown('metric', name, METRICS)}")
    try:
        metric = METRICS.named(name)
    except ValueError as error:
        raise JobError(f"{where}: {error}") from error
    if job.kind == "restore" and metric.protocol.pair.needs_reference:
        others = (each for each, metric in METRICS.items() if not metric.protocol.pair.needs_reference)
        raise JobError(
            f'{where}: "{name}" needs a reference, which a restore run does not have; '
            f'without one there are {", ".join(others)}; or use kind = "benchmark"'
        )
    if job.scores_only and metric.protocol.pair in (
        MetricInputs.INPUT,
        MetricInputs.GUIDED,
        MetricInputs.BOTH,
    ):
        raise JobError(f'{where}: "{name}" needs the input of a restorer, and there are none; leave it out')
    if isinstance(metric, NeedsWeights):
        return _with_weights(metric, where, job)
    if isinstance(metric, FeatureMetric):
        try:
            require_lite0()
        except FeatureNetworkError as error:
            raise JobError(f'{where}: "{name}" needs features: {error}') from error
    return metric


def check_metric_weights(job: Job) -> None:
    """``JobError`` where files are given to what takes none."""
    for name in job.metric_weights:
        if name not in job.metrics:
            raise JobError(
                f'metric_weights.{name}: is none of the metrics; add "{name}" to them, or leave it'
            )
        if not isinstance(METRICS[name], NeedsWeights):
            raise JobError(f"metric_weights.{name}: this metric takes no files; leave them out")


def without_weights(metric: NeedsWeights) -> str:
    """What to say where there are no files."""
    backbone, heads = metric.files_wanted
    return (
        f'"{metric.protocol.name}" needs two files of yours in a job: metric_weights.{metric.protocol.name} '
        f"= {{ backbone = FILE ({backbone}), heads = FILE ({heads}) }}; without files there is "
        f'"{metric.instead}"'
    )


def _with_weights(metric: NeedsWeights, where: str, job: Job) -> Metric:
    files = job.metric_weights.get(metric.protocol.name)
    if files is None:
        raise JobError(f"{where}: {without_weights(metric)}")
    where = f"metric_weights.{metric.protocol.name}"
    contents = [_read(each, f"{where}.{field}") for field, each in files]
    try:
        return metric.with_weights(*contents)
    except ValueError as error:
        raise JobError(f"{where}.{error}; give {' and '.join(metric.files_wanted)}") from error


def _read(address: str, where: str) -> bytes:
    try:
        return fetch(address)
    except Exception as error:  # each store fails in its own way
        reason = "no such file" if isinstance(error, FileNotFoundError) else redacted(describe(error))
        raise JobError(f"{where}: {redacted(address)}: {reason}; check the address") from error
